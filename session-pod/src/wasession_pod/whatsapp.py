"""The engine that is neonize (whatsmeow). With `outbound` and `losses` the only module that imports it.

What neonize 0.5.2 needs, each learnt the hard way: one session per process; `get_me()` only while connected, else Go
aborts the process; before pairing no event reaches Python and nothing but a new process ends `connect()`; a plain text
goes as `Message(conversation=...)`, else `@...` in it becomes a mention; events wait in a channel of 100 that `stop()`
throws away, so it is drained first; a new connection is a new client with a new uuid, because the old one's finalizer
would stop it. whatsmeow reconnects by itself, without limit or jitter: the client is stopped at the first loss, and the
state machine decides when the next one starts.
"""

import ctypes
import logging
import re
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from wasession_contract.podwire import Activity
from wasession_pod import (
    credentials,
    disconnects,
    history,
    inbound,
    jids,
    lean,
    losses,
    outbound,
    ratchets,
    receipts,
    volume,
    whatsmeow_log,
)
from wasession_pod.clientlock import ClientLock
from wasession_pod.engine import (
    UPLOAD_SECONDS,
    Account,
    Connected,
    Disconnected,
    EngineError,
    EngineEvent,
    EventSink,
    Faulted,
    History,
    News,
    NewsSink,
    NotStoredError,
    Outgoing,
    QRSetUsedUp,
    QRShown,
    Refusal,
    Scanned,
    Sent,
    Wedged,
)
from wasession_pod.proxies import Proxy

with lean.imports():
    from neonize import client as neonize_client
    from neonize import events as wa
    from neonize._binder import ProxySettings, gocode
    from neonize.client import NewClient
    from neonize.exc import NeonizeError
    from neonize.proto.Neonize_pb2 import LogEntry
    from neonize.proto.waCompanionReg.WAWebProtobufsCompanionReg_pb2 import DeviceProps
    from neonize.utils.enum import ReceiptType

LOCK_SECONDS = 10  # a call waits so long for the client's start or end, a message for the one before it
CLIENTS = 10  # in one process: neonize never closes a client's database, which costs 0.28 MB and two descriptors each
STOP_SECONDS = 2  # stop() ended connect() within 0.3 s when measured
QUIET_SECONDS = 0.1  # no event for so long after the disconnect: the channel is empty
DRAIN_SECONDS = 1.5
SILENT_LOSS_SECONDS = 2  # after a socket's error: its event comes within ms, and a 515's new connection within 0.5 s
_OPTIONS = "?_foreign_keys=on&_journal_mode=WAL&_busy_timeout=5000&x="  # x= absorbs what neonize appends

_LOCAL_FAULTS = ("database", "sqlite", "no space left", "read-only file system", "disk i/o", "permission denied")
_SHOWN_BROWSER = SimpleNamespace(name="Chrome", value=1)  # WhatsApp checks that a code's client is a common browser, written so;
_SHOWN_SYSTEM = SimpleNamespace(name="Linux")  # neonize's own enums would say "CHROME (LINUX)"
_status = re.compile(r"status (\d{3})")

_neonize_log = logging.getLogger("neonize.utils.log")
_neonize_log.setLevel(logging.DEBUG)  # decides what Go hands over; `receipts` needs its lines. They hold the QR code, and go no further
_neonize_log.addFilter(lambda record: record.levelno >= logging.WARNING)


class _Client(NewClient):  # type: ignore[misc]  # neonize is untyped
    """Hears of the login status, which neonize only prints; before pairing it is the only sign of life."""

    on_login_status: Callable[[str], None]

    def _NewClient__onLoginStatus(self, _uuid: int, status: int) -> None:  # noqa: N802  neonize's private callback
        self.on_login_status(ctypes.string_at(status).decode())


class NeonizeEngine:
    """`engine.Engine` by neonize. `on_event` and `on_news` are called on neonize's threads."""

    def __init__(
        self,
        *,
        data_dir: Path,
        device_name: str,
        proxy: Proxy | None,
        on_event: EventSink,
        on_news: NewsSink,
        is_stored: Callable[[str], bool],
    ) -> None:
        self._name = f"{credentials.path(data_dir)}{_OPTIONS}"
        self._props = DeviceProps(os=device_name, platformType=DeviceProps.CHROME)
        self._proxy = proxy
        self._on_event = on_event
        self._on_news = on_news
        self._lock = ClientLock()
        self._sending = threading.Lock()  # whatsmeow has one too, but waits for it without limit
        self._client: _Client | None = None
        self._thread: threading.Thread | None = None
        self._generation = 0
        self._clients = 0  # that this process has had
        self._logged_in = False  # this client: connected at least once, so calls on it are safe
        self._last_event = 0.0
        self._own_jid = ""
        self._verdict: Disconnected | None = None  # what the log said of this connection's end
        self._told: int | None = None  # the code of the disconnection that was the last event
        self._log = neonize_client.log_whatsmeow
        self._database = credentials.path(data_dir)
        self._ledger = receipts.Ledger(is_stored=is_stored, on_stale=self._ask_again)

    def connect(self) -> None:
        """Begin to connect with a new client, or ask for a fresh start when there were CLIENTS of them."""
        if not self.stop() or self._clients == CLIENTS:
            self._on_event(Wedged())
            return
        try:
            self._ledger.forget(lambda senders: ratchets.forget(gocode, self._database, senders))
        except ratchets.RatchetError as error:
            self._on_event(Faulted(f"the credentials' database: {error}"))
            return
        generation = self._generation
        self._clients += 1
        client = _Client(self._name, uuid=f"wasession-{generation}", props=self._props)
        client._stop_finalizer.detach()  # noqa: SLF001  it would call into Go whenever Python collects garbage
        client.on_login_status = lambda status: self._login_status(generation, status)
        self._ledger.begin()
        self._subscribe(client, generation)
        self._client, self._logged_in, self._verdict, self._told = client, False, None, None
        self._thread = threading.Thread(target=self._run, args=(client, generation), name=f"connect-{generation}", daemon=True)
        self._thread.start()

    def stop(self) -> bool:
        """End the connection. False before pairing, where only the end of the process does.

        Its words are heard until it is silent: whatsmeow may just have tried again and been told that it is logged out.
        """
        client, thread = self._client, self._thread
        if client is None or thread is None or not thread.is_alive():
            self._generation += 1
            return True
        with self._lock.alone(STOP_SECONDS):
            client.disconnect()
            self._ledger.receipts.close()
            self._drain()
            self._generation += 1
            if not self._logged_in:
                return False
            client.stop()
        thread.join(STOP_SECONDS)
        return not thread.is_alive()

    def send(self, to: str, message: Outgoing) -> Sent:
        """Send and wait for the acknowledgement (whatsmeow: 75 s at most, longer only if the connection goes meanwhile)."""
        began = time.monotonic()
        with self._connected_client() as client:
            with _refusals("the file could not be uploaded: "):
                content = outbound.message(message, client.upload)
            if time.monotonic() - began > UPLOAD_SECONDS:
                raise EngineError(Refusal.REFUSED, f"the upload took longer than {UPLOAD_SECONDS:g} s, so nothing was sent")
            with self._turn():
                try:
                    response = client.send_message(outbound.address(to), content)
                except NeonizeError as error:
                    raise EngineError(outbound.refusal(str(error)), str(error)) from None
        return Sent(response.ID, inbound.seconds(response.Timestamp))

    def pairing_code(self, phone: str) -> str:
        """A code for `phone`, good while the connection shows QR codes; only before pairing."""
        with self._lock.shared(LOCK_SECONDS) as mine:
            client = self._client
            if not mine or client is None or self._logged_in:
                raise EngineError(Refusal.NOT_CONNECTED, "the client is not waiting to be paired")
            try:
                return str(client.PairPhone(phone, True, client_name=_SHOWN_SYSTEM, client_type=_SHOWN_BROWSER))
            except NeonizeError as error:
                status = _status.search(str(error))
                raise EngineError(Refusal.REFUSED, str(error), int(status[1]) if status else None) from None

    def show_activity(self, to: str, activity: Activity) -> None:
        """Show the chat with `to` what we do."""
        state, media = outbound.ACTIVITIES[activity]
        with self._connected_client() as client, _refusals():
            client.send_chat_presence(outbound.address(to), state, media)

    def mark_read(self, chat: str, sender: str, ids: Sequence[str]) -> None:
        """Send read receipts."""
        with self._connected_client() as client, _refusals():
            client.mark_read(*ids, chat=outbound.address(chat), sender=outbound.address(sender), receipt=ReceiptType.READ)

    def is_connected(self) -> bool:
        """Whether there is a socket; a silent one counts, until whatsmeow's ping fails."""
        with self._lock.shared(LOCK_SECONDS) as mine:
            if not mine or self._client is None:
                raise EngineError(Refusal.NOT_CONNECTED, "the client is being started or ended")
            return bool(self._client.is_connected)

    def account(self) -> Account | None:
        """The linked account, if connected."""
        try:
            with self._connected_client() as client:
                return _account(client.get_me())
        except EngineError:
            return None

    def logout(self) -> None:
        """Unlink this device; whatsmeow deletes its credentials too."""
        with self._lock.alone(LOCK_SECONDS):  # another call would find the client without its account, at which Go ends the process
            client = self._client
            if client is None or not self._logged_in or not client.is_connected:
                raise EngineError(Refusal.NOT_CONNECTED, "WhatsApp is not connected")
            with _refusals():
                client.logout()

    @contextmanager
    def _connected_client(self) -> Iterator[_Client]:
        """The client, kept from ending. Raises EngineError unless it is connected: a call on one unknown to Go kills the process."""
        with self._lock.shared(LOCK_SECONDS) as mine:
            client = self._client
            if not mine:
                raise EngineError(Refusal.NOT_CONNECTED, "the client is being started or ended")
            if client is None or not self._logged_in or not client.is_connected:
                raise EngineError(Refusal.NOT_CONNECTED, "WhatsApp is not connected")
            yield client

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One message at a time. Raises EngineError if the one before it is not acknowledged in time."""
        if not self._sending.acquire(timeout=LOCK_SECONDS):
            raise EngineError(Refusal.NOT_CONNECTED, f"an earlier message was not acknowledged within {LOCK_SECONDS} s; nothing was sent")
        try:
            yield
        finally:
            self._sending.release()

    def _run(self, client: _Client, generation: int) -> None:
        mine = self._ledger.receipts
        neonize_client.log_whatsmeow = lambda data, size: self._hear_log(mine, data, size)
        try:
            client.connect(ProxySettings(self._proxy.url) if self._proxy else None)
        except NeonizeError as error:
            self._say(generation, self._not_connected(str(error)))
        else:
            self._say(generation, self._ended())

    def _not_connected(self, words: str) -> EngineEvent:
        if any(part in words.lower() for part in _LOCAL_FAULTS):
            return Faulted(f"the credentials' database: {words}", volume.is_fault(words))
        if whatsmeow_log.UNTOLD in words:
            return self._verdict or Disconnected(disconnects.SERVER_ERROR, "login refused for a reason that the client does not know")
        return Disconnected(disconnects.CONNECTION_LOST, self._proxy.explain(words) if self._proxy else words)

    def _ended(self) -> Disconnected:
        return self._verdict or Disconnected(disconnects.CONNECTION_CLOSED)

    def _hear_log(self, mine: receipts.Receipts, data: int, size: int) -> None:
        """On Go's thread, which waits for us, before the event that follows. Go says this of one client, because there is one."""
        entry = LogEntry.FromString(ctypes.string_at(data, size) if data and size > 0 else b"")
        line = entry.Message
        if (about := receipts.read(entry.Name, line)) is not None:
            mine.heard(about)
        if entry.Level == "DEBUG":
            return
        self._verdict = whatsmeow_log.verdict(line, datetime.now(UTC)) or self._verdict
        if end := whatsmeow_log.end(line):
            self._say(self._generation, end)
        elif whatsmeow_log.local_fault(line):
            self._say(self._generation, Faulted(f"the credentials' database: {line}", heals=True))
        elif whatsmeow_log.socket_failed(line):
            check = threading.Timer(SILENT_LOSS_SECONDS, self._check_socket, (self._generation,))
            check.daemon = True
            check.start()
        self._log(data, size)

    def _check_socket(self, generation: int) -> None:
        """A connection cut while whatsmeow ends its handshake is lost without an event: the client holds a dead socket."""
        with self._lock.shared(LOCK_SECONDS) as mine:
            client = self._client
            dead = mine and generation == self._generation and client is not None and not client.is_connected
        if dead and self._told is None:
            self._say(generation, self._ended())

    def _say(self, generation: int, event: EngineEvent) -> None:
        """Pass an event on, unless its client was stopped meanwhile, or its log has told the same."""
        if generation != self._generation:
            return
        told, self._told = self._told, event.code if isinstance(event, Disconnected) else None
        if told is None or told != self._told:
            self._on_event(event)

    def _drain(self) -> None:
        """Wait until the events that Go still holds are handled; among them may be messages that WhatsApp thinks delivered."""
        self._last_event = began = time.monotonic()
        while (now := time.monotonic()) - self._last_event < QUIET_SECONDS and now - began < DRAIN_SECONDS:
            time.sleep(QUIET_SECONDS / 4)

    def _login_status(self, generation: int, status: str) -> None:
        match status:
            case "success":
                self._say(generation, Scanned())
            case "timeout":
                self._say(generation, QRSetUsedUp())
            case "err-client-outdated":
                self._say(generation, Disconnected(disconnects.CLIENT_OUTDATED))
            case _:
                self._say(generation, Disconnected(disconnects.CONNECTION_CLOSED, f"pairing ended: {status}"))

    def _subscribe(self, client: _Client, generation: int) -> None:
        def on(event_type: type, make: Callable[[Any], EngineEvent | None]) -> None:
            def handle(_client: NewClient, event: Any) -> None:  # noqa: ANN401  protobuf
                self._last_event = time.monotonic()
                if made := make(event):
                    self._say(generation, made)

            client.event(event_type)(handle)

        client.qr(lambda _client, data: self._say(generation, QRShown(data.decode())))
        on(wa.ConnectedEv, lambda _event: self._connected(client.me))
        on(wa.DisconnectedEv, lambda _event: self._ended())
        client.event(wa.MessageEv)(self._message)
        for event_type, read in {**_NEWS, wa.HistorySyncEv: self._history}.items():
            client.event(event_type)(self._teller(read))
        for event_type, make in losses.LOSSES.items():
            on(event_type, make)

    def _connected(self, device: Any) -> Connected:  # noqa: ANN401  protobuf
        self._logged_in, self._verdict = True, None
        account = _account(device)
        self._own_jid = account.jid
        return Connected(account)

    def _teller(self, read: Callable[[Any], News | None]) -> Callable[[NewClient, Any], None]:
        """A handler that passes news on. Unlike `_say` it does so for a stopped client too: WhatsApp may think them delivered."""

        def handle(_client: NewClient, event: Any) -> None:  # noqa: ANN401  protobuf
            with suppress(NotStoredError):
                if news := read(event):
                    self._on_news(news)
            self._last_event = time.monotonic()

        return handle

    def _history(self, event: Any) -> History | None:  # noqa: ANN401  protobuf
        return history.history(event.Data, self._own_jid)

    def _message(self, _client: NewClient, event: Any) -> None:  # noqa: ANN401  protobuf
        with suppress(NotStoredError), self._ledger.receipts.handling(event.Info.ID):
            if message := inbound.received(event):
                self._on_news(message)
                self._ledger.receipts.stored(event.Info.ID)
        self._last_event = time.monotonic()

    def _ask_again(self, stale: receipts.Stale) -> None:
        self._say(self._generation, Disconnected(disconnects.CONNECTION_CLOSED, f"message {stale.id} has to be asked for again"))


_NEWS: dict[type, Callable[[Any], News | None]] = {
    wa.ReceiptEv: inbound.receipt,
    wa.JoinedGroupEv: inbound.joined_group,
    wa.GroupInfoEv: inbound.group_news,
}


@contextmanager
def _refusals(what: str = "") -> Iterator[None]:
    try:
        yield
    except NeonizeError as error:
        raise EngineError(Refusal.REFUSED, f"{what}{error}") from None


def _account(device: Any) -> Account:  # noqa: ANN401  protobuf
    lid = f"{device.LID.User}@{jids.LID_SERVER}" if device.LID.User else None
    return Account(number=device.JID.User, jid=inbound.bare(device.JID), lid=lid, name=device.PushName or device.BussinessName or None)
