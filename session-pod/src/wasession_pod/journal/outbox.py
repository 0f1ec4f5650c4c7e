"""The journal's events for webhooks: what waits, what is tried again when, and what no attempt could deliver.

One event is stored once; each webhook that wants it has a delivery of its own, which is live (in the order of the
events), or dead (a dead letter, until it is delivered again by request or is too old). Surprising: a webhook is known
by its URL, so one that moves to another URL starts anew, and what waited for the old URL goes.
"""

import logging
import sqlite3
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from typing import NamedTuple

import msgspec

from wasession_contract.podwire import DeadLetter
from wasession_pod.events import Event
from wasession_pod.journal.database import Database, add

MAX_DEAD = 1000
DROPPED = "webhook_dropped"
_log = logging.getLogger(__name__)


class Letter(NamedTuple):
    """An event on its way to a webhook; `attempts` that failed so far, `due` in ms since 1970."""

    seq: int
    id: str
    name: str
    body: bytes
    attempts: int
    due: int


class Outbox:
    """Deliveries to webhooks in `database`. Every method raises JournalError when the volume fails."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._hooks: dict[str, frozenset[str]] = {}
        self.dropped = sum(row[0] for row in database.read("SELECT value FROM counters WHERE name = ?", (DROPPED,)))

    def subscribe(self, hooks: Mapping[str, AbstractSet[str]]) -> None:
        """Who wants which events from now on, by URL. What waits for any other webhook goes, its dead letters too."""
        self._hooks = {url: frozenset(names) for url, names in hooks.items()}
        with self._database.transaction() as db:
            db.execute("DELETE FROM deliveries WHERE hook NOT IN (SELECT value FROM json_each(?))", (_json(list(hooks)),))
            _sweep(db)

    def wants(self, name: str) -> bool:
        """Whether any webhook wants events of that name."""
        return any(name in names for names in self._hooks.values())

    def put(self, event: Event) -> None:
        """Store an event that comes from nothing else in the journal."""
        with self._database.transaction() as db:
            self.put_in(db, event)

    def put_in(self, db: sqlite3.Connection, event: Event) -> None:
        """Store an event in the transaction of what it tells of."""
        urls = [url for url, names in self._hooks.items() if event.name in names]
        if not urls:
            return
        row = (event.id, event.name, event.body, event.at // 1000)
        seq = db.execute("INSERT INTO events (id, name, body, at) VALUES (?,?,?,?)", row).lastrowid
        db.executemany("INSERT INTO deliveries (hook, event) VALUES (?,?)", [(url, seq) for url in urls])

    def first(self, url: str) -> Letter | None:
        """The oldest live delivery of a webhook, due or not: later ones wait for it."""
        sql = """
            SELECT e.seq, e.id, e.name, e.body, d.attempts, d.due FROM deliveries d JOIN events e ON e.seq = d.event
            WHERE d.hook = ? AND d.dead_at IS NULL ORDER BY d.event LIMIT 1"""
        rows = self._database.read(sql, (url,))
        return Letter(*rows[0]) if rows else None

    def delivered(self, url: str, seq: int) -> None:
        """The webhook has it."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM deliveries WHERE hook = ? AND event = ?", (url, seq))
            db.execute("DELETE FROM events WHERE seq = ? AND NOT EXISTS (SELECT 1 FROM deliveries WHERE event = ?)", (seq, seq))

    def retry(self, url: str, seq: int, due: int, error: str) -> None:
        """An attempt failed; the next is at `due`, in ms since 1970."""
        sql = "UPDATE deliveries SET attempts = attempts + 1, due = ?, last_error = ? WHERE hook = ? AND event = ?"
        self._database.write(sql, (due, error, url, seq))

    def dead(self, url: str, seq: int, now: int, error: str) -> None:
        """An attempt failed and there is no other. `now` in seconds since 1970."""
        sql = "UPDATE deliveries SET attempts = attempts + 1, dead_at = ?, last_error = ? WHERE hook = ? AND event = ?"
        self._database.write(sql, (now, error, url, seq))

    def dead_letters(self) -> list[DeadLetter]:
        """All dead letters, the oldest first."""
        sql = """
            SELECT e.id, e.name, d.hook, d.attempts, d.last_error, d.dead_at FROM deliveries d JOIN events e ON e.seq = d.event
            WHERE d.dead_at IS NOT NULL ORDER BY d.dead_at, e.seq, d.hook"""
        return [DeadLetter(*row) for row in self._database.read(sql)]

    def redeliver(self, event_id: str | None = None) -> int:
        """Make dead letters live again, at the place of their event: those of one event, or all. How many there were."""
        sql = """
            UPDATE deliveries SET attempts = 0, due = 0, dead_at = NULL, last_error = ''
            WHERE dead_at IS NOT NULL AND (? IS NULL OR event = (SELECT seq FROM events WHERE id = ?))"""
        return self._database.write(sql, (event_id, event_id))

    def backlog(self) -> int:
        """How many deliveries are live."""
        return int(self._database.read("SELECT count(*) FROM deliveries WHERE dead_at IS NULL")[0][0])

    def prune_in(self, db: sqlite3.Connection, *, max_live: int, oldest: int) -> None:
        """Keep the newest `max_live` live deliveries of each webhook and MAX_DEAD dead letters, none from before `oldest` (seconds)."""
        stale = "event IN (SELECT seq FROM events WHERE at < ?)"
        dropped = db.execute(f"DELETE FROM deliveries WHERE dead_at IS NULL AND {stale}", (oldest,)).rowcount  # noqa: S608  constant
        for url in self._hooks:
            dropped += db.execute(
                "DELETE FROM deliveries WHERE hook = ? AND dead_at IS NULL AND event <="
                " (SELECT event FROM deliveries WHERE hook = ? AND dead_at IS NULL ORDER BY event DESC LIMIT 1 OFFSET ?)",
                (url, url, max_live),
            ).rowcount
        db.execute(
            f"DELETE FROM deliveries WHERE dead_at IS NOT NULL AND ({stale} OR (hook, event) IN (SELECT hook, event FROM deliveries"  # noqa: S608  constant
            " WHERE dead_at IS NOT NULL ORDER BY dead_at DESC, event DESC LIMIT -1 OFFSET ?))",
            (oldest, MAX_DEAD),
        )
        _sweep(db)
        if dropped:
            add(db, DROPPED, dropped)
            self.dropped += dropped
            _log.warning("%d webhook deliveries dropped: too many wait, or they wait for too long", dropped)


def _sweep(db: sqlite3.Connection) -> None:
    db.execute("DELETE FROM events WHERE seq NOT IN (SELECT event FROM deliveries)")


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()
