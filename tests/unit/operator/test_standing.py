"""Where a session stands in a roll-out, row by row, and what a pod is told of the one before it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest

from wasession_contract.v1alpha1 import SessionState, Status
from wasession_operator.standing import Place, previously, standing
from wasession_operator.views import Previously, Trouble

if TYPE_CHECKING:
    from collections.abc import Callable

    from conftest import Build
    from wasession_operator.observed import Observed

pytestmark = pytest.mark.unit
JID = {"jid": "1@s.whatsapp.net"}


def _running(build: Build, state: SessionState = SessionState.CONNECTED, **pod: Any) -> Observed:  # noqa: ANN401  facts of the pod
    """Its pod serves and reports `state`; the status says so."""
    facts = {"created": build.now, **pod}
    before = build.reporting(state)
    return build.later(replace(before, pod=build.pod(**facts)))


def _old(build: Build, **pod: Any) -> Observed:  # noqa: ANN401  facts of the pod
    return _running(build, template_hash=build.hash(installation="old"), **pod)


def _new(build: Build, was: Previously, state: SessionState | None, **pod: Any) -> Observed:  # noqa: ANN401  facts of the pod
    """A new pod that reports `state` (None: nothing yet), after one that was connected and another state of the session."""
    facts = {"uid": "p-2", "created": build.now, "previously": was, **pod}
    report = build.report(SessionState.CONNECTED) if state is None else build.report(state, pod_uid="p-2")
    return build.later(_running(build), pod=build.pod(**facts), session={"report": report})


ROWS: dict[str, tuple[Callable[[Build], Observed], Place]] = {
    "being deleted": (lambda b: b.later(_old(b), session={"deletion_timestamp": b.now}), Place.OUT),
    "suspended": (lambda b: b.later(_old(b), session={"spec": b.spec(operatingMode="Suspended")}), Place.OUT),
    "not admitted": (lambda b: replace(_old(b), admitted=False), Place.OUT),
    "its name is taken": (lambda b: _old(b, owner_uid=None, of_a_session=False), Place.OUT),
    "old pod": (_old, Place.OUTDATED),
    "old pod that is down": (lambda b: _old(b, ready=False, trouble=Trouble.CRASHING), Place.OUTDATED),
    "old pod on a lost node": (lambda b: _old(b, ready=False, trouble=Trouble.NODE_LOST), Place.UNREACHABLE),
    "old pod that goes": (lambda b: _old(b, ready=False, deleting=True), Place.ON_THE_WAY),
    "old pod that ended": (lambda b: _old(b, ready=False, finished=True), Place.ON_THE_WAY),
    "old pod whose session changed": (lambda b: _running(b, template_hash="old-x"), Place.ON_THE_WAY),
    "no pod": (lambda b: replace(_old(b), pod=None), Place.ON_THE_WAY),
    "pod of a former session": (lambda b: _old(b, owner_uid="s-0"), Place.ON_THE_WAY),
    "new pod, not ready": (lambda b: _new(b, Previously.CONNECTED, None, ready=False), Place.ON_THE_WAY),
    "new pod, ready, silent": (lambda b: _new(b, Previously.CONNECTED, None), Place.ON_THE_WAY),
    "new pod, logging in": (lambda b: _new(b, Previously.CONNECTED, SessionState.CONNECTING), Place.ON_THE_WAY),
    "new pod, connected": (lambda b: _new(b, Previously.CONNECTED, SessionState.CONNECTED), Place.UP_TO_DATE),
    "new pod, connected, not ready": (lambda b: _new(b, Previously.CONNECTED, SessionState.CONNECTED, ready=False), Place.ON_THE_WAY),
    "new pod asks for a scan though it was connected": (
        lambda b: _new(b, Previously.CONNECTED, SessionState.AWAITING_SCAN),
        Place.ON_THE_WAY,
    ),
    "new pod banned though it was connected": (lambda b: _new(b, Previously.CONNECTED, SessionState.BANNED), Place.ON_THE_WAY),
    "new pod serves as the old one did": (lambda b: _new(b, Previously.SERVED, SessionState.AWAITING_SCAN), Place.UP_TO_DATE),
    "new pod does not serve as the old one did": (lambda b: _new(b, Previously.SERVED, None, ready=False), Place.ON_THE_WAY),
    "first pod serves": (lambda b: _new(b, Previously.NOTHING, None), Place.UP_TO_DATE),
}


@pytest.mark.parametrize("row", ROWS)
def test_where_a_session_stands(build: Build, row: str) -> None:
    make, place = ROWS[row]
    observed = make(build)
    where = standing(observed, build.policy.installation_hash)
    assert where.place is place
    if place is Place.OUTDATED:
        assert where.down is not observed.pod.ready  # type: ignore[union-attr]


def test_the_deadline_counts_from_the_new_pods_creation_or_from_the_refusal(build: Build) -> None:
    hashed = build.policy.installation_hash
    assert standing(_new(build, Previously.CONNECTED, None), hashed).since == build.now
    refused = build.later(replace(_old(build), pod=None, refusal="forbidden: Pod Security"))
    assert standing(replace(refused, refusal=""), hashed).since == build.now, "a new operator reads it off the status"
    assert standing(replace(_old(build), pod=None), hashed).since is None


def test_only_who_had_a_pod_that_reported_has_something_to_come_back_to(build: Build) -> None:
    hashed = build.policy.installation_hash
    assert standing(_old(build), hashed).worked
    never = build.observed(build.session(), build.pod(template_hash=build.hash(installation="old"), ready=False), build.claim())
    assert not standing(never, hashed).worked
    assert standing(_new(build, Previously.SERVED, None), hashed).worked
    assert not standing(_new(build, Previously.NOTHING, None), hashed).worked


def test_a_new_operator_sees_in_the_status_that_a_session_was_back_and_lost_its_connection_later(build: Build) -> None:
    hashed = build.policy.installation_hash
    starting = _new(build, Previously.CONNECTED, None)
    starting = build.later(starting)  # the status says that the pod serves, since now
    lost = build.later(starting, session={"report": build.report(SessionState.RECONNECTING, pod_uid="p-2")})
    assert standing(lost, hashed).place is Place.ON_THE_WAY, "it never was connected"
    connected = build.later(starting, session={"report": build.report(SessionState.CONNECTED, pod_uid="p-2")})
    told = build.told(connected, build.now + timedelta(seconds=5))
    connected = replace(connected, session=build.with_status(connected.session, told))
    lost = build.later(connected, session={"report": build.report(SessionState.RECONNECTING, pod_uid="p-2")})
    told = build.told(lost, build.now + timedelta(seconds=50))
    lost = replace(lost, session=build.with_status(lost.session, told))
    assert standing(lost, hashed).place is Place.UP_TO_DATE


REPORTS: list[tuple[SessionState, dict[str, str], Previously]] = [
    (SessionState.CONNECTED, {}, Previously.CONNECTED),
    (SessionState.CONNECTING, {}, Previously.CONNECTED),
    (SessionState.STARTING, JID, Previously.CONNECTED),
    (SessionState.STARTING, {}, Previously.SERVED),
    (SessionState.RECONNECTING, JID, Previously.SERVED),
    (SessionState.AWAITING_SCAN, {}, Previously.SERVED),
    (SessionState.LOGGED_OUT, {}, Previously.SERVED),
    (SessionState.REPLACED, JID, Previously.SERVED),
    (SessionState.BANNED, JID, Previously.SERVED),
    (SessionState.FAILED, JID, Previously.SERVED),
]


@pytest.mark.parametrize(("state", "facts", "expected"), REPORTS)
def test_a_pod_is_told_what_the_last_report_of_the_one_before_it_said(
    build: Build, state: SessionState, facts: dict[str, str], expected: Previously
) -> None:
    assert previously(build.session(status=Status(session=build.report(state, pod_uid="p-0", **facts)))) is expected


def test_a_first_pod_is_told_nothing(build: Build) -> None:
    assert previously(build.session()) is Previously.NOTHING
