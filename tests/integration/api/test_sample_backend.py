"""The sample backend answers as a backend of the contract does."""

import hashlib
import hmac
import importlib.util
from collections.abc import AsyncIterator
from pathlib import Path
from types import ModuleType

import aiohttp
import pytest
from aiohttp import web
from facade_support import free_port

pytestmark = pytest.mark.integration


@pytest.fixture
def backend(repo: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("sample_backend", repo / "examples" / "backend" / "backend.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
async def http(backend: ModuleType) -> AsyncIterator[aiohttp.ClientSession]:
    runner = web.AppRunner(backend.app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session:
        yield session
    await runner.cleanup()


async def test_it_echoes_and_lists_what_it_got(http: aiohttp.ClientSession) -> None:
    message = {"phone": "573007654321@s.whatsapp.net", "message": "Hola", "botNumber": "573001234567", "messageType": "text"}
    async with http.ws_connect("/ws?phone=573001234567") as socket:
        await socket.send_json(message)
        assert await socket.receive_json() == {"to": "573007654321@s.whatsapp.net", "message": "Eco: Hola"}
    async with http.get("/messages") as answer:
        assert await answer.json() == {"total": 1, "messages": [message]}


async def test_it_takes_signed_webhooks_once_and_no_others(backend: ModuleType, http: aiohttp.ClientSession) -> None:
    backend.SECRET = "a key"
    body = b'{"id": "evt_1", "event": "message"}'
    now = int(backend.time.time() * 1000)

    async def post(timestamp: int, key: str) -> int:
        signature = hmac.new(key.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
        headers = {"X-Webhook-Timestamp": str(timestamp), "X-Webhook-Signature": f"sha256={signature}"}
        async with http.post("/webhook", data=body, headers=headers) as answer:
            return answer.status

    assert [await post(now, "a key"), await post(now, "a key"), await post(now, "another"), await post(now - 600_000, "a key")] == [
        204,
        204,
        401,
        401,
    ]
    async with http.get("/events") as answer:
        assert (await answer.json())["total"] == 1
