"""The HTTP server: requests in, responses out, one handler for all of them.

Surprising: a handler goes on when its caller hangs up, because a message that is being sent is sent; the answer is then
written to nobody. The body's limit depends on the call and the caller, so the handler's owner is asked before the body is
read; and of large bodies one at a time is read and handled, because several would not fit into a pod's memory.
"""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import NamedTuple
from urllib.parse import parse_qsl

import h11
import msgspec

from wasession_pod.web.wire import CHUNK

IDLE_SECONDS = 75.0  # a connection may wait so long for its next request: longer than clients keep theirs
RECEIVE_SECONDS = 60.0  # a whole request, from its first byte
LINGER_SECONDS = 2.0
HEAVY_BYTES = 1 << 20
LINGER_BYTES = 8 << 20
_log = logging.getLogger(__name__)


class Request(msgspec.Struct, frozen=True):
    """One request; names of headers are in lower case, the query is decoded, the path is not.

    `match`: the parts of the path that have names, decoded.
    """

    method: str
    path: str
    query: dict[str, str] = {}
    headers: dict[str, str] = {}
    body: bytes = b""
    match: dict[str, str] = {}


class Response(msgspec.Struct, frozen=True):
    """One answer."""

    status: int = 200
    body: bytes = b""
    content_type: str = "application/json"
    headers: dict[str, str] = {}


Handler = Callable[[Request], Awaitable[Response]]
Limit = Callable[[str, str, Mapping[str, str]], int]
Refuse = Callable[[int, str], Response]


class _Announced(NamedTuple):
    """A request before its body; sizes in bytes, `body_bytes` at most `limit`."""

    request: Request
    limit: int
    body_bytes: int


class _RefusedError(Exception):
    """The request is answered without its handler, and the connection ends."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Server:
    """Serves `handler`. `limit(method, path, headers)` is the largest body in bytes; `refuse(status, words)` answers what is no request."""

    def __init__(self, handler: Handler, *, limit: Limit, refuse: Refuse) -> None:
        self._handler = handler
        self._limit = limit
        self._refuse = refuse
        self._server: asyncio.Server | None = None
        self._idle: set[asyncio.Task[None]] = set()
        self._busy: set[asyncio.Task[None]] = set()
        self._heavy = asyncio.Semaphore(1)
        self._closing = False

    async def start(self, host: str | None, port: int) -> int:
        """Listen; gives the port, which 0 leaves to the system. Raises OSError."""
        self._server = await asyncio.start_server(self._serve, host, port, limit=CHUNK)
        return int(self._server.sockets[0].getsockname()[1])

    async def close(self, seconds: float) -> None:
        """Take no more requests and give those under way `seconds` to finish."""
        self._closing = True
        if self._server:
            self._server.close()
        for task in self._idle:
            task.cancel()
        if self._busy:
            _, late = await asyncio.wait(self._busy, timeout=seconds)
            for task in late:
                task.cancel()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task  # noqa: S101  start_server runs this as one
        self._idle.add(task)
        protocol = h11.Connection(h11.SERVER)
        try:
            while not self._closing and await self._next_request(protocol, reader, writer, task):
                protocol.start_next_cycle()
        except (ConnectionError, TimeoutError, EOFError, asyncio.CancelledError):
            pass  # the caller left, or we close
        except Exception:  # noqa: BLE001  a connection's outermost frame
            _log.exception("HTTP connection")
        finally:
            self._idle.discard(task)
            self._busy.discard(task)
            writer.close()

    async def _next_request(
        self, protocol: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, task: asyncio.Task[None]
    ) -> bool:
        """Answer one request. False when the connection must end."""
        method, refused = "", False
        try:
            async with asyncio.timeout(IDLE_SECONDS):
                head = await _event(protocol, reader)
            if not isinstance(head, h11.Request):
                return False
            self._idle.discard(task)
            self._busy.add(task)
            method = head.method.decode()
            announced = self._announced(head)
            async with self._weight(announced.body_bytes):
                async with asyncio.timeout(RECEIVE_SECONDS):
                    request = await _receive(protocol, reader, writer, announced)
                response = await self._handler(request)
        except h11.RemoteProtocolError as error:
            response, refused = self._refuse(error.error_status_hint, str(error)), True
        except _RefusedError as error:
            response, refused = self._refuse(error.status, str(error)), True
        await _write(protocol, writer, response, method, close=refused or self._closing)
        if refused:
            await _linger(reader, writer)
        self._busy.discard(task)
        self._idle.add(task)
        return protocol.our_state is h11.DONE and protocol.their_state is h11.DONE

    def _announced(self, head: h11.Request) -> _Announced:
        method = head.method.decode()
        path, _, query = head.target.decode("latin-1").partition("?")
        headers = {name.decode(): value.decode("latin-1") for name, value in head.headers}
        limit = self._limit(method, path, headers)
        body_bytes = limit if "transfer-encoding" in headers else int(headers.get("content-length", "0"))
        if body_bytes > limit:
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"the body has {body_bytes} bytes; this call takes {limit}")
        return _Announced(Request(method, path, dict(parse_qsl(query, keep_blank_values=True)), headers), limit, body_bytes)

    @contextlib.asynccontextmanager
    async def _weight(self, body_bytes: int) -> AsyncIterator[None]:
        """Hold the place for a large body, if it is one."""
        if body_bytes <= HEAVY_BYTES:
            yield
            return
        async with self._heavy:
            yield


async def _receive(protocol: h11.Connection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, announced: _Announced) -> Request:
    """The request with its body."""
    if protocol.they_are_waiting_for_100_continue:
        writer.write(protocol.send(h11.InformationalResponse(status_code=100, headers=[])) or b"")
    body = bytearray()
    while isinstance(event := await _event(protocol, reader), h11.Data):
        body += event.data
        if len(body) > announced.limit:
            words = f"the body is larger than the {announced.limit} bytes that this call takes"
            raise _RefusedError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, words)
    return msgspec.structs.replace(announced.request, body=bytes(body))


async def _linger(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Swallow what a refused caller still sends: closing at once would reset the connection before it reads the answer."""
    writer.write_eof()
    left = LINGER_BYTES
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(LINGER_SECONDS):
            while left > 0 and (data := await reader.read(CHUNK)):
                left -= len(data)


async def _event(protocol: h11.Connection, reader: asyncio.StreamReader) -> object:
    while (event := protocol.next_event()) is h11.NEED_DATA:
        protocol.receive_data(await reader.read(CHUNK))
    return event


async def _write(protocol: h11.Connection, writer: asyncio.StreamWriter, response: Response, method: str, *, close: bool) -> None:
    headers = {"Content-Type": response.content_type, "Content-Length": str(len(response.body)), **response.headers}
    if close:
        headers["Connection"] = "close"
    with contextlib.suppress(h11.LocalProtocolError):  # the request was so broken that no answer fits it
        writer.write(protocol.send(h11.Response(status_code=response.status, headers=list(headers.items()))) or b"")
        if response.body and method != "HEAD":
            writer.write(protocol.send(h11.Data(data=response.body)) or b"")
        writer.write(protocol.send(h11.EndOfMessage()) or b"")
    await writer.drain()
