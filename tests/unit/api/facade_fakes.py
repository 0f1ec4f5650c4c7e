"""The facade with nothing real around it: an API server, an operator and session pods in memory, and a fixed time."""

import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import msgspec

from wasession_api.app import create_app
from wasession_api.changes import Changes, Patience
from wasession_api.errors import FacadeError, KubernetesRefusedError, PodError
from wasession_api.service import Service
from wasession_api.settings import Settings
from wasession_api.store import Store
from wasession_contract.podwire import Chat, Message, SendRequest, SendResponse
from wasession_contract.v1alpha1 import WhatsAppSession, convert

NOW = datetime(2025, 10, 13, 12, 0, tzinfo=UTC)
KEY = b"k" * 32
POD = {"name": "x-session", "uid": "pod-1", "ip": "10.0.0.7", "ready": True}


def stamp(moment: datetime) -> str:
    return moment.isoformat().replace("+00:00", "Z")


class FakeCluster:
    """Objects as the API server keeps them, seen by the store at once. `after_create` plays the operator."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.objects: dict[str, dict[str, Any]] = {}
        self.calls: list[str] = []
        self.trouble: FacadeError | None = None
        self.finalizers = False
        self.after_create: Callable[[str], None] = self.admit
        self.after_patch: Callable[[str], None] = lambda _: None
        self._count = itertools.count(1)

    def show(self, name: str) -> None:
        """Let the watch bring the object as it is now."""
        obj = self.objects.get(name)
        if obj is None:
            self.store.remove(name)
            return
        obj["metadata"]["resourceVersion"] = str(next(self._count))
        self.store.put(convert(msgspec.json.decode(msgspec.json.encode(obj))))

    def add(self, session_id: str, *, name: str | None = None, age: int = 0, **status: object) -> dict[str, Any]:
        """An object that is there already; `age` in seconds."""
        obj = {
            "metadata": {
                "name": name or session_id,
                "uid": f"uid-{next(self._count)}",
                "generation": 1,
                "creationTimestamp": stamp(NOW - timedelta(seconds=age)),
            },
            "spec": {"sessionId": session_id},
            "status": {"observedGeneration": 1, **status},
        }
        self.objects[obj["metadata"]["name"]] = obj
        self.show(obj["metadata"]["name"])
        return obj

    def report(self, name: str, /, pod_uid: str = "pod-1", **session: object) -> None:
        """The session's pod reports."""
        self.objects[name]["status"]["session"] = {"podUID": pod_uid, "state": "Starting", "reportedAt": stamp(NOW), **session}
        self.show(name)

    def admit(self, name: str, *, status: str = "True", reason: str = "Admitted") -> None:
        """The operator says whether there is room."""
        condition = {"type": "Admitted", "status": status, "reason": reason, "lastTransitionTime": stamp(NOW)}
        self.objects[name]["status"]["conditions"] = [condition]
        self.show(name)

    def end(self, name: str) -> None:
        """The operator lets a deleted object go."""
        del self.objects[name]
        self.show(name)

    def _called(self, call: str) -> None:
        self.calls.append(call)
        if self.trouble is not None:
            raise self.trouble

    async def create(self, body: dict[str, Any]) -> WhatsAppSession:
        name = body["metadata"]["name"]
        self._called(f"create {name}")
        if name in self.objects:
            raise KubernetesRefusedError(409, f'whatsappsessions.wasession.dev "{name}" already exists')
        obj = self.add(body["spec"]["sessionId"], name=name)
        obj["spec"] = body["spec"]
        made = convert(obj)
        self.after_create(name)
        return made

    async def get(self, name: str) -> WhatsAppSession | None:
        self._called(f"get {name}")
        return convert(self.objects[name]) if name in self.objects else None

    async def patch(self, name: str, uid: str, change: dict[str, Any]) -> WhatsAppSession:
        self._called(f"patch {name}")
        obj = self.objects.get(name)
        if obj is None or obj["metadata"]["uid"] != uid:
            raise KubernetesRefusedError(404 if obj is None else 409, "no such object")
        obj["spec"].update(change["spec"])
        obj["metadata"]["generation"] += 1
        patched = convert(msgspec.json.decode(msgspec.json.encode(obj)))
        self.show(name)
        self.after_patch(name)
        return patched

    async def delete(self, name: str, uid: str) -> None:
        self._called(f"delete {name}")
        obj = self.objects.get(name)
        if obj is None:
            return
        if obj["metadata"]["uid"] != uid:
            raise KubernetesRefusedError(409, "the UID in the precondition does not match")
        if self.finalizers:
            obj["metadata"]["deletionTimestamp"] = stamp(NOW)
            self.show(name)
        else:
            self.end(name)


class FakePods:
    """Session pods that note what they are asked."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str, str, str, str | None]] = []
        self.trouble: PodError | None = None
        self.known_chats: list[Chat] = []
        self.known_messages: list[Message] = []
        self.asked: list[tuple[str, int]] = []

    async def send(self, ip: str, uid: str, request: SendRequest, idempotency_key: str | None = None) -> SendResponse:
        if self.trouble:
            raise self.trouble
        self.sent.append((ip, uid, request.to, request.text, idempotency_key))
        return SendResponse(id="3EB0", timestamp=1)

    async def chats(self, _ip: str, _uid: str) -> list[Chat]:
        if self.trouble:
            raise self.trouble
        return self.known_chats

    async def messages(self, _ip: str, _uid: str, chat: str, limit: int) -> list[Message]:
        if self.trouble:
            raise self.trouble
        self.asked.append((chat, limit))
        return self.known_messages


class Facade:
    """Everything together, and an HTTP client in front."""

    def __init__(self, settings: Settings, patience: Patience) -> None:
        self.time = NOW
        self.store = Store()
        self.store.synced = True
        self.cluster = FakeCluster(self.store)
        self.pods = FakePods()
        changes = Changes(settings, self.store, self.cluster, patience=patience, now=lambda: self.time)
        self.service = Service(settings, self.store, changes, self.pods, now=lambda: self.time, clock=lambda: 0.0)  # type: ignore[arg-type]
        transport = httpx.ASGITransport(create_app(self.service), raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://facade")

    def connected(self, session_id: str = "cliente1", /, **session: object) -> None:
        """A session that is connected to WhatsApp."""
        self.cluster.add(session_id, pod=dict(POD))
        self.cluster.report(session_id, **{"state": "Connected", "number": "573001234567", "name": "Ana", **session})

    def scannable(self, session_id: str = "cliente1", code: str = "2@abc", seconds: int = 20) -> None:
        """A session whose QR code is accepted for another `seconds`."""
        self.cluster.add(session_id, pod=dict(POD))
        self.cluster.report(session_id, state="AwaitingScan", qr={"code": code, "expiresAt": stamp(NOW + timedelta(seconds=seconds))})


MakeFacade = Callable[..., Facade]
