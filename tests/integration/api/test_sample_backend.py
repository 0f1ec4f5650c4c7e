"""The sample backend answers as a backend of the contract does."""

import importlib.util
from pathlib import Path

import aiohttp
import pytest
from aiohttp import web
from facade_support import free_port

pytestmark = pytest.mark.integration


async def test_it_echoes_and_lists_what_it_got(repo: Path) -> None:
    spec = importlib.util.spec_from_file_location("sample_backend", repo / "examples" / "backend" / "backend.py")
    assert spec is not None
    assert spec.loader is not None
    backend = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(backend)
    runner = web.AppRunner(backend.app)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    message = {"phone": "573007654321@s.whatsapp.net", "message": "Hola", "botNumber": "573001234567", "messageType": "text"}
    try:
        async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as http:
            async with http.ws_connect("/ws?phone=573001234567") as socket:
                await socket.send_json(message)
                assert await socket.receive_json() == {"to": "573007654321@s.whatsapp.net", "message": "Eco: Hola"}
            async with http.get("/messages") as answer:
                assert await answer.json() == {"total": 1, "messages": [message]}
    finally:
        await runner.cleanup()
