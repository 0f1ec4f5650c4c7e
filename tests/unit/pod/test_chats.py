"""Chats and statuses: what live traffic, receipts, history sync and groups' news make of them, in any order."""

import pytest

from wasession_contract.podwire import Chat, LastMessage
from wasession_pod.engine import ChatInfo, History, Receipt, Received
from wasession_pod.events import Event
from wasession_pod.journal import Journal
from wasession_pod.journal import journal as journal_module
from wasession_pod.journal.chats import ChatRow, told
from wasession_pod.settings import Retention

pytestmark = pytest.mark.unit
CHAT, GROUP, OWN = "573009999999@s.whatsapp.net", "120363000000000000@g.us", "573001234567@s.whatsapp.net"
DAY = 24 * 3600
NOW = 1000 * DAY


def message(id_: str, timestamp: int = 0, *, chat: str = CHAT, from_me: bool = False, text: str = "", push_name: str = "") -> Received:
    sender = OWN if from_me else CHAT
    return Received(id_, chat, sender, from_me, text or id_, "text", has_media=False, timestamp=NOW + timestamp, push_name=push_name)


@pytest.fixture
def journal() -> Journal:
    return Journal(":memory:", now=lambda: NOW)


ROW = ChatRow(CHAT, unread=2, listed=True)
GROUP_ROW = ChatRow(GROUP, name="Vecinos", listed=True)


@pytest.mark.parametrize(
    ("row", "info", "after"),
    [
        (ChatRow(CHAT), ChatInfo(CHAT, name="Carlos"), ChatRow(CHAT, push_name="Carlos")),
        (ChatRow(CHAT, name="Carlos Pérez"), ChatInfo(CHAT, name="Carlos"), ChatRow(CHAT, name="Carlos Pérez", push_name="Carlos")),
        (GROUP_ROW, ChatInfo(GROUP, name="Vecinos 2"), ChatRow(GROUP, name="Vecinos 2", listed=True)),
        (ChatRow(GROUP), ChatInfo(GROUP, name="Vecinos", unread_count=0), GROUP_ROW),
        (ROW, ChatInfo(CHAT, unread_count=0), ChatRow(CHAT, unread=0, listed=True)),
        (
            ChatRow(CHAT),
            ChatInfo(CHAT, "Carlos Pérez", unread_count=3, pinned=True, archived=True),
            ChatRow(CHAT, name="Carlos Pérez", unread=3, pinned=True, archived=True, listed=True, synced=True),
        ),
        (ROW, ChatInfo(CHAT, unread_count=1, pinned=False, archived=False), ChatRow(CHAT, unread=2, listed=True, synced=True)),
        (
            ChatRow(CHAT, unread=0, listed=True, synced=True),
            ChatInfo(CHAT, "Carlos", unread_count=3, pinned=True, archived=False),
            ChatRow(CHAT, name="Carlos", unread=0, listed=True, synced=True),
        ),
    ],
)
def test_what_is_told_of_a_chat_spoils_nothing_that_is_known_better(row: ChatRow, info: ChatInfo, after: ChatRow) -> None:
    assert told(row, info) == after


def test_history_and_live_messages_make_one_chat_in_the_order_of_their_times(journal: Journal) -> None:
    journal.record(message("live", 0, push_name="Carlos"), pending=True)
    past = (message("past-1", -20), message("past-2", -10, from_me=True), message("live", -5, text="another text"))
    journal.remember(History((ChatInfo(CHAT, "Carlos Pérez", unread_count=2, pinned=True, archived=False),), past))
    assert [(m.id, m.text, m.status) for m in journal.messages(CHAT, 10)] == [
        ("past-1", "past-1", None),
        ("past-2", "past-2", "sent"),
        ("live", "live", None),
    ]
    last = LastMessage("live", NOW, from_me=False)
    assert journal.chats() == [Chat(CHAT, "Carlos Pérez", is_group=False, unread_count=2, last_message=last, pinned=True)]
    assert [item.message.id for item in journal.pending(0, 10)] == ["live"]


def test_history_is_never_news_even_if_the_same_message_comes_live_later(journal: Journal) -> None:
    journal.remember(History((), (message("past"),)))
    assert not journal.record(message("past"), pending=True)
    assert journal.backlog() == 0


def test_history_that_is_too_old_or_too_much_is_left_out() -> None:
    journal = Journal(":memory:", Retention(max_messages=3, max_age_days=1), now=lambda: NOW)
    journal.record(message("live", -DAY - 10), pending=False)
    journal.remember(History((), (message("old", -DAY - 1), *[message(f"past-{number}", -number) for number in range(1, 6)])))
    assert [m.id for m in journal.messages(CHAT, 10)] == ["live", "past-2", "past-1"]


def test_long_history_is_stored_in_parts(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "_BATCH", 3)
    journal.remember(History((), tuple(message(f"past-{number}", number - 100) for number in range(10))))
    assert len(journal.messages(CHAT, 100)) == 10


def test_chats_without_messages_come_last_and_mere_names_not_at_all(journal: Journal) -> None:
    journal.remember(History((ChatInfo(GROUP, "Vecinos", unread_count=0), ChatInfo("573008888888@s.whatsapp.net", "Ana")), ()))
    journal.record(message("live"), pending=False)
    assert [(chat.id, chat.name, chat.last_message is None) for chat in journal.chats()] == [(CHAT, None, False), (GROUP, "Vecinos", True)]
    journal.record(message("ana", chat="573008888888@s.whatsapp.net"), pending=False)
    assert "Ana" in {chat.name for chat in journal.chats()}


def test_names_without_messages_are_bounded(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MAX_CHATS", 2)
    journal.record(message("live"), pending=False)
    journal.remember(History(tuple(ChatInfo(f"1203630000000000{number:02}@g.us", "x", unread_count=0) for number in range(5)), ()))
    assert [chat.id for chat in journal.chats()] == [CHAT, "120363000000000003@g.us", "120363000000000004@g.us"]


def unread(journal: Journal) -> int:
    return journal.chats()[0].unread_count


def test_unread_messages_are_counted_until_the_account_writes_or_reads(journal: Journal) -> None:
    for number in (1, 2):
        journal.record(message(f"in-{number}"), pending=False)
    assert unread(journal) == 2
    journal.record(message("out", from_me=True), pending=False)
    assert unread(journal) == 0
    journal.record(message("in-3"), pending=False)
    assert unread(journal) == 1
    journal.mark_read(CHAT)
    assert unread(journal) == 0


def status(journal: Journal, id_: str) -> str | None:
    return next(m.status for m in journal.messages(CHAT, 10) if m.id == id_)


def receipt(kind: str, *ids: str, chat: str = CHAT) -> Receipt:
    return Receipt(chat, ids, kind, NOW)


def test_receipts_move_our_messages_forward_and_never_back(journal: Journal) -> None:
    for id_ in ("a", "b"):
        journal.record(message(id_, from_me=True), pending=False)
    assert journal.advance(receipt("read", "a")) == ("a",)
    assert journal.advance(receipt("delivered", "a", "b")) == ("b",)
    assert journal.advance(receipt("delivered", "b")) == ()
    assert (status(journal, "a"), status(journal, "b")) == ("read", "delivered")
    assert journal.advance(receipt("played", "a", "b")) == ("a", "b")


def test_receipts_move_nobody_elses_message_and_no_other_chats(journal: Journal) -> None:
    journal.record(message("in"), pending=False)
    journal.record(message("out", from_me=True), pending=False)
    assert journal.advance(receipt("read", "in")) == ()
    assert journal.advance(receipt("read", "out", chat="573008888888@s.whatsapp.net")) == ()
    assert (status(journal, "in"), status(journal, "out")) == (None, "sent")
    assert journal.advance(receipt("read", "out", chat="100@lid")) == ("out",)


def test_a_receipt_that_is_faster_than_the_acknowledgement_counts(journal: Journal) -> None:
    assert journal.advance(receipt("read", "out")) == ("out",)
    assert journal.advance(receipt("delivered", "out")) == ()
    journal.record(message("out", from_me=True), pending=False)
    assert status(journal, "out") == "read"


def test_early_receipts_are_bounded(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MAX_EARLY", 2)
    journal.advance(receipt("read", "a", "b", "c"))
    for id_ in ("a", "b", "c"):
        journal.record(message(id_, from_me=True), pending=False)
    assert [status(journal, id_) for id_ in ("a", "b", "c")] == ["sent", "read", "read"]


def test_an_acknowledgement_is_told_of_the_messages_that_moved(journal: Journal) -> None:
    journal.outbox.subscribe({"http://hook": {"message.ack"}})
    journal.record(message("a", from_me=True), pending=False)
    told_of: list[tuple[str, ...]] = []

    def event(ids: tuple[str, ...]) -> Event:
        told_of.append(ids)
        return Event("evt_1", "message.ack", b"{}", NOW * 1000)

    journal.advance(receipt("read", "a"), event)
    journal.advance(receipt("read", "a"), event)
    assert (told_of, journal.outbox.backlog()) == ([("a",)], 1)
