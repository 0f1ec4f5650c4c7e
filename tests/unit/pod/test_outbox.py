"""The outbox: who gets which events, in which order, and what becomes of those that nobody takes."""

from collections.abc import Callable
from pathlib import Path

import pytest

from wasession_contract.podwire import DeadLetter
from wasession_pod.engine import Received
from wasession_pod.events import Event
from wasession_pod.journal import Journal, Outbox
from wasession_pod.journal import outbox as outbox_module
from wasession_pod.settings import Retention

pytestmark = pytest.mark.unit
A, B = "http://a/hook", "http://b/hook"
CHAT = "573009999999@s.whatsapp.net"
DAY = 24 * 3600


def event(number: int, name: str = "message") -> Event:
    return Event(f"evt_{number}", name, b"{}", number * 1000)


def message(number: int) -> Received:
    return Received(f"m{number}", CHAT, CHAT, from_me=False, text="x", type="text", has_media=False, timestamp=number)


@pytest.fixture
def journal() -> Journal:
    journal = Journal(":memory:", now=lambda: 100)
    journal.outbox.subscribe({A: {"message", "message.ack"}, B: {"message"}})
    return journal


def waiting(outbox: Outbox, url: str) -> list[str]:
    """The ids of what waits for a webhook, found by taking it."""
    found = []
    while letter := outbox.first(url):
        found.append(letter.id)
        outbox.delivered(url, letter.seq)
    return found


def stored_events(journal: Journal) -> int:
    return int(journal._read("SELECT count(*) FROM events", ())[0][0])


def test_each_webhook_gets_the_events_that_it_wants_in_order(journal: Journal) -> None:
    outbox = journal.outbox
    for number, name in enumerate(["message", "message.ack", "session.status", "message"]):
        outbox.put(event(number, name))
    assert outbox.backlog() == 5
    assert stored_events(journal) == 3
    assert [outbox.wants(name) for name in ("message", "message.ack", "session.status")] == [True, True, False]
    assert (waiting(outbox, A), waiting(outbox, B)) == (["evt_0", "evt_1", "evt_3"], ["evt_0", "evt_3"])
    assert (outbox.backlog(), stored_events(journal)) == (0, 0)


def test_a_message_and_its_event_are_stored_together_and_once(journal: Journal) -> None:
    for number in (1, 2):
        journal.record(message(1), pending=True, event=event(number))
    assert waiting(journal.outbox, B) == ["evt_1"]


def test_what_waits_and_how_often_it_was_tried_survives_the_end_of_the_process(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal.db", now=lambda: 100)
    first.outbox.subscribe({A: {"message"}})
    first.record(message(1), pending=False, event=event(1))
    letter = first.outbox.first(A)
    assert letter
    first.outbox.retry(A, letter.seq, 7000, "status 503")
    second = Journal(tmp_path / "journal.db", now=lambda: 100)
    second.outbox.subscribe({A: {"message"}})
    again = second.outbox.first(A)
    assert again
    assert (again.id, again.body, again.attempts, again.due) == ("evt_1", b"{}", 1, 7000)


def kill(outbox: Outbox, url: str, at: int, reason: str = "status 400") -> None:
    letter = outbox.first(url)
    assert letter
    outbox.dead(url, letter.seq, at, reason)


def test_dead_letters_are_listed_and_block_nobody(journal: Journal) -> None:
    outbox = journal.outbox
    for number in (1, 2):
        outbox.put(event(number))
    kill(outbox, A, 60)
    kill(outbox, B, 50, "status 404")
    assert outbox.dead_letters() == [
        DeadLetter("evt_1", "message", B, 1, "status 404", 50),
        DeadLetter("evt_1", "message", A, 1, "status 400", 60),
    ]
    assert (len(outbox.dead_letters()), outbox.backlog()) == (2, 2)
    assert waiting(outbox, A) == ["evt_2"]


def test_a_dead_letter_is_delivered_again_before_what_came_after_it(journal: Journal) -> None:
    outbox = journal.outbox
    for number in (1, 2, 3):
        outbox.put(event(number))
    kill(outbox, A, 60)
    kill(outbox, A, 61)
    kill(outbox, B, 62)
    assert (outbox.redeliver("evt_unknown"), outbox.redeliver("evt_2")) == (0, 1)
    letter = outbox.first(A)
    assert letter
    assert (letter.id, letter.attempts, letter.due) == ("evt_2", 0, 0)
    assert (outbox.redeliver(), outbox.redeliver()) == (2, 0)
    assert (waiting(outbox, A), waiting(outbox, B)) == (["evt_1", "evt_2", "evt_3"], ["evt_1", "evt_2", "evt_3"])


def test_what_waits_for_a_webhook_that_is_no_more_goes(journal: Journal) -> None:
    outbox = journal.outbox
    for number in (1, 2):
        outbox.put(event(number))
    kill(outbox, A, 60)
    outbox.subscribe({B: {"message"}})
    assert (outbox.first(A), outbox.dead_letters(), outbox.backlog()) == (None, [], 2)
    outbox.subscribe({})
    assert (outbox.backlog(), stored_events(journal)) == (0, 0)


@pytest.fixture
def make_bounded(tmp_path: Path) -> Callable[[float], Journal]:
    """Opens a journal that keeps three deliveries and a day, at a time."""

    def make(now: float) -> Journal:
        journal = Journal(tmp_path / "journal.db", Retention(max_pending=3, max_age_days=1), now=lambda: now)
        journal.outbox.subscribe({A: {"message"}, B: {"message"}})
        return journal

    return make


def test_the_oldest_deliveries_over_the_bound_are_dropped_counted_over_restarts_and_logged(
    make_bounded: Callable[[float], Journal], caplog: pytest.LogCaptureFixture
) -> None:
    journal = make_bounded(100)
    for number in range(5):
        journal.outbox.put(event(number))
    journal.outbox.delivered(B, 1)
    journal.prune()
    assert (journal.outbox.dropped, make_bounded(100).outbox.dropped) == (3, 3)
    assert "3 webhook deliveries dropped" in caplog.text
    assert (waiting(journal.outbox, A), waiting(journal.outbox, B)) == (["evt_2", "evt_3", "evt_4"], ["evt_2", "evt_3", "evt_4"])


def test_deliveries_and_dead_letters_that_are_too_old_go(make_bounded: Callable[[float], Journal]) -> None:
    journal = make_bounded(100)
    journal.outbox.put(event(1))
    journal.outbox.put(event(101))
    kill(journal.outbox, B, 100)
    later = make_bounded(100 + DAY)
    assert (later.outbox.dropped, later.outbox.dead_letters(), waiting(later.outbox, A)) == (1, [], ["evt_101"])


def test_the_oldest_dead_letters_over_the_bound_go(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "MAX_DEAD", 2)
    for number in range(4):
        journal.outbox.put(event(number))
        kill(journal.outbox, A, number)
    journal.prune()
    assert [letter.id for letter in journal.outbox.dead_letters()] == ["evt_2", "evt_3"]
    assert journal.outbox.dropped == 0
