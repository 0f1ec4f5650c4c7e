"""What whatsmeow's log lines say of a connection; the lines are as neonize 0.5.2 printed them."""

from datetime import UTC, datetime, timedelta

import pytest

from wasession_pod.engine import Disconnected
from wasession_pod.whatsmeow_log import end, local_fault, socket_failed, verdict

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)

LINES = {
    'Unknown connect failure: <failure reason="429"/>': Disconnected(429),
    'Unknown connect failure: <failure reason="418" message="no"/>': Disconnected(418, "login refused: no"),
    'Unknown connect failure: <failure location="frc"/>': Disconnected(500),
    'Temporary ban connect failure: <failure reason="402"/>': Disconnected(402),
    'Temporary ban connect failure: <failure code="101" expire="60" reason="402"/>': Disconnected(402, until=NOW + timedelta(seconds=60)),
    "Got 503/ connect failure, assuming automatic reconnect will handle it": Disconnected(503),
    "Got 500/try later connect failure, assuming automatic reconnect will handle it": Disconnected(500),
    "Got 503 stream error, assuming automatic reconnect will handle it": Disconnected(503),
    "Got 515 code, reconnecting...": None,
    'Error reading from websocket: <failure reason="401"/>': None,
    "": None,
}


@pytest.mark.parametrize("line", LINES)
def test_the_reason_of_a_refusal_is_read_from_the_log(line: str) -> None:
    assert verdict(line, NOW) == LINES[line]


def test_a_login_refused_for_good_is_an_end() -> None:
    assert end("Got 406: unknown logout/banned connect failure, sending LoggedOut event and deleting session") == Disconnected(406)


def test_a_failed_login_after_a_515_is_an_end() -> None:
    assert end("Failed to reconnect after 515 code: failed to dial") == Disconnected(515)
    assert end("Got 515 code, reconnecting...") is None


def test_a_volume_that_fails_is_heard_but_not_from_a_stranger() -> None:
    assert local_fault("Failed to store session: database or disk is full")
    assert not local_fault('Unhandled stanza <message notify="database or disk is full"/>')
    assert not local_fault("Failed to decrypt message: mismatching MAC")


def test_a_socket_that_cannot_be_read_is_recognized() -> None:
    assert socket_failed("Error reading from websocket: failed to get reader: failed to read frame header: EOF")
    assert not socket_failed("Error sending close to websocket: EOF")
