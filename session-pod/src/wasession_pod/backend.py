"""The WebSocket to the backend: `<url>/ws?phone=<number>`, open only while WhatsApp is connected.

Messages go out of the journal in order; what the backend sends as `{"to", "message"}` becomes a WhatsApp message.
Surprising: the contract has no acknowledgement, so a WebSocket ping follows each batch, and only its pong, which
proves that the other side has read what came before, marks the batch delivered. Lost in between means sent again.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, assert_never

import msgspec

from wasession_contract.podwire import SendRequest
from wasession_contract.v1alpha1 import BackendReport, BackendState
from wasession_pod import inbound, jids
from wasession_pod.journal import Journal, JournalError, Pending
from wasession_pod.logs import SessionLog
from wasession_pod.orders import SendError
from wasession_pod.sender import Sender
from wasession_pod.web.frames import Binary, Ponged, Text
from wasession_pod.web.wire import WebError

if TYPE_CHECKING:
    from wasession_pod.web.websocket import WebSocket

BATCH = 100
PING_SECONDS = 20
OPEN_SECONDS = 10
FIRST_DELAY_SECONDS = 1.0
MAX_DELAY_SECONDS = 30.0
MAX_MESSAGE = 1 << 20  # characters
MAX_REQUESTS = 1000  # requests of the backend that wait to be sent; reading its socket no further would hold up its pongs too


class Delivery(msgspec.Struct, frozen=True, rename="camel"):
    """One message as the contract has it."""

    phone: str
    message: str
    bot_number: str
    message_type: str


class Request(msgspec.Struct, frozen=True):
    """What the backend may send."""

    to: str
    message: Annotated[str, msgspec.Meta(min_length=1)]


def socket_url(base: str, number: str) -> str:
    """`http://api:8080` and `573001234567` -> `ws://api:8080/ws?phone=573001234567`."""
    return f"ws{base.removeprefix('http').rstrip('/')}/ws?phone={number}"


class Backend:
    """Keeps the socket open while `number()` is not None. `on_change` hears of every change of `report()`."""

    def __init__(
        self,
        url: str | None,
        journal: Journal,
        sender: Sender,
        log: SessionLog,
        *,
        number: Callable[[], str | None],
        on_change: Callable[[], None],
    ) -> None:
        self._url = url
        self._journal = journal
        self._sender = sender
        self._log = log
        self._number = number
        self._on_change = on_change
        self._wake = asyncio.Event()
        self._requests: asyncio.Queue[SendRequest] = asyncio.Queue(MAX_REQUESTS)
        self._pongs = asyncio.Event()
        self._state = BackendState.DISCONNECTED if url else BackendState.DISABLED
        self._backlog = 0
        self.delivered = 0

    def report(self) -> BackendReport:
        """State and backlog; the last backlog that was known while the journal fails, because that must be reported too."""
        if self._url:
            with contextlib.suppress(JournalError):
                self._backlog = self._journal.backlog()
        return BackendReport(state=self._state, backlog=self._backlog)

    def wake(self) -> None:
        """A message was recorded, or WhatsApp's connection came or went."""
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        if self._url is None:
            return
        answers = asyncio.create_task(self._answer())
        try:
            await self._stay_connected(self._url)
        finally:
            answers.cancel()

    async def _stay_connected(self, url: str) -> None:
        failures = 0
        while True:
            if (number := self._number()) is None:
                await self._sleep_until_woken()
                continue
            try:
                opened = await self._converse(url, number)
            except Exception:  # noqa: BLE001  the task's outermost loop
                self._log.error("Conexión con el backend")
                opened = False
            failures = 0 if opened else failures + 1
            if self._number() is not None:
                delay = min(FIRST_DELAY_SECONDS * 2.0 ** min(failures, 10), MAX_DELAY_SECONDS)
                await asyncio.sleep(delay * random.uniform(0.5, 1))  # noqa: S311  jitter

    async def _sleep_until_woken(self) -> None:
        self._wake.clear()
        if self._number() is None:
            await self._wake.wait()

    async def _converse(self, url: str, number: str) -> bool:
        """One connection, until it ends or WhatsApp does. False if it could not be opened."""
        from wasession_pod.web import websocket  # noqa: PLC0415  wsproto is 7 % of a start, and the QR code would wait for it

        try:
            socket = await websocket.connect(socket_url(url, number), seconds=OPEN_SECONDS, max_bytes=MAX_MESSAGE)
        except WebError as error:
            self._log.say("⚠️", f"Backend no disponible: {error}", logging.WARNING)
            return False
        self._log.say("🔌", "Conectado al backend")
        self._change(BackendState.CONNECTED)
        parts = [asyncio.create_task(part) for part in (self._deliver(socket, number), self._read(socket))]
        try:
            done, _ = await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for part in done:
                part.result()
        except WebError:
            pass  # the loop opens it again
        finally:
            for part in parts:
                part.cancel()
            await asyncio.gather(*parts, return_exceptions=True)
            await socket.close()
            self._change(BackendState.DISCONNECTED)
        self._log.say("🔌", "Backend desconectado")
        return True

    def _change(self, state: BackendState) -> None:
        self._state = state
        self._on_change()

    async def _deliver(self, socket: "WebSocket", number: str) -> None:
        """Send what waits, then a ping with the last sequence number; silence to a ping ends the connection."""
        last = 0
        while self._number() == number:
            self._wake.clear()
            batch = self._journal.pending(last, BATCH)
            for item in batch:
                await socket.send(_delivery(item, number))
                last = item.seq
            if not batch:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(PING_SECONDS):
                        await self._wake.wait()
                        continue
            self._pongs.clear()
            await socket.ping(str(last).encode())
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._pongs.wait()
            except TimeoutError:
                self._log.say("⚠️", "El backend no responde", logging.WARNING)
                return
            self.delivered += len(batch)

    async def _read(self, socket: "WebSocket") -> None:
        while True:
            match frame := await socket.receive():
                case Text(text):
                    self._take(text)
                case Ponged(payload):
                    self._acknowledge(payload)
                case Binary():
                    self._log.say("⚠️", "Mensaje binario del backend ignorado", logging.WARNING)
                case None:
                    return
                case _:
                    assert_never(frame)

    def _acknowledge(self, payload: bytes) -> None:
        if payload.isdigit():
            self._journal.delivered(int(payload))
            self._pongs.set()
            self._on_change()

    def _take(self, text: str) -> None:
        try:
            request = msgspec.json.decode(text, type=Request)
            to = jids.recipient(request.to)
        except (msgspec.DecodeError, ValueError) as error:
            self._log.say("⚠️", f"Mensaje del backend ignorado: {error}", logging.WARNING)
            return
        try:
            self._requests.put_nowait(SendRequest(to, request.message))
        except asyncio.QueueFull:
            self._log.say("❌", f"Mensaje del backend para {to} no enviado: ya esperan {self._requests.qsize()}", logging.ERROR)

    async def _answer(self) -> None:
        """Send what the backend asked for, in order; the pacing is waited for. What waits outlives the socket that it came by."""
        while True:
            request = await self._requests.get()
            try:
                await self._sender.send(request, patient=True)
            except SendError as error:
                self._log.say("❌", f"Mensaje del backend para {request.to} no enviado: {error}", logging.ERROR)
            except Exception:  # noqa: BLE001  the task's outermost loop
                self._log.error(f"Mensaje del backend para {request.to} no enviado")


def _delivery(item: Pending, number: str) -> str:
    message = item.message
    return msgspec.json.encode(Delivery(message.chat, inbound.backend_text(message), number, message.type)).decode()
