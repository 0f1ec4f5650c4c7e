"""The calls that change nothing in Kubernetes: reads from the watch cache, and calls to session pods."""

import logging
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

from wasession_api import memory, presenter
from wasession_api.changes import Changes
from wasession_api.errors import PodError
from wasession_api.pods import Pods
from wasession_api.presenter import Answer
from wasession_api.settings import Settings
from wasession_api.store import Entry, Store
from wasession_api.texts import Case, Doing
from wasession_contract.podwire import ErrorCode, SendRequest

log = logging.getLogger(__name__)
AskPod = Callable[[str, str], Awaitable[Answer]]
"""`(pod ip, session uid)` -> the answer; raises PodError."""


class Service:
    """The documented calls in front of one namespace; one instance per process. A session of the wire is an object."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        changes: Changes,
        pods: Pods,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.settings = settings
        self.store = store
        self.changes = changes
        self._pods = pods
        self._now = now
        self._clock = clock
        self._started = clock()

    async def qr(self, session_id: str) -> Answer:
        """`GET /sessions/:id/qr`."""
        self.store.need_synced()
        entry = await self.store.drawn(session_id, self._now())
        if entry is None:
            return presenter.say(Case.QR_UNKNOWN, id=session_id)
        return presenter.qr(entry.session, entry.qr, entry.image)

    async def status(self, session_id: str) -> Answer:
        """`GET /sessions/:id/status`."""
        self.store.need_synced()
        entry = await self.store.drawn(session_id, self._now())
        if entry is None:
            return presenter.say(Case.STATUS_UNKNOWN)
        return presenter.session_status(session_id, entry.status)

    async def list(self) -> Answer:
        """`GET /sessions`."""
        self.store.need_synced()
        return presenter.sessions([entry.item for entry in await self.store.all(self._now())])

    async def send(self, session_id: str, request: SendRequest, idempotency_key: str | None = None) -> Answer:
        """`POST /sessions/:id/send`: straight to the pod, Kubernetes is not asked."""
        self.store.need_synced()
        entry = self.store.get(session_id)
        if entry is None:
            return presenter.say(Case.SEND_UNKNOWN, id=session_id)
        ip = _address(entry)
        if ip is None:
            return presenter.say(Case.SEND_NOT_CONNECTED, id=session_id)
        try:
            await self._pods.send(ip, entry.session.metadata.uid, request, idempotency_key)
        except PodError as error:
            log.warning("❌ [%s] Error enviando mensaje: %s", session_id, error.cause)
            return presenter.failed(Doing.SEND, _pod_details(session_id, error))
        log.info("📤 [%s] Mensaje enviado", session_id)
        return presenter.say(Case.SENT, id=session_id)

    async def chats(self, session_id: str) -> Answer:
        """`GET /sessions/:id/chats`."""

        async def ask(ip: str, uid: str) -> Answer:
            return presenter.chats(session_id, await self._pods.chats(ip, uid))

        return await self._read_from_pod(session_id, ask, Doing.CHATS, unknown=Case.CHATS_UNKNOWN, not_connected=Case.CHATS_NOT_CONNECTED)

    async def messages(self, session_id: str, chat_id: str, limit: int) -> Answer:
        """`GET /sessions/:id/chats/:chatId/messages`."""

        async def ask(ip: str, uid: str) -> Answer:
            return presenter.messages(session_id, chat_id, await self._pods.messages(ip, uid, chat_id, limit))

        return await self._read_from_pod(
            session_id, ask, Doing.MESSAGES, unknown=Case.MESSAGES_UNKNOWN, not_connected=Case.MESSAGES_NOT_CONNECTED
        )

    async def _read_from_pod(self, session_id: str, ask: AskPod, doing: Doing, *, unknown: Case, not_connected: Case) -> Answer:
        """What the pod of a connected session answers, or why it cannot be asked."""
        self.store.need_synced()
        entry = self.store.get(session_id)
        if entry is None:
            return presenter.say(unknown)
        ip = _address(entry)
        if ip is None:
            return presenter.say(not_connected)
        try:
            return await ask(ip, entry.session.metadata.uid)
        except PodError as error:
            if error.code is ErrorCode.NOT_CONNECTED:
                return presenter.say(not_connected)
            return presenter.failed(doing, _pod_details(session_id, error))

    def health(self) -> Answer:
        """`GET /health`."""
        self.store.need_synced()
        now = self._now()
        return presenter.health(now, self.store.totals(now, self.settings.max_sessions), memory.usage(), self._uptime())

    def server_status(self) -> Answer:
        """`GET /status`."""
        self.store.need_synced()
        totals = self.store.totals(self._now(), self.settings.max_sessions)
        return presenter.server_status(totals, memory.usage(), self._uptime())

    def _uptime(self) -> float:
        return round(self._clock() - self._started, 3)


def _address(entry: Entry) -> str | None:
    """Where a connected session's pod is; None if the session is not connected (which includes: another pod reported it)."""
    pod = entry.session.status.pod
    return pod.ip if entry.connected and pod is not None else None


def _pod_details(session_id: str, error: PodError) -> str:
    return str(error) if error.code is None else presenter.pod_failure(session_id, error.code, str(error))
