"""Properties of `decide` over a small model of the API server: any state comes to rest, and some things never happen."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import assert_never

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wasession_contract.v1alpha1 import (
    FINALIZER,
    Idle,
    IdlePolicy,
    LastDisconnect,
    Metadata,
    OperatingMode,
    ReclaimPolicy,
    SessionReport,
    SessionState,
    Spec,
    Status,
    Storage,
    WhatsAppSession,
)
from wasession_operator import judge, resources
from wasession_operator.decide import (
    Action,
    AddFinalizer,
    AdjustClaim,
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
from wasession_operator.observed import Belongs, Logout, Observed, belongs
from wasession_operator.views import ClaimView, Key, PodView, Trouble

pytestmark = pytest.mark.unit

KEY = Key("default", "cliente1")
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
LATER = CREATED + timedelta(days=1)
POLICY = Policy(installation_hash="new")
OWNERS = [("s-1", True), ("s-0", True), (None, True), (None, False), ("x", False)]  # ours, former, kept, foreign, foreign

specs = st.builds(
    Spec,
    operating_mode=st.sampled_from(OperatingMode),
    idle=st.builds(Idle, timeout_seconds=st.just(60), policy=st.sampled_from(IdlePolicy)),
    restarted_at=st.sampled_from([None, CREATED]),
    storage=st.builds(Storage, size=st.sampled_from(["1Gi", "2Gi"]), reclaim_policy=st.sampled_from(ReclaimPolicy)),
    logout_on_delete=st.booleans(),
)
reports = st.none() | st.builds(
    SessionReport,
    pod_uid=st.sampled_from(["p-0", "p-1"]),
    state=st.sampled_from(SessionState),
    reported_at=st.just(CREATED),
    jid=st.sampled_from([None, "1@s.whatsapp.net"]),
    reconnect_attempts=st.integers(0, 6),
    last_disconnect=st.none()
    | st.builds(LastDisconnect, code=st.sampled_from([401, 402, 403, 405, 408, 440]), message=st.just("words"), at=st.just(CREATED)),
)


@st.composite
def pods(draw: st.DrawFn) -> PodView | None:
    if draw(st.booleans()):
        return None
    owner, of_a_session = draw(st.sampled_from([one for one in OWNERS if one != (None, True)]))
    ready = draw(st.booleans())
    return PodView(
        key=KEY,
        uid="p-1",
        version=1,
        owner_uid=owner,
        of_a_session=of_a_session,
        template_hash=draw(
            st.sampled_from([None, "old-x", f"old-{resources.session_hash(Spec())}", f"new-{resources.session_hash(Spec())}"])
        ),
        deleting=draw(st.booleans()) and not ready,
        finished=draw(st.booleans()) and not ready,
        ready=ready,
        ip=draw(st.sampled_from([None, "10.0.0.1"])),
        node=None,
        restarts=0,
        trouble=Trouble.NONE if ready else draw(st.sampled_from(Trouble)),
    )


@st.composite
def claims(draw: st.DrawFn) -> ClaimView | None:
    if draw(st.booleans()):
        return None
    owner, of_a_session = draw(st.sampled_from(OWNERS))
    return ClaimView(
        key=KEY,
        uid="c-1",
        version=1,
        owner_uid=owner,
        of_a_session=of_a_session,
        deleting=draw(st.booleans()),
        size=draw(st.sampled_from(["1Gi", "2Gi", "3Gi"])),
        phase=draw(st.sampled_from(["Pending", "Bound"])),
    )


@st.composite
def worlds(draw: st.DrawFn) -> Observed:
    metadata = Metadata(
        name="cliente1",
        namespace="default",
        uid="s-1",
        generation=3,
        resource_version="1",
        creation_timestamp=CREATED,
        deletion_timestamp=draw(st.sampled_from([None, CREATED])),
        finalizers=draw(st.sampled_from([(), (FINALIZER,), ("somebody/else", FINALIZER)])),
    )
    session = WhatsAppSession(metadata=metadata, spec=draw(specs), status=Status(session=draw(reports)))
    observed = Observed(
        session=session,
        pod=draw(pods()),
        claim=draw(claims()),
        admitted=draw(st.booleans()),
        may_roll=draw(st.booleans()),
        binds_until=draw(st.sampled_from([None, LATER])),
    )
    if draw(st.booleans()):  # a status that was written in some other situation
        past = replace(observed, pod=draw(pods()), session=msgspec.structs.replace(session, status=Status(session=draw(reports))))
        said = judge.status(past, CREATED, put_to_sleep=draw(st.booleans()), logout_failure=draw(st.sampled_from(["", "no answer"])))
        observed = replace(observed, session=_with_status(session, said))
    return observed


def _with_status(session: WhatsAppSession, status: Status) -> WhatsAppSession:
    return msgspec.structs.replace(session, status=msgspec.structs.replace(status, session=session.status.session))


def _with_metadata(session: WhatsAppSession, **fields: object) -> WhatsAppSession:
    return msgspec.structs.replace(session, metadata=msgspec.structs.replace(session.metadata, **fields))


@dataclass
class Model:
    """The API server, as far as one session is concerned. What it is asked to do must make sense."""

    world: Observed
    uids: int = 1
    gone: bool = False
    binds: bool = True
    """Whether a claim binds by itself in the time that is waited for it."""

    def apply(self, action: Action) -> None:
        world, session = self.world, self.world.session
        match action:
            case AddFinalizer():
                self.world = replace(world, session=_with_metadata(session, finalizers=(*session.metadata.finalizers, FINALIZER)))
            case RemoveFinalizer():
                assert belongs(world, world.pod) is not Belongs.OURS, "the session went before its pod"
                left = tuple(one for one in session.metadata.finalizers if one != FINALIZER)
                self.world, self.gone = replace(world, session=_with_metadata(session, finalizers=left)), not left
            case CreateClaim():
                assert world.claim is None
                owner = session.metadata.uid if session.spec.storage.reclaim_policy is ReclaimPolicy.DELETE else None
                self.world = replace(world, claim=ClaimView(KEY, f"c-{self._uid()}", 1, owner, True, False, session.spec.storage.size))
            case AdjustClaim(uid, size, owned):
                assert world.claim
                assert world.claim.uid == uid
                assert belongs(world, world.claim) in {Belongs.OURS, Belongs.KEPT}
                owner = world.claim.owner_uid if owned is None else session.metadata.uid if owned else None
                self.world = replace(world, claim=replace(world.claim, size=size or world.claim.size, owner_uid=owner))
            case DeleteClaim(uid):
                assert session.spec.storage.reclaim_policy is ReclaimPolicy.DELETE, "a claim was deleted under Retain"
                assert session.metadata.deletion_timestamp, "a living session lost its volume"
                assert world.claim
                assert world.claim.uid == uid
                assert belongs(world, world.claim) is Belongs.OURS
                self.world = replace(world, claim=replace(world.claim, deleting=True))
            case CreatePod(template_hash, _):
                assert world.pod is None, "two pods"
                assert world.claim, "a pod without its claim"
                assert FINALIZER in world.session.metadata.finalizers, "a pod without the finalizer"
                assert world.claim.bound or world.binds_until is None, "a pod before its claim was bound"
                pod = PodView(
                    KEY,
                    f"p-{self._uid()}",
                    1,
                    owner_uid="s-1",
                    of_a_session=True,
                    template_hash=template_hash,
                    deleting=False,
                    finished=False,
                    ready=False,
                    ip=None,
                    node=None,
                    restarts=0,
                )
                self.world = replace(world, pod=pod)
            case DeletePod(uid):
                assert world.pod
                assert world.pod.uid == uid
                assert belongs(world, world.pod) is Belongs.OURS
                self.world = replace(world, pod=replace(world.pod, deleting=True, ready=False))
            case LogOut():
                self.world = replace(world, logout=Logout.RUNNING)
            case DeleteSession():
                assert session.spec.idle.policy is IdlePolicy.DELETE
                self.world = replace(world, session=_with_metadata(session, deletion_timestamp=session.metadata.creation_timestamp))
            case _:
                assert_never(action)

    def move(self) -> bool:
        """What happens without the operator: deletions end, logouts end, leftovers are collected. False: nothing does."""
        world = self.world
        if world.claim and world.pod is None and world.binds_until:
            self.world = replace(world, claim=replace(world.claim, phase="Bound" if self.binds else world.claim.phase), binds_until=None)
        elif world.logout is Logout.RUNNING:
            self.world = replace(world, logout=Logout.FAILED, logout_failure="no answer")
        elif world.pod and (world.pod.deleting or belongs(world, world.pod) is Belongs.FORMER):
            self.world = replace(world, pod=None)
        elif (
            world.claim
            and belongs(world, world.pod) is not Belongs.OURS
            and (world.claim.deleting or belongs(world, world.claim) is Belongs.FORMER)
        ):
            self.world = replace(world, claim=None)
        else:
            return False
        return True

    def _uid(self) -> int:
        self.uids += 1
        return self.uids


def _run(model: Model, now: datetime) -> Plan:
    """As the reconciler does: actions, then the status, until nothing is left; then let the world move."""
    for _ in range(40):
        if model.gone:
            return Plan()
        plan = decide(model.world, POLICY, now)
        for action in plan.actions:
            model.apply(action)
        if plan.actions:
            continue
        if plan.status is not None and plan.status != judge.comparable(model.world.session.status):
            model.world = replace(model.world, session=_with_status(model.world.session, plan.status))
            continue
        if not model.move():
            return plan
    raise AssertionError(f"no rest: {decide(model.world, POLICY, now).actions}")


@settings(max_examples=300, deadline=None)
@given(worlds(), st.integers(0, 300), st.booleans())
def test_any_state_comes_to_rest_and_nothing_forbidden_happens(world: Observed, seconds: int, binds: bool) -> None:  # noqa: FBT001  drawn
    spec, now = world.session.spec, CREATED + timedelta(seconds=seconds)
    model = Model(world, binds=binds)
    plan = _run(model, now)
    if not model.gone:
        assert decide(model.world, POLICY, now) == plan
        assert decide(model.world, POLICY, now).actions == ()
    assert model.world.session.spec == spec


@settings(max_examples=150, deadline=None)
@given(worlds(), st.booleans())
def test_at_rest_the_children_are_what_the_spec_says(world: Observed, binds: bool) -> None:  # noqa: FBT001  drawn
    model = Model(replace(world, may_roll=True), binds=binds)
    _run(model, CREATED)
    world = model.world
    if model.gone or world.session.metadata.deletion_timestamp or world.name_taken:
        return
    wanted_hash = f"new-{resources.session_hash(world.session.spec)}"
    assert (world.pod is not None) == world.wanted
    assert world.pod is None or world.pod.template_hash == wanted_hash
    if world.wanted:
        assert world.claim
        if world.claim.deleting or belongs(world, world.claim) is Belongs.FORMER:
            return  # somebody deleted it; it stays as long as the pod does
        assert (belongs(world, world.claim) is Belongs.OURS) == (world.session.spec.storage.reclaim_policy is ReclaimPolicy.DELETE)
        assert resources.size_in_bytes(world.claim.size) >= resources.size_in_bytes(world.session.spec.storage.size)


@settings(max_examples=150, deadline=None)
@given(worlds())
def test_a_deleted_session_always_goes_and_leaves_only_what_is_to_stay(world: Observed) -> None:
    session = _with_metadata(world.session, deletion_timestamp=CREATED, finalizers=(FINALIZER,))
    kept_before = world.claim is not None and belongs(world, world.claim) in {Belongs.OURS, Belongs.KEPT} and not world.claim.deleting
    model = Model(replace(world, session=session))
    _run(model, CREATED + timedelta(seconds=30))
    assert model.gone
    assert belongs(model.world, model.world.pod) is not Belongs.OURS
    assert belongs(model.world, model.world.claim) is not Belongs.OURS
    if kept_before and session.spec.storage.reclaim_policy is ReclaimPolicy.RETAIN:
        assert model.world.claim is not None
