"""Carries actions out, one at a time; writes the status and posts events.

Surprising: each action's answer is taken into the store at once, so the next decision sees it without waiting for the watch.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import assert_never

import structlog

from wasession_contract.v1alpha1 import FINALIZER, Phase, Status, WhatsAppSession
from wasession_operator import judge, resources
from wasession_operator.admission import Admission
from wasession_operator.cluster import Cluster
from wasession_operator.decide import (
    Action,
    AddFinalizer,
    AdjustClaim,
    Cause,
    CreateClaim,
    CreatePod,
    DeleteClaim,
    DeletePod,
    DeleteSession,
    LogOut,
    RemoveFinalizer,
)
from wasession_operator.errors import OperatorError, StaleError
from wasession_operator.memory import Memories
from wasession_operator.metrics import Metrics
from wasession_operator.observed import Logout, Observed
from wasession_operator.resources import Renderer
from wasession_operator.scenarios import EventType
from wasession_operator.store import Store
from wasession_operator.views import Key, Previously
from wasession_operator.workqueue import WorkQueue

log = structlog.get_logger(__name__)
LOGOUTS_AT_A_TIME = 64
POD_BACK_OFF = 10.0  # seconds, doubled with each pod in a row that ended before it was ready; the kubelet's numbers
MAX_POD_BACK_OFF = 300.0
NEW, VANISHED = "new", "vanished"  # causes of a pod that we did not delete before: there was none, or somebody else ended it

LogOutCall = Callable[[str, str], Awaitable[str]]
"""`(pod ip, token)` -> why it failed; empty: done."""


def pod_back_off(finished: int) -> float:
    """Seconds until the next pod, after so many in a row that ended before they were ready; the first is replaced at once."""
    return min(POD_BACK_OFF * 2.0 ** min(finished - 2, 10), MAX_POD_BACK_OFF) if finished > 1 else 0


@dataclass
class Executor:
    """Acts on one session at a time per call."""

    cluster: Cluster
    store: Store
    queue: WorkQueue[Key]
    admission: Admission
    renderer: Renderer
    metrics: Metrics
    memories: Memories
    now: Callable[[], datetime]
    log_out: LogOutCall
    _logouts: set[asyncio.Task[None]] = field(default_factory=set)
    _logout_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOGOUTS_AT_A_TIME))

    async def act(self, key: Key, session: WhatsAppSession, action: Action) -> None:  # noqa: C901  one case an action
        """Carry out one action. Raises RetryableError or TerminalError."""
        cluster, store, finalizers = self.cluster, self.store, session.metadata.finalizers
        match action:
            case AddFinalizer():
                store.sessions.put(await cluster.set_finalizers(session, (*finalizers, FINALIZER)))
            case RemoveFinalizer():
                await cluster.set_finalizers(session, (one for one in finalizers if one != FINALIZER))
                log.info("session deleted")
                await self.refresh_session(key)
            case CreateClaim():
                if (claim := await cluster.create_claim(resources.claim(session))) is not None:
                    store.claims.put(claim)
            case AdjustClaim(uid, size, owned):
                owners = None if owned is None else [resources.owner(session)] if owned else []
                if (claim := await cluster.patch_claim(key, uid, size=size, owners=owners)) is not None:
                    store.claims.put(claim)
            case DeleteClaim(uid):
                await cluster.delete_claim(key, uid)
                await self._refresh_claim(key)
            case CreatePod(template_hash, previously):
                await self._create_pod(session, template_hash, previously)
            case DeletePod(uid, cause):
                await self._delete_pod(key, session, uid, cause)
            case LogOut(ip):
                self._start_logout(key, session, ip)
            case DeleteSession():
                log.info("🧹 Limpiando sesión inactiva: %s", key.name)
                await self.event(session, EventType.NORMAL, "Idle", "not connected for idle.timeoutSeconds, so it is deleted")
                await cluster.delete_session(session)
                await self.refresh_session(key)
            case _:
                assert_never(action)
        self.metrics.actions.labels(type(action).__name__).inc()

    async def _create_pod(self, session: WhatsAppSession, template_hash: str, previously: Previously) -> None:
        memory = self.memories.of(session)
        pod = await self.cluster.create_pod(self.renderer.pod(session, template_hash, previously))
        if pod is None:
            return
        self.store.pods.put(pod)
        cause = memory.pod_deleted_for or (VANISHED if session.status.pod else NEW)
        memory.pod_deleted_for = ""
        self.metrics.pods_created.labels(cause).inc()
        log.info("pod created", cause=cause)

    async def _delete_pod(self, key: Key, session: WhatsAppSession, uid: str, cause: Cause) -> None:
        memory = self.memories.of(session)
        await self.cluster.delete_pod(key, uid)
        memory.pod_deleted_for = cause.value
        self.metrics.pods_deleted.labels(cause.value).inc()
        log.info("pod deleted", cause=cause.value)
        if cause is Cause.FINISHED:
            memory.finished_pods += 1
            memory.pod_not_before = self.now() + timedelta(seconds=pod_back_off(memory.finished_pods))
        await self._refresh_pod(key)

    def _start_logout(self, key: Key, session: WhatsAppSession, ip: str) -> None:
        """In a task of its own: a pod that does not answer must not keep a worker from other sessions."""
        memory = self.memories.of(session)
        memory.logout = Logout.RUNNING

        async def run() -> None:
            try:
                async with self._logout_slots:
                    memory.logout_failure = await self.log_out(ip, self.renderer.token(session))
            except Exception:
                log.exception("logout", namespace=key.namespace, session=key.name)
                memory.logout_failure = "the operator could not ask the session's pod"
            memory.logout = Logout.FAILED if memory.logout_failure else Logout.DONE
            self.queue.add(key)

        task = asyncio.create_task(run(), name=f"logout of {key.namespace}/{key.name}")
        self._logouts.add(task)
        task.add_done_callback(self._logouts.discard)

    async def tell(self, key: Key, session: WhatsAppSession, status: Status) -> None:
        """Write the status; an event tells a transition."""
        before = session.status
        self.store.sessions.put(await self.cluster.apply_status(session, status))
        self.metrics.status_writes.inc()
        if before.phase is not status.phase:
            log.info("phase", phase=status.phase, before=before.phase)
        if status.phase is Phase.SUSPENDED and before.phase is not Phase.SUSPENDED and self._asleep(key):
            log.info("🧹 Limpiando sesión inactiva: %s", key.name)
        if (event := judge.event(before, status)) is not None:
            await self.event(session, *event)

    def _asleep(self, key: Key) -> bool:
        view = self.store.sessions.get(key)
        return view is not None and Observed(view.session).asleep

    async def event(self, session: WhatsAppSession, kind: EventType, reason: str, message: str, *, once: str = "") -> None:
        """An event is a courtesy: nothing fails for want of it. `once`: what it is about; it is told a single time of that."""
        try:
            await self.cluster.post_event(session, kind, reason, message, once)
        except StaleError:
            log.debug("an event is told already", reason=reason)
        except OperatorError as error:
            log.warning("an event could not be posted", reason=reason, because=str(error))

    async def refresh(self, key: Key) -> None:
        """Ask the API server what there is of the session."""
        await self.refresh_session(key)
        await self._refresh_pod(key)
        await self._refresh_claim(key)

    async def refresh_session(self, key: Key) -> None:
        """Ask the API server for the session itself."""
        """What the watch tells of it later is no news any more, so places are given up and taken here too."""
        known, fresh = self.store.sessions.get(key), await self.cluster.session(key)
        if known is not None and (fresh is None or fresh.uid != known.uid):
            self.store.sessions.remove(key, known.uid)
            for following in self.admission.remove(known.uid):
                self.queue.add(following)
        if fresh is not None and self.store.sessions.put(fresh):
            self.admission.add([fresh.session])

    async def _refresh_pod(self, key: Key) -> None:
        known, fresh = self.store.pods.get(key), await self.cluster.pod(key)
        if fresh is not None:
            self.store.pods.put(fresh)
        elif known is not None:
            self.store.pods.remove(key, known.uid)

    async def _refresh_claim(self, key: Key) -> None:
        known, fresh = self.store.claims.get(key), await self.cluster.claim(key)
        if fresh is not None:
            self.store.claims.put(fresh)
        elif known is not None:
            self.store.claims.remove(key, known.uid)
