"""A WebSocket's client side. Pings of the other side are answered here; its pongs are told, because they prove that it reads."""

import asyncio
import contextlib
import ssl

from wsproto import ConnectionType, WSConnection
from wsproto.events import (
    AcceptConnection,
    BytesMessage,
    CloseConnection,
    Event,
    Ping,
    Pong,
    RejectConnection,
    Request,
    TextMessage,
)
from wsproto.utilities import LocalProtocolError, RemoteProtocolError

from wasession_pod.web.frames import Binary, Frame, Ponged, Text
from wasession_pod.web.wire import CHUNK, WebError, open_connection, parse

CLOSE_SECONDS = 1.0
TOO_BIG = 1009  # RFC 6455, section 7.4.1


class WebSocket:
    """An open socket; made by `connect`."""

    def __init__(self, protocol: WSConnection, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, max_bytes: int) -> None:
        self._protocol = protocol
        self._reader = reader
        self._writer = writer
        self._max_bytes = max_bytes
        self._sending = asyncio.Lock()
        self._events = protocol.events()
        self._parts: list[str] = []
        self._size = 0

    async def send(self, text: str) -> None:
        """Send a text message. Raises WebError when the socket is closed."""
        await self._write(TextMessage(data=text))

    async def ping(self, payload: bytes) -> None:
        """Send a ping, at most 125 bytes. Raises WebError when the socket is closed."""
        await self._write(Ping(payload=payload))

    async def receive(self) -> Frame | None:
        """The next message or pong; None at the end of the connection. Raises WebError."""
        try:
            while True:
                for event in self._events:
                    if isinstance(event, CloseConnection):
                        await self._write(event.response())
                        return None
                    if frame := await self._take(event):
                        return frame
                data = await self._reader.read(CHUNK)
                self._protocol.receive_data(data or None)
                self._events = self._protocol.events()
                if not data:
                    return None
        except (RemoteProtocolError, OSError) as error:
            raise WebError(f"WebSocket: {error or type(error).__name__}") from None

    async def close(self) -> None:
        """Say goodbye and close; the other side is not waited for."""
        with contextlib.suppress(WebError, TimeoutError, OSError):
            async with asyncio.timeout(CLOSE_SECONDS):
                await self._write(CloseConnection(code=1000))
        self._writer.close()

    async def _take(self, event: Event) -> Frame | None:
        match event:
            case Ping():
                await self._write(event.response())
            case Pong():
                return Ponged(bytes(event.payload))
            case BytesMessage():
                return Binary(len(event.data)) if event.message_finished else None
            case TextMessage():
                self._size += len(event.data)
                if self._size > self._max_bytes:
                    await self._write(CloseConnection(code=TOO_BIG))
                    raise WebError(f"WebSocket: a message of more than {self._max_bytes} characters")
                self._parts.append(event.data)
                if event.message_finished:
                    text, self._parts, self._size = "".join(self._parts), [], 0
                    return Text(text)
            case _:
                pass
        return None

    async def _write(self, event: Event) -> None:
        async with self._sending:
            try:
                self._writer.write(self._protocol.send(event))
                await self._writer.drain()
            except (LocalProtocolError, OSError) as error:
                raise WebError(f"the WebSocket is closed: {error or type(error).__name__}") from None


async def connect(url: str, *, seconds: float, max_bytes: int, tls: ssl.SSLContext | None = None) -> WebSocket:
    """Open a WebSocket within `seconds`; messages have at most `max_bytes` characters. Raises WebError."""
    where = parse(url)
    writer: asyncio.StreamWriter | None = None
    opened = False
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await open_connection(where, tls=tls)
            protocol = WSConnection(ConnectionType.CLIENT)
            writer.write(protocol.send(Request(host=where.authority, target=where.target)))
            await _handshake(protocol, reader)
        opened = True
    except TimeoutError:
        raise WebError(f"{where.authority} did not answer within {seconds:g} s") from None
    except (RemoteProtocolError, OSError) as error:
        raise WebError(f"{where.authority}: {error or type(error).__name__}") from None
    finally:
        if writer and not opened:
            writer.close()
    return WebSocket(protocol, reader, writer, max_bytes)


async def _handshake(protocol: WSConnection, reader: asyncio.StreamReader) -> None:
    while True:
        data = await reader.read(CHUNK)
        if not data:
            raise WebError("the connection was closed without an answer")
        protocol.receive_data(data)
        for event in protocol.events():
            match event:
                case AcceptConnection():
                    return
                case RejectConnection():
                    raise WebError(f"the WebSocket was refused with status {event.status_code}")
                case _:
                    pass
