"""HTTP requests: one at a time on a connection, bounded in time and size, without redirects, cookies or proxies.

Surprising: a `Channel` keeps its connection for the next request and opens a new one when the other side has closed it
meanwhile, so what goes through one must be fit to be sent twice (reports are; webhooks have their event's id).
"""

import asyncio
import contextlib
import ssl
import time
from collections.abc import Mapping
from typing import NamedTuple, Self

import h11

from wasession_pod.web.wire import CHUNK, Target, TooLargeError, WebError, open_connection, parse

MAX_BYTES = 1 << 20
IDLE_SECONDS = 20.0  # servers close idle connections, often after 60 s or more
NO_HEADERS: Mapping[str, str] = {}


class Answer(NamedTuple):
    """What the server said; names of headers are in lower case."""

    status: int
    headers: dict[str, str]
    body: bytes


class _StaleError(Exception):
    """The kept connection was closed before it answered."""


class Channel:
    """Requests over one connection. `tls` None: the system's authorities; `address`: connect there whatever the host resolves to."""

    def __init__(self, *, tls: ssl.SSLContext | None = None, address: str | None = None) -> None:
        self._tls = tls
        self._address = address
        self._where: tuple[str, int] | None = None
        self._protocol = h11.Connection(h11.CLIENT)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._used_at = 0.0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connection, if there is one."""
        if self._writer:
            self._writer.close()
        self._reader = self._writer = None

    async def request(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] = NO_HEADERS,
        body: bytes = b"",
        seconds: float,
        max_bytes: int = MAX_BYTES,
    ) -> Answer:
        """Send a request and read the whole answer, at most `max_bytes`, within `seconds`. Raises WebError."""
        where = parse(url)
        done = False
        try:
            async with asyncio.timeout(seconds):
                answer = await self._exchange(where, method, headers, body, max_bytes)
            done = True
        except TimeoutError:
            raise WebError(f"{where.authority} did not answer within {seconds:g} s") from None
        except h11.RemoteProtocolError as error:
            raise WebError(f"{where.authority} does not speak HTTP: {error}") from None
        except h11.LocalProtocolError as error:
            raise WebError(f"the request cannot be sent: {error}") from None
        except (OSError, EOFError) as error:
            raise WebError(f"{where.authority}: {error or type(error).__name__}") from None
        finally:
            if not done or self._protocol.our_state is not h11.DONE or self._protocol.their_state is not h11.DONE:
                self.close()
        return answer

    async def _exchange(self, where: Target, method: str, headers: Mapping[str, str], body: bytes, max_bytes: int) -> Answer:
        kept = self._writer is not None
        fresh = kept and self._where == (where.host, where.port) and time.monotonic() - self._used_at < IDLE_SECONDS
        if fresh:
            self._protocol.start_next_cycle()
            with contextlib.suppress(_StaleError, ConnectionError):
                return await self._one(where, method, headers, body, max_bytes)
        self.close()
        self._protocol = h11.Connection(h11.CLIENT)
        self._reader, self._writer = await open_connection(where, tls=self._tls, address=self._address)
        self._where = (where.host, where.port)
        try:
            return await self._one(where, method, headers, body, max_bytes)
        except _StaleError:
            raise EOFError("the connection was closed without an answer") from None

    async def _one(self, where: Target, method: str, headers: Mapping[str, str], body: bytes, max_bytes: int) -> Answer:
        assert self._writer  # noqa: S101  opened by the caller
        sized = {"Content-Length": str(len(body))} if body or method in {"POST", "PUT", "PATCH"} else {}
        fields = {"Host": where.authority, "Accept-Encoding": "identity"} | sized | dict(headers)
        sent = self._protocol.send(h11.Request(method=method, target=where.target, headers=list(fields.items()))) or b""
        self._writer.write(sent + (self._protocol.send(h11.Data(data=body)) or b"" if body else b""))
        self._writer.write(self._protocol.send(h11.EndOfMessage()) or b"")
        await self._writer.drain()
        head = await self._next(first=True)
        while isinstance(head, h11.InformationalResponse):
            head = await self._next()
        if not isinstance(head, h11.Response):
            raise h11.RemoteProtocolError("no answer")
        parts, size = [], 0
        while isinstance(event := await self._next(), h11.Data):
            size += len(event.data)
            if size > max_bytes:
                raise TooLargeError(f"{where.authority} sends more than {max_bytes} bytes", head.status_code)
            parts.append(bytes(event.data))
        self._used_at = time.monotonic()
        return Answer(head.status_code, {name.decode(): value.decode("latin-1") for name, value in head.headers}, b"".join(parts))

    async def _next(self, *, first: bool = False) -> h11.Event | type[h11.PAUSED]:
        assert self._reader  # noqa: S101  opened by the caller
        while (event := self._protocol.next_event()) is h11.NEED_DATA:
            data = await self._reader.read(CHUNK)
            if first and not data:
                raise _StaleError
            first = False
            self._protocol.receive_data(data)
        return event  # type: ignore[return-value]  # NEED_DATA is excluded


async def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] = NO_HEADERS,
    body: bytes = b"",
    seconds: float,
    max_bytes: int = MAX_BYTES,
    tls: ssl.SSLContext | None = None,
    address: str | None = None,
) -> Answer:
    """One request on a connection of its own; `seconds` bound all of it. Raises WebError."""
    async with Channel(tls=tls, address=address) as channel:
        only = {"Connection": "close", **headers}
        return await channel.request(method, url, headers=only, body=body, seconds=seconds, max_bytes=max_bytes)
