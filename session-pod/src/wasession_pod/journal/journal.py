"""Messages, chats, what waits for the backend, and idempotency keys: the queries of the journal.

Surprising: history sync may bring more than the journal keeps, so what retention counts is not the order of arrival but
`at`: when a message came, or for history when it was sent. History is never pending and never replaces what is there.
"""

import logging
import sqlite3
import time
from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple

from wasession_contract.podwire import Chat, LastMessage, Message
from wasession_pod.engine import ChatInfo, History, Receipt, Received, Sent
from wasession_pod.events import Event
from wasession_pod.journal.budget import Budget
from wasession_pod.journal.chats import ChatRow, is_group, told
from wasession_pod.journal.database import Database, add
from wasession_pod.journal.outbox import Outbox
from wasession_pod.settings import Retention

KEY_SECONDS = 24 * 3600  # an Idempotency-Key is remembered for a day, as Stripe does
STATUSES = ("", "sent", "delivered", "read", "played")  # a status is its place in here and goes up alone
MAX_CHATS = 5000  # chats without messages, most of them mere names; those with messages are bounded by the messages
MAX_EARLY = 1000
DEFAULTS = Retention()
DROPPED = "dropped"
_SENT = STATUSES.index("sent")
_PRUNE_EVERY = 100
_BATCH = 500  # messages of history in one transaction: live ones wait for some ms at most
_DAY = 24 * 3600
_COLUMNS = "id, chat, sender, from_me, text, type, has_media, timestamp, push_name"
_INSERT = f"INSERT OR IGNORE INTO messages ({_COLUMNS}, author, pending, at, status) VALUES (?,?,?,?,?,?,?,?,?,?,?,?,?)"  # noqa: S608  constant
_CHAT = "id, name, push_name, unread, pinned, archived, listed, synced"
_log = logging.getLogger(__name__)


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
    """Opens `path` (`:memory:` too). Every method raises JournalError when the volume fails; `now` in seconds since 1970."""

    def __init__(self, path: Path | str, retention: Retention = DEFAULTS, *, now: Callable[[], float] = time.time) -> None:
        self._database = Database(path)
        self._retention = retention
        self._now = now
        self._since_prune = 0
        self._early: dict[str, int] = {}  # statuses of messages that are not here yet: a receipt can be faster than the acknowledgement
        self.outbox = Outbox(self._database)
        self.budget = Budget(self._database)
        self.dropped = sum(row[0] for row in self._read("SELECT value FROM counters WHERE name = ?", (DROPPED,)))
        self._write("UPDATE sends SET outcome = ? WHERE outcome = ?", (Outcome.UNKNOWN.value, Outcome.IN_FLIGHT.value))
        self.prune()

    def close(self) -> None:
        """Fold the write-ahead log into the file and close it."""
        self._database.close()

    def probe(self) -> None:
        """Write something and return if the volume works; a journal that failed works again after this. Raises JournalError."""
        self._database.probe()

    def size(self) -> int:
        """Bytes on the volume."""
        return self._database.size()

    # Messages come and go forward.

    def record(self, message: Received, *, pending: bool, event: Event | None = None) -> bool:
        """Store a live message and `event`, which tells webhooks of it; it waits for the backend if `pending`. False: it was here."""
        with self._database.transaction() as db:
            early = self._early.get(message.id, 0) if message.from_me else 0
            new = _insert(db, message, pending=pending, at=int(self._now()), status=max(early, _SENT))
            if new:
                _count_live(db, message)
                if event:
                    self.outbox.put_in(db, event)
        self._early.pop(message.id, None)
        self._since_prune += 1
        if self._since_prune >= _PRUNE_EVERY:
            self.prune()
        return new

    def has(self, id_: str) -> bool:
        """Whether a message with this id is here."""
        return bool(self._read("SELECT 1 FROM messages WHERE id = ?", (id_,)))

    def advance(self, receipt: Receipt, event: Callable[[tuple[str, ...]], Event] | None = None) -> tuple[str, ...]:
        """Move our own messages forward to the receipt's status, never back; `event` makes the event for those that moved.

        A receipt by LID is taken for a chat by number and the other way round: whatsmeow may know one of the two alone.
        """
        rank = STATUSES.index(receipt.status)
        sql = """
            UPDATE messages SET status = ? WHERE id = ? AND from_me AND status < ?
            AND (chat = ? OR chat LIKE '%@lid' OR ? LIKE '%@lid')"""
        with self._database.transaction() as db:
            moved = tuple(
                id_
                for id_ in receipt.ids
                if db.execute(sql, (rank, id_, rank, receipt.chat, receipt.chat)).rowcount or self._moves_early(db, id_, rank)
            )
            if moved and event:
                self.outbox.put_in(db, event(moved))
        return moved

    def _moves_early(self, db: sqlite3.Connection, id_: str, rank: int) -> bool:
        if self._early.get(id_, 0) >= rank or db.execute("SELECT 1 FROM messages WHERE id = ?", (id_,)).fetchone():
            return False
        self._early[id_] = rank
        if len(self._early) > MAX_EARLY:
            del self._early[next(iter(self._early))]
        return True

    def remember(self, history: History) -> None:
        """Store a part of the account's past. Nothing of it is pending, and what is here already stays as it is."""
        with self._database.transaction() as db:
            for info in history.chats:
                _tell(db, info)
        horizon = self._horizon()
        kept = [message for message in history.messages if message.timestamp >= horizon]
        for start in range(0, len(kept), _BATCH):
            with self._database.transaction() as db:
                for message in kept[start : start + _BATCH]:
                    _insert(db, message, pending=False, at=message.timestamp, status=_SENT)
        self.prune()

    def prune(self) -> None:
        """Hold the retention. Deliveries that are dropped unsent are counted in `dropped`, over restarts too, and logged."""
        self._since_prune = 0
        kept, horizon = self._retention, self._horizon()
        with self._database.transaction() as db:
            dropped = db.execute(
                "UPDATE messages SET pending = 0 WHERE pending AND (at < ? OR seq <="
                " (SELECT seq FROM messages WHERE pending ORDER BY seq DESC LIMIT 1 OFFSET ?))",
                (horizon, kept.max_pending),
            ).rowcount
            add(db, DROPPED, dropped)
            db.execute(
                "DELETE FROM messages WHERE NOT pending AND (at < ? OR seq IN"
                " (SELECT seq FROM messages ORDER BY at DESC, seq DESC LIMIT -1 OFFSET ?))",
                (horizon, kept.max_messages),
            )
            db.execute(
                "DELETE FROM chats WHERE rowid IN (SELECT rowid FROM chats"
                " WHERE id NOT IN (SELECT chat FROM messages) ORDER BY rowid DESC LIMIT -1 OFFSET ?)",
                (MAX_CHATS,),
            )
            self.outbox.prune_in(db, max_live=kept.max_pending, oldest=horizon)
        if dropped:
            self.dropped += dropped
            _log.warning("%d messages dropped unsent: the backend was away for too long", dropped)

    def _horizon(self) -> int:
        return int(self._now()) - self._retention.max_age_days * _DAY

    # What waits for the backend.

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

    # Idempotency keys.

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

    # What the chats hold.

    def chats(self) -> list[Chat]:
        """All chats, the one with the newest message first."""
        sql = f"""
            SELECT {", ".join(f"c.{name}" for name in _CHAT.split(", "))}, m.text, m.timestamp, m.from_me FROM chats c LEFT JOIN messages m
            ON m.seq = (SELECT seq FROM messages WHERE chat = c.id ORDER BY timestamp DESC, seq DESC LIMIT 1)
            WHERE c.listed ORDER BY m.timestamp IS NULL, m.timestamp DESC, m.seq DESC, c.id"""  # noqa: S608  constant
        return [_shown(ChatRow(*row[:8]), *row[8:]) for row in self._read(sql, ())]

    def messages(self, chat: str, limit: int) -> list[Message]:
        """The newest `limit` messages of a chat, oldest first."""
        sql = f"SELECT status, {_COLUMNS} FROM messages WHERE chat = ? ORDER BY timestamp DESC, seq DESC LIMIT ?"  # noqa: S608  constant
        return [
            Message(m.id, m.sender, m.from_me, m.text, m.timestamp, m.type, m.has_media, STATUSES[status] if status else None)
            for status, m in ((row[0], _received(row[1:])) for row in reversed(self._read(sql, (chat, limit))))
        ]

    def find(self, chat: str, ids: Sequence[str]) -> list[Received]:
        """Those of the messages `ids` that the chat has."""
        marks = ",".join("?" * len(ids))
        return [_received(row) for row in self._read(f"SELECT {_COLUMNS} FROM messages WHERE chat = ? AND id IN ({marks})", (chat, *ids))]  # noqa: S608  constant

    def unanswered(self, chat: str, limit: int) -> list[Received]:
        """The newest `limit` messages that came since the account's own last one, oldest first."""
        sql = f"""
            SELECT {_COLUMNS} FROM messages m WHERE chat = ? AND NOT from_me AND NOT EXISTS (
                SELECT 1 FROM messages o WHERE o.chat = m.chat AND o.from_me AND (o.timestamp, o.seq) > (m.timestamp, m.seq))
            ORDER BY timestamp DESC, seq DESC LIMIT ?"""  # noqa: S608  constant
        return [_received(row) for row in reversed(self._read(sql, (chat, limit)))]

    def mark_read(self, chat: str) -> None:
        """The account has read the chat."""
        self._write("UPDATE chats SET unread = 0 WHERE id = ?", (chat,))

    def _write(self, sql: str, values: tuple[object, ...]) -> int:
        return self._database.write(sql, values)

    def _read(self, sql: str, values: tuple[object, ...]) -> Sequence[tuple[Any, ...]]:
        return self._database.read(sql, values)


def _insert(db: sqlite3.Connection, m: Received, *, pending: bool, at: int, status: int) -> bool:
    author = m.sender if is_group(m.chat) and not m.from_me else ""
    row = (m.id, m.chat, m.sender, m.from_me, m.text, m.type, m.has_media, m.timestamp, m.push_name)
    return db.execute(_INSERT, (*row, author, pending, at, status if m.from_me else None)).rowcount > 0


def _count_live(db: sqlite3.Connection, m: Received) -> None:
    push_name = m.push_name if m.push_name and not m.from_me and not is_group(m.chat) else None
    db.execute(
        "INSERT INTO chats (id, push_name, unread, listed) VALUES (?, ?, ?, 1) ON CONFLICT (id) DO UPDATE SET listed = 1,"
        " unread = CASE WHEN excluded.unread THEN unread + 1 ELSE 0 END, push_name = coalesce(excluded.push_name, push_name)",
        (m.chat, push_name, not m.from_me),
    )


def _tell(db: sqlite3.Connection, info: ChatInfo) -> None:
    rows = db.execute(f"SELECT {_CHAT} FROM chats WHERE id = ?", (info.id,)).fetchall()  # noqa: S608  constant
    r = told(ChatRow(*rows[0]) if rows else ChatRow(info.id), info)
    values = (r.id, r.name, r.push_name, r.unread, r.pinned, r.archived, r.listed, r.synced)
    db.execute(f"INSERT OR REPLACE INTO chats ({_CHAT}) VALUES (?,?,?,?,?,?,?,?)", values)  # noqa: S608  constant


def _shown(chat: ChatRow, text: str | None, timestamp: int | None, from_me: int | None) -> Chat:
    last = None if text is None or timestamp is None else LastMessage(text, timestamp, bool(from_me))
    return Chat(chat.id, chat.shown_name, is_group(chat.id), chat.unread, last, bool(chat.pinned), bool(chat.archived))


def _received(row: tuple[Any, ...]) -> Received:
    id_, chat, sender, from_me, text, type_, has_media, timestamp, push_name = row
    return Received(id_, chat, sender, bool(from_me), text, type_, bool(has_media), timestamp, push_name)
