"""The credentials on the volume: whatsmeow's SQLite file, which the pod itself only looks at or deletes."""

import contextlib
import sqlite3
from pathlib import Path

DATABASE = "whatsmeow.db"
_FILES = ("", "-wal", "-shm", "-journal")


def path(data_dir: Path) -> Path:
    """Where the database is."""
    return data_dir / DATABASE


def exist(data_dir: Path) -> bool:
    """Whether a device is linked, as far as the file knows. A file that cannot be read counts as credentials."""
    file = path(data_dir)
    if not file.exists():
        return False
    try:
        with contextlib.closing(sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True, timeout=1)) as db:
            return bool(db.execute("SELECT count(*) FROM whatsmeow_device").fetchone()[0])
    except sqlite3.Error as error:
        return "no such table" not in str(error)


def wipe(data_dir: Path) -> None:
    """Delete the database. Raises OSError."""
    for suffix in _FILES:
        Path(f"{path(data_dir)}{suffix}").unlink(missing_ok=True)
