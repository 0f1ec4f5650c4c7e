"""Whether the pod's databases are sound, seen from outside while nobody has them open."""

import contextlib
import shutil
import sqlite3
import tempfile
from pathlib import Path

DATABASES = ("whatsmeow.db", "journal.db")


def soundness(path: Path) -> str:
    """What SQLite's integrity check says of a copy of the database: opening the file itself would mend it before it is seen."""
    with tempfile.TemporaryDirectory() as directory:
        for suffix in ("", "-wal"):
            if (part := Path(f"{path}{suffix}")).exists():
                shutil.copy(part, directory)
        try:
            with contextlib.closing(sqlite3.connect(Path(directory) / path.name)) as db:
                return "; ".join(row[0] for row in db.execute("PRAGMA integrity_check"))
        except sqlite3.Error as error:
            return str(error)
