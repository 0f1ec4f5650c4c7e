"""Brings one session to rest: observe, decide, act, until there is nothing left to do; then the status, if it changed.

Surprising: a write that contradicts what was believed (name taken, other uid, gone) makes it look again instead of failing.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from wasession_contract.v1alpha1 import FINALIZER, WhatsAppSession
from wasession_operator import judge
from wasession_operator.admission import Admission
from wasession_operator.binding import Bindings
from wasession_operator.decide import AddFinalizer, Cause, CreateClaim, DeletePod, Plan, Policy, decide
from wasession_operator.errors import RetryableError, StaleError, TerminalError
from wasession_operator.execute import Executor
from wasession_operator.memory import Memories, Memory
from wasession_operator.observed import Observed
from wasession_operator.scenarios import EventType
from wasession_operator.store import Store
from wasession_operator.turns import Turns
from wasession_operator.views import ClaimView, Key, PodView
from wasession_operator.workqueue import WorkQueue

log = structlog.get_logger(__name__)
ROUNDS = 12  # the longest way from one state to rest is five
DISPLACED_SECONDS = (
    20.0  # for a running session to lose its place; the second list after a start is made before, should the first show a past
)
NEWS_AFTER_SECONDS = 5.0  # what is being deleted is asked after in such steps, should the watch not tell


def _news_after(observed: Observed) -> float | None:
    """Seconds after which to ask, if something is being deleted."""
    going = (observed.pod and observed.pod.deleting) or (observed.claim and observed.claim.deleting)
    return NEWS_AFTER_SECONDS if going else None


def _ends_without_a_pod(observed: Observed) -> bool:
    """Whether a session that is being deleted has, as far as was heard, no pod to log out with, or neither pod nor claim.

    What follows from that cannot be taken back: the logout is given up, the finalizer goes. And the watch of pods may lag
    behind that of sessions, so the API server is asked.
    """
    meta = observed.session.metadata
    ends = meta.deletion_timestamp is not None and FINALIZER in meta.finalizers
    return ends and observed.pod is None and (observed.claim is None or observed.owes_logout)


def _rests_on_the_session_alone(plan: Plan) -> bool:
    """Whether the plan ends a pod or makes a volume for no other reason than what the session was last heard to say.

    An operator that starts on a past of the sessions may know pods of the present; one request makes sure. A new session needs
    none, because its finalizer is refused where it is not as it was believed to be.
    """
    makes_sure = any(isinstance(action, AddFinalizer) for action in plan.actions)
    return not makes_sure and any(
        isinstance(action, CreateClaim) or (isinstance(action, DeletePod) and action.cause in {Cause.UNWANTED, Cause.SPEC_CHANGED})
        for action in plan.actions
    )


@dataclass
class Reconciler:
    """Works on one session at a time per call; the queue sees to it that no session is worked on twice at once."""

    store: Store
    queue: WorkQueue[Key]
    admission: Admission
    turns: Turns
    policy: Policy
    bindings: Bindings
    memories: Memories
    executor: Executor
    now: Callable[[], datetime]

    async def reconcile(self, key: Key) -> float | None:
        """Bring the session `key` to rest. Returns in how many seconds to look again without an event.

        Raises RetryableError or TerminalError; both are to be tried again later.
        """
        sure = False
        for attempt in range(ROUNDS):
            view = self.store.sessions.get(key)
            if view is None:
                self._forget(key)
                return None
            observed = self._observe(key, view.session)
            if observed.name_taken and attempt == 0:  # what does not carry our label is not watched
                await self.executor.refresh(key)
                continue
            if attempt == 0 and (_ends_without_a_pod(observed) or self._wants_news(observed)):
                await self.executor.refresh(key)
                continue
            plan = decide(observed, self.policy, self.now())
            if not sure and _rests_on_the_session_alone(plan):
                sure = True
                await self.executor.refresh_session(key)
                continue
            await self._tell_of_rollout(key, observed)
            try:
                if plan.actions:
                    await self._act(key, observed.session, plan)
                elif plan.status is None or plan.status == judge.comparable(view.session.status):
                    waits = (plan.again_after, _news_after(observed), self.turns.due(key, self.now()))
                    return min((seconds for seconds in waits if seconds is not None), default=None)
                else:
                    await self.executor.tell(key, observed.session, plan.status)
            except StaleError as error:
                log.info("what was believed is out of date, looking again", because=str(error))
                await self.executor.refresh(key)
        raise RetryableError(f"not at rest after {ROUNDS} rounds")

    def survey(self) -> None:
        """Take in all sessions at once, so that no worker gives out a turn before it is known who is away."""
        self.turns.survey((self._read(view.key, view.session) for view in self.store.sessions), self.now())

    def _observe(self, key: Key, session: WhatsAppSession) -> Observed:
        return self.turns.look(key, self._read(key, session), self.now())

    def _read(self, key: Key, session: WhatsAppSession) -> Observed:
        memory = self.memories.of(session)
        pod, claim = self.store.pods.get(key), self.store.claims.get(key)
        if pod and pod.ready:
            memory.finished_pods, memory.pod_not_before = 0, None
        admitted, id_taken_by = self.admission.admits(session), self.admission.ids.taken_by(session)
        return Observed(
            session=session,
            pod=pod,
            claim=claim,
            admitted=admitted,
            id_taken_by=id_taken_by,
            pod_not_before=memory.pod_not_before,
            keeps_pod_until=self._keeps_pod_until(memory, pod, displaced=not admitted or bool(id_taken_by)),
            binds_until=self._binds_until(memory, pod, claim),
            logout=memory.logout,
            logout_failure=memory.logout_failure,
            refusal=memory.refusal,
        )

    def _keeps_pod_until(self, memory: Memory, pod: PodView | None, *, displaced: bool) -> datetime | None:
        if pod is None or not displaced:
            memory.displaced_since = None
            return None
        memory.displaced_since = memory.displaced_since or self.now()
        return memory.displaced_since + timedelta(seconds=DISPLACED_SECONDS)

    def _binds_until(self, memory: Memory, pod: PodView | None, claim: ClaimView | None) -> datetime | None:
        if claim is not None:
            self.bindings.learn(claim)
        if pod is not None or claim is None or claim.bound:
            memory.claim_since = None
            return None
        now = self.now()
        if memory.claim_since is None or memory.claim_since[0] != claim.uid:
            memory.claim_since = claim.uid, now
        return self.bindings.until(claim, memory.claim_since[1], now)

    def _wants_news(self, observed: Observed) -> bool:
        """Whether to ask after what is being deleted: the end of an object is told once, and that one event may be lost."""
        memory, now = self.memories.of(observed.session), self.now()
        if _news_after(observed) is None:
            memory.going_since = None
            return False
        if memory.going_since is None or now < memory.going_since + timedelta(seconds=NEWS_AFTER_SECONDS):
            memory.going_since = memory.going_since or now
            return False
        memory.going_since = now
        return True

    def _forget(self, key: Key) -> None:
        self.memories.forget(key)
        self.queue.forget(key)
        self.turns.forget(key)

    async def _tell_of_rollout(self, key: Key, observed: Observed) -> None:
        if words := self.turns.news(key):
            what = observed.pod.uid if observed.pod else observed.session.metadata.uid
            once = f"rollout-stopped.{self.policy.installation_hash[:8]}.{what}"
            await self.executor.event(observed.session, EventType.WARNING, "RolloutStopped", words, once=once)

    async def _act(self, key: Key, session: WhatsAppSession, plan: Plan) -> None:
        memory = self.memories.of(session)
        try:
            for action in plan.actions:
                await self.executor.act(key, session, action)
        except TerminalError as error:
            if memory.refusal != str(error):
                memory.refusal = str(error)
                await self.executor.event(session, EventType.WARNING, "Refused", str(error))
            told = decide(self._observe(key, session), self.policy, self.now()).status
            if told is not None and told != judge.comparable(session.status):
                await self.executor.tell(key, session, told)
            raise
        memory.refusal = ""
