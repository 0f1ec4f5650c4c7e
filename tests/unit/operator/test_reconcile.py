from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING

import msgspec
import pytest

from wasession_contract.v1alpha1 import SessionState, Status, WhatsAppSession
from wasession_operator import judge
from wasession_operator.admission import Admission
from wasession_operator.binding import Bindings
from wasession_operator.execute import Executor, pod_back_off
from wasession_operator.memory import Memories
from wasession_operator.metrics import Metrics
from wasession_operator.reconcile import NEWS_AFTER_SECONDS, Reconciler
from wasession_operator.rollout import Rollout, Share
from wasession_operator.startup import Starts
from wasession_operator.store import SessionView, Store
from wasession_operator.turns import Turns
from wasession_operator.views import ClaimView, Key, PodView
from wasession_operator.workqueue import WorkQueue

if TYPE_CHECKING:
    from conftest import Build, FakeTimers

pytestmark = pytest.mark.unit


def test_pods_that_end_again_and_again_are_replaced_more_and_more_slowly() -> None:
    assert [pod_back_off(finished) for finished in range(1, 9)] == [0, 10, 20, 40, 80, 160, 300, 300]


class Gone:
    """A cluster in which pod and claim are gone; it counts who asks."""

    def __init__(self, session: WhatsAppSession) -> None:
        self.session_now: WhatsAppSession | None = session
        self.asked = 0

    async def session(self, key: Key) -> SessionView | None:  # noqa: ARG002  there is one
        self.asked += 1
        return SessionView.of(self.session_now) if self.session_now else None

    async def pod(self, key: Key) -> PodView | None:
        pass

    async def claim(self, key: Key) -> ClaimView | None:
        pass

    async def set_finalizers(self, session: WhatsAppSession, finalizers: Iterable[str]) -> SessionView:
        assert list(finalizers) == []
        self.session_now = None
        return SessionView.of(session)


def _executor(
    cluster: Gone, store: Store, queue: WorkQueue[Key], *, admission: Admission, memories: Memories, now: Callable[[], datetime]
) -> Executor:
    return Executor(
        cluster=cluster,  # type: ignore[arg-type]
        store=store,
        queue=queue,
        admission=admission,
        renderer=SimpleNamespace(token=lambda _: "token"),  # type: ignore[arg-type]
        metrics=Metrics(),
        memories=memories,
        now=now,
        log_out=_answered,
    )


async def _answered(ip: str, token: str) -> str:  # noqa: ARG001  a pod that logs out
    return ""


def _reconciler(build: "Build", timers: "FakeTimers", cluster: Gone, store: Store, now: Callable[[], datetime]) -> Reconciler:
    queue: WorkQueue[Key] = WorkQueue(timers.call_later, lambda: 1.0)
    memories, admission = Memories(), Admission(0)
    return Reconciler(
        store=store,
        queue=queue,
        admission=admission,
        turns=Turns(Rollout(Share(1), timedelta(seconds=600)), Starts(0), queue, build.policy.installation_hash),
        policy=build.policy,
        bindings=Bindings(),
        memories=memories,
        executor=_executor(cluster, store, queue, admission=admission, memories=memories, now=now),
        now=now,
    )


async def test_a_session_made_again_at_once_has_the_place_of_the_former_one(build: "Build", timers: "FakeTimers") -> None:
    former, present = build.session(), build.session(uid="s-2", resource_version="9")
    cluster, store, admission = Gone(present), Store(), Admission(1)
    queue: WorkQueue[Key] = WorkQueue(timers.call_later, lambda: 1.0)
    store.sessions.put(SessionView.of(former))
    admission.add([former])
    executor = _executor(cluster, store, queue, admission=admission, memories=Memories(), now=lambda: build.now)
    await executor.refresh(Key("default", "cliente1"))
    assert admission.admits(present)
    assert len(admission) == 1, "the former one's place is free"


async def test_the_end_of_a_claim_that_the_watch_never_told_is_asked_for(build: "Build", timers: "FakeTimers") -> None:
    clock = SimpleNamespace(now=build.now)

    def now() -> datetime:
        return clock.now

    going = build.session(deletion_timestamp=build.now, spec=build.spec(logoutOnDelete=False))
    claim = build.claim(deleting=True)
    session = build.with_status(going, judge.status(build.observed(going, None, claim), build.now))
    cluster, store = Gone(session), Store()
    store.sessions.put(SessionView.of(session))
    store.claims.put(claim)
    reconciler = _reconciler(build, timers, cluster, store, now)
    assert await reconciler.reconcile(claim.key) == NEWS_AFTER_SECONDS
    assert cluster.asked == 0, "not before its time"
    clock.now += timedelta(seconds=NEWS_AFTER_SECONDS)
    assert await reconciler.reconcile(claim.key) is None
    assert cluster.session_now is None, "the finalizer is off"
    assert store.claims.get(claim.key) is None
    assert store.sessions.get(claim.key) is None


class Ahead(Gone):
    """A cluster in which the pod is, though the watch of pods has not told of it."""

    def __init__(self, session: WhatsAppSession, pod: PodView) -> None:
        super().__init__(session)
        self.pod_now = pod

    async def pod(self, key: Key) -> PodView | None:  # noqa: ARG002  there is one
        return self.pod_now

    async def apply_status(self, session: WhatsAppSession, status: Status) -> SessionView:
        assert "LogoutFailed" not in {one.reason for one in status.conditions}
        metadata = msgspec.structs.replace(session.metadata, resource_version=str(int(session.metadata.resource_version) + 1))
        self.session_now = WhatsAppSession(metadata=metadata, spec=session.spec, status=status)
        return SessionView.of(self.session_now)


async def test_the_logout_is_not_given_up_for_a_pod_that_the_watch_has_not_told_of_yet(build: "Build", timers: "FakeTimers") -> None:
    going = build.later(build.reporting(SessionState.CONNECTED), session={"deletion_timestamp": build.now}).session
    cluster, store = Ahead(going, build.pod()), Store()
    store.sessions.put(SessionView.of(going))
    await _reconciler(build, timers, cluster, store, lambda: build.now).reconcile(build.pod().key)
    assert cluster.asked == 1
    assert cluster.session_now
    assert cluster.session_now.metadata.finalizers


class Present(Gone):
    """A cluster whose session is not what was last heard of it; nothing else of it may be touched."""


async def test_a_pod_is_not_ended_for_what_the_session_said_in_the_past(build: "Build", timers: "FakeTimers") -> None:
    past = build.session(spec=build.spec(operatingMode="Suspended"))
    resumed = build.session(spec=build.spec(), generation=2, resource_version="9")
    there = build.observed(resumed, build.pod(), build.claim())
    present = build.with_status(resumed, judge.status(there, build.now))
    cluster, store = Present(present), Store()
    store.sessions.put(SessionView.of(past))
    store.pods.put(build.pod())
    store.claims.put(build.claim())
    reconciler = _reconciler(build, timers, cluster, store, lambda: build.now)
    await reconciler.reconcile(build.pod().key)
    assert cluster.asked == 1
    assert store.pods.get(build.pod().key) == build.pod()


async def test_no_volume_is_made_for_a_session_of_the_past(build: "Build", timers: "FakeTimers") -> None:
    cluster, store = Present(build.session()), Store()
    cluster.session_now = None
    store.sessions.put(SessionView.of(build.session()))
    reconciler = _reconciler(build, timers, cluster, store, lambda: build.now)
    assert await reconciler.reconcile(Key("default", "cliente1")) is None
    assert store.sessions.get(Key("default", "cliente1")) is None
