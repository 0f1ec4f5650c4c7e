"""Swaps the Noise root key of the WhatsApp client library in memory, right after neonize has loaded it. For tests only.

Put this folder on PYTHONPATH and the emulator's root key (64 hex digits) into WAEMU_ROOT_PUB. No file is changed: the key is a
variable in the library's writable data, found by its value in this process's own memory. Without the variable nothing happens.
"""

import ctypes
import os
from pathlib import Path
from typing import Any

WHATSAPP_ROOT = bytes.fromhex("142375574d0a587166aae71ebe516437c4a28b73e3695c6ce1f7f9545da8ee6b")
"""whatsmeow's WACertPubKey."""


def _swap(library: str, root: bytes) -> None:
    """Writes the emulator's root key over WhatsApp's in every writable mapping of the loaded library."""
    swapped = 0
    with Path("/proc/self/maps").open() as maps:
        for line in maps:
            fields = line.split(maxsplit=5)
            if len(fields) < 6 or fields[5].strip() != os.path.realpath(library) or "w" not in fields[1]:
                continue
            low, high = (int(part, 16) for part in fields[0].split("-"))
            found = ctypes.string_at(low, high - low).find(WHATSAPP_ROOT)
            if found >= 0:
                ctypes.memmove(low + found, root, len(root))
                swapped += 1
    if swapped != 1:
        raise RuntimeError(f"waemulator: found WhatsApp's root key {swapped} times in {library}, expected once; is this another neonize?")


def _install(root: bytes) -> None:
    original = ctypes.CDLL.__init__

    def load(self: ctypes.CDLL, name: Any, *args: Any, **options: Any) -> None:  # noqa: ANN401  passed on as it came
        original(self, name, *args, **options)
        if name and Path(str(name)).name.startswith("neonize-"):
            _swap(str(name), root)

    ctypes.CDLL.__init__ = load  # type: ignore[method-assign]


if os.environ.get("WAEMU_ROOT_PUB"):
    _install(bytes.fromhex(os.environ["WAEMU_ROOT_PUB"]))
