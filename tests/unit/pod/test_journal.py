"""The journal: order, de-duplication, bounds, and what survives."""

from pathlib import Path

import pytest
from msgspec.structs import replace

from wasession_pod.engine import Received, Sent
from wasession_pod.journal import KEY_SECONDS, Journal, JournalError, Outcome
from wasession_pod.settings import Retention

pytestmark = pytest.mark.unit
CHAT = "573009999999@s.whatsapp.net"
OWN = "573001234567@s.whatsapp.net"
DAY = 24 * 3600


def message(number: int, *, chat: str = CHAT, from_me: bool = False, text: str = "", push_name: str = "") -> Received:
    sender = OWN if from_me else CHAT
    return Received(
        f"id-{number}", chat, sender, from_me, text or f"text {number}", "text", has_media=False, timestamp=number, push_name=push_name
    )


def texts(journal: Journal, after: int = 0, limit: int = 1000) -> list[str]:
    return [item.message.text for item in journal.pending(after, limit)]


@pytest.fixture
def journal() -> Journal:
    return Journal(":memory:")


def test_messages_wait_in_order_until_they_are_delivered(journal: Journal) -> None:
    for number in range(5):
        journal.record(message(number), pending=True)
    assert texts(journal, limit=2) == ["text 0", "text 1"]
    second = journal.pending(0, 2)[1].seq
    assert texts(journal, second) == ["text 2", "text 3", "text 4"]
    journal.delivered(second)
    assert (journal.backlog(), texts(journal)) == (3, ["text 2", "text 3", "text 4"])


def test_a_message_that_whatsapp_sends_again_is_stored_once(journal: Journal) -> None:
    assert journal.record(message(1), pending=True)
    journal.delivered(journal.pending(0, 1)[0].seq)
    assert not journal.record(message(1), pending=True)
    assert journal.backlog() == 0


def test_what_waits_survives_the_end_of_the_process(tmp_path: Path) -> None:
    first = Journal(tmp_path / "journal.db")
    original = message(1, text="¿sigue ahí?", push_name="Carlos")
    first.record(original, pending=True)
    second = Journal(tmp_path / "journal.db")  # the first was not closed, as after a SIGKILL
    assert second.pending(0, 10)[0].message == original


def test_the_oldest_deliveries_over_the_bound_are_dropped_logged_and_counted_over_restarts(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    kept = Retention(max_messages=7, max_pending=4)
    journal = Journal(tmp_path / "journal.db", kept, now=lambda: 100)
    for number in range(10):
        journal.record(message(number), pending=True)
    journal.prune()
    assert texts(journal) == ["text 6", "text 7", "text 8", "text 9"]
    assert [kept.id for kept in journal.messages(CHAT, 100)] == [f"id-{number}" for number in range(3, 10)]
    assert "6 messages dropped unsent" in caplog.text
    assert (journal.dropped, Journal(tmp_path / "journal.db", kept, now=lambda: 100).dropped) == (6, 6)


def test_messages_over_the_bound_are_kept_while_they_wait() -> None:
    journal = Journal(":memory:", Retention(max_messages=2, max_pending=100))
    for number in range(10):
        journal.record(message(number), pending=True)
    journal.prune()
    assert journal.backlog() == 10


def test_age_counts_from_when_a_message_came_not_from_when_it_was_sent() -> None:
    now = [1000 * DAY]
    journal = Journal(":memory:", Retention(max_age_days=30), now=lambda: now[0])
    journal.record(message(1), pending=True)  # sent in 1970, as after a phone that was off for long
    now[0] += 30 * DAY
    journal.prune()
    assert journal.backlog() == 1
    now[0] += 1
    journal.prune()
    assert (journal.backlog(), journal.dropped, journal.messages(CHAT, 10)) == (0, 1, [])


def test_a_contact_cannot_suppress_anothers_message_by_using_its_id(journal: Journal) -> None:
    group, other = "120363000000000000@g.us", "573008888888@s.whatsapp.net"
    same_id = [
        message(1),
        replace(message(1), chat=other, sender=other),
        replace(message(1), chat=group),
        replace(message(1), chat=group, sender=other),
    ]
    assert [journal.record(each, pending=True) for each in same_id] == [True] * 4
    assert [journal.record(each, pending=True) for each in same_id] == [False] * 4
    assert journal.backlog() == 4


def test_chats_come_newest_first_with_their_name_and_unread_messages(journal: Journal) -> None:
    group = "120363000000000000@g.us"
    journal.record(message(1, push_name="Carlos"), pending=False)
    journal.record(message(2, from_me=True), pending=False)
    journal.record(message(3, text="último"), pending=False)
    journal.record(message(4, chat=group, push_name="Carlos"), pending=False)
    chats = journal.chats()
    assert [(chat.id, chat.name, chat.is_group, chat.unread_count) for chat in chats] == [
        (group, None, True, 1),
        (CHAT, "Carlos", False, 1),
    ]
    last = chats[1].last_message
    assert last
    assert (last.text, last.timestamp, last.from_me) == ("último", 3, False)


def test_the_newest_messages_of_a_chat_come_oldest_first(journal: Journal) -> None:
    for number in range(5):
        journal.record(message(number), pending=False)
    journal.record(message(9, chat="other@g.us"), pending=False)
    assert [m.text for m in journal.messages(CHAT, 2)] == ["text 3", "text 4"]


def test_an_idempotency_key_is_claimed_once_and_remembers_the_answer(journal: Journal) -> None:
    assert journal.begin_send("k", "body", 0) == (Outcome.NEW, None)
    assert journal.begin_send("k", "body", 0) == (Outcome.IN_FLIGHT, None)
    journal.end_send("k", Outcome.DONE, Sent("id", 7))
    assert journal.begin_send("k", "body", 0) == (Outcome.DONE, Sent("id", 7))
    assert journal.begin_send("k", "other body", 0) == (Outcome.OTHER_BODY, None)


def test_a_key_is_free_again_if_nothing_went_out_and_after_a_day(journal: Journal) -> None:
    journal.begin_send("k", "body", 0)
    journal.end_send("k", Outcome.NEW)
    assert journal.begin_send("k", "other body", 0)[0] is Outcome.NEW
    assert journal.begin_send("k", "a third body", KEY_SECONDS + 1)[0] is Outcome.NEW


def test_a_send_that_a_kill_interrupted_is_unknown_for_ever(tmp_path: Path) -> None:
    Journal(tmp_path / "journal.db").begin_send("k", "body", 0)
    assert Journal(tmp_path / "journal.db").begin_send("k", "body", 0) == (Outcome.UNKNOWN, None)


def test_a_file_that_is_no_database_is_named_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "journal.db"
    file.write_text("something else, long enough to be looked at" * 100)
    with pytest.raises(JournalError, match=r"journal\.db: file is not a database"):
        Journal(file)
    assert file.read_text().startswith("something else")


def test_a_journal_that_fails_later_says_so(journal: Journal) -> None:
    journal.close()
    with pytest.raises(JournalError):
        journal.record(message(1), pending=True)
