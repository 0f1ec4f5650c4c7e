"""`memory_usage` of the contract, for a process that is not Node.

The five names are Node's. What stands in them here, from the kernel's `/proc/self/status`:
`rss` is resident memory; `heapTotal` the private writable memory that the process has mapped (VmData); `heapUsed` how
much anonymous memory of it is resident (RssAnon); `external` resident memory backed by files, such as libraries (RssFile);
`arrayBuffers` resident shared memory (RssShmem).
"""

from pathlib import Path

import msgspec

_SOURCE = {"rss": "VmRSS", "heapTotal": "VmData", "heapUsed": "RssAnon", "external": "RssFile", "arrayBuffers": "RssShmem"}


class MemoryUsage(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """In bytes."""

    rss: int
    heap_total: int
    heap_used: int
    external: int
    array_buffers: int


def parse(text: str) -> MemoryUsage:
    """Read the text of `/proc/self/status`, whose numbers are in KiB."""
    fields = dict(line.split(":", 1) for line in text.splitlines() if ":" in line)
    return msgspec.convert({ours: int(fields[theirs].split()[0]) * 1024 for ours, theirs in _SOURCE.items()}, MemoryUsage)


def usage() -> MemoryUsage:
    """This process's memory now."""
    return parse(Path("/proc/self/status").read_text())
