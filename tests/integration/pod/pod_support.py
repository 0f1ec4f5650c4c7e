"""A session pod as a process, a fake API server that records status patches, and a fake backend."""

import asyncio
import contextlib
import json
import os
import socket
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from aiohttp import web

from waemulator.testing import EmulatorProcess
from wasession_contract.podwire import Env, token, token_sha256
from wasession_contract.v1alpha1 import SessionReport, SessionState

OWNER = "573001234567"
CONTACT = "573009999999"
TOKEN = token(b"internal key", "uid-1")
DEADLINE = 30.0
PATCH_PATH = "/apis/wasession.dev/v1alpha1/namespaces/default/whatsappsessions/cliente1/status"


async def eventually(check: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:  # noqa: ANN401  JSON, or what the check gives
    """Poll until `check` (a function, or a coroutine function) is truthy."""
    end = asyncio.get_running_loop().time() + deadline
    while True:
        value = check()
        if isinstance(value, Awaitable):
            value = await value
        if value:
            return value
        assert asyncio.get_running_loop().time() < end, f"not within {deadline} s: {what}"
        await asyncio.sleep(0.02)


class FakeApiServer:
    """Records the patches of the session's status; can refuse them."""

    def __init__(self) -> None:
        self.patches: list[dict[str, Any]] = []
        self.refuse = False
        self.refused = 0

    async def handle(self, request: web.Request) -> web.Response:
        assert request.path == PATCH_PATH
        assert request.headers["Content-Type"] == "application/merge-patch+json"
        assert request.headers["Authorization"] == "Bearer api-token"
        if self.refuse:
            self.refused += 1
            return web.Response(status=503)
        self.patches.append(json.loads(await request.read()))
        return web.json_response({})

    @property
    def reports(self) -> list[SessionReport]:
        return [msgspec.convert(patch["status"]["session"], SessionReport) for patch in self.patches]

    @property
    def report(self) -> SessionReport | None:
        return self.reports[-1] if self.patches else None


class FakeBackend:
    """A backend's WebSocket: keeps what it is told, can be away, can speak."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.phones: list[str] = []
        self.sockets: list[web.WebSocketResponse] = []
        self.away = False

    async def handle(self, request: web.Request) -> web.StreamResponse:
        if self.away:
            return web.Response(status=503)
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        self.phones.append(request.query["phone"])
        self.sockets.append(ws)
        async for frame in ws:
            self.messages.append(json.loads(frame.data))
        self.sockets.remove(ws)
        return ws

    async def leave(self) -> None:
        self.away = True
        for ws in list(self.sockets):
            await ws.close()


@contextlib.asynccontextmanager
async def served(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def pod_environment(emulator: EmulatorProcess, backend_url: str) -> dict[str, str]:
    """The environment of a session's pod that finds the emulator and a backend, and no other proxy."""
    given = {
        Env.NAME: "cliente1",
        Env.NAMESPACE: "default",
        Env.SESSION_ID: "cliente1",
        Env.UID: "uid-1",
        Env.POD_UID: "pod-uid-1",
        Env.TOKEN_SHA256: token_sha256(TOKEN),
        Env.BACKEND_URL: backend_url,
    }
    inherited = {key: value for key, value in os.environ.items() if "PROXY" not in key.upper()}
    return inherited | emulator.client_env() | {str(key): value for key, value in given.items()}


class PodProcess:
    """`python -m wasession_pod`, which the test starts, kills and calls."""

    def __init__(self, directory: Path, environment: dict[str, str], api_server: str) -> None:
        self.directory = directory
        self.environment = environment
        self.program = ["-m", "wasession_pod"]
        self._api_server = api_server
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.process: asyncio.subprocess.Process | None = None
        self.http = aiohttp.ClientSession(f"http://127.0.0.1:{self.port}", headers={"Authorization": f"Bearer {TOKEN}"})

    @property
    def log(self) -> str:
        return (self.directory / "pod.log").read_text()

    async def start(self) -> None:
        account = self.directory / "serviceaccount"
        account.mkdir(exist_ok=True)
        (account / "token").write_text("api-token\n")
        (self.directory / "data").mkdir(exist_ok=True)
        arguments = ["--data-dir", str(self.directory / "data"), "--host", "127.0.0.1", "--port", str(self.port)]
        arguments += ["--api-server", self._api_server, "--service-account-dir", str(account)]
        with (self.directory / "pod.log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, *self.program, *arguments, env=self.environment, stdout=log, stderr=log
            )

    async def kill(self) -> None:
        assert self.process
        self.process.kill()
        await self.process.wait()

    def zombies(self) -> int:
        """How many children of the pod's process have ended and were not reaped."""
        assert self.process
        stats = [path.read_text().rpartition(")")[2].split() for path in Path("/proc").glob("[0-9]*/stat") if path.exists()]
        return sum(fields[0] == "Z" and int(fields[1]) == self.process.pid for fields in stats)

    def open_files(self, name: str) -> int:
        """How often the pod's process has a file of this name open."""
        assert self.process
        links = (path.readlink() for path in Path(f"/proc/{self.process.pid}/fd").iterdir() if path.is_symlink())
        return sum(link.name == name for link in links)

    async def terminate(self) -> int:
        assert self.process
        self.process.terminate()
        return await self.process.wait()

    async def close(self) -> None:
        await self.http.close()
        if self.process and self.process.returncode is None:
            await self.kill()

    async def session(self) -> SessionReport | None:
        try:
            async with self.http.get("/v1/session") as answer:
                return msgspec.json.decode(await answer.read(), type=SessionReport)
        except aiohttp.ClientConnectionError:
            return None

    async def session_where(self, fits: Callable[[SessionReport], bool], what: str, deadline: float = DEADLINE) -> SessionReport:
        """Wait until the report fits, and return it."""

        async def look() -> SessionReport | None:
            report = await self.session()
            return report if report and fits(report) else None

        try:
            report: SessionReport = await eventually(look, what, deadline)
        except AssertionError as error:
            raise AssertionError(f"{error}; now {await self.session()}; log:\n{self.log}") from None
        return report

    async def reaches(self, state: SessionState) -> SessionReport:
        """Wait until the session is in a state, and return its report."""
        return await self.session_where(lambda report: report.state is state, state)

    async def post(self, path: str, body: object = None, **headers: str) -> tuple[int, Any]:
        async with self.http.post(path, json=body, headers=headers) as answer:
            return answer.status, await answer.json()

    async def get(self, path: str) -> Any:  # noqa: ANN401  JSON, or what the check gives
        async with self.http.get(path) as answer:
            assert answer.status == 200, await answer.text()
            return await answer.json()


class World:
    """All that a test needs: emulator, fakes, the pod, and the account's owner with a phone."""

    def __init__(self, emulator: EmulatorProcess, status: FakeApiServer, backend: FakeBackend, pod: PodProcess) -> None:
        self.emulator = emulator
        self.status = status
        self.backend = backend
        self.pod = pod

    async def control(self, call: str, *arguments: object, **details: object) -> Any:  # noqa: ANN401  JSON, or what the check gives
        """A call of the emulator's control API."""
        return await asyncio.to_thread(getattr(self.emulator.control, call), *arguments, **details)

    async def pair(self) -> SessionReport:
        """Start the pod, scan its QR code with the owner's phone, and wait for the login and the push name."""
        await self.control("user", OWNER, "María Dueña")
        await self.control("user", CONTACT, "Carlos")
        await self.pod.start()
        qr = await eventually(lambda: self.status.report and self.status.report.qr, "the QR code in the object's status")
        await self.control("scan", OWNER, qr.code)
        return await self.pod.session_where(lambda r: r.state is SessionState.CONNECTED and bool(r.name), "connected, with the push name")

    async def sent_texts(self) -> list[str]:
        """What the emulator decrypted of the pod's messages, in order."""
        return [record["decrypted"]["contact"]["text"] for record in await self.control("log", kind="message")]
