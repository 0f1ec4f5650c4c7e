"""The rules, one by one."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from wasession_contract.v1alpha1 import SessionState, Status
from wasession_operator import judge
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
    RemoveFinalizer,
    decide,
)
from wasession_operator.observed import Logout, Observed
from wasession_operator.views import Previously

if TYPE_CHECKING:
    from conftest import Build

pytestmark = pytest.mark.unit


def actions(build: Build, observed: Observed, after: float = 0) -> tuple[Any, ...]:
    return decide(observed, build.policy, build.now + timedelta(seconds=after)).actions


def test_a_new_session_gets_finalizer_and_claim_and_then_its_pod(build: Build) -> None:
    new = build.observed(build.session(finalizers=()))
    assert actions(build, new) == (AddFinalizer(), CreateClaim())
    assert actions(build, build.observed(build.session(), claim=build.claim())) == (CreatePod(build.hash()),)


def test_the_pod_waits_in_silence_for_a_claim_that_may_bind_by_itself_and_not_for_ever(build: Build) -> None:
    waiting = build.observed(build.session(), claim=build.claim(), binds_until=build.now + timedelta(seconds=3))
    plan = decide(waiting, build.policy, build.now)
    assert (plan.actions, plan.status, plan.again_after) == ((), None, 3)
    assert actions(build, waiting, after=3) == (CreatePod(build.hash()),)
    assert actions(build, replace(waiting, pod=build.pod())) == (), "a pod that is there is not touched"


def test_a_wait_for_the_claim_does_not_shorten_the_back_off(build: Build) -> None:
    later = build.now + timedelta(seconds=20)
    waiting = build.observed(build.session(), claim=build.claim(), binds_until=build.now + timedelta(seconds=3), pod_not_before=later)
    assert actions(build, waiting) == ()
    assert decide(waiting, build.policy, build.now + timedelta(seconds=3)).again_after == 17


def test_a_running_session_is_left_alone(build: Build) -> None:
    observed = build.later(build.reporting(SessionState.CONNECTED))
    plan = decide(observed, build.policy, build.now + timedelta(days=1))
    assert (plan.actions, plan.again_after) == ((), None)
    assert plan.status == judge.comparable(observed.session.status)


def test_restarted_at_replaces_the_pod_and_waits_until_it_is_gone(build: Build) -> None:
    spec = build.spec(restartedAt="2026-01-01T12:04:00Z")
    observed = build.observed(build.session(spec=spec, generation=2), build.pod(), build.claim())
    assert actions(build, observed) == (DeletePod("p-1", Cause.SPEC_CHANGED),)
    assert actions(build, replace(observed, pod=build.pod(deleting=True))) == ()
    assert actions(build, replace(observed, pod=None)) == (CreatePod(build.hash(spec)),)


def test_settings_that_the_pod_does_not_see_do_not_replace_it(build: Build) -> None:
    spec = build.spec(idle={"timeoutSeconds": 5}, logoutOnDelete=False, storage={"size": "1Gi", "reclaimPolicy": "Delete"})
    assert actions(build, build.observed(build.session(spec=spec), build.pod(), build.claim())) == ()


@pytest.mark.parametrize("ready", [True, False])
@pytest.mark.parametrize(("may_roll", "expected"), [(True, (DeletePod("p-1", Cause.ROLLOUT),)), (False, ())])
def test_a_changed_template_waits_for_its_turn_even_where_the_pod_is_down(
    build: Build, *, may_roll: bool, ready: bool, expected: tuple[Action, ...]
) -> None:
    pod = build.pod(ready=ready, template_hash=build.hash(installation="old"))
    assert actions(build, build.observed(build.session(), pod, build.claim(), may_roll=may_roll)) == expected


@pytest.mark.parametrize("change", [{"template_hash": "old-x"}, {"template_hash": None}])
def test_a_sessions_own_change_is_at_once_in_a_rollout_too(build: Build, change: dict[str, Any]) -> None:
    observed = build.observed(build.session(), build.pod(**change), build.claim())
    assert actions(build, observed) == (DeletePod("p-1", Cause.SPEC_CHANGED),)


def test_a_pod_that_waits_for_its_turn_to_start_is_made_then(build: Build) -> None:
    before = build.later(build.reporting(SessionState.CONNECTED), pod=None, starts_at=build.now + timedelta(seconds=20))
    plan = decide(before, build.policy, build.now)
    assert (plan.actions, plan.again_after) == ((), 20)
    assert plan.status is not None
    ready = next(one for one in plan.status.conditions if one.type == "PodReady")
    assert (ready.reason, ready.message[:43]) == ("Replacing", "waits for its turn to start, at about 12:05")
    assert actions(build, replace(before, starts_at=None)) == (CreatePod(build.hash(), Previously.CONNECTED),)


def test_a_replaced_session_that_waits_for_its_turn_to_start_keeps_its_pod_until_then(build: Build) -> None:
    pod = build.pod(template_hash=build.hash(installation="old"))
    observed = build.later(build.reporting(SessionState.CONNECTED), pod=pod, starts_at=build.now + timedelta(seconds=20))
    plan = decide(observed, build.policy, build.now)
    assert (plan.actions, plan.again_after) == ((), 20)
    assert plan.status == judge.comparable(observed.session.status)


def test_a_finished_pod_is_deleted_and_the_next_one_waits_for_the_back_off(build: Build) -> None:
    ended = build.observed(build.session(), build.pod(finished=True, ready=False), build.claim())
    assert actions(build, ended) == (DeletePod("p-1", Cause.FINISHED),)
    plan = decide(replace(ended, pod=None, pod_not_before=build.now + timedelta(seconds=20)), build.policy, build.now)
    assert (plan.actions, plan.again_after) == ((), 20)


def test_a_session_over_the_limit_has_no_pod_and_no_claim(build: Build) -> None:
    assert actions(build, build.observed(build.session(), admitted=False)) == ()
    running = build.observed(build.session(), build.pod(), build.claim(), admitted=False)
    assert actions(build, running) == (DeletePod("p-1", Cause.UNWANTED),)


def test_a_running_session_that_lost_its_place_keeps_its_pod_until_that_is_sure(build: Build) -> None:
    sure_at = build.now + timedelta(seconds=20)
    displaced = build.observed(build.session(), build.pod(), build.claim(), admitted=False, keeps_pod_until=sure_at)
    assert decide(displaced, build.policy, build.now) == Plan((), None, 20)
    assert decide(displaced, build.policy, sure_at).actions == (DeletePod("p-1", Cause.UNWANTED),)
    suspended = replace(displaced, session=build.session(spec=build.spec(operatingMode="Suspended")))
    assert decide(suspended, build.policy, build.now).actions == (DeletePod("p-1", Cause.UNWANTED),)


def test_suspended_takes_the_pod_and_keeps_the_volume(build: Build) -> None:
    suspended = build.session(spec=build.spec(operatingMode="Suspended"))
    assert actions(build, build.observed(suspended, build.pod(), build.claim())) == (DeletePod("p-1", Cause.UNWANTED),)
    assert actions(build, build.observed(suspended, None, build.claim())) == ()


@pytest.mark.parametrize("pod", [{"owner_uid": None, "of_a_session": False}, {"owner_uid": "x", "of_a_session": False}])
def test_a_foreign_pod_is_not_touched(build: Build, pod: dict[str, Any]) -> None:
    plan = decide(build.observed(build.session(), build.pod(**pod), build.claim()), build.policy, build.now)
    assert (plan.actions, plan.again_after) == ((), 30)
    gone = build.session(deletion_timestamp=build.now)
    assert actions(build, build.observed(gone, build.pod(**pod), None)) == (RemoveFinalizer(),)


def test_a_foreign_claim_is_not_touched(build: Build) -> None:
    claim = build.claim(owner_uid=None, of_a_session=False)
    assert actions(build, build.observed(build.session(), None, claim)) == ()
    assert actions(build, build.observed(build.session(deletion_timestamp=build.now), None, claim)) == (RemoveFinalizer(),)


def test_what_a_former_session_of_the_name_left_is_waited_for(build: Build) -> None:
    assert actions(build, build.observed(build.session(), build.pod(owner_uid="s-0"), build.claim())) == ()
    assert actions(build, build.observed(build.session(), None, build.claim(owner_uid="s-0"))) == ()
    assert actions(build, build.observed(build.session(), None, build.claim(deleting=True))) == ()


def test_a_pod_whose_claim_is_being_deleted_can_still_be_replaced(build: Build) -> None:
    spec = build.spec(restartedAt="2026-01-01T12:04:00Z")
    held = build.observed(build.session(spec=spec), build.pod(), build.claim(deleting=True))  # Kubernetes holds it for the pod
    assert actions(build, held) == (DeletePod("p-1", Cause.SPEC_CHANGED),)


# The volume.


def test_the_volume_grows_and_never_shrinks(build: Build) -> None:
    bigger = build.session(spec=build.spec(storage={"size": "2Gi"}))
    assert actions(build, build.observed(bigger, build.pod(), build.claim())) == (AdjustClaim("c-1", size="2Gi"),)
    assert actions(build, build.observed(build.session(), build.pod(), build.claim(size="2Gi"))) == ()


def test_retain_gives_up_the_claim_and_a_new_session_takes_it_up(build: Build) -> None:
    retain = build.session(spec=build.spec(storage={"reclaimPolicy": "Retain"}))
    assert actions(build, build.observed(retain, build.pod(), build.claim())) == (AdjustClaim("c-1", owned=False),)
    kept = build.claim(owner_uid=None)
    assert actions(build, build.observed(retain, build.pod(), kept)) == ()
    assert actions(build, build.observed(build.session(), None, kept)) == (CreatePod(build.hash()), AdjustClaim("c-1", owned=True))


# The end.


def test_a_paired_session_is_logged_out_before_anything_is_deleted(build: Build) -> None:
    gone = build.later(build.reporting(SessionState.CONNECTED), session={"deletion_timestamp": build.now})
    assert actions(build, gone) == (LogOut("10.0.0.1"),)
    assert actions(build, replace(gone, logout=Logout.RUNNING)) == ()
    done = build.later(replace(gone, logout=Logout.DONE))
    assert actions(build, done) == (DeletePod("p-1", Cause.TERMINATING), DeleteClaim("c-1"))
    assert actions(build, replace(done, pod=None, claim=build.claim(deleting=True))) == ()
    assert actions(build, replace(done, pod=None, claim=None)) == (RemoveFinalizer(),)


def test_a_logout_that_is_done_is_said_before_the_pod_goes_so_that_the_next_operator_knows(build: Build) -> None:
    gone = build.later(build.reporting(SessionState.CONNECTED), session={"deletion_timestamp": build.now})
    plan = decide(replace(gone, logout=Logout.DONE), build.policy, build.now)
    assert plan.actions == ()
    assert plan.status
    assert ("Paired", "LoggedOut") in {(one.type, one.reason) for one in plan.status.conditions}
    reported = build.later(gone, session={"report": build.report(SessionState.LOGGED_OUT)})
    assert actions(build, reported) == (), "nor by a new operator that has it from the pod's report"
    said = replace(gone, session=build.with_status(gone.session, plan.status), pod=None)
    assert actions(build, said) == (DeleteClaim("c-1"),), "a new operator, which remembers no logout"


def test_a_session_that_was_never_paired_goes_without_a_logout(build: Build) -> None:
    gone = build.later(build.reporting(SessionState.AWAITING_SCAN), session={"deletion_timestamp": build.now})
    assert actions(build, gone) == (DeletePod("p-1", Cause.TERMINATING), DeleteClaim("c-1"))


def test_logout_on_delete_false_leaves_the_device_linked(build: Build) -> None:
    change = {"deletion_timestamp": build.now, "spec": build.spec(logoutOnDelete=False)}
    gone = build.later(build.reporting(SessionState.CONNECTED), session=change)
    assert actions(build, gone)[0] == DeletePod("p-1", Cause.TERMINATING)


def test_a_failed_logout_is_said_and_deletion_goes_on(build: Build) -> None:
    gone = build.later(build.reporting(SessionState.CONNECTED), session={"deletion_timestamp": build.now})
    failed = replace(gone, logout=Logout.FAILED, logout_failure="no answer")
    plan = decide(failed, build.policy, build.now)
    assert plan.actions == ()
    assert plan.status
    assert "LogoutFailed" in {one.reason for one in plan.status.conditions}
    said = replace(failed, session=build.with_status(failed.session, plan.status))
    assert actions(build, said)[0] == DeletePod("p-1", Cause.TERMINATING)
    assert actions(build, replace(said, logout=Logout.NOT_TRIED))[0] == DeletePod("p-1", Cause.TERMINATING)  # a new operator


def test_a_pod_that_is_coming_up_has_ten_seconds_to_log_out(build: Build) -> None:
    gone = build.later(build.reporting(SessionState.CONNECTED), session={"deletion_timestamp": build.now}, pod=build.pod(ready=False))
    plan = decide(gone, build.policy, build.now + timedelta(seconds=4))
    assert (plan.actions, plan.again_after) == ((), 6)
    late = decide(gone, build.policy, build.now + timedelta(seconds=10))
    assert late.status
    assert "LogoutFailed" in {one.reason for one in late.status.conditions}


def test_under_retain_the_claim_is_freed_and_never_deleted(build: Build) -> None:
    retain = build.session(spec=build.spec(storage={"reclaimPolicy": "Retain"}), deletion_timestamp=build.now)
    assert actions(build, build.observed(retain, None, build.claim())) == (AdjustClaim("c-1", owned=False),)
    assert actions(build, build.observed(retain, None, build.claim(owner_uid=None))) == (RemoveFinalizer(),)


def test_without_our_finalizer_the_end_is_not_ours(build: Build) -> None:
    gone = build.session(deletion_timestamp=build.now, finalizers=("somebody/else",))
    assert decide(build.observed(gone, build.pod(), build.claim()), build.policy, build.now).actions == ()


# Idleness.


def _idle(build: Build, policy: str, state: SessionState = SessionState.AWAITING_SCAN, **facts: object) -> Observed:
    spec = build.spec(idle={"timeoutSeconds": 600, "policy": policy})
    session = build.session(spec=spec, status=Status(session=build.report(state, **facts)))
    return build.later(build.observed(session, build.pod(), build.claim()))


def test_an_idle_session_is_deleted_when_its_spec_says_so(build: Build) -> None:
    assert actions(build, _idle(build, "Delete"), after=599) == ()
    assert actions(build, _idle(build, "Delete"), after=600) == (DeleteSession(),)
    assert actions(build, _idle(build, "Keep"), after=10**6) == ()


def test_it_is_looked_at_again_in_steps_of_the_clean_up_interval(build: Build) -> None:
    assert decide(_idle(build, "Delete"), build.policy, build.now + timedelta(seconds=10)).again_after == 600
    assert decide(_idle(build, "Delete"), build.policy, build.now + timedelta(seconds=350)).again_after == 300


def test_a_connected_session_is_never_idle_and_its_time_starts_when_the_connection_is_lost(build: Build) -> None:
    connected = _idle(build, "Delete", SessionState.CONNECTED)
    assert actions(build, connected, after=10**6) == ()
    lost = build.later(connected, session={"report": build.report(SessionState.RECONNECTING)})
    assert actions(build, lost, after=10**6) == ()  # the loss itself has not been written down yet


def test_activity_keeps_a_session_from_being_idle(build: Build) -> None:
    active = _idle(build, "Delete", last_activity=build.now + timedelta(seconds=300))
    assert actions(build, active, after=899) == ()
    assert actions(build, active, after=900) == (DeleteSession(),)


def test_a_pod_in_trouble_is_not_idleness(build: Build) -> None:
    assert actions(build, replace(_idle(build, "Delete"), pod=build.pod(ready=False)), after=10**6) == ()


def test_idle_suspend_takes_the_pod_until_the_spec_changes(build: Build) -> None:
    idle = _idle(build, "Suspend")
    plan = decide(idle, build.policy, build.now + timedelta(seconds=600))
    assert plan.actions == ()
    assert plan.status
    assert plan.status.phase == "Suspended"
    asleep = replace(idle, session=build.with_status(idle.session, plan.status))
    assert actions(build, asleep) == (DeletePod("p-1", Cause.UNWANTED),)
    assert actions(build, replace(asleep, pod=None), after=10**6) == ()
    metadata = msgspec.structs.replace(asleep.session.metadata, generation=2)
    woken = replace(asleep, pod=None, session=msgspec.structs.replace(asleep.session, metadata=metadata))
    assert actions(build, woken) == (CreatePod(build.hash(), Previously.SERVED),)
