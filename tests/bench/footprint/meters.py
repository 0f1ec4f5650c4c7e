"""Readings of processes from /proc: memory in MiB, CPU in seconds."""

import os
import time
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

TICKS = os.sysconf("SC_CLK_TCK")
MIB_OF_KIB = 1024


class Memory(NamedTuple):
    """One process, or the mean of several. `pss` shares what several have; `anonymous` is what nobody shares."""

    rss: float
    pss: float
    anonymous: float
    threads: float


def memory(pid: int) -> Memory:
    """What `/proc/PID/smaps_rollup` says; a reading takes the process some ms."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, value, _ = line.split()
        fields[name] = int(value) / MIB_OF_KIB
    return Memory(fields["Rss:"], fields["Pss:"], fields["Anonymous:"], len(os.listdir(f"/proc/{pid}/task")))  # noqa: PTH208


def mean_memory(pids: Sequence[int]) -> Memory:
    """The mean of several processes."""
    readings = [memory(pid) for pid in pids]
    return Memory(*(fmean(column) for column in zip(*readings, strict=True)))


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of the children that it waited for."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return sum(int(fields[index]) for index in (11, 12, 13, 14)) / TICKS


def cpu_seconds_per_minute(pids: Sequence[int], seconds: float) -> float:
    """The mean of several processes over `seconds` from now."""
    began, before = time.monotonic(), [cpu_seconds(pid) for pid in pids]
    time.sleep(seconds)
    passed = time.monotonic() - began
    return fmean(cpu_seconds(pid) - earlier for pid, earlier in zip(pids, before, strict=True)) / passed * 60


def growth(samples: Sequence[tuple[float, float]]) -> float:
    """How much the second half of `samples`, of amount and MiB, grows from its first to its last amount, by least squares."""
    half = samples[len(samples) // 2 :]
    middle_x, middle_y = fmean(x for x, _ in half), fmean(y for _, y in half)
    spread = sum((x - middle_x) ** 2 for x, _ in half)
    slope = sum((x - middle_x) * (y - middle_y) for x, y in half) / spread if spread else 0.0
    return slope * (half[-1][0] - half[0][0])
