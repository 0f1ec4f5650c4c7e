"""The main process of a container, seen from the machine that the nodes run on."""

import os
import signal
from pathlib import Path


def kill_process(pod_uid: str, words: str) -> None:
    """SIGKILL the process of the pod whose command line holds `words`: from inside, a container's first process is immune.

    Raises LookupError where the machine does not see it, as it does neither without root nor with nodes elsewhere.
    """
    groups = (pod_uid, pod_uid.replace("-", "_"))  # as the drivers cgroupfs and systemd spell it
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            group, command = (entry / "cgroup").read_text(), (entry / "cmdline").read_text()
        except OSError:
            continue
        if any(one in group for one in groups) and words in command:
            os.kill(int(entry.name), signal.SIGKILL)
            return
    raise LookupError(f"no process {words!r} of the pod {pod_uid} is seen from here")
