"""Carries plans out: observe, decide, act, until there is nothing left to do; then the status, if it changed.

Surprising: each action's answer is taken into the store at once, so the next round sees it without waiting for the watch,
and a write that contradicts what was believed (name taken, other uid, gone) makes it look again instead of failing.
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
    Plan,
    Policy,
    RemoveFinalizer,
    decide,
)
from wasession_operator.errors import OperatorError, RetryableError, StaleError, TerminalError
from wasession_operator.metrics import Metrics
from wasession_operator.observed import Logout, Observed
from wasession_operator.resources import Renderer
from wasession_operator.rollout import Rollout
from wasession_operator.scenarios import EventType
from wasession_operator.store import Store
from wasession_operator.views import Key, PodView
from wasession_operator.workqueue import WorkQueue

log = structlog.get_logger(__name__)
ROUNDS = 12  # the longest way from one state to rest is five
LOGOUTS_AT_A_TIME = 64
NEWS_AFTER_SECONDS = 5.0  # what is being deleted is asked after in such steps, should the watch not tell
POD_BACK_OFF = 10.0  # seconds, doubled with each pod in a row that ended before it was ready; the kubelet's numbers
MAX_POD_BACK_OFF = 300.0

LogOutCall = Callable[[str, str], Awaitable[str]]
"""`(pod ip, token)` -> why it failed; empty: done."""


def pod_back_off(finished: int) -> float:
    """Seconds until the next pod, after so many in a row that ended before they were ready; the first is replaced at once."""
    return min(POD_BACK_OFF * 2.0 ** min(finished - 2, 10), MAX_POD_BACK_OFF) if finished > 1 else 0


def _news_after(observed: Observed) -> float | None:
    """Seconds after which to ask, if something is being deleted."""
    going = (observed.pod and observed.pod.deleting) or (observed.claim and observed.claim.deleting)
    return NEWS_AFTER_SECONDS if going else None


@dataclass
class _Memory:
    """What this process remembers of one session; all of it may be lost."""

    uid: str
    logout: Logout = Logout.NOT_TRIED
    logout_failure: str = ""
    refusal: str = ""
    finished_pods: int = 0
    going_since: datetime | None = None
    """Since when a pod or claim is being deleted without news of it."""
    pod_not_before: datetime | None = None


@dataclass
class Reconciler:
    """Works on one session at a time per call; the queue sees to it that no session is worked on twice at once."""

    cluster: Cluster
    store: Store
    queue: WorkQueue[Key]
    admission: Admission
    rollout: Rollout
    renderer: Renderer
    policy: Policy
    metrics: Metrics
    now: Callable[[], datetime]
    log_out: LogOutCall
    _memories: dict[Key, _Memory] = field(default_factory=dict)
    _logouts: set[asyncio.Task[None]] = field(default_factory=set)
    _logout_slots: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LOGOUTS_AT_A_TIME))

    async def reconcile(self, key: Key) -> float | None:
        """Bring the session `key` to rest. Returns in how many seconds to look again without an event.

        Raises RetryableError or TerminalError; both are to be tried again later.
        """
        for attempt in range(ROUNDS):
            view = self.store.sessions.get(key)
            if view is None:
                self._forget(key)
                return None
            observed = self._observe(key, view.session)
            if observed.name_taken and attempt == 0:  # what does not carry our label is not watched
                await self._refresh(key)
                continue
            if attempt == 0 and self._wants_news(key, observed):
                await self._refresh(key)
                continue
            plan = decide(observed, self.policy, self.now())
            self._take_turn(key, observed, plan)
            try:
                if plan.actions:
                    await self._act(key, observed.session, plan)
                elif plan.status is None or plan.status == judge.comparable(view.session.status):
                    return min((seconds for seconds in (plan.again_after, _news_after(observed)) if seconds is not None), default=None)
                else:
                    await self._tell(key, observed.session, plan.status)
            except StaleError as error:
                log.info("what was believed is out of date, looking again", because=str(error))
                await self._refresh(key)
        raise RetryableError(f"not at rest after {ROUNDS} rounds")

    def _observe(self, key: Key, session: WhatsAppSession) -> Observed:
        memory = self._memory(key, session)
        pod = self.store.pods.get(key)
        if pod and pod.ready:
            memory.finished_pods, memory.pod_not_before = 0, None
        return Observed(
            session=session,
            pod=pod,
            claim=self.store.claims.get(key),
            admitted=self.admission.admits(session),
            may_roll=self.rollout.may_roll(key),
            pod_not_before=memory.pod_not_before,
            logout=memory.logout,
            logout_failure=memory.logout_failure,
            refusal=memory.refusal,
        )

    def _wants_news(self, key: Key, observed: Observed) -> bool:
        """Whether to ask after what is being deleted: the end of an object is told once, and that one event may be lost."""
        memory, now = self._memory(key, observed.session), self.now()
        if _news_after(observed) is None:
            memory.going_since = None
            return False
        if memory.going_since is None or now < memory.going_since + timedelta(seconds=NEWS_AFTER_SECONDS):
            memory.going_since = memory.going_since or now
            return False
        memory.going_since = now
        return True

    def _memory(self, key: Key, session: WhatsAppSession) -> _Memory:
        memory = self._memories.get(key)
        if memory is None or memory.uid != session.metadata.uid:
            memory = self._memories[key] = _Memory(session.metadata.uid)
        return memory

    def _forget(self, key: Key) -> None:
        self._memories.pop(key, None)
        self.queue.forget(key)
        self._finish_turn(key)

    def _take_turn(self, key: Key, observed: Observed, plan: Plan) -> None:
        """At once with the decision, before anything is awaited: two sessions must not get the same turn."""
        pod: PodView | None = observed.pod
        if plan.waits_for_rollout:
            self.rollout.wait(key)
        elif any(isinstance(action, DeletePod) and action.cause is Cause.ROLLOUT for action in plan.actions):
            if pod and pod.ready:
                self.rollout.take(key)
        elif not observed.wanted or (pod and pod.ready):
            self._finish_turn(key)

    def _finish_turn(self, key: Key) -> None:
        if (following := self.rollout.finish(key)) is not None:
            self.queue.add(following)

    async def _act(self, key: Key, session: WhatsAppSession, plan: Plan) -> None:
        memory = self._memory(key, session)
        try:
            for action in plan.actions:
                await self._carry_out(key, session, action)
                self.metrics.actions.labels(type(action).__name__).inc()
        except TerminalError as error:
            if memory.refusal != str(error):
                memory.refusal = str(error)
                await self._event(session, EventType.WARNING, "Refused", str(error))
            told = decide(self._observe(key, session), self.policy, self.now()).status
            if told is not None and told != judge.comparable(session.status):
                await self._tell(key, session, told)
            raise
        memory.refusal = ""

    async def _carry_out(self, key: Key, session: WhatsAppSession, action: Action) -> None:  # noqa: C901, PLR0912  one case an action
        cluster, store, finalizers = self.cluster, self.store, session.metadata.finalizers
        match action:
            case AddFinalizer():
                store.sessions.put(await cluster.set_finalizers(session, (*finalizers, FINALIZER)))
            case RemoveFinalizer():
                await cluster.set_finalizers(session, (one for one in finalizers if one != FINALIZER))
                log.info("session deleted")
                await self._refresh_session(key)
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
            case CreatePod(template_hash):
                if (pod := await cluster.create_pod(self.renderer.pod(session, template_hash))) is not None:
                    store.pods.put(pod)
                    log.info("pod created")
            case DeletePod(uid, cause):
                await self._delete_pod(key, session, uid, cause)
            case LogOut(ip):
                self._start_logout(key, session, ip)
            case DeleteSession():
                log.info("🧹 Limpiando sesión inactiva: %s", key.name)
                await self._event(session, EventType.NORMAL, "Idle", "not connected for idle.timeoutSeconds, so it is deleted")
                await cluster.delete_session(session)
                await self._refresh_session(key)
            case _:
                assert_never(action)

    async def _delete_pod(self, key: Key, session: WhatsAppSession, uid: str, cause: Cause) -> None:
        memory = self._memory(key, session)
        await self.cluster.delete_pod(key, uid)
        log.info("pod deleted", cause=cause.value)
        if cause is Cause.FINISHED:
            memory.finished_pods += 1
            memory.pod_not_before = self.now() + timedelta(seconds=pod_back_off(memory.finished_pods))
        await self._refresh_pod(key)

    def _start_logout(self, key: Key, session: WhatsAppSession, ip: str) -> None:
        """In a task of its own: a pod that does not answer must not keep a worker from other sessions."""
        memory = self._memory(key, session)
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

    async def _tell(self, key: Key, session: WhatsAppSession, status: Status) -> None:
        before = session.status
        self.store.sessions.put(await self.cluster.apply_status(session, status))
        self.metrics.status_writes.inc()
        if before.phase is not status.phase:
            log.info("phase", phase=status.phase, before=before.phase)
        if status.phase is Phase.SUSPENDED and before.phase is not Phase.SUSPENDED and self._observe_asleep(key):
            log.info("🧹 Limpiando sesión inactiva: %s", key.name)
        if (event := judge.event(before, status)) is not None:
            await self._event(session, *event)

    def _observe_asleep(self, key: Key) -> bool:
        view = self.store.sessions.get(key)
        return view is not None and Observed(view.session).asleep

    async def _event(self, session: WhatsAppSession, kind: EventType, reason: str, message: str) -> None:
        """An event is a courtesy: nothing fails for want of it."""
        try:
            await self.cluster.post_event(session, kind, reason, message)
        except OperatorError as error:
            log.warning("an event could not be posted", reason=reason, because=str(error))

    async def _refresh(self, key: Key) -> None:
        await self._refresh_session(key)
        await self._refresh_pod(key)
        await self._refresh_claim(key)

    async def _refresh_session(self, key: Key) -> None:
        known, fresh = self.store.sessions.get(key), await self.cluster.session(key)
        if fresh is not None:
            self.store.sessions.put(fresh)
        elif known is not None:
            self.store.sessions.remove(key, known.uid)
            for following in self.admission.remove(known.uid):
                self.queue.add(following)

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
