"""The checker is checked: hand-made histories that keep or break each promise."""

from collections.abc import Sequence

import pytest

from podhistory.checker import Guarantee, check
from podhistory.history import (
    Answered,
    BackendCame,
    BackendLeft,
    Checked,
    Delivered,
    Dropped,
    GaveUp,
    History,
    Killed,
    Opened,
    Phase,
    Record,
    Step,
    Wrote,
)

pytestmark = pytest.mark.unit
NUMBER, CHAT, OTHER = "573200000001", "573100000001@s.whatsapp.net", "573100000002@s.whatsapp.net"


def incoming(i: int, id_: str, devices: int = 1) -> Record:
    return {"i": i, "kind": "incoming", "number": NUMBER, "id": id_, "devices": devices}


def accepted(id_: str, text: str) -> Record:
    return {"i": 99, "kind": "message", "number": NUMBER, "id": id_, "text": text}


def receipt(id_: str, type_: str | None) -> Record:
    return {"i": 98, "kind": "receipt", "number": NUMBER, "id": id_, "ids": [id_], "type": type_}


def about(i: int, kind: str, number: str = NUMBER) -> Record:
    return {"i": i, "kind": kind, "number": number}


def violated(steps: Sequence[Step], records: Sequence[Record] = ()) -> list[Guarantee]:
    return [violation.guarantee for violation in check(History(NUMBER, tuple(steps), tuple(records)))]


A, B, C = Wrote("a", CHAT, "A"), Wrote("b", CHAT, "B"), Wrote("c", OTHER, "C")
WROTE = [incoming(0, "a"), incoming(1, "b"), incoming(2, "c")]
GOT_A, GOT_B, GOT_C = Delivered(CHAT, "A"), Delivered(CHAT, "B"), Delivered(OTHER, "C")
KILLED = Killed(Phase.RECEIVING)


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([Opened(), A, GOT_A, B, GOT_B, C, GOT_C], id="nothing happens"),
        pytest.param([Opened(), A, B, C, GOT_C, GOT_A, GOT_B], id="chats overtake each other"),
        pytest.param([Opened(), A, GOT_A, KILLED, B, C, Opened(), GOT_A, GOT_B, GOT_C], id="again after a kill"),
        pytest.param([Opened(), A, GOT_A, BackendLeft(), B, C, BackendCame(), Opened(), GOT_A, GOT_B, GOT_C], id="again after a break"),
        pytest.param([Opened(), A, GOT_A, B, GOT_B, Dropped(), C, Opened(), GOT_A, GOT_B, GOT_C], id="again after a drop, from the start"),
    ],
)
def test_a_history_that_keeps_every_promise(steps: list[Step]) -> None:
    assert violated(steps, WROTE) == []


def test_a_message_that_never_came_is_lost() -> None:
    assert violated([Opened(), A, B, C, GOT_A, GOT_C], WROTE) == [Guarantee.NOT_LOST]


def test_a_message_written_before_a_device_was_linked_is_not_lost() -> None:
    assert violated([A], [incoming(0, "a", devices=0)]) == []


def test_a_chat_out_of_order() -> None:
    assert violated([Opened(), A, B, C, GOT_B, GOT_A, GOT_C], WROTE) == [Guarantee.IN_ORDER]


def test_a_message_that_was_asked_for_again_may_come_late() -> None:
    assert violated([Opened(), A, B, C, GOT_B, GOT_A, GOT_C], [*WROTE, receipt("a", "retry")]) == []


def test_a_repetition_is_no_first_delivery() -> None:
    assert violated([Opened(), A, B, C, GOT_A, GOT_B, KILLED, Opened(), GOT_A, GOT_C], WROTE) == []


@pytest.mark.parametrize(
    "steps",
    [
        pytest.param([Opened(), A, B, C, GOT_A, GOT_A, GOT_B, GOT_C], id="on one socket"),
        pytest.param([Opened(), A, B, C, GOT_A, Opened(), GOT_A, GOT_B, GOT_C], id="on a socket that was opened for no reason"),
        pytest.param([Opened(), A, B, C, KILLED, Opened(), GOT_A, GOT_B, GOT_A, GOT_C], id="on one socket after a kill"),
        pytest.param([Opened(), A, B, C, GOT_A, KILLED, GOT_A, GOT_B, GOT_C], id="in flight at the kill"),
    ],
)
def test_a_duplicate_without_a_break(steps: list[Step]) -> None:
    assert violated(steps, WROTE) == [Guarantee.NO_IDLE_DUPLICATE]


def test_sends_that_keep_every_promise() -> None:
    steps = [
        Answered("k1", "one", 0),
        Answered("k1", "one", 409, "idempotency_key_in_flight"),
        Answered("k1", "one", 503, "not_connected"),
        Answered("k1", "one", 200, id="s1"),
        Answered("k1", "one", 200, id="s1"),
        Answered("k2", "two", 504, "ack_timeout"),
        Answered("k3", "three", 504, "ack_timeout"),
    ]
    assert violated(steps, [accepted("s1", "one"), accepted("s2", "two")]) == []


def test_a_key_that_was_sent_twice() -> None:
    steps = [Answered("k1", "one", 0), Answered("k1", "one", 200, id="s2")]
    assert violated(steps, [accepted("s1", "one"), accepted("s2", "one")]) == [Guarantee.SENT_ONCE]


def test_an_unknown_key_that_was_sent_twice() -> None:
    steps = [Answered("k1", "one", 504, "ack_timeout")]
    assert violated(steps, [accepted("s1", "one"), accepted("s2", "one")]) == [Guarantee.SENT_ONCE]


def test_an_answer_with_an_id_that_whatsapp_does_not_have() -> None:
    assert violated([Answered("k1", "one", 200, id="s9")], [accepted("s1", "one")]) == [Guarantee.TRUE_ANSWERS]


def test_an_answer_that_changes() -> None:
    steps = [Answered("k1", "one", 504, "ack_timeout"), Answered("k1", "one", 200, id="s1")]
    assert violated(steps, [accepted("s1", "one")]) == [Guarantee.SAME_ANSWER]


def test_a_key_without_an_answer() -> None:
    assert violated([Answered("k1", "one", 409, "idempotency_key_in_flight"), GaveUp("k1", "one")]) == [Guarantee.ANSWERED]


def test_a_good_call_that_was_refused() -> None:
    assert violated([Answered("k1", "one", 422, "send_refused")]) == [Guarantee.ANSWERED]


def test_a_session_that_had_to_be_scanned_again() -> None:
    assert violated([], [about(0, "paired"), about(1, "paired")]) == [Guarantee.STAYS_PAIRED]


def test_a_session_that_was_unlinked_may_be_scanned_again() -> None:
    assert violated([], [about(0, "paired"), about(1, "paired", "somebody else"), about(2, "unlinked_by_phone"), about(3, "paired")]) == []


def test_a_database_that_is_broken_after_a_kill() -> None:
    steps = [KILLED, Checked("whatsmeow.db", "database disk image is malformed"), Checked("journal.db", "ok")]
    assert violated(steps) == [Guarantee.FILES_OPEN]


def test_a_protocol_violation_at_the_emulator() -> None:
    assert violated([], [{"i": 0, "kind": "protocol_violation", "error": "?"}]) == [Guarantee.HEALTHY_WORLD]


def test_each_promise_is_looked_at() -> None:
    from podhistory.checker import CHECKS  # noqa: PLC0415  the table itself

    assert set(CHECKS) == set(Guarantee)
