"""WhatsApp is told that we have a message when the journal has it, not before.

whatsmeow decrypts a message, hands it on through a channel, and sends its receipt at once; after the receipt WhatsApp
forgets the message. Killed between receipt and journal, the pod had lost it, and a backlog of a hundred with it. So the
receipt is held until the message is stored, and the next message is not decrypted before that: one is at risk, not a
hundred. Surprising: the only place where whatsmeow waits for us is its log. It writes each stanza to the log before it
writes it to the socket, and a log line is a call into Python, which returns when we like.

What is left: a message that was decrypted but not stored when the pod was killed comes again, and cannot be decrypted
again, because the Signal session has moved on. whatsmeow then drops it and sends the receipt. That line is heard here too:
the receipt is kept, the session with the sender is forgotten (`ratchets`), and so the message, when it comes again, cannot
be decrypted at all, for which WhatsApp has a way: the client asks, and the sender's phone encrypts it anew.
"""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

IDLE_SECONDS = 5.0  # a message of which no event comes for so long has none: whatsmeow kept it to itself
EMPTY_SECONDS = 0.1  # a stanza may hold housekeeping and then a message, as two events
SETTLE_SECONDS = 1.0  # nothing was decrypted for so long: the backlog of a login is through
MAX_SETTLES = 30  # but a busy session is not waited for longer than so many of these
KEPT_IDS = 1000
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Decrypting:
    """The client begins to decrypt the next message."""


@dataclass(frozen=True)
class Telling:
    """The client is about to tell WhatsApp that it has message `id`."""

    id: str


@dataclass(frozen=True)
class Refusing:
    """The client is about to tell WhatsApp that message `id` is no use to it; `asks`: and to ask its sender for it again."""

    id: str
    asks: bool


@dataclass(frozen=True)
class Asking:
    """The client is about to ask for message `id` again."""

    id: str


@dataclass(frozen=True)
class Asked:
    """WhatsApp has passed on that message `id` is wanted again."""

    id: str


@dataclass(frozen=True)
class Stale:
    """Message `id` of `sender` (a JID with the device) cannot be decrypted, because it was decrypted before."""

    id: str
    sender: str


Line = Decrypting | Telling | Refusing | Asking | Asked | Stale
_TOLD = {"", "inactive", "sender", "peer_msg", "hist_sync"}  # types of receipts that make WhatsApp forget the message
_receipt = re.compile(r'<receipt [^>]*?\bid="([^"]+)"(?:[^>]*? type="([^"]*)")?')
_refusal = re.compile(r'<ack class="message"( error="[^"]*")? id="([^"]+)"')
_asked = re.compile(r'<ack class="receipt"[^>]*? id="([^"]+)"[^>]*? type="retry"')
_stale = re.compile(r"Ignoring message (\S+) from (\S+?)(?: in \S+)?: .*old counter")


def read(module: str, text: str) -> Line | None:
    """What a line of whatsmeow's log says that concerns us. `module` is the logger's name. Pure."""
    if module == "Client":
        if text.startswith("Decrypting message"):
            return Decrypting()
        if found := _stale.match(text):
            return Stale(found[1], found[2])
    elif module == "Client/Send":
        if found := _receipt.match(text):
            return Telling(found[1]) if (found[2] or "") in _TOLD else Asking(found[1]) if found[2] == "retry" else None
        if found := _refusal.match(text):
            return Refusing(found[2], asks=not found[1])
    elif module == "Client/Recv" and (found := _asked.match(text)):
        return Asked(found[1])
    return None


class Receipts:
    """One connection's receipts. `heard` is called from the client's threads and blocks as long as it must.

    `handled` outlives a connection: messages whose event came, and whether it held something that was stored. `is_stored(id)`:
    whether an earlier process stored the message. `on_stale(stale)`: it has to be asked for again.
    """

    def __init__(self, handled: dict[str, bool], *, is_stored: Callable[[str], bool], on_stale: Callable[[Stale], None]) -> None:
        self._handled = handled
        self._is_stored = is_stored
        self._on_stale = on_stale
        self._changed = threading.Condition()
        self._closed = False
        self._open_message = False  # decrypted, and WhatsApp not told yet
        self._handling = False
        self._last_event = 0.0
        self._last_decrypted = 0.0
        self._kept: set[str] = set()  # WhatsApp must not be told of these
        self._asked: set[str] = set()

    def heard(self, line: Line) -> None:
        """Return when the client may go on."""
        match line:
            case Decrypting():
                self._wait_until(lambda now, began: not self._open_message or now - max(began, self._last_event) > IDLE_SECONDS)
                self._open_message = True
                self._last_decrypted = time.monotonic()
            case Telling(id_):
                self._wait_until(lambda now, began: self._may_tell(id_, now - max(began, self._last_event)))
                self._done()
            case Refusing(id_, asks):
                self._done()
                if asks:  # both go out on threads of their own: killed after the refusal alone, the message would be lost
                    self._wait_until(lambda now, began: id_ in self._asked or now - began > IDLE_SECONDS)
                    self._asked.discard(id_)
            case Asking():
                self._done()
            case Asked(id_):
                with self._changed:
                    self._asked.add(id_)
                    self._changed.notify_all()
            case Stale(id_):
                self._judge(line)

    @contextmanager
    def handling(self, id_: str) -> Iterator[None]:
        """While the event of message `id_` is handled. An exception means that it was not stored: WhatsApp is not told."""
        self._handling = True
        handled = False
        try:
            yield
            handled = True
        finally:
            with self._changed:
                if handled:
                    self._note(id_, stored=False)
                else:
                    self._kept.add(id_)
                self._handling = False
                self._last_event = time.monotonic()
                self._changed.notify_all()

    def stored(self, id_: str) -> None:
        """Message `id_` is in the journal."""
        with self._changed:
            self._note(id_, stored=True)
            self._kept.discard(id_)
            self._changed.notify_all()

    def close(self) -> None:
        """The connection is closed: nothing can reach WhatsApp any more, so nothing is held."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _note(self, id_: str, *, stored: bool) -> None:
        self._handled[id_] = stored or self._handled.get(id_, False)
        if len(self._handled) > KEPT_IDS:
            del self._handled[next(iter(self._handled))]

    def _judge(self, stale: Stale) -> None:
        with self._changed:
            self._kept.add(stale.id)
        if stale.id in self._handled or self._is_stored(stale.id):
            self.stored(stale.id)
        else:
            self._done()  # those behind it can be decrypted
            self._on_stale(stale)

    def is_settled(self) -> bool:
        """Whether no message is being decrypted."""
        return time.monotonic() - self._last_decrypted >= SETTLE_SECONDS

    def _may_tell(self, id_: str, idle: float) -> bool:
        if id_ in self._kept:
            return False
        if id_ in self._handled:
            return self._handled[id_] or idle > EMPTY_SECONDS
        return idle > IDLE_SECONDS

    def _wait_until(self, may: Callable[[float, float], bool]) -> None:
        began = time.monotonic()
        with self._changed:
            while not self._closed and (self._handling or not may(time.monotonic(), began)):
                self._changed.wait(EMPTY_SECONDS / 2)

    def _done(self) -> None:
        with self._changed:
            self._open_message = False
            self._changed.notify_all()


def _later(seconds: float, call: Callable[[], None]) -> None:
    timer = threading.Timer(seconds, call)
    timer.daemon = True
    timer.start()


class Ledger:
    """What outlives a connection: the messages that were handled, and the senders whose sessions the next one must forget.

    `receipts` is the connection's. `on_stale` hears of a message that has to be asked for again, over a new connection; not at
    once, because what waits behind it at WhatsApp can still be decrypted with the session that is to be forgotten.
    """

    def __init__(
        self,
        *,
        is_stored: Callable[[str], bool],
        on_stale: Callable[[Stale], None],
        later: Callable[[float, Callable[[], None]], None] = _later,
    ) -> None:
        self._is_stored = is_stored
        self._on_stale = on_stale
        self._later = later
        self._handled: dict[str, bool] = {}
        self._asked: set[str] = set()
        self._senders: set[str] = set()
        self.receipts = self.begin()

    def begin(self) -> Receipts:
        """A new connection."""
        self.receipts = Receipts(self._handled, is_stored=self._is_stored, on_stale=self._ask)
        return self.receipts

    def forget(self, forget: Callable[[set[str]], None]) -> None:
        """Before a connection: call `forget` with the senders, if there are any. What it raises leaves them for the next time."""
        if self._senders:
            forget(self._senders)
            self._senders = set()

    def _ask(self, stale: Stale) -> None:
        if stale.id in self._asked:
            _log.error("message %s of %s is lost: it was decrypted, not stored, and cannot be asked for again", stale.id, stale.sender)
            self.receipts.stored(stale.id)
            return
        self._asked.add(stale.id)
        first = not self._senders
        self._senders.add(stale.sender)
        if first:
            self._settle(stale, MAX_SETTLES)

    def _settle(self, stale: Stale, left: int) -> None:
        def look() -> None:
            if not self._senders:
                return  # a new connection came by itself
            if left and not self.receipts.is_settled():
                self._settle(stale, left - 1)
            else:
                self._on_stale(stale)

        self._later(SETTLE_SECONDS, look)
