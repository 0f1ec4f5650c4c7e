"""Where news go: messages and receipts with their events, history without, and only if a webhook wants them."""

import json

import pytest

from wasession_contract.v1alpha1 import SessionState
from wasession_pod.engine import Account, ChatInfo, History, Receipt, Received
from wasession_pod.events import Events, Metadata, StatusPayload
from wasession_pod.inbox import Inbox
from wasession_pod.journal import Journal

pytestmark = pytest.mark.unit
CHAT, OWN = "573009999999@s.whatsapp.net", "573001234567@s.whatsapp.net"
HOOK = "http://hook"


def message(id_: str, *, from_me: bool = False) -> Received:
    return Received(id_, CHAT, OWN if from_me else CHAT, from_me, "Hola", "text", has_media=False, timestamp=7)


class World:
    """An inbox and its journal."""

    def __init__(self, *, pending: bool = True, wanted: tuple[str, ...] = ("message", "message.ack", "session.status")) -> None:
        self.journal = Journal(":memory:")
        self.journal.outbox.subscribe({HOOK: set(wanted)} if wanted else {})
        events = Events("cliente1", Metadata("default", "cliente1"), now_ms=lambda: 7000)
        self.inbox = Inbox(self.journal, events, pending=pending, account=lambda: Account("573001234567", OWN, name="María"))

    def events(self) -> list[tuple[str, object]]:
        """Names and payloads of what waits for the webhook, which takes it."""
        found = []
        while letter := self.journal.outbox.first(HOOK):
            found.append((letter.name, json.loads(letter.body)["payload"]))
            self.journal.outbox.delivered(HOOK, letter.seq)
        return found


def test_a_message_waits_for_backend_and_webhook_once() -> None:
    world = World()
    assert world.inbox.take(message("in")) == message("in")
    assert world.inbox.take(message("in")) is None
    assert world.journal.backlog() == 1
    assert [(name, payload["id"]) for name, payload in world.events()] == [("message", "in")]  # type: ignore[index]


def test_the_accounts_own_messages_are_news_to_nobody() -> None:
    world = World()
    assert world.inbox.take(message("out", from_me=True)) == message("out", from_me=True)
    assert (world.journal.backlog(), world.events()) == (0, [])


def test_without_a_backend_nothing_waits_for_it() -> None:
    world = World(pending=False)
    world.inbox.take(message("in"))
    assert world.journal.backlog() == 0


def test_a_receipt_is_told_for_what_it_moved() -> None:
    world = World()
    world.inbox.take(message("out", from_me=True))
    for kind in ("read", "delivered", "read"):
        assert world.inbox.take(Receipt(CHAT, ("out",), kind, 8)) is None
    assert world.events() == [("message.ack", {"ids": ["out"], "chat": CHAT, "status": "read", "timestamp": 8})]
    assert world.journal.messages(CHAT, 1)[0].status == "read"


def test_history_is_stored_and_told_to_nobody() -> None:
    world = World()
    assert world.inbox.take(History((ChatInfo(CHAT, "Carlos", unread_count=1, pinned=True, archived=False),), (message("past"),))) is None
    assert (world.journal.backlog(), world.events()) == (0, [])
    assert world.journal.chats()[0].name == "Carlos"


def test_a_state_is_told() -> None:
    world = World()
    world.inbox.tell_status(StatusPayload(SessionState.REPLACED, "another instance took over"))
    assert world.events() == [("session.status", {"status": "Replaced", "message": "another instance took over"})]


def test_what_no_webhook_wants_is_not_stored() -> None:
    world = World(wanted=())
    world.inbox.take(message("in"))
    world.inbox.take(message("out", from_me=True))
    world.inbox.take(Receipt(CHAT, ("out",), "read", 8))
    world.inbox.tell_status(StatusPayload(SessionState.CONNECTED))
    assert world.journal.outbox.backlog() == 0
    assert world.journal.messages(CHAT, 2)[1].status == "read"
