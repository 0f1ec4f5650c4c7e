"""Starts operators quickly: a process that has imported the operator forks one for each line of its input.

An operator's start is mostly imports (more than a second of CPU), and every point starts at least two. The child does what
`python -m wasession_operator` does. The environment of the process is the operators'; KUBECONFIG names one file, because
the client library reads that variable when it is imported.

Input: a line of JSON, the operator's `log` file and its `environment` -> output: `started PID`; and `ended PID CODE` when one has ended.
"""

import json
import os
import signal
import sys
from pathlib import Path


def main() -> None:
    """Serve until the input ends."""
    from wasession_operator.main import run  # noqa: PLC0415  what the process is for

    signal.signal(signal.SIGCHLD, _reap)
    print("ready", flush=True)  # noqa: T201  the protocol
    for line in iter(sys.stdin.readline, ""):
        order = json.loads(line)
        pid = os.fork()
        if pid == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.environ.update(order["environment"])
            _write_to(Path(order["log"]))
            code = 1
            try:
                code = run()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        os.write(1, f"started {pid}\n".encode())


def _write_to(log: Path) -> None:
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)


def _reap(*_: object) -> None:
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return
        if not pid:
            return
        os.write(1, f"ended {pid} {os.waitstatus_to_exitcode(status)}\n".encode())


if __name__ == "__main__":
    main()
