"""The credentials on the volume: whatsmeow's SQLite file, which the pod itself only looks at or deletes.

Surprising: it is looked at before the client opens it and never after. Python's SQLite and the client's are two copies in
one process, whose locks do not keep them apart: the second one to open the file empties the index that the first one has
mapped, and the process dies of a bus error (sqlite.org/howtocorrupt.html, 2.2.1).
"""

import contextlib
import sqlite3
from pathlib import Path

from wasession_pod.engine import Account
from wasession_pod.jids import number_of

DATABASE = "whatsmeow.db"
_FILES = ("", "-wal", "-shm", "-journal")


def path(data_dir: Path) -> Path:
    """Where the database is."""
    return data_dir / DATABASE


def exist(data_dir: Path) -> bool:
    """Whether a device is linked, as far as the file knows. A file that cannot be read counts as credentials."""
    if not path(data_dir).exists():
        return False
    try:
        with _read_only(data_dir) as db:
            return bool(db.execute("SELECT count(*) FROM whatsmeow_device").fetchone()[0])
    except sqlite3.Error as error:
        return "no such table" not in str(error)


def account(data_dir: Path) -> Account | None:
    """Whose device is linked, so that a session that cannot log in yet is known to be paired. None: none, or unreadable."""
    if not path(data_dir).exists():
        return None
    try:
        with _read_only(data_dir) as db:
            row = db.execute("SELECT jid, lid, push_name FROM whatsmeow_device LIMIT 1").fetchone()
    except sqlite3.Error:
        return None
    return Account(number_of(_bare(row[0])), _bare(row[0]), _bare(row[1]) if row[1] else None, row[2] or None) if row else None


def _read_only(data_dir: Path) -> contextlib.closing[sqlite3.Connection]:
    return contextlib.closing(sqlite3.connect(f"{path(data_dir).absolute().as_uri()}?mode=ro", uri=True, timeout=1))


def _bare(jid: str) -> str:
    """`573001234567:1@s.whatsapp.net` without the device."""
    user, _, server = jid.partition("@")
    return f"{user.partition(':')[0]}@{server}"


def wipe(data_dir: Path) -> None:
    """Delete the database. Raises OSError."""
    for suffix in _FILES:
        Path(f"{path(data_dir)}{suffix}").unlink(missing_ok=True)
