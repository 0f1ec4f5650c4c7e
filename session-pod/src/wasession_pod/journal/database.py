"""The journal's one connection: opened, brought forward to the newest schema, locked, and written in transactions.

Surprising: after the volume was full or read-only the connection may stay unusable although the volume works again
(the write-ahead log's index was opened read-only), so `probe` opens a new one before it gives up.
"""

import contextlib
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from wasession_pod.journal.schema import STEPS

BUSY_SECONDS = 5
MEMORY = ":memory:"


class JournalError(Exception):
    """The journal cannot be opened or written: volume full, read-only or gone, or the file is no database."""


class Database:
    """Opens `path`, `:memory:` too. Raises JournalError."""

    def __init__(self, path: Path | str) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._db = _open(path)

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        with self._lock:
            self._db.close()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """All that is written inside is on the volume when this ends, or nothing of it. Raises JournalError."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    yield self._db
                    self._db.execute("COMMIT")
                except BaseException:
                    with contextlib.suppress(sqlite3.Error):  # most failures have ended the transaction already
                        self._db.execute("ROLLBACK")
                    raise
            except sqlite3.Error as error:
                raise JournalError(str(error)) from error

    def write(self, sql: str, values: tuple[object, ...] = ()) -> int:
        """One statement as a transaction of its own; the number of rows that it touched. Raises JournalError."""
        with self.transaction() as db:
            return db.execute(sql, values).rowcount

    def read(self, sql: str, values: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        """The rows of a query. Raises JournalError."""
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise JournalError(str(error)) from error

    def probe(self) -> None:
        """Write something, with a new connection if it must be. Raises JournalError: the volume does not work."""
        try:
            self._touch()
        except JournalError:
            if self._path == MEMORY:
                raise
            fresh = _open(self._path)
            with self._lock:
                with contextlib.suppress(sqlite3.Error):
                    self._db.close()
                self._db = fresh
            self._touch()

    def size(self) -> int:
        """Bytes on the volume, the write-ahead log included."""
        total = 0
        for name in (str(self._path), f"{self._path}-wal"):
            with contextlib.suppress(OSError):
                total += Path(name).stat().st_size
        return total

    def _touch(self) -> None:
        self.write("INSERT INTO counters VALUES ('probes', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1")


def add(db: sqlite3.Connection, counter: str, amount: int) -> None:
    """Count, inside a transaction."""
    if amount:
        db.execute("INSERT INTO counters VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value", (counter, amount))


def _open(path: Path | str) -> sqlite3.Connection:
    try:
        db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=BUSY_SECONDS)
    except sqlite3.Error as error:
        raise JournalError(f"{path}: {error}") from error
    try:
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")
        db.execute("PRAGMA cache_size = -512")  # KiB; the default is four times that, and a pod has to be small
        _bring_forward(db, path)
    except sqlite3.Error as error:
        db.close()
        raise JournalError(f"{path}: {error}") from error
    except JournalError:
        db.close()
        raise
    return db


def _bring_forward(db: sqlite3.Connection, path: Path | str) -> None:
    version = db.execute("PRAGMA user_version").fetchone()[0]
    if version > len(STEPS):
        raise JournalError(
            f"{path}: written by a newer release (schema {version}, this one knows {len(STEPS)}); "
            "use that release's image, or move the file away"
        )
    for number, step in enumerate(STEPS[version:], version + 1):
        db.execute("BEGIN IMMEDIATE")
        for statement in step:
            db.execute(statement)
        db.execute(f"PRAGMA user_version = {number}")
        db.execute("COMMIT")
