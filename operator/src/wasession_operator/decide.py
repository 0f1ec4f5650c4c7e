"""What to do for one session: `decide(observed, policy, now)` gives a plan. Pure; all the rules live here and in `judge`.

No clock, no I/O, no memory: what was tried before (a logout, a finished pod) is part of what is observed. Surprising:
the plan's status is only worth writing when the plan has no actions, because each action changes what is observed.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from wasession_contract.conditions import ConditionType
from wasession_contract.v1alpha1 import FINALIZER, ConditionStatus, IdlePolicy, ReclaimPolicy, SessionState, Status
from wasession_operator import judge, resources
from wasession_operator.observed import Belongs, Logout, Observed, belongs, condition
from wasession_operator.standing import previously
from wasession_operator.views import Previously

TAKEN_LOOK_AGAIN = 30.0  # seconds; a foreign object without our label is not watched,
TAKEN_AND_GOING_LOOK_AGAIN = 1.0  # nor is its end


@dataclass(frozen=True)
class Policy:
    """The installation's part of the decision."""

    installation_hash: str
    cleanup_interval: float = 300
    """Seconds between two looks at a session that may have become idle."""
    logout_wait: float = 10
    """Seconds after deletion within which a paired session's pod has to serve, so that it can be asked to log out."""


class Cause(Enum):
    """Why a pod is deleted."""

    UNWANTED = "unwanted"
    FINISHED = "finished"
    SPEC_CHANGED = "spec-changed"
    ROLLOUT = "rollout"
    TERMINATING = "terminating"


@dataclass(frozen=True)
class AddFinalizer:
    """Nothing else exists before this."""


@dataclass(frozen=True)
class RemoveFinalizer:
    """Nothing else exists after this."""


@dataclass(frozen=True)
class CreateClaim:
    """The volume's claim. The pod comes in a later round: only the claim that was made tells its storage class."""


@dataclass(frozen=True)
class AdjustClaim:
    """Let the claim `uid` grow to `size`, and be owned by the session or by nobody (Retain). None: leave it."""

    uid: str
    size: str | None = None
    owned: bool | None = None


@dataclass(frozen=True)
class DeleteClaim:
    """The claim `uid` and no other of its name."""

    uid: str


@dataclass(frozen=True)
class CreatePod:
    """A pod of this template hash, which remembers what the session was before."""

    template_hash: str
    previously: Previously = Previously.NOTHING


@dataclass(frozen=True)
class DeletePod:
    """The pod `uid` and no other of its name."""

    uid: str
    cause: Cause


@dataclass(frozen=True)
class LogOut:
    """Ask the pod at `ip` to unlink the device."""

    ip: str


@dataclass(frozen=True)
class DeleteSession:
    """The idle session itself."""


Action = AddFinalizer | RemoveFinalizer | CreateClaim | AdjustClaim | DeleteClaim | CreatePod | DeletePod | LogOut | DeleteSession


@dataclass(frozen=True)
class Plan:
    """Actions in their order; the status to show (None: leave it); seconds after which to look again without an event."""

    actions: tuple[Action, ...] = ()
    status: Status | None = None
    again_after: float | None = None


def decide(observed: Observed, policy: Policy, now: datetime) -> Plan:
    """The plan for one session."""
    if observed.session.metadata.deletion_timestamp is not None:
        return _terminate(observed, policy, now)
    if not observed.wanted:
        return _without_pod(observed, now)
    idle_for = _seconds_until_idle(observed, now)
    if idle_for is not None and idle_for <= 0:
        return _idle(observed, now)
    plan = _with_pod(observed, policy, now)
    if idle_for is not None and plan.again_after is None:
        looks = math.ceil(idle_for / policy.cleanup_interval)
        plan = Plan(plan.actions, plan.status, looks * policy.cleanup_interval)
    return plan


def _without_pod(observed: Observed, now: datetime) -> Plan:
    """Not admitted, or suspended: the volume stays."""
    actions = _finalizer(observed)
    if observed.pod and belongs(observed, observed.pod) is Belongs.OURS and not observed.pod.deleting:
        if not observed.suspended and (wait := _seconds_until(observed.keeps_pod_until, now)):
            return Plan((), None, wait)
        actions.append(DeletePod(observed.pod.uid, Cause.UNWANTED))
    return Plan((*actions, *_adjust_claim(observed)), judge.status(observed, now))


def _with_pod(observed: Observed, policy: Policy, now: datetime) -> Plan:
    status = judge.status(observed, now)
    if observed.name_taken:
        going = any(one.deleting for one in (observed.pod, observed.claim) if one)
        return Plan((), status, TAKEN_AND_GOING_LOOK_AGAIN if going else TAKEN_LOOK_AGAIN)
    actions = _finalizer(observed)
    if observed.claim is None:
        actions.append(CreateClaim())
    if (binding := _seconds_until(observed.binds_until, now)) and observed.pod is None and observed.claim:
        return Plan(tuple(actions), None, binding)  # its end is an event; so short a wait is not worth a write of the status
    waits = [observed.starts_at, observed.pod_not_before if observed.pod is None else None]
    wait = max((seconds for moment in waits if (seconds := _seconds_until(moment, now)) is not None), default=None)
    if observed.pod is not None or (wait is None and observed.claim is not None and not _claim_is_going(observed)):
        actions += _pod(observed, policy)
    return Plan((*actions, *_adjust_claim(observed)), status, wait)


def _pod(observed: Observed, policy: Policy) -> list[Action]:
    """What to do about the pod."""
    pod = observed.pod
    of_session = resources.session_hash(observed.session.spec)
    if pod is None:
        return [CreatePod(f"{policy.installation_hash}-{of_session}", previously(observed.session))]
    if pod.deleting or belongs(observed, pod) is not Belongs.OURS:
        return []
    if pod.finished:
        return [DeletePod(pod.uid, Cause.FINISHED)]
    old_installation, _, old_session = (pod.template_hash or "").partition("-")
    if old_session != of_session:
        return [DeletePod(pod.uid, Cause.SPEC_CHANGED)]
    outdated = old_installation != policy.installation_hash
    return [DeletePod(pod.uid, Cause.ROLLOUT)] if outdated and observed.may_roll else []


def _claim_is_going(observed: Observed) -> bool:
    """A new pod would only wait for it; its end is an event."""
    claim = observed.claim
    return claim is not None and (claim.deleting or belongs(observed, claim) is Belongs.FORMER)


def _finalizer(observed: Observed) -> list[Action]:
    return [] if FINALIZER in observed.session.metadata.finalizers else [AddFinalizer()]


def _adjust_claim(observed: Observed) -> list[Action]:
    """Last of all actions: a volume that cannot grow must not keep a session down."""
    claim, storage = observed.claim, observed.session.spec.storage
    if claim is None or claim.deleting or (whose := belongs(observed, claim)) not in {Belongs.OURS, Belongs.KEPT}:
        return []
    grows = resources.size_in_bytes(claim.size) < resources.size_in_bytes(storage.size)
    owned = storage.reclaim_policy is ReclaimPolicy.DELETE
    change = AdjustClaim(claim.uid, size=storage.size if grows else None, owned=owned if owned != (whose is Belongs.OURS) else None)
    return [] if change == AdjustClaim(claim.uid) else [change]


def _seconds_until(moment: datetime | None, now: datetime) -> float | None:
    return (moment - now).total_seconds() if moment and moment > now else None


def _seconds_until_idle(observed: Observed, now: datetime) -> float | None:
    """Seconds until the idle policy acts; None where it never will from this state.

    Idle means: the pod serves and the account is not connected. A pod in trouble is for a person to look at, and a session
    that waits for its place or its pod has not had its chance. The time runs from the last sign of life.
    """
    session, report = observed.session, observed.report
    if session.spec.idle.policy is IdlePolicy.KEEP or not (observed.pod and observed.pod.ready and report):
        return None
    connected = condition(session, ConditionType.CONNECTED)
    pod_ready = condition(session, ConditionType.POD_READY)
    if connected is None or connected.status is ConditionStatus.TRUE or pod_ready is None or pod_ready.status is not ConditionStatus.TRUE:
        return None
    if report.state is SessionState.CONNECTED:
        return None
    signs = (session.metadata.creation_timestamp, connected.last_transition_time, pod_ready.last_transition_time, report.last_activity)
    since = max(moment for moment in signs if moment is not None)
    return (since + timedelta(seconds=session.spec.idle.timeout_seconds) - now).total_seconds()


def _idle(observed: Observed, now: datetime) -> Plan:
    """Suspend is only said here; the pod goes in the next round, when the status remembers it."""
    if observed.session.spec.idle.policy is IdlePolicy.DELETE:
        return Plan((DeleteSession(),))
    return Plan((), judge.status(observed, now, put_to_sleep=True))


def _terminate(observed: Observed, policy: Policy, now: datetime) -> Plan:
    session, pod, claim = observed.session, observed.pod, observed.claim
    if FINALIZER not in session.metadata.finalizers:
        return Plan()
    if observed.owes_logout:
        return _log_out(observed, policy, now)
    if observed.logout_is_to_be_said:  # before the pod goes, else the next operator would take the device for linked
        return Plan((), judge.status(observed, now))
    actions: list[Action] = []
    our_pod = pod if belongs(observed, pod) is Belongs.OURS else None
    if our_pod and not our_pod.deleting:
        actions.append(DeletePod(our_pod.uid, Cause.TERMINATING))
    our_claim = claim if belongs(observed, claim) is Belongs.OURS else None
    if our_claim and session.spec.storage.reclaim_policy is ReclaimPolicy.RETAIN:
        actions.append(AdjustClaim(our_claim.uid, owned=False))
    elif our_claim and not our_claim.deleting:
        actions.append(DeleteClaim(our_claim.uid))
    if our_pod is None and our_claim is None:
        actions.append(RemoveFinalizer())
    return Plan(tuple(actions), judge.status(observed, now))


def _log_out(observed: Observed, policy: Policy, now: datetime) -> Plan:
    """A failure is said before anything else is done, so that it stays said if this operator ends here."""
    if observed.logout is Logout.FAILED:
        return Plan((), judge.status(observed, now, logout_failure=observed.logout_failure))
    status = judge.status(observed, now)
    if observed.logout is Logout.RUNNING:
        return Plan((), status)
    pod = observed.pod if belongs(observed, observed.pod) is Belongs.OURS else None
    if pod and pod.ready and pod.ip:
        return Plan((LogOut(pod.ip),), status)
    asked = observed.session.metadata.deletion_timestamp or now
    wait = _seconds_until(asked + timedelta(seconds=policy.logout_wait), now)
    if wait and pod and not pod.deleting and not pod.finished:
        return Plan((), status, wait)
    return Plan((), judge.status(observed, now, logout_failure="the session has no pod that serves"))
