"""What the server keeps for linked devices: stanzas not acknowledged yet, message ids seen, and messages that may be asked for again.

A stanza stays until the device acknowledges it, so one that was on the wire when the connection broke comes again at the next login.
"""

from dataclasses import dataclass

from waemulator.accounts import DeviceKey
from waemulator.database import Database
from waemulator.wire import Node, decode, encode

KEPT_SEEN = 100_000
KEPT_OUTGOING = 20_000


@dataclass(frozen=True)
class Pending:
    """A stanza waiting for a device; `seq` orders them."""

    seq: int
    stanza: Node


@dataclass(frozen=True)
class Outgoing:
    """A message of a fake phone to a number or to a group, kept so that it can be encrypted again when a receiver asks."""

    sender: str
    recipient: str
    message: bytes
    by_lid: bool


class Mailbox:
    """The queues of all devices."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, device: DeviceKey, stanza: Node) -> None:
        """Queues a stanza for a device."""
        insert = "INSERT INTO pending (number, device, tag, id, stanza) VALUES (?, ?, ?, ?, ?)"
        # The codec frames with a leading flag byte, which decode takes off again.
        self._database.change(insert, device.number, device.id, stanza.tag, stanza.attrs["id"], encode(stanza))

    def after(self, device: DeviceKey, seq: int) -> list[Pending]:
        """The stanzas of a device behind the given place, oldest first."""
        query = "SELECT seq, stanza FROM pending WHERE number = ? AND device = ? AND seq > ? ORDER BY seq"
        return [Pending(row["seq"], decode(row["stanza"])) for row in self._database.rows(query, device.number, device.id, seq)]

    def acknowledge(self, device: DeviceKey, tag: str, id_: str) -> None:
        """The device has one stanza of this id, the oldest: a message that it asked for again has the same id and is still to come."""
        delete = """DELETE FROM pending WHERE seq =
            (SELECT MIN(seq) FROM pending WHERE number = ? AND device = ? AND tag = ? AND id = ?)"""
        self._database.change(delete, device.number, device.id, tag, id_)

    def complete(self, device: DeviceKey, tag: str, ids: list[str]) -> None:
        """The device has understood these; no stanza of these ids will be sent again."""
        delete = "DELETE FROM pending WHERE number = ? AND device = ? AND tag = ? AND id = ?"
        self._database.change_many(delete, [(device.number, device.id, tag, id_) for id_ in ids])

    def drop(self, device: DeviceKey) -> None:
        """Forgets everything that waits for a device that is no longer linked."""
        self._database.change("DELETE FROM pending WHERE number = ? AND device = ?", device.number, device.id)

    def seen(self, device: DeviceKey, id_: str) -> bool:
        """Whether this message of the device was accepted before."""
        query = "SELECT 1 FROM seen WHERE number = ? AND device = ? AND id = ?"
        return self._database.row(query, device.number, device.id, id_) is not None

    def mark_seen(self, device: DeviceKey, id_: str) -> None:
        """Remembers that a message was accepted."""
        self._database.change("INSERT OR IGNORE INTO seen VALUES (?, ?, ?)", device.number, device.id, id_)
        self._database.change("DELETE FROM seen WHERE rowid <= (SELECT MAX(rowid) FROM seen) - ?", KEPT_SEEN)

    def unmark_seen(self, device: DeviceKey, id_: str) -> None:
        """A message accepted before is asked for again."""
        self._database.change("DELETE FROM seen WHERE number = ? AND device = ? AND id = ?", device.number, device.id, id_)

    def keep_outgoing(self, id_: str, outgoing: Outgoing) -> None:
        """Keeps a fake phone's message for a retry."""
        self._database.change(
            "INSERT OR REPLACE INTO outgoing VALUES (?, ?, ?, ?, ?)",
            id_, outgoing.sender, outgoing.recipient, outgoing.message, outgoing.by_lid,
        )  # fmt: skip
        self._database.change("DELETE FROM outgoing WHERE rowid <= (SELECT MAX(rowid) FROM outgoing) - ?", KEPT_OUTGOING)

    def outgoing(self, id_: str) -> Outgoing | None:
        """The message of this id that a fake phone sent, or None."""
        row = self._database.row("SELECT * FROM outgoing WHERE id = ?", id_)
        return None if row is None else Outgoing(row["sender"], row["recipient"], bytes(row["message"]), bool(row["by_lid"]))
