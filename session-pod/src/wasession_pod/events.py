"""Events as webhooks get them: names, the envelope, payloads, and ids that can be sorted. Pure but for the ids' randomness.

The envelope is the one that most gateways of this field copied from WAHA: `{id, timestamp, event, session, metadata, me,
payload, environment}`. Surprising: the body is made when the event happens and stored, so that every attempt sends the
same bytes and a receiver can tell a repetition by `id`.
"""

import os
import threading
from collections.abc import Callable

import msgspec

from wasession_contract.v1alpha1 import LastDisconnect, SessionState
from wasession_pod import VERSION
from wasession_pod.engine import Account, Receipt, Received

MESSAGE, ACK, STATUS = "message", "message.ack", "session.status"
_CROCKFORD = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_RANDOM_BITS = 80
_ULID_CHARACTERS = 26


class Event(msgspec.Struct, frozen=True):
    """An event with its finished body; `at` in ms since 1970."""

    id: str
    name: str
    body: bytes
    at: int


class Me(msgspec.Struct, frozen=True, rename="camel"):
    """The session's own account."""

    id: str
    push_name: str | None


class Metadata(msgspec.Struct, frozen=True):
    """Where the session's object is."""

    namespace: str
    name: str


class Environment(msgspec.Struct, frozen=True):
    """What sent the event."""

    version: str


class MessagePayload(msgspec.Struct, frozen=True, rename="camel"):
    """Of `message`: one that came in. `text` holds a caption, or the contract's placeholder; `timestamp` in seconds since 1970."""

    id: str
    chat: str
    sender: str = msgspec.field(name="from")
    from_me: bool
    text: str
    type: str
    has_media: bool
    timestamp: int
    push_name: str


class AckPayload(msgspec.Struct, frozen=True):
    """Of `message.ack`: our messages `ids` are `delivered`, `read` or `played` now; `timestamp` in seconds since 1970."""

    ids: tuple[str, ...]
    chat: str
    status: str
    timestamp: int


class StatusPayload(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Of `session.status`: the session's new state, why, and what ended the last connection. Never a QR code."""

    status: SessionState
    message: str | None = None
    last_disconnect: LastDisconnect | None = None


class Envelope(msgspec.Struct, frozen=True):
    """The body of every delivery; `timestamp` in ms since 1970, `me` None before the first login."""

    id: str
    timestamp: int
    event: str
    session: str
    metadata: Metadata
    me: Me | None
    payload: MessagePayload | AckPayload | StatusPayload
    environment: Environment = Environment(VERSION)


class Events:
    """Makes the events of one session. `now_ms`: ms since 1970; `entropy`: that many random bytes."""

    def __init__(
        self, session: str, metadata: Metadata, *, now_ms: Callable[[], int], entropy: Callable[[int], bytes] = os.urandom
    ) -> None:
        self._session = session
        self._metadata = metadata
        self._now_ms = now_ms
        self._entropy = entropy
        self._lock = threading.Lock()
        self._last = 0

    def message(self, m: Received, me: Account | None) -> Event:
        """A message came in."""
        payload = MessagePayload(m.id, m.chat, m.sender, m.from_me, m.text, m.type, m.has_media, m.timestamp, m.push_name)
        return self._make(MESSAGE, payload, me)

    def ack(self, receipt: Receipt, ids: tuple[str, ...], me: Account | None) -> Event:
        """The messages `ids` went forward."""
        return self._make(ACK, AckPayload(ids, receipt.chat, receipt.status, receipt.timestamp), me)

    def status(self, payload: StatusPayload, me: Account | None) -> Event:
        """The session is in another state."""
        return self._make(STATUS, payload, me)

    def _make(self, name: str, payload: MessagePayload | AckPayload | StatusPayload, me: Account | None) -> Event:
        at = self._now_ms()
        identity = Me(me.jid, me.name) if me else None
        event_id = f"evt_{self._ulid(at)}"
        envelope = Envelope(event_id, at, name, self._session, self._metadata, identity, payload)
        return Event(event_id, name, msgspec.json.encode(envelope), at)

    def _ulid(self, at: int) -> str:
        """A ULID: 48 bits of time and 80 random ones, counted up instead within one millisecond or if the clock goes back."""
        with self._lock:
            fresh = at << _RANDOM_BITS | int.from_bytes(self._entropy(_RANDOM_BITS // 8))
            self._last = fresh if fresh >> _RANDOM_BITS > self._last >> _RANDOM_BITS else self._last + 1
            number = self._last
        return "".join(_CROCKFORD[number >> 5 * place & 31] for place in reversed(range(_ULID_CHARACTERS)))
