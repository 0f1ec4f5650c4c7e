"""The probe is answered by the loop that does the work, so a loop that is stuck does not answer."""

import asyncio
import socket
import threading

import httpx
import pytest
from aiohttp import web

from wasession_operator import endpoints

pytestmark = pytest.mark.unit


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def _ask(port: int, path: str = "/healthz", seconds: float = 30) -> httpx.Response:
    return await asyncio.to_thread(httpx.get, f"http://127.0.0.1:{port}{path}", timeout=seconds, trust_env=False)


async def test_a_probe_says_what_is_wrong() -> None:
    wrong: list[str] = []
    port = _free_port()
    async with endpoints.serving(port, {"/healthz": lambda: endpoints.probe(lambda: wrong)}):
        well = await _ask(port)
        assert (well.status_code, well.text) == (200, "ok\n")
        wrong += ["this", "that"]
        ill = await _ask(port)
        assert (ill.status_code, ill.text) == (503, "this\nthat\n")
        assert (await _ask(port, "/elsewhere")).status_code == 404


async def test_a_stuck_loop_gives_no_answer() -> None:
    port, done = _free_port(), threading.Event()

    def ask() -> Exception | None:
        try:
            httpx.get(f"http://127.0.0.1:{port}/healthz", timeout=0.2, trust_env=False)
        except httpx.TimeoutException as error:
            return error
        finally:
            done.set()
        return None

    async with endpoints.serving(port, {"/healthz": lambda: web.Response(text="ok")}):
        asking = asyncio.get_running_loop().run_in_executor(None, ask)
        done.wait()  # the loop itself is stuck here
        assert isinstance(await asking, httpx.TimeoutException)
        assert (await _ask(port)).text == "ok"
