"""The backend's WebSocket: in order, at least once, and only what the other side has read counts as delivered."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aiohttp import WSMsgType, web
from aiohttp.test_utils import TestServer

from wasession_contract.podwire import ErrorCode, SendRequest, SendResponse
from wasession_contract.v1alpha1 import BackendState
from wasession_pod import backend as backend_module
from wasession_pod.backend import Backend, socket_url
from wasession_pod.engine import Received
from wasession_pod.journal import Journal
from wasession_pod.logs import SessionLog
from wasession_pod.orders import SendError

pytestmark = pytest.mark.unit
CHAT = "573009999999@s.whatsapp.net"


def message(number: int, kind: str = "text") -> Received:
    return Received(f"m{number}", CHAT, CHAT, from_me=False, text=f"t{number}", type=kind, has_media=False, timestamp=number)


class FakeSender:
    """Remembers what was sent; refuses on request."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.gate = asyncio.Event()
        self.gate.set()

    async def send(self, request: SendRequest, *, patient: bool) -> SendResponse:
        assert patient, "the pacing is waited for"
        await self.gate.wait()
        if request.text == "refuse":
            raise SendError(ErrorCode.SEND_REFUSED, "no")
        if request.text == "defect":
            raise ZeroDivisionError
        self.sent.append((request.to, request.text or ""))
        return SendResponse(id="x", timestamp=1)


class FakeBackend:
    """A backend that answers pings only if the test lets it."""

    def __init__(self) -> None:
        self.messages: list[str] = []
        self.answers_pings = True
        self.socket: web.WebSocketResponse | None = None
        self.connections = 0

    async def handle(self, request: web.Request) -> web.WebSocketResponse:
        self.connections += 1
        assert request.query_string == "phone=573001234567"
        self.socket = ws = web.WebSocketResponse(autoping=False)
        await ws.prepare(request)
        async for frame in ws:
            if frame.type is WSMsgType.TEXT:
                self.messages.append(json.loads(frame.data)["message"])
            elif frame.type is WSMsgType.PING and self.answers_pings:
                await ws.pong(frame.data)
        return ws


class World:
    """A backend module at work."""

    def __init__(self) -> None:
        self.fake = FakeBackend()
        self.sender = FakeSender()
        self.journal = Journal(":memory:")
        self.number: str | None = "573001234567"
        self.changes: list[BackendState] = []
        self.backend: Any = None

    def record(self, *messages: Received) -> None:
        for each in messages:
            self.journal.record(each, pending=True)
        self.backend.wake()


async def until(check: Callable[[], Any]) -> None:
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110  polls with a deadline
            await asyncio.sleep(0.005)


@pytest.fixture
async def world(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(backend_module, "FIRST_DELAY_SECONDS", 0.001)
    world = World()
    app = web.Application()
    app.router.add_get("/base/ws", world.fake.handle)
    async with TestServer(app) as server:
        world.backend = Backend(
            str(server.make_url("/base/")),
            world.journal,
            world.sender,  # type: ignore[arg-type]
            SessionLog("cliente1"),
            number=lambda: world.number,
            on_change=lambda: world.changes.append(world.backend.report().state),
        )
        task = asyncio.create_task(world.backend.run())
        yield world
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_messages_go_out_in_order_and_are_delivered_when_the_pong_comes(world: World) -> None:
    world.record(*[message(number) for number in range(250)])
    await until(lambda: world.backend.delivered == 250)
    assert world.journal.backlog() == 0
    assert world.fake.messages == [f"t{number}" for number in range(250)]


async def test_what_the_backend_did_not_confirm_is_sent_again(world: World) -> None:
    world.fake.answers_pings = False
    world.record(message(1), message(2))
    await until(lambda: len(world.fake.messages) == 2)
    assert world.journal.backlog() == 2
    assert world.fake.socket
    world.fake.answers_pings = True
    await world.fake.socket.close()
    await until(lambda: world.journal.backlog() == 0)
    assert world.fake.messages == ["t1", "t2", "t1", "t2"]


async def test_a_backend_that_answers_no_ping_is_left_and_tried_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backend_module, "PING_SECONDS", 0.02)
    world.fake.answers_pings = False
    await until(lambda: world.fake.connections >= 3)


async def test_the_socket_is_open_only_while_whatsapp_is_connected(world: World) -> None:
    await until(lambda: world.changes == [BackendState.CONNECTED])
    world.number = None
    world.backend.wake()
    await until(lambda: world.changes == [BackendState.CONNECTED, BackendState.DISCONNECTED])
    world.record(message(1))
    world.number = "573001234567"
    world.backend.wake()
    await until(lambda: world.fake.messages == ["t1"])
    assert world.fake.connections == 2


async def test_what_the_backend_sends_becomes_messages_and_the_rest_is_ignored(world: World, caplog: pytest.LogCaptureFixture) -> None:
    await until(lambda: world.fake.socket)
    assert world.fake.socket
    for text in (
        "",
        "[]",
        "null",
        "{}",
        '{"to": 1, "message": "x"}',
        '{"to": "x", "message": "x"}',
        '{"to": "573009999999", "message": ""}',
    ):
        await world.fake.socket.send_str(text)
    await world.fake.socket.send_bytes(b"\x00")
    await world.fake.socket.send_json({"to": "573009999999", "message": "refuse"})
    await world.fake.socket.send_json({"to": CHAT, "message": "eins", "more": True})
    await world.fake.socket.send_json({"to": "573009999999", "message": "zwei"})
    await until(lambda: len(world.sender.sent) == 2)
    assert world.sender.sent == [(CHAT, "eins"), (CHAT, "zwei")]
    assert sum("ignorado" in record.getMessage() for record in caplog.records) == 8
    assert world.fake.connections == 1


async def test_what_the_backend_asked_for_outlives_its_socket_and_keeps_its_order(world: World) -> None:
    await until(lambda: world.fake.socket)
    assert world.fake.socket
    world.sender.gate.clear()
    for text in ("eins", "defect", "zwei"):
        await world.fake.socket.send_json({"to": CHAT, "message": text})
    await world.fake.socket.close()
    await until(lambda: world.fake.connections == 2)
    await world.fake.socket.send_json({"to": CHAT, "message": "drei"})
    world.sender.gate.set()
    await until(lambda: len(world.sender.sent) == 3)
    assert [text for _, text in world.sender.sent] == ["eins", "zwei", "drei"]


async def test_a_backend_that_asks_for_too_much_loses_the_rest_and_not_its_deliveries(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.backend._requests = asyncio.Queue(2)
    await until(lambda: world.fake.socket)
    assert world.fake.socket
    world.sender.gate.clear()
    for number in range(4):
        await world.fake.socket.send_json({"to": CHAT, "message": f"r{number}"})
    world.record(message(1))
    await until(lambda: world.journal.backlog() == 0)
    assert [record.getMessage() for record in caplog.records if "ya esperan 2" in record.getMessage()]
    assert world.fake.connections == 1


@pytest.mark.parametrize(
    ("base", "url"),
    [
        ("http://api:8080", "ws://api:8080/ws?phone=57300"),
        ("https://api.example.com/", "wss://api.example.com/ws?phone=57300"),
        ("http://api/base", "ws://api/base/ws?phone=57300"),
    ],
)
def test_the_sockets_address_is_the_contracts(base: str, url: str) -> None:
    assert socket_url(base, "57300") == url
