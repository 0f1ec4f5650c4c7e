"""The journal on the volume: messages of live traffic, which of them wait for the backend, and idempotency keys.

SQLite in WAL mode with a sync on every commit, so that what is in here survives a SIGKILL and a dead node. Used from
the event loop and from the engine's threads, so one lock guards the one connection. Surprising: a waiting delivery is
no row of its own but a message that is `pending`; the message's id is the de-duplication, because WhatsApp sends a
message again when it did not see our receipt.
"""

import sqlite3
import threading
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from wasession_contract.podwire import Chat, LastMessage, Message
from wasession_pod import jids
from wasession_pod.engine import Received, Sent

MAX_PENDING = 10_000
MAX_MESSAGES = 20_000
KEY_SECONDS = 24 * 3600  # an Idempotency-Key is remembered for a day, as Stripe does
_PRUNE_EVERY = 100

_SCHEMA = """
CREATE TABLE IF NOT EXISTS messages (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, chat TEXT NOT NULL, sender TEXT NOT NULL,
    from_me INTEGER NOT NULL, text TEXT NOT NULL, type TEXT NOT NULL, has_media INTEGER NOT NULL, timestamp INTEGER NOT NULL,
    push_name TEXT NOT NULL, pending INTEGER NOT NULL) STRICT;
CREATE INDEX IF NOT EXISTS messages_by_chat ON messages (chat, seq);
CREATE INDEX IF NOT EXISTS messages_pending ON messages (seq) WHERE pending;
CREATE TABLE IF NOT EXISTS sends (
    key TEXT PRIMARY KEY, fingerprint TEXT NOT NULL, outcome TEXT NOT NULL, id TEXT, timestamp INTEGER, at INTEGER NOT NULL) STRICT;
"""
_COLUMNS = "id, chat, sender, from_me, text, type, has_media, timestamp, push_name"


class JournalError(Exception):
    """The journal cannot be opened or written: volume full, read-only or gone, or the file is no database."""


class Outcome(Enum):
    """What is known of a send with an Idempotency-Key."""

    NEW = "new"
    IN_FLIGHT = "in_flight"
    DONE = "done"
    UNKNOWN = "unknown"
    OTHER_BODY = "other_body"


class Pending(NamedTuple):
    """A message that waits for the backend."""

    seq: int
    message: Received


class Journal:
    """Opens `path` (`:memory:` too). Every method raises JournalError when the volume fails."""

    def __init__(self, path: Path | str) -> None:
        self.dropped = 0
        self._lock = threading.Lock()
        self._since_prune = 0
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=5)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
            self._db.execute("UPDATE sends SET outcome = ? WHERE outcome = ?", (Outcome.UNKNOWN.value, Outcome.IN_FLIGHT.value))
        except sqlite3.Error as error:
            raise JournalError(f"{path}: {error}") from error

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        with self._lock:
            self._db.close()

    def record(self, message: Received, *, pending: bool) -> bool:
        """Store a message; it waits for the backend if `pending`. False: it was here already."""
        m = message
        row = (m.id, m.chat, m.sender, m.from_me, m.text, m.type, m.has_media, m.timestamp, m.push_name, pending)
        new = self._write(f"INSERT OR IGNORE INTO messages ({_COLUMNS}, pending) VALUES (?,?,?,?,?,?,?,?,?,?)", row) > 0  # noqa: S608  constant
        self._since_prune += 1
        if self._since_prune >= _PRUNE_EVERY:
            self.prune()
        return new

    def prune(self, *, max_pending: int = MAX_PENDING, max_messages: int = MAX_MESSAGES) -> None:
        """Keep the newest `max_pending` deliveries (what is dropped is counted in `dropped`) and `max_messages` messages."""
        self._since_prune = 0
        self.dropped += self._write(
            "UPDATE messages SET pending = 0 WHERE pending AND seq <="
            " (SELECT seq FROM messages WHERE pending ORDER BY seq DESC LIMIT 1 OFFSET ?)",
            (max_pending,),
        )
        self._write(
            "DELETE FROM messages WHERE NOT pending AND seq <= (SELECT seq FROM messages ORDER BY seq DESC LIMIT 1 OFFSET ?)",
            (max_messages,),
        )

    def pending(self, after: int, limit: int) -> list[Pending]:
        """The oldest `limit` messages past sequence number `after` that wait for the backend, in order."""
        sql = f"SELECT seq, {_COLUMNS} FROM messages WHERE pending AND seq > ? ORDER BY seq LIMIT ?"  # noqa: S608  constant
        return [Pending(row[0], _received(row[1:])) for row in self._read(sql, (after, limit))]

    def delivered(self, up_to: int) -> None:
        """The backend has every message up to sequence number `up_to`."""
        self._write("UPDATE messages SET pending = 0 WHERE pending AND seq <= ?", (up_to,))

    def backlog(self) -> int:
        """How many messages wait for the backend."""
        return int(self._read("SELECT count(*) FROM messages WHERE pending", ())[0][0])

    def begin_send(self, key: str, fingerprint: str, now: int) -> tuple[Outcome, Sent | None]:
        """Claim an Idempotency-Key: NEW means send it, DONE comes with the first answer. `now` in seconds since 1970."""
        self._write("DELETE FROM sends WHERE at < ?", (now - KEY_SECONDS,))
        row = (key, fingerprint, Outcome.IN_FLIGHT.value, now)
        if self._write("INSERT OR IGNORE INTO sends (key, fingerprint, outcome, at) VALUES (?,?,?,?)", row):
            return Outcome.NEW, None
        known, outcome, id_, timestamp = self._read("SELECT fingerprint, outcome, id, timestamp FROM sends WHERE key = ?", (key,))[0]
        if known != fingerprint:
            return Outcome.OTHER_BODY, None
        return Outcome(outcome), Sent(id_, timestamp) if outcome == Outcome.DONE.value else None

    def end_send(self, key: str, outcome: Outcome, sent: Sent | None = None) -> None:
        """What became of it: DONE with WhatsApp's acknowledgement, UNKNOWN, or NEW if nothing went out (the key is free again)."""
        if outcome is Outcome.NEW:
            self._write("DELETE FROM sends WHERE key = ?", (key,))
            return
        answer = (sent.id, sent.timestamp) if sent else (None, None)
        self._write("UPDATE sends SET outcome = ?, id = ?, timestamp = ? WHERE key = ?", (outcome.value, *answer, key))

    def chats(self) -> list[Chat]:
        """Chats by their newest message, newest first. Unread: what came after the account's own last message."""
        sql = """
            SELECT m.chat, m.text, m.timestamp, m.from_me,
              (SELECT push_name FROM messages n WHERE n.chat = m.chat AND NOT from_me AND push_name != '' ORDER BY seq DESC LIMIT 1),
              (SELECT count(*) FROM messages u WHERE u.chat = m.chat AND NOT from_me AND seq >
                 (SELECT coalesce(max(seq), 0) FROM messages o WHERE o.chat = m.chat AND from_me))
            FROM messages m WHERE m.seq IN (SELECT max(seq) FROM messages GROUP BY chat) ORDER BY m.seq DESC"""
        found = []
        for chat, text, timestamp, from_me, push_name, unread in self._read(sql, ()):
            group = chat.endswith("@" + jids.GROUP_SERVER)
            last = LastMessage(text=text, timestamp=timestamp, from_me=bool(from_me))
            found.append(Chat(id=chat, name=None if group else push_name, is_group=group, unread_count=unread, last_message=last))
        return found

    def messages(self, chat: str, limit: int) -> list[Message]:
        """The newest `limit` messages of a chat, oldest first."""
        sql = f"SELECT {_COLUMNS} FROM messages WHERE chat = ? ORDER BY seq DESC LIMIT ?"  # noqa: S608  constant
        newest = [_received(row) for row in self._read(sql, (chat, limit))]
        return [
            Message(id=m.id, sender=m.sender, from_me=m.from_me, text=m.text, timestamp=m.timestamp, type=m.type, has_media=m.has_media)
            for m in reversed(newest)
        ]

    def _write(self, sql: str, values: tuple[object, ...]) -> int:
        with self._lock:
            try:
                return self._db.execute(sql, values).rowcount
            except sqlite3.Error as error:
                raise JournalError(str(error)) from error

    def _read(self, sql: str, values: tuple[object, ...]) -> list[tuple[Any, ...]]:
        with self._lock:
            try:
                return self._db.execute(sql, values).fetchall()
            except sqlite3.Error as error:
                raise JournalError(str(error)) from error


def _received(row: tuple[Any, ...]) -> Received:
    id_, chat, sender, from_me, text, type_, has_media, timestamp, push_name = row
    return Received(id_, chat, sender, bool(from_me), text, type_, bool(has_media), timestamp, push_name)
