"""The volume: which words of an error mean that it fails, and whether it works again.

Surprising: such a fault heals without anybody touching the session (room is made, the file system is mounted anew), so it
is told apart from a file that is no database, which nothing but a person mends.
"""

import os
from pathlib import Path

PROBE = ".probe"
PROBE_BYTES = 1 << 18  # a session writes less at once
_faults = (  # SQLite's, Go's and the kernel's words, lower case
    "disk is full",
    "no space left",
    "quota exceeded",
    "readonly database",
    "read-only file system",
    "disk i/o error",
    "input/output error",
    "unable to open database file",
)


def is_fault(words: str) -> bool:
    """Whether an error's text says that the volume fails."""
    words = words.lower()
    return any(fault in words for fault in _faults)


def probe(directory: Path) -> None:
    """Write as much as a session may need, and remove it. Raises OSError."""
    file = directory / PROBE
    try:
        with file.open("wb") as probe_file:
            probe_file.write(bytes(PROBE_BYTES))
            probe_file.flush()
            os.fsync(probe_file.fileno())
    finally:
        file.unlink(missing_ok=True)
