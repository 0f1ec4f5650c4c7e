"""A real facade process in front of a real API server; the test plays the operator and the session pods."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from aiohttp import web
from kubernetes import client, config

from wasession_contract import podwire
from wasession_contract.v1alpha1 import GROUP, PLURAL, VERSION

DEADLINE = 30.0
KEY = b"0123456789abcdef0123456789abcdef"
POD_IP = "127.0.77.7"
NOW = "2026-01-01T00:00:00Z"


async def eventually(check: Callable[[], Any], what: str, deadline: float = DEADLINE) -> Any:  # noqa: ANN401  what the check gives
    """Ask again until the check gives something true; it may be a coroutine function."""
    async with asyncio.timeout(deadline):
        while True:
            found = check()
            if asyncio.iscoroutine(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)
    raise AssertionError(what)


def free_port() -> int:
    """A port of the loopback that nobody uses now."""
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


class Kube:
    """What an operator, a session pod and kubectl would do to the objects of one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.kubeconfig = kubeconfig
        self.namespace = namespace
        api = config.new_client_from_config(str(kubeconfig))
        self._api = client.CustomObjectsApi(api)
        self._core = client.CoreV1Api(api)
        self._place = (GROUP, VERSION, namespace, PLURAL)

    def create_namespace(self) -> None:
        """Make the namespace."""
        self._core.create_namespace({"metadata": {"name": self.namespace}})

    def delete_namespace(self) -> None:
        """Remove the namespace and what is in it."""
        for obj in self.all():
            if obj["metadata"].get("finalizers"):
                self.let_go(obj["metadata"]["name"])
        self._core.delete_namespace(self.namespace)

    def all(self) -> list[dict[str, Any]]:
        """All sessions."""
        return list(self._api.list_namespaced_custom_object(*self._place)["items"])

    def get(self, name: str) -> dict[str, Any] | None:
        """One session, None if there is none."""
        return next((obj for obj in self.all() if obj["metadata"]["name"] == name), None)

    def apply(self, name: str, spec: dict[str, Any]) -> None:
        """What `kubectl apply` does for a new session."""
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "WhatsAppSession", "metadata": {"name": name}, "spec": spec}
        self._api.create_namespaced_custom_object(*self._place, body)

    def judge(self, name: str, **status: object) -> None:
        """The operator writes its part of the status."""
        self._api.patch_namespaced_custom_object_status(*self._place, name, {"status": status})

    def admit(self, name: str, status: str = "True", reason: str = "Admitted") -> None:
        """The operator says whether there is room."""
        self.judge(name, conditions=[{"type": "Admitted", "status": status, "reason": reason, "lastTransitionTime": NOW}])

    def give_pod(self, name: str, uid: str, generation: int = 1) -> None:
        """The operator has made the session's pod, which serves."""
        pod = {"name": f"{name}-session", "uid": uid, "ip": POD_IP, "ready": True}
        self.judge(name, observedGeneration=generation, pod=pod)

    def report(self, name: str, uid: str, state: str, /, **facts: object) -> None:
        """The session's pod reports."""
        self.judge(name, session={"podUID": uid, "state": state, "reportedAt": NOW, "qr": None, **facts})

    def connect(self, name: str, uid: str = "pod-1") -> None:
        """A pod that is connected to WhatsApp."""
        self.give_pod(name, uid)
        self.report(name, uid, "Connected", number="573001234567", name="Ana")

    def hold(self, name: str) -> None:
        """The operator's finalizer: the object stays until `let_go`."""
        self._patch_finalizers(name, ["wasession.dev/logout"])

    def let_go(self, name: str) -> None:
        """The operator is done with a deleted object."""
        self._patch_finalizers(name, [])

    def _patch_finalizers(self, name: str, finalizers: list[str]) -> None:
        self._api.patch_namespaced_custom_object(*self._place, name, {"metadata": {"finalizers": finalizers}})


class FacadeProcess:
    """`python -m wasession_api` on a port of the loopback."""

    def __init__(self, kube: Kube, directory: Path, **environment: str) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        key = directory / "internal-key"
        key.write_bytes(KEY)
        self.port = free_port()
        self._directory = directory
        self._environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(kube.kubeconfig),
            "WASESSION_NAMESPACE": kube.namespace,
            "WASESSION_INTERNAL_KEY_FILE": str(key),
            "WS_PORT": str(self.port),
            **environment,
        }
        self._process: subprocess.Popen[bytes] | None = None
        self.http = httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    @property
    def log(self) -> str:
        """What it wrote."""
        return (self._directory / "log").read_text()

    def launch(self) -> "subprocess.Popen[bytes]":
        """Start it and do not wait."""
        with (self._directory / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "wasession_api"], cwd=self._directory, env=self._environment, stdout=log, stderr=log
            )
        return self._process

    async def start(self) -> None:
        """Start it and wait until it is ready."""
        process = self.launch()

        async def ready() -> bool:
            assert process.poll() is None, self.log
            try:
                return (await self.http.get("/readyz")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(ready, "the facade is ready")

    async def stop(self) -> int:
        """SIGTERM; returns the exit code."""
        await self.http.aclose()
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return await asyncio.to_thread(self._process.wait, 30)

    async def status(self, session_id: str) -> dict[str, Any]:
        """The nine keys."""
        answer = await self.http.get(f"/sessions/{session_id}/status")
        return dict(answer.json().get("status", {}))

    async def is_connected(self, session_id: str) -> bool:
        """Whether the facade shows the session as connected."""
        return bool((await self.status(session_id)).get("connected"))


class FakePod:
    """A session pod's HTTP API, of the session with this uid."""

    def __init__(self, uid: str) -> None:
        self.token = podwire.token(KEY, uid)
        self.sent: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.answer: Callable[[web.Request], Any] | None = None

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """Any call."""
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.json_response({"code": "unauthorized", "message": "not this session's token"}, status=401)
        self.paths.append(request.raw_path)
        if self.answer is not None:
            return await self.answer(request)  # type: ignore[no-any-return]
        if request.method == "POST":
            self.sent.append(await request.json())
            return web.json_response({"id": "3EB0", "timestamp": 1760356800})
        if request.path.endswith("/messages"):
            return web.json_response(
                [{"id": "A", "sender": "x", "fromMe": False, "text": "Hola", "timestamp": 1, "type": "text", "hasMedia": False}]
            )
        return web.json_response([{"id": "57@s.whatsapp.net", "name": None, "isGroup": False, "unreadCount": 1, "lastMessage": None}])


@asynccontextmanager
async def serving(pod: FakePod, host: str = POD_IP, port: int = podwire.PORT) -> AsyncIterator[FakePod]:
    """The pod's HTTP server, where the facade looks for it."""
    app = web.Application()
    app.router.add_route("*", "/{rest:.*}", pod.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    try:
        yield pod
    finally:
        await runner.cleanup()
