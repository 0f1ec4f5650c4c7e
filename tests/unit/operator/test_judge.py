"""The table of the resource's documentation, row by row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from wasession_contract.v1alpha1 import BackendReport, BackendState, SessionState, Status
from wasession_operator import judge
from wasession_operator.observed import Observed
from wasession_operator.scenarios import TABLE, EventType, Scenario, scenario
from wasession_operator.views import Trouble

if TYPE_CHECKING:
    from conftest import Build

pytestmark = pytest.mark.unit

Case = Callable[["Build"], Observed]
CONNECTED: Case = lambda b: b.reporting(SessionState.CONNECTED, jid="1@s.whatsapp.net")  # noqa: E731  a table of cases


def _after_connected(**changes: object) -> Case:
    return lambda b: b.later(CONNECTED(b), **changes)


def _pod_after_connected(**facts: object) -> Case:
    return lambda b: b.later(CONNECTED(b), pod=b.pod(ready=False, **facts))


# situation, what is observed, phase, PodReady, Paired, Connected
ROWS: list[tuple[str, Case, str, str, str, str]] = [
    (
        "over the limit",
        lambda b: b.observed(b.session(), admitted=False),
        "Pending",
        "False NotAdmitted",
        "Unknown PodNotReady",
        "False SessionLimitReached",
    ),
    (
        "an older session has the same id",
        lambda b: b.observed(b.session(), id_taken_by="older"),
        "Failed",
        "False NotAdmitted",
        "Unknown PodNotReady",
        "False SessionIdTaken",
    ),
    ("just created", lambda b: b.observed(b.session()), "Pending", "False Creating", "Unknown PodNotReady", "False PodNotReady"),
    (
        "first pod is starting",
        lambda b: b.observed(b.session(), b.pod(ready=False), b.claim()),
        "Pending",
        "False Creating",
        "Unknown PodNotReady",
        "False PodNotReady",
    ),
    (
        "unschedulable",
        lambda b: b.observed(
            b.session(), b.pod(ready=False, trouble=Trouble.WAITING, reason="Unschedulable", message="no node"), b.claim()
        ),
        "Pending",
        "False Unschedulable",
        "Unknown PodNotReady",
        "False PodNotReady",
    ),
    (
        "image missing",
        lambda b: b.observed(
            b.session(), b.pod(ready=False, trouble=Trouble.WAITING, reason="ErrImagePull", message="no image"), b.claim()
        ),
        "Pending",
        "False ErrImagePull",
        "Unknown PodNotReady",
        "False PodNotReady",
    ),
    (
        "refused by the API server",
        lambda b: b.observed(b.session(), None, b.claim(), refusal="exceeded quota"),
        "Pending",
        "False Refused",
        "Unknown PodNotReady",
        "False PodNotReady",
    ),
    (
        "serves, no report yet",
        lambda b: b.observed(b.session(), b.pod(), b.claim()),
        "Pending",
        "True PodReady",
        "Unknown PodNotReady",
        "False Starting",
    ),
    (
        "QR or code shown",
        lambda b: b.reporting(SessionState.AWAITING_SCAN),
        "AwaitingScan",
        "True PodReady",
        "False AwaitingScan",
        "False AwaitingScan",
    ),
    (
        "scanned, logging in",
        lambda b: b.reporting(SessionState.CONNECTING),
        "Connecting",
        "True PodReady",
        "True Paired",
        "False Connecting",
    ),
    ("logged in", CONNECTED, "Connected", "True PodReady", "True Paired", "True Connected"),
    (
        "connection lost, retrying",
        lambda b: b.later(CONNECTED(b), session={"report": b.report(SessionState.RECONNECTING, 408, reconnect_attempts=2)}),
        "Reconnecting",
        "True PodReady",
        "True Paired",
        "False Reconnecting",
    ),
    (
        "gave up after maxAttempts",
        lambda b: b.reporting(SessionState.FAILED, 408, reconnect_attempts=5, jid="1@s.whatsapp.net"),
        "Failed",
        "True PodReady",
        "True Paired",
        "False ReconnectLimitReached",
    ),
    (
        "unlinked on the phone",
        lambda b: b.reporting(SessionState.AWAITING_SCAN, 401),
        "AwaitingScan",
        "True PodReady",
        "False LoggedOut",
        "False LoggedOut",
    ),
    (
        "logged out by us",
        lambda b: b.reporting(SessionState.LOGGED_OUT),
        "LoggedOut",
        "True PodReady",
        "False LoggedOut",
        "False LoggedOut",
    ),
    (
        "replaced by another instance",
        lambda b: b.reporting(SessionState.REPLACED, 440),
        "Replaced",
        "True PodReady",
        "True Paired",
        "False ReplacedByAnotherInstance",
    ),
    (
        "temporarily banned",
        lambda b: b.reporting(SessionState.BANNED, 402),
        "Banned",
        "True PodReady",
        "True Paired",
        "False TemporarilyBanned",
    ),
    ("banned", lambda b: b.reporting(SessionState.BANNED, 403), "Banned", "True PodReady", "True Paired", "False Banned"),
    (
        "client too old",
        lambda b: b.reporting(SessionState.FAILED, 405, jid="1@s.whatsapp.net"),
        "Failed",
        "True PodReady",
        "True Paired",
        "False ClientOutdated",
    ),
    (
        "local failure",
        lambda b: b.reporting(SessionState.FAILED, message="disk full"),
        "Failed",
        "True PodReady",
        "Unknown PodNotReady",
        "False SessionFailed",
    ),
    (
        "container crashing",
        _pod_after_connected(trouble=Trouble.CRASHING, message="exit code 1"),
        "Crashing",
        "False CrashLoop",
        "True Paired",
        "Unknown PodNotReady",
    ),
    (
        "OOM killed",
        _pod_after_connected(trouble=Trouble.OOM_KILLED),
        "Crashing",
        "False OOMKilled",
        "True Paired",
        "Unknown PodNotReady",
    ),
    (
        "does not answer its probe",
        _pod_after_connected(trouble=Trouble.SILENT),
        "Pending",
        "False PodNotReady",
        "True Paired",
        "Unknown PodNotReady",
    ),
    ("pod deleted", _pod_after_connected(deleting=True), "Pending", "False Replacing", "True Paired", "Unknown PodNotReady"),
    ("pod gone", _after_connected(pod=None), "Pending", "False Replacing", "True Paired", "Unknown PodNotReady"),
    ("pod evicted", _pod_after_connected(finished=True), "Pending", "False Replacing", "True Paired", "Unknown PodNotReady"),
    (
        "node not answering",
        _pod_after_connected(trouble=Trouble.NODE_LOST),
        "Lost",
        "Unknown NodeLost",
        "True Paired",
        "Unknown NodeLost",
    ),
    (
        "node not answering, pod being deleted by the node controller",
        _pod_after_connected(trouble=Trouble.NODE_LOST, deleting=True),
        "Lost",
        "Unknown NodeLost",
        "True Paired",
        "Unknown NodeLost",
    ),
    (
        "Suspended",
        lambda b: b.later(CONNECTED(b), pod=None, session={"generation": 2, "spec": b.spec(operatingMode="Suspended")}),
        "Suspended",
        "False Suspended",
        "True Paired",
        "False Suspended",
    ),
    (
        "pod of that name belongs to someone else",
        lambda b: b.observed(b.session(), b.pod(owner_uid=None, of_a_session=False), b.claim()),
        "Failed",
        "False NameTaken",
        "Unknown PodNotReady",
        "False PodNotReady",
    ),
    (
        "volume of that name belongs to someone else",
        lambda b: b.observed(b.session(), None, b.claim(owner_uid=None, of_a_session=False)),
        "Failed",
        "False NameTaken",
        "Unknown PodNotReady",
        "False PodNotReady",
    ),
    (
        "being deleted",
        lambda b: b.later(CONNECTED(b), session={"deletion_timestamp": b.now}),
        "Terminating",
        "True PodReady",
        "True Paired",
        "False Terminating",
    ),
]


@pytest.mark.parametrize("row", ROWS, ids=[row[0] for row in ROWS])
def test_situation(build: Build, row: tuple[str, Case, str, str, str, str]) -> None:
    _, case, phase, pod_ready, paired, connected = row
    observed = case(build)
    status = judge.status(observed, build.now)
    said = {one.type: f"{one.status} {one.reason}" for one in status.conditions}
    assert status.phase == phase
    assert (said["PodReady"], said["Paired"], said["Connected"]) == (pod_ready, paired, connected)
    assert said["Ready"] == said["Connected"]
    assert said["Admitted"] == (connected if connected in {"False SessionLimitReached", "False SessionIdTaken"} else "True Admitted")
    knows_of_the_backend = pod_ready == "True PodReady" and scenario(observed) not in {Scenario.STARTING, Scenario.TERMINATING}
    assert said["BackendConnected"] == ("False BackendDisabled" if knows_of_the_backend else "Unknown PodNotReady")
    generation = observed.session.metadata.generation
    assert {status.observed_generation, *(one.observed_generation for one in status.conditions)} == {generation}


def test_every_scenario_has_its_row_and_a_test_of_it(build: Build) -> None:
    assert set(TABLE) == set(Scenario)
    tested = {scenario(case(build)) for _, case, *_ in ROWS}
    assert set(Scenario) - tested == {Scenario.LOGOUT_FAILED}  # said by the logout itself, tested below


def test_a_failed_logout_is_said_and_stays_said(build: Build) -> None:
    deleted = build.later(CONNECTED(build), session={"deletion_timestamp": build.now})
    status = judge.status(deleted, build.now, logout_failure="no answer")
    connected = next(one for one in status.conditions if one.type == "Connected")
    assert (connected.reason, status.phase) == ("LogoutFailed", "Terminating")
    assert "no answer" in connected.message
    session = msgspec.structs.replace(deleted.session, status=status)
    assert judge.status(replace(deleted, session=session), build.now) == status


def test_a_report_is_believed_only_from_the_known_pod(build: Build) -> None:
    observed = build.reporting(SessionState.CONNECTED, pod_uid="p-0")
    assert scenario(observed) is Scenario.STARTING
    foreign = replace(build.reporting(SessionState.CONNECTED), pod=build.pod(owner_uid="s-0"))
    assert judge.status(foreign, build.now).pod is None
    assert scenario(foreign) is Scenario.CREATING


def test_the_transition_time_moves_only_when_the_status_flips(build: Build) -> None:
    before = build.reporting(SessionState.AWAITING_SCAN)
    later = build.now + timedelta(minutes=1)

    def times(observed: Observed) -> dict[str, Any]:
        return {one.type: one.last_transition_time for one in judge.status(observed, later).conditions}

    logging_in = times(build.later(before, session={"report": build.report(SessionState.CONNECTING)}))
    assert logging_in["Connected"] == build.now
    assert logging_in["Paired"] == later
    assert times(build.later(before, session={"report": build.report(SessionState.CONNECTED)}))["Connected"] == later


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (BackendState.CONNECTED, "True BackendConnected"),
        (BackendState.DISCONNECTED, "False BackendUnreachable"),
        (BackendState.DISABLED, "False BackendDisabled"),
    ],
)
def test_backend(build: Build, state: BackendState, expected: str) -> None:
    status = judge.status(build.reporting(SessionState.CONNECTED, backend=BackendReport(state=state)), build.now)
    backend = next(one for one in status.conditions if one.type == "BackendConnected")
    assert f"{backend.status} {backend.reason}" == expected


def test_reconnecting_says_which_attempt_and_when(build: Build) -> None:
    status = judge.status(build.reporting(SessionState.RECONNECTING, reconnect_attempts=2, next_attempt_at=build.now), build.now)
    connected = next(one for one in status.conditions if one.type == "Connected")
    assert connected.message == "attempt 2 of 5, next at 2026-01-01T12:05:00Z"


def test_no_message_holds_the_number_or_the_qr_code(build: Build) -> None:
    for state in SessionState:
        status = judge.status(build.reporting(state, number="573001234567", jid="573001234567@s.whatsapp.net"), build.now)
        assert "573001234567" not in repr(status.conditions)


def test_events_tell_transitions_only(build: Build) -> None:
    connected = build.told(CONNECTED(build))
    assert judge.event(Status(), connected) == (EventType.NORMAL, "Connected", "")
    assert judge.event(connected, connected) is None
    crashing = build.told(_pod_after_connected(trouble=Trouble.CRASHING, message="exit code 1")(build))
    assert judge.event(connected, crashing) == (EventType.WARNING, "CrashLoop", "exit code 1; see kubectl logs --previous cliente1-session")
    waiting = build.told(build.reporting(SessionState.AWAITING_SCAN))
    assert judge.event(connected, waiting) is None
