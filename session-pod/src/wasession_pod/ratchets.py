"""Forgets Signal sessions in the client's database, so that a message is encrypted anew by its sender.

Surprising: it goes through the SQLite that is inside the client's own library. Python's would be a second copy in one
process, and closing a file in one copy drops the other's locks on it (sqlite.org/howtocorrupt.html, 2.2.1).
"""

import ctypes
import re
from collections.abc import Iterable
from pathlib import Path

_BUSY_MS = 5000
_OK = 0
_TABLES = (("whatsmeow_sessions", "their_id"), ("whatsmeow_sender_keys", "sender_id"))
_jid = re.compile(r"([0-9]+)(?:\.[0-9]+)?(?::([0-9]+))?@")


class RatchetError(Exception):
    """The database refused; the words are SQLite's."""


def statements(senders: Iterable[str]) -> list[str]:
    """SQL that forgets the sessions with devices such as `573001234567:3@s.whatsapp.net`, by number and by LID. Pure.

    whatsmeow keeps a device's sessions under `USER:DEVICE`, and under `USER_1:DEVICE` if the user is a LID.
    """
    made = []
    for sender in senders:
        if not (found := _jid.match(sender)):
            continue
        user, device = found[1], found[2] or "0"
        known = (
            f"SELECT '{user}' AS user UNION SELECT lid FROM whatsmeow_lid_map WHERE pn = '{user}'"  # noqa: S608  digits
            f" UNION SELECT pn FROM whatsmeow_lid_map WHERE lid = '{user}'"
        )
        addresses = f"SELECT user || agent || ':{device}' FROM ({known}), (SELECT '' AS agent UNION SELECT '_1')"  # noqa: S608  digits
        made += [f"DELETE FROM {table} WHERE {column} IN ({addresses})" for table, column in _TABLES]  # noqa: S608  the same
    return made


def forget(library: ctypes.CDLL, database: Path, senders: Iterable[str]) -> None:
    """Forget the sessions with `senders`. Raises RatchetError."""
    handle = ctypes.c_void_p()
    words = ctypes.c_char_p()
    try:
        if library.sqlite3_open_v2(str(database).encode(), ctypes.byref(handle), 2, None) != _OK:  # 2: an existing file, read and write
            raise RatchetError(f"{database} cannot be opened")
        library.sqlite3_busy_timeout(handle, _BUSY_MS)
        for sql in statements(senders):
            if library.sqlite3_exec(handle, sql.encode(), None, None, ctypes.byref(words)) != _OK:
                raise RatchetError(f"{database}: {(words.value or b'').decode()}")
    finally:
        library.sqlite3_close_v2(handle)
