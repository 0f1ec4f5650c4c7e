"""What the pod needs from a WhatsApp client: a small protocol, so that another engine can take neonize's place.

Every method blocks and is called from a worker thread. Events come from the engine's own threads, in their order.
Surprising: `on_news` must have stored the message when it returns, because WhatsApp may already think it delivered.
"""

from collections.abc import Callable, Sequence
from datetime import datetime
from enum import Enum
from typing import Protocol

import msgspec

from wasession_contract.podwire import Activity, MediaKind

UPLOAD_SECONDS = 60.0
"""An engine sends no message whose file took longer to upload, so that who waited long enough knows how it ended."""


class Account(msgspec.Struct, frozen=True):
    """The linked account; `number` is digits, `jid` and `lid` have no device part; `name` may come late."""

    number: str
    jid: str
    lid: str | None = None
    name: str | None = None


class QRShown(msgspec.Struct, frozen=True):
    """A QR code to scan."""

    code: str


class PairingCodeShown(msgspec.Struct, frozen=True):
    """A code to type into the phone, `ABCD-EFGH`."""

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
    """The client does not stop, or its process has had enough of them: only a fresh start helps."""


class Faulted(msgspec.Struct, frozen=True):
    """A local fault (setting, volume, database): `message` says which, with the value and the mend.

    `heals`: it is the volume's, and over when the volume works again.
    """

    message: str
    heals: bool = False


EngineEvent = QRShown | PairingCodeShown | QRSetUsedUp | Scanned | Connected | Disconnected | Wedged | Faulted


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


class Receipt(msgspec.Struct, frozen=True):
    """The other side has our messages `ids` of `chat`: `status` is `delivered`, `read` or `played`; seconds since 1970."""

    chat: str
    ids: tuple[str, ...]
    status: str
    timestamp: int


class ChatInfo(msgspec.Struct, frozen=True):
    """What history sync or a group's news say of a chat; None: nothing."""

    id: str
    name: str | None = None
    unread_count: int | None = None
    pinned: bool | None = None
    archived: bool | None = None


class History(msgspec.Struct, frozen=True):
    """A part of the account's past: chats and their messages. None of it is news to a backend."""

    chats: tuple[ChatInfo, ...]
    messages: tuple[Received, ...]


News = Received | Receipt | History


class Sent(msgspec.Struct, frozen=True):
    """WhatsApp's acknowledgement; `timestamp` in seconds since 1970."""

    id: str
    timestamp: int


class Quoted(msgspec.Struct, frozen=True):
    """The message that is replied to."""

    id: str
    sender: str
    text: str


class Text(msgspec.Struct, frozen=True):
    """A text message."""

    text: str
    quoted: Quoted | None = None


class File(msgspec.Struct, frozen=True):
    """A media message; `caption` and `filename` may be empty."""

    kind: MediaKind
    data: bytes
    mimetype: str
    filename: str = ""
    caption: str = ""
    quoted: Quoted | None = None


Outgoing = Text | File


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
    """A call failed; `refusal` says whether the message may have gone out, `code` is WhatsApp's own, if it gave one."""

    def __init__(self, refusal: Refusal, message: str, code: int | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal
        self.code = code


class Engine(Protocol):
    """One WhatsApp session's client."""

    def connect(self) -> None:
        """Begin to connect and return; events tell the rest. Ends an earlier connection first."""

    def stop(self) -> bool:
        """End the connection, keep the credentials. False if the client would not end in time."""

    def send(self, to: str, message: Outgoing) -> Sent:
        """Send and wait for WhatsApp's acknowledgement. Raises EngineError."""

    def pairing_code(self, phone: str) -> str:
        """Ask for a code that pairs this device with the account of `phone`, instead of the QR code. Raises EngineError."""

    def show_activity(self, to: str, activity: Activity) -> None:
        """Show the chat with `to` that we type, record, or stopped. Raises EngineError."""

    def mark_read(self, chat: str, sender: str, ids: Sequence[str]) -> None:
        """Mark `sender`'s messages as read. Raises EngineError."""

    def is_connected(self) -> bool:
        """Whether there is a connection, as far as the client knows. Raises EngineError while it is being started or ended."""

    def account(self) -> Account | None:
        """The linked account, if connected."""

    def logout(self) -> None:
        """Unlink this device at WhatsApp. Raises EngineError."""


class NotStoredError(Exception):
    """A sink could not store the news: WhatsApp must not be told that we have it."""


EventSink = Callable[[EngineEvent], None]
NewsSink = Callable[[News], None]


class NoEngine:
    """The engine of a pod that cannot have one: nothing connects, nothing is sent."""

    def connect(self) -> None:
        """Do nothing."""

    def stop(self) -> bool:
        """Nothing to end."""
        return True

    def send(self, to: str, _message: Outgoing) -> Sent:
        """Refuse."""
        raise EngineError(Refusal.NOT_CONNECTED, f"no WhatsApp client runs; the message for {to} was not sent")

    def pairing_code(self, _phone: str) -> str:
        """Refuse."""
        raise EngineError(Refusal.NOT_CONNECTED, "no WhatsApp client runs")

    def show_activity(self, _to: str, _activity: Activity) -> None:
        """Refuse."""
        raise EngineError(Refusal.NOT_CONNECTED, "no WhatsApp client runs")

    def mark_read(self, _chat: str, _sender: str, _ids: Sequence[str]) -> None:
        """Refuse."""
        raise EngineError(Refusal.NOT_CONNECTED, "no WhatsApp client runs")

    def is_connected(self) -> bool:
        """No."""
        return False

    def account(self) -> Account | None:
        """None."""
        return None

    def logout(self) -> None:
        """Refuse."""
        raise EngineError(Refusal.NOT_CONNECTED, "no WhatsApp client runs")
