"""One client's WebSocket: frames, the Noise channel, questions and their answers, and the orderly delivery of queued stanzas.

Every stanza that leaves is committed first (see `database`), and none leaves or arrives while the account is frozen.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError, WSMsgType, web

from waemulator import wire
from waemulator.errors import ProtocolViolationError
from waemulator.faults import Kind
from waemulator.noise import HEADER, Responder
from waemulator.wire import Node, show

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from waemulator.accounts import Account, Device
    from waemulator.context import Context
    from waemulator.paircode import PhoneLink

ANSWER_SECONDS = 10
"""How long a client may take to answer a question of the server."""
GRACE_SECONDS = 3
"""How long a client may take to hang up after a final stanza."""
LENGTH_BYTES = 3
GONE = (ConnectionError, ClientError)
logger = logging.getLogger("waemulator.stanzas")


class CodeLink:
    """A pairing by code in progress on this connection."""

    def __init__(self, number: str, reference: bytes, wrapped: bytes) -> None:
        self.number = number
        self.reference = reference
        self.wrapped = wrapped
        self.phone: PhoneLink | None = None
        self.result: asyncio.Future[tuple[bytes, bytes]] | None = None


class Connection:
    """A client's connection.

    Attributes:
        payload: the `ClientPayload` of the handshake.
        account, device: set at login.
        link: a pairing by code in progress.
        retries: how often each phone (by number) asked for each message (by id) again.
        references: the QR references that this connection shows.
        gone: set when the connection is over.
    """

    def __init__(self, context: Context, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.context = context
        self.noise = Responder(context.pki.static, context.noise_chain)
        self.payload: Any = None
        self.account: Account | None = None
        self.device: Device | None = None
        self.link: CodeLink | None = None
        self.retries: dict[tuple[str, str], int] = {}
        self.references: list[str] = []
        self.gone = asyncio.Event()
        self._socket = socket
        self._request = request
        self._answers: dict[str, asyncio.Future[Node]] = {}
        self._sending = asyncio.Lock()
        self._delivering = asyncio.Lock()
        self._delivered = 0
        self._ready = False
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def number(self) -> str | None:
        """The account's number once it is logged in."""
        return self.account.number if self.account else None

    @property
    def frozen(self) -> bool:
        """Whether the connection is to look half open."""
        return self.context.faults.hits(Kind.FREEZE, self.number) is not None

    async def frames(self) -> AsyncIterator[bytes]:
        """The client's frames: each has its length in 3 bytes in front; the first follows the connection header.

        Raises:
            ProtocolViolationError: the header is wrong.
        """
        buffer = bytearray()
        started = False
        async for message in self._socket:
            if message.type != WSMsgType.BINARY:
                continue
            buffer += message.data
            if not started:
                if bytes(buffer[: len(HEADER)]) != HEADER:
                    raise ProtocolViolationError(f"bad connection header {bytes(buffer[:4])!r}")
                del buffer[: len(HEADER)]
                started = True
            while len(buffer) >= LENGTH_BYTES:
                end = LENGTH_BYTES + int.from_bytes(buffer[:LENGTH_BYTES], "big")
                if len(buffer) < end:
                    break
                frame = bytes(buffer[LENGTH_BYTES:end])
                del buffer[:end]
                yield frame

    async def send_frame(self, data: bytes) -> None:
        """Sends one frame as it is (handshake only)."""
        self.context.database.commit()
        await self._socket.send_bytes(len(data).to_bytes(LENGTH_BYTES, "big") + data)

    async def send(self, stanza: Node) -> None:
        """Sends a stanza; frozen, it is lost."""
        if self.frozen:
            return
        logger.debug("S> %s", show(stanza))
        async with self._sending:
            await self.send_frame(self.noise.seal(wire.encode(stanza)))

    def receive(self, frame: bytes) -> Node:
        """The stanza in a frame."""
        stanza = wire.decode(self.noise.open(frame))
        logger.debug("C> %s", show(stanza))
        return stanza

    async def ask(self, stanza: Node) -> Node:
        """Sends a question and returns the client's answer.

        Raises:
            TimeoutError: there is none within ANSWER_SECONDS, or the client is gone.
        """
        answer = self._answers[stanza.attrs["id"]] = asyncio.get_running_loop().create_future()
        try:
            await self.send(stanza)
            return await asyncio.wait_for(answer, ANSWER_SECONDS)
        finally:
            self._answers.pop(stanza.attrs["id"], None)

    def answered(self, stanza: Node) -> None:
        """Hands an answer of the client to who asked."""
        waiting = self._answers.get(stanza.attrs.get("id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(stanza)

    async def deliver(self, *, offline: bool = False) -> None:
        """Sends what is queued for the device and was not sent on this connection yet, in order."""
        if self.device is None or not (self._ready or offline):
            return
        async with self._delivering:
            if self.frozen:
                return
            for pending in self.context.mailbox.after(self.device.key, self._delivered):
                self._delivered = pending.seq
                if offline:
                    pending.stanza.attrs["offline"] = "0"
                await self.send(pending.stanza)

    def ready(self) -> None:
        """From now on what is queued for the device is sent at once."""
        self._ready = True

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs work beside the reading of frames; its failure ends up in the log book."""
        task = asyncio.create_task(self._guarded(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except GONE:  # the client hung up before the answer, e.g. at logout
            self.context.logbook.add("client_gone", self.number)
        except (ProtocolViolationError, TimeoutError) as error:
            self.context.logbook.add("protocol_violation", self.number, error=str(error) or repr(error))
        except Exception as error:
            self.context.logbook.add("server_error", self.number, error=repr(error))
            logger.exception("a task of a connection failed")

    async def end_stream(self, stanza: Node, *, grace: float = GRACE_SECONDS) -> None:
        """Sends a final stanza and lets the client hang up, as the real server does.

        Closing at once races with the client's stanza queue, which may drop the stanza together with the socket: after a 515 it then
        never comes back, because it expected the disconnect.
        """
        with contextlib.suppress(*GONE):
            await self.send(stanza)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.gone.wait(), grace)
        await self.close()

    async def close(self) -> None:
        """Closes the WebSocket with its closing handshake."""
        await self._socket.close()

    def abort(self) -> None:
        """Cuts the TCP connection."""
        if self._request.transport is not None:
            self._request.transport.abort()

    def ended(self) -> None:
        """Cleans up after the connection is over."""
        self.gone.set()
        if self.link is not None and self.link.result is not None and not self.link.result.done():
            self.link.result.set_exception(ConnectionResetError("the client hung up"))
        for answer in self._answers.values():
            if not answer.done():
                answer.set_exception(TimeoutError("the client hung up before it answered"))
