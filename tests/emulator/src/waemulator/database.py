"""The state directory's SQLite file, and the rule that makes a kill harmless: output commit.

All changes run in one open transaction; `commit` is called right before anything leaves the process (a frame to a client, an answer of
the control API). So what somebody saw is on disk, and what was half done was seen by nobody. A handler changes state without waiting in
between, hence two handlers never share a half. Survives a kill of the process, not the loss of the machine's power
(`synchronous=NORMAL`).
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from waemulator.errors import StateError

FILE, LOCK_FILE = "emulator.db", "emulator.lock"
VERSION = 1
SCHEMA = """
CREATE TABLE IF NOT EXISTS account (
    number TEXT PRIMARY KEY, lid TEXT NOT NULL UNIQUE, name TEXT NOT NULL, business TEXT, next_device INTEGER NOT NULL,
    identity BLOB NOT NULL, signed_prekey BLOB NOT NULL, registration_id INTEGER NOT NULL, next_prekey INTEGER NOT NULL,
    app_state_key_id BLOB NOT NULL, app_state_key BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS device (
    number TEXT NOT NULL, id INTEGER NOT NULL, noise_key BLOB NOT NULL, identity BLOB NOT NULL, registration_id INTEGER NOT NULL,
    signed_prekey_id INTEGER NOT NULL, signed_prekey BLOB NOT NULL, signed_prekey_signature BLOB NOT NULL,
    removed INTEGER NOT NULL, key_shared INTEGER NOT NULL, logins INTEGER NOT NULL, PRIMARY KEY (number, id));
CREATE TABLE IF NOT EXISTS device_prekey (
    number TEXT NOT NULL, device INTEGER NOT NULL, id INTEGER NOT NULL, public BLOB NOT NULL, PRIMARY KEY (number, device, id));
CREATE TABLE IF NOT EXISTS phone_key (
    number TEXT NOT NULL, type TEXT NOT NULL, id TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (number, type, id));
CREATE TABLE IF NOT EXISTS phone_session_archive (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT NOT NULL, address TEXT NOT NULL, session BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS pending (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, number TEXT NOT NULL, device INTEGER NOT NULL, tag TEXT NOT NULL, id TEXT NOT NULL,
    stanza BLOB NOT NULL);
CREATE INDEX IF NOT EXISTS pending_of_device ON pending (number, device, seq);
CREATE TABLE IF NOT EXISTS seen (
    number TEXT NOT NULL, device INTEGER NOT NULL, id TEXT NOT NULL, PRIMARY KEY (number, device, id));
CREATE TABLE IF NOT EXISTS outgoing (
    id TEXT PRIMARY KEY, sender TEXT NOT NULL, recipient TEXT NOT NULL, message BLOB NOT NULL, by_lid INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS chat_group (
    jid TEXT PRIMARY KEY, subject TEXT NOT NULL, subject_changed INTEGER NOT NULL, created INTEGER NOT NULL, by_lid INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS group_member (
    jid TEXT NOT NULL, place INTEGER NOT NULL, number TEXT NOT NULL, PRIMARY KEY (jid, number));
CREATE TABLE IF NOT EXISTS history (number TEXT NOT NULL, place INTEGER NOT NULL, part BLOB NOT NULL, PRIMARY KEY (number, place));
CREATE TABLE IF NOT EXISTS media (path TEXT PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS log (i INTEGER PRIMARY KEY, t REAL NOT NULL, kind TEXT NOT NULL, number TEXT, fields TEXT NOT NULL);
"""


class Database:
    """One SQLite connection, used by one event loop, over a directory that belongs to one process."""

    def __init__(self, directory: Path) -> None:
        """Opens or makes the database.

        Raises:
            StateError: another emulator uses the directory, or another version wrote it, or it cannot be written.
        """
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(directory / LOCK_FILE, os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise StateError(f"another emulator is using {directory}: stop it or give another --state") from error
        except OSError as error:
            raise StateError(f"cannot write to {directory}: {error.strerror}") from error
        self._connection = sqlite3.connect(directory / FILE)
        try:
            self._prepare(directory / FILE)
        except sqlite3.DatabaseError as error:
            raise StateError(f"{directory / FILE} is not usable ({error}): move it away to start anew") from error

    def _prepare(self, file: Path) -> None:
        self._connection.row_factory = sqlite3.Row
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, VERSION):
            raise StateError(f"{file} was written by another version ({version}, this is {VERSION}): move it away to start anew")
        self._connection.executescript(SCHEMA)
        self._connection.execute(f"PRAGMA user_version = {VERSION}")

    def change(self, statement: str, *values: object) -> int:
        """Runs one changing statement and returns how many rows it touched; on disk only after `commit`."""
        return self._connection.execute(statement, values).rowcount

    def change_many(self, statement: str, rows: Iterable[tuple[object, ...]]) -> None:
        """Runs one changing statement for each row of values."""
        self._connection.executemany(statement, rows)

    def rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self._connection.execute(statement, values).fetchall()

    def row(self, statement: str, *values: object) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        found: sqlite3.Row | None = self._connection.execute(statement, values).fetchone()
        return found

    def commit(self) -> None:
        """Puts every change so far on disk. Costs nothing when there is none."""
        self._connection.commit()

    def close(self) -> None:
        """Commits and lets go of the directory."""
        self._connection.commit()
        self._connection.close()
        os.close(self._lock)
