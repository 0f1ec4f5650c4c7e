"""The pod's HTTP stack on loopback: what a good peer gets, and what a bad one does not do to us."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import ClientSession, WSMsgType, web
from aiohttp.test_utils import TestServer

from waemulator import pki
from wasession_pod.web import websocket
from wasession_pod.web.client import Channel, request
from wasession_pod.web.server import HEAVY_BYTES, Request, Response, Server
from wasession_pod.web.websocket import Binary, Ponged, Text
from wasession_pod.web.wire import TooLargeError, WebError, parse

pytestmark = pytest.mark.unit
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], object]


async def echo(asked: Request) -> Response:
    if asked.path == "/crash":
        raise RuntimeError("a defect")
    words = f"{asked.method} {asked.path} {asked.query.get('a', '')} {asked.headers.get('x-one', '')} ".encode()
    return Response(200, words + asked.body, "text/plain")


@asynccontextmanager
async def serving(handler: Callable[[Request], object] = echo, limit: int = 100) -> AsyncIterator[tuple[Server, int]]:
    server = Server(handler, limit=lambda _method, _path, _headers: limit, refuse=lambda status, words: Response(status, words.encode()))  # type: ignore[arg-type]
    port = await server.start("127.0.0.1", 0)
    yield server, port
    await server.close(0)
    for _ in range(10):  # until the transports are closed
        await asyncio.sleep(0)


@asynccontextmanager
async def peer(talk: Talk, tls: ssl.SSLContext | None = None) -> AsyncIterator[str]:
    """A server that says what the test wants, byte by byte."""
    talks = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        talks.append(asyncio.current_task())
        await talk(reader, writer)  # type: ignore[misc]
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    yield f"http{'s' if tls else ''}://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    server.close()
    await asyncio.gather(*talks, return_exceptions=True)


async def raw(port: int, data: bytes) -> bytes:
    """All that the server answers to these bytes until it closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return answer


async def test_requests_on_one_connection_are_answered_one_after_the_other() -> None:
    async with serving() as (_, port), Channel() as channel:
        url = f"http://127.0.0.1:{port}"
        first = await channel.request("POST", f"{url}/x%20y?a=%C3%A9", headers={"X-One": "1"}, body=b"body", seconds=10)
        connection = channel._writer
        second = await channel.request("GET", url, seconds=10)
        assert (first.status, first.body.decode()) == (200, "POST /x%20y é 1 body")
        assert first.headers["content-type"] == "text/plain"
        assert second.body == b"GET /   "
        assert channel._writer is connection


async def test_head_pipelining_and_expect_continue() -> None:
    async with serving() as (_, port):
        answer = await raw(port, b"HEAD /h HTTP/1.1\r\nHost: h\r\n\r\nGET /g HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
        head, _, rest = answer.partition(b"\r\n\r\n")
        assert b"Content-Length: 10" in head
        assert rest.endswith(b"GET /g   ")
        waiting = b"POST /p HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi"
        assert (await raw(port, waiting)).endswith(b"POST /p   hi")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"nonsense\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: h\r\nX: " + b"x" * 200_000 + b"\r\n\r\n", b"431"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 101\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n65\r\n" + b"x" * 101 + b"\r\n0\r\n\r\n", b"413"),
        (b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: -2\r\n\r\n", b"400"),
    ],
)
async def test_what_is_no_usable_request_is_refused_and_the_connection_ends(data: bytes, status: bytes) -> None:
    async with serving() as (_, port):
        assert (await raw(port, data)).startswith(b"HTTP/1.1 " + status)


async def test_of_large_bodies_one_at_a_time_is_read_and_small_ones_pass_by() -> None:
    at_work, let_go = 0, asyncio.Event()

    async def slow(asked: Request) -> Response:
        nonlocal at_work
        if asked.body:
            at_work += 1
            assert at_work == 1
            await let_go.wait()
            at_work -= 1
        return Response(200, str(len(asked.body)).encode())

    large = b"x" * (HEAVY_BYTES + 1)
    async with serving(slow, limit=2 * HEAVY_BYTES) as (_, port):
        url = f"http://127.0.0.1:{port}/"
        posts = [asyncio.create_task(request("POST", url, body=large, seconds=10)) for _ in range(3)]
        while not at_work:  # noqa: ASYNC110  the deadline is the requests' own
            await asyncio.sleep(0.005)
        assert (await request("GET", url, seconds=10)).body == b"0"
        let_go.set()
        assert [answer.body for answer in await asyncio.gather(*posts)] == [str(len(large)).encode()] * 3


async def test_a_handler_goes_on_when_its_caller_leaves() -> None:
    began, let_go, done = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(_asked: Request) -> Response:
        began.set()
        await let_go.wait()
        done.set()
        return Response()

    async with serving(slow) as (_, port):
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
        await asyncio.wait_for(began.wait(), 10)
        writer.transport.abort()
        let_go.set()
        await asyncio.wait_for(done.wait(), 10)


async def test_closing_lets_a_request_under_way_finish_and_ends_idle_connections() -> None:
    began, let_go = asyncio.Event(), asyncio.Event()

    async def slow(_asked: Request) -> Response:
        began.set()
        await let_go.wait()
        return Response(200, b"done")

    async with serving(slow) as (server, port):
        idle, idle_writer = await asyncio.open_connection("127.0.0.1", port)
        calling = asyncio.create_task(request("GET", f"http://127.0.0.1:{port}/", seconds=10))
        await asyncio.wait_for(began.wait(), 10)
        closing = asyncio.create_task(server.close(10))
        assert await asyncio.wait_for(idle.read(), 10) == b""
        idle_writer.close()
        let_go.set()
        assert (await calling).body == b"done"
        await closing
        with pytest.raises(WebError):
            await request("GET", f"http://127.0.0.1:{port}/", seconds=10)


async def test_a_chunked_answer_of_another_server_is_read_whole() -> None:
    async def stream(asked: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(asked)
        for _ in range(3):
            await answer.write(b"part ")
        return answer

    app = web.Application()
    app.router.add_get("/", stream)
    async with TestServer(app) as server:
        assert (await request("GET", str(server.make_url("/")), seconds=10)).body == b"part part part "
        with pytest.raises(TooLargeError):
            await request("GET", str(server.make_url("/")), seconds=10, max_bytes=14)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"", "without an answer"),
        (b"SSH-2.0-OpenSSH\r\n\r\n", "does not speak HTTP"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", "does not speak HTTP"),
    ],
)
async def test_a_peer_that_answers_badly_is_an_error_with_its_address(answer: bytes, words: str) -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)

    async with peer(talk) as url:
        with pytest.raises(WebError, match=words) as caught:
            await request("GET", url, seconds=10)
        assert "127.0.0.1" in str(caught.value)


async def test_a_peer_that_never_answers_is_given_up() -> None:
    async def talk(reader: asyncio.StreamReader, _writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with peer(talk) as url:
        with pytest.raises(WebError, match=r"did not answer within 0\.05 s"):
            await request("GET", url, seconds=0.05)


async def test_a_kept_connection_that_was_closed_meanwhile_is_opened_anew() -> None:
    connections = 0

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
        await writer.drain()

    async with peer(talk) as url, Channel() as channel:
        for _ in range(2):
            assert (await channel.request("GET", url, seconds=10)).body == b"ok"
    assert connections == 2


async def test_a_pinned_address_is_where_the_request_goes_and_the_host_header_stays() -> None:
    seen = []

    async def keep(asked: Request) -> Response:
        seen.append(asked.headers["host"])
        return Response()

    async with serving(keep) as (_, port):
        await request("GET", f"http://files.example.com:{port}/", seconds=10, address="127.0.0.1")
    assert seen == [f"files.example.com:{port}"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://api:8080", (False, "api", 8080, "/", "api:8080")),
        ("https://example.com/a?b=c", (True, "example.com", 443, "/a?b=c", "example.com")),
        ("wss://[::1]:8443/ws?phone=57", (True, "::1", 8443, "/ws?phone=57", "[::1]:8443")),
        ("http://bücher.example/", (False, "xn--bcher-kva.example", 80, "/", "xn--bcher-kva.example")),
    ],
)
def test_a_url_is_taken_apart(url: str, expected: tuple[object, ...]) -> None:
    target = parse(url)
    assert (*target, target.authority) == expected


@pytest.mark.parametrize(
    "url", ["ftp://x/", "x", "http://", "http://h:99999/", "http://h/ü", "http://h/a b", "file:///etc/passwd", "http://[x/"]
)
def test_an_unusable_url_is_named(url: str) -> None:
    with pytest.raises(WebError, match="is no usable URL"):
        parse(url)


async def test_only_a_certificate_of_a_known_authority_is_trusted(tmp_path: Path) -> None:
    keys = pki.create(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(keys.tls_file)

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(asyncio.IncompleteReadError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 204 No Content\r\n\r\n")

    ours = ssl.create_default_context(cafile=str(keys.ca_file))
    async with peer(talk, context) as address:
        url = address.replace("127.0.0.1", "web.whatsapp.com")
        assert (await request("GET", url, seconds=10, tls=ours, address="127.0.0.1")).status == 204
        with pytest.raises(WebError, match="certificate verify failed"):
            await request("GET", address, seconds=10, tls=ours)
        with pytest.raises(WebError, match="certificate verify failed"):
            await request("GET", url, seconds=10, tls=ssl.create_default_context(), address="127.0.0.1")


@asynccontextmanager
async def socket_server(talk: Callable[[web.WebSocketResponse], object], status: int = 101) -> AsyncIterator[str]:
    async def handle(asked: web.Request) -> web.StreamResponse:
        if status != 101:
            return web.Response(status=status)
        ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(asked)
        await talk(ws)  # type: ignore[misc]
        return ws

    app = web.Application()
    app.router.add_get("/ws", handle)
    async with TestServer(app) as server:
        yield str(server.make_url("/ws")).replace("http", "ws")


async def test_a_websocket_talks_both_ways_and_tells_pongs() -> None:
    heard: list[object] = []

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.send_str("hola")
        await ws.ping(b"are you there")
        await ws.send_bytes(b"123")
        async for frame in ws:
            heard.append((frame.type, frame.data))
            if frame.type is WSMsgType.PING:
                await ws.pong(frame.data)
                await ws.send_str("x" * 70_000)
                await ws.close()

    async with socket_server(talk) as url:
        socket = await websocket.connect(url, seconds=10, max_bytes=100_000)
        assert await socket.receive() == Text("hola")
        assert await socket.receive() == Binary(3)
        await socket.send("buenas")
        await socket.ping(b"7")
        assert await socket.receive() == Ponged(b"7")
        assert await socket.receive() == Text("x" * 70_000)
        assert await socket.receive() is None
        await socket.close()
        with pytest.raises(WebError, match="closed"):
            await socket.send("too late")
    assert heard[:3] == [(WSMsgType.PONG, b"are you there"), (WSMsgType.TEXT, "buenas"), (WSMsgType.PING, b"7")]


async def test_a_websocket_message_over_the_limit_ends_the_connection() -> None:
    closed_with: asyncio.Queue[int | None] = asyncio.Queue()

    async def talk(ws: web.WebSocketResponse) -> None:
        await ws.send_str("x" * 101)
        await ws.receive()
        closed_with.put_nowait(ws.close_code)

    async with socket_server(talk) as url:
        socket = await websocket.connect(url, seconds=10, max_bytes=100)
        with pytest.raises(WebError, match="more than 100"):
            await socket.receive()
        assert await asyncio.wait_for(closed_with.get(), 10) == 1009
        await socket.close()


async def test_a_refused_websocket_says_the_status() -> None:
    async with socket_server(lambda _ws: None, status=403) as url:
        with pytest.raises(WebError, match="status 403"):
            await websocket.connect(url, seconds=10, max_bytes=100)


async def test_a_crash_of_a_handler_does_not_end_the_server(caplog: pytest.LogCaptureFixture) -> None:
    async with serving() as (_, port), ClientSession() as http:
        with pytest.raises(Exception, match="isconnected"):
            await http.get(f"http://127.0.0.1:{port}/crash")
        async with http.get(f"http://127.0.0.1:{port}/") as answer:
            assert answer.status == 200
    assert "a defect" in caplog.text
