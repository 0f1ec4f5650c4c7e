"""What a session looks like on the wire, for the situations that its object can be in."""

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from wasession_api import presenter
from wasession_api.texts import POD_FAILURES, TEXTS
from wasession_contract.podwire import ErrorCode
from wasession_contract.v1alpha1 import WhatsAppSession, convert

pytestmark = pytest.mark.unit


def session(pod: dict[str, Any] | None, report: dict[str, Any] | None) -> WhatsAppSession:
    status = {"pod": pod, "session": {"reportedAt": "2025-01-01T00:00:00Z", "podUID": "p", "state": "Connected", **(report or {})}}
    meta = {"name": "a", "uid": "u", "creationTimestamp": "2025-01-01T00:00:00Z"}
    return convert({"metadata": meta, "spec": {"sessionId": "Bot ñ"}, "status": status if report is not None else {"pod": pod}})


POD = {"name": "a-session", "uid": "p", "ip": "10.0.0.1", "ready": True}


def test_connected_needs_the_state_the_known_pod_and_a_serving_pod() -> None:
    assert presenter.is_connected(session(POD, {}))
    assert not presenter.is_connected(session({**POD, "ready": False}, {}))
    assert not presenter.is_connected(session({**POD, "uid": "another"}, {}))
    assert not presenter.is_connected(session(None, {}))
    assert not presenter.is_connected(session(POD, None))
    assert not presenter.is_connected(session(POD, {"state": "Reconnecting"}))


def test_a_connected_session_without_push_name_is_called_after_its_id() -> None:
    assert presenter.status(session(POD, {"number": "57300"})).name == "Bot Bot ñ"
    assert presenter.status(session(POD, {"number": "57300", "name": "Ana"})).name == "Ana"
    assert presenter.status(session(POD, {"state": "AwaitingScan"})).name == ""


def test_the_report_of_an_older_pod_says_nothing() -> None:
    report = {
        "podUID": "older",
        "number": "57300",
        "name": "Ana",
        "reconnectAttempts": 3,
        "qr": {"code": "c", "expiresAt": "2099-01-01T00:00:00Z"},
    }
    found = session(POD, {**report, "state": "AwaitingScan"})
    assert presenter.qr_of(found) is None
    status = presenter.status(found)
    assert (status.connected, status.number, status.name, status.reconnect_attempts) == (False, "", "", 0)


def test_the_last_disconnect_is_code_and_words() -> None:
    report = {
        "state": "Reconnecting",
        "reconnectAttempts": 2,
        "lastDisconnect": {"code": 515, "message": "Stream Errored", "at": "2025-01-01T00:00:00Z"},
    }
    status = presenter.status(session(POD, report))
    assert (status.last_disconnect_reason, status.reconnect_attempts) == ("515: Stream Errored", 2)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2025, 10, 13, 12, 0, 0, 123999, tzinfo=UTC), "2025-10-13T12:00:00.123Z"),
        (datetime(2025, 10, 13, 12, 0, tzinfo=timezone(timedelta(hours=-5))), "2025-10-13T17:00:00.000Z"),
    ],
)
def test_times_are_those_of_javascript(moment: datetime, text: str) -> None:
    assert presenter.js_iso(moment) == text


def test_every_error_code_of_a_pod_has_words() -> None:
    assert set(POD_FAILURES) == set(ErrorCode)
    assert all(presenter.pod_failure("a", code, "why") for code in ErrorCode)


def test_every_case_has_an_answer_that_json_can_say() -> None:
    values = dict.fromkeys(("id", "limit", "name", "other", "value", "why", "method", "path"), "x")
    for case in TEXTS:
        assert presenter.say(case, **values).body.startswith(b"{")


def test_values_are_not_formats_of_their_own() -> None:
    assert b"{id}{0}" in presenter.invalid_id("{id}{0}").body


def test_a_long_id_is_quoted_in_part() -> None:
    body = presenter.invalid_id("x" * 300).body.decode()
    assert "x" * 80 + "'…" in body
    assert "x" * 81 not in body
