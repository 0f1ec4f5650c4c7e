"""When a node began and ended the sandbox and the container of a pod: from containerd's own log, where that can be read.

devcluster keeps it beside the cluster. Elsewhere these moments stay unknown, and the rows that need them are left out.
"""

import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

_line = re.compile(r'time="([^"]+)" level=info msg="(.*)"$')


def moments(logs: list[Path], pod: str) -> dict[str, float]:
    """The moments of `pod` (a name that is used once), as Unix times."""
    found: dict[str, float] = {}
    for log in logs:
        found |= _moments(log, pod)
    return found


def _moments(log: Path, pod: str) -> dict[str, float]:
    found: dict[str, float] = {}
    sandbox = container = ""
    for moment, said in _said(log):
        if f"RunPodSandbox for &PodSandboxMetadata{{Name:{pod}," in said:
            if "returns sandbox id" in said:
                found["sandbox"], sandbox = moment, said.rpartition("returns sandbox id ")[2].strip('\\"')
            else:
                found["sandbox asked"] = moment
        elif sandbox and f'CreateContainer within sandbox \\"{sandbox}' in said and "returns container id" in said:
            container = said.rpartition("returns container id ")[2].strip('\\"')
        elif container and f'StartContainer for \\"{container}' in said and "returns" in said:
            found["started"] = moment
            break
    return found


def _said(log: Path) -> Iterator[tuple[float, str]]:
    with log.open(errors="replace") as lines:
        for line in lines:
            if match := _line.match(line):
                yield datetime.fromisoformat(match[1]).timestamp(), match[2]
