"""What was seen during one life of a session: the driver's steps in their order, and WhatsApp's log.

The driver is one process that also is the backend and the caller, so `steps` is one order of events, without clocks to
compare. Surprising: a message is known by its text, which is unique, because the contract's delivery to a backend has no id.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

Record = dict[str, Any]
"""A record of the emulator's log."""


class Phase(StrEnum):
    """What the pod was doing when it was killed."""

    PAIRING = "pairing"
    CONNECTING = "connecting"
    SENDING = "sending"
    RECEIVING = "receiving"
    DELIVERING = "delivering"


@dataclass(frozen=True)
class Killed:
    """The pod got SIGKILL."""

    phase: Phase


@dataclass(frozen=True)
class Dropped:
    """WhatsApp cut the session's connection."""


@dataclass(frozen=True)
class BackendLeft:
    """The backend closed its sockets and refuses new ones."""


@dataclass(frozen=True)
class BackendCame:
    """The backend accepts sockets again."""


@dataclass(frozen=True)
class Opened:
    """The pod opened a socket to the backend; what is delivered from here on came over it."""


@dataclass(frozen=True)
class Wrote:
    """A contact wrote `text` in `chat` (a JID); `id` is WhatsApp's."""

    id: str
    chat: str
    text: str


@dataclass(frozen=True)
class Delivered:
    """The backend got `text` of `chat` from the pod."""

    chat: str
    text: str


@dataclass(frozen=True)
class Answered:
    """The pod answered a call to send `text` with Idempotency-Key `key`; `status` 0: the connection broke and there was no answer."""

    key: str
    text: str
    status: int
    code: str = ""
    id: str = ""


@dataclass(frozen=True)
class GaveUp:
    """The driver repeated a call until its deadline and never got a final answer."""

    key: str
    text: str


@dataclass(frozen=True)
class Checked:
    """SQLite's own check of `file` after a kill; `verdict` is `ok` or what it found."""

    file: str
    verdict: str


Step = Killed | Dropped | BackendLeft | BackendCame | Opened | Wrote | Delivered | Answered | GaveUp | Checked


@dataclass(frozen=True)
class History:
    """All of it; `number` is the account's."""

    number: str
    steps: tuple[Step, ...]
    records: tuple[Record, ...]

    def of(self, kind: str) -> list[Record]:
        """WhatsApp's records of a kind about this account."""
        return [record for record in self.records if record["kind"] == kind and record.get("number") == self.number]
