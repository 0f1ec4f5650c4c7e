"""Events: the envelope on the wire, and ids that can be sorted."""

import json

import pytest

from wasession_contract.v1alpha1 import SessionState
from wasession_pod import VERSION
from wasession_pod.engine import Account, Receipt, Received
from wasession_pod.events import Events, Metadata, StatusPayload

pytestmark = pytest.mark.unit
CHAT, OWN = "573009999999@s.whatsapp.net", "573001234567@s.whatsapp.net"
ME = Account("573001234567", OWN, name="María")
NOW = 1_700_000_000_000


class Clock:
    """A clock that the test moves."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def events(clock: Clock) -> Events:
    return Events("cliente1", Metadata("default", "cliente-1"), now_ms=clock, entropy=lambda size: b"\x00" * size)


def test_a_message_is_told_in_the_fields_envelope(events: Events) -> None:
    message = Received("3EB0", CHAT, CHAT, from_me=False, text="la factura", type="image", has_media=True, timestamp=7, push_name="Carlos")
    event = events.message(message, ME)
    assert (event.name, event.at) == ("message", NOW)
    assert json.loads(event.body) == {
        "id": event.id,
        "timestamp": NOW,
        "event": "message",
        "session": "cliente1",
        "metadata": {"namespace": "default", "name": "cliente-1"},
        "me": {"id": OWN, "pushName": "María"},
        "payload": {
            "id": "3EB0",
            "chat": CHAT,
            "from": CHAT,
            "fromMe": False,
            "text": "la factura",
            "type": "image",
            "hasMedia": True,
            "timestamp": 7,
            "pushName": "Carlos",
        },
        "environment": {"version": VERSION},
    }


def test_an_acknowledgement_names_the_messages_that_moved(events: Events) -> None:
    event = events.ack(Receipt(CHAT, ("a", "b", "c"), "read", 7), ("a", "c"), ME)
    assert event.name == "message.ack"
    assert json.loads(event.body)["payload"] == {"ids": ["a", "c"], "chat": CHAT, "status": "read", "timestamp": 7}


def test_a_status_is_told_before_the_first_login_too(events: Events) -> None:
    event = events.status(StatusPayload(SessionState.AWAITING_SCAN), None)
    told = json.loads(event.body)
    assert (event.name, told["me"], told["payload"]) == ("session.status", None, {"status": "AwaitingScan"})


def test_an_id_is_a_ulid(events: Events, clock: Clock) -> None:
    clock.now = 1469918176385  # the example of the ULID specification
    assert events.status(StatusPayload(SessionState.CONNECTED), None).id == "evt_01ARYZ6S410000000000000000"


@pytest.mark.parametrize("steps", [[0, 0, 0], [1, 1, 1], [5, -3, 0, -2, 4]])
def test_ids_grow_within_a_millisecond_and_when_the_clock_goes_back(events: Events, clock: Clock, steps: list[int]) -> None:
    ids = []
    for step in steps:
        clock.now += step
        ids.append(events.status(StatusPayload(SessionState.CONNECTED), None).id)
    assert ids == sorted(set(ids))
