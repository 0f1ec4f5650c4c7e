"""What the pod needs from a WhatsApp client: a small protocol, so that another engine can take neonize's place.

Every method blocks and is called from a worker thread. Events come from the engine's own threads, in their order.
Surprising: `on_message` must have stored the message when it returns, because WhatsApp may already think it delivered.
"""

from collections.abc import Callable
from datetime import datetime
from enum import Enum
from typing import Protocol

import msgspec


class Account(msgspec.Struct, frozen=True):
    """The linked account; `number` is digits, `jid` and `lid` have no device part; `name` may come late."""

    number: str
    jid: str
    lid: str | None = None
    name: str | None = None


class QRShown(msgspec.Struct, frozen=True):
    """A QR code to scan."""

    code: str


class QRSetUsedUp(msgspec.Struct, frozen=True):
    """WhatsApp has no further QR code on this connection: only a fresh start gives new ones."""


class Scanned(msgspec.Struct, frozen=True):
    """The account's owner linked this device; the login follows."""


class Connected(msgspec.Struct, frozen=True):
    """Logged in."""

    account: Account


class Disconnected(msgspec.Struct, frozen=True):
    """Not connected any more, or not come to be: a code of `disconnects`, words, and when a ban ends."""

    code: int
    detail: str = ""
    until: datetime | None = None


class Wedged(msgspec.Struct, frozen=True):
    """The client does not stop: only a fresh start ends it."""


class Faulted(msgspec.Struct, frozen=True):
    """A local fault (setting, volume, database): `message` says which, with the value and the mend."""

    message: str


EngineEvent = QRShown | QRSetUsedUp | Scanned | Connected | Disconnected | Wedged | Faulted


class Received(msgspec.Struct, frozen=True):
    """A message from the account's chats; JIDs prefer the phone number; `timestamp` in seconds since 1970."""

    id: str
    chat: str
    sender: str
    from_me: bool
    text: str
    type: str
    has_media: bool
    timestamp: int
    push_name: str = ""


class Sent(msgspec.Struct, frozen=True):
    """WhatsApp's acknowledgement; `timestamp` in seconds since 1970."""

    id: str
    timestamp: int


class Refusal(Enum):
    """Why a message was not acknowledged."""

    NOT_CONNECTED = "not_connected"
    """Nothing was sent."""
    NO_SUCH_RECIPIENT = "no_such_recipient"
    """Nothing was sent: WhatsApp knows no such account."""
    REFUSED = "refused"
    """Nothing was sent: WhatsApp or the client refused."""
    UNKNOWN = "unknown"
    """No acknowledgement came; WhatsApp may have the message."""


class EngineError(Exception):
    """A call failed; `refusal` says whether the message may have gone out."""

    def __init__(self, refusal: Refusal, message: str) -> None:
        super().__init__(message)
        self.refusal = refusal


class Engine(Protocol):
    """One WhatsApp session's client."""

    def connect(self) -> None:
        """Begin to connect and return; events tell the rest. Ends an earlier connection first."""

    def stop(self) -> bool:
        """End the connection, keep the credentials. False if the client would not end in time."""

    def send_text(self, to: str, text: str) -> Sent:
        """Send and wait for WhatsApp's acknowledgement. Raises EngineError."""

    def account(self) -> Account | None:
        """The linked account, if connected."""

    def logout(self) -> None:
        """Unlink this device at WhatsApp. Raises EngineError."""


EventSink = Callable[[EngineEvent], None]
MessageSink = Callable[[Received], None]


class NoEngine:
    """The engine of a pod that cannot have one: nothing connects, nothing is sent."""

    def connect(self) -> None:
        """Do nothing."""

    def stop(self) -> bool:
        """Nothing to end."""
        return True

    def send_text(self, to: str, text: str) -> Sent:
        """Refuse."""
        raise EngineError(Refusal.NOT_CONNECTED, f"no WhatsApp client runs; {len(text)} characters for {to} were not sent")

    def account(self) -> Account | None:
        """None."""
        return None

    def logout(self) -> None:
        """Refuse."""
        raise EngineError(Refusal.NOT_CONNECTED, "no WhatsApp client runs")
