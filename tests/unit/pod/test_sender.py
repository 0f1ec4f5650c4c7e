"""Sending with a fake engine: files, answers, pacing and idempotency keys, and what the other side sees of us besides."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

from wasession_contract.podwire import Activity, ErrorCode, Media, MediaKind, SendRequest
from wasession_contract.v1alpha1 import Pacing
from wasession_pod.clientcalls import ClientCalls
from wasession_pod.engine import EngineError, File, NoEngine, Outgoing, Quoted, Received, Refusal, Sent, Text
from wasession_pod.fetcher import Fetched, FetchError
from wasession_pod.journal import Journal, Outcome
from wasession_pod.orders import SendError, fingerprint
from wasession_pod.pacing import Pacer
from wasession_pod.sender import Sender, by_sender

pytestmark = pytest.mark.unit
CHAT, OWN = "573009999999@s.whatsapp.net", "573001234567@s.whatsapp.net"
HELLO = SendRequest(CHAT, "Hola")
PNG = b"\x89PNG\r\n\x1a\nx"
IMAGE = SendRequest(CHAT, media=Media(MediaKind.IMAGE, url="https://files.example/foto.png", caption="mira"))


class Engine(NoEngine):
    """Remembers what it was given."""

    def __init__(self) -> None:
        self.sent: list[Outgoing] = []
        self.seen: list[object] = []
        self.refusal: Exception | None = None

    def send(self, to: str, message: Outgoing) -> Sent:  # noqa: ARG002  the protocol's
        self.sent.append(message)
        if self.refusal:
            raise self.refusal
        return Sent(f"id-{len(self.sent)}", 1700000000)

    def show_activity(self, to: str, activity: Activity) -> None:
        if self.refusal:
            raise self.refusal
        self.seen.append((to, activity))

    def mark_read(self, chat: str, sender: str, ids: Sequence[str]) -> None:
        self.seen.append((chat, sender, list(ids)))


class Fetcher:
    """Fetches what the test says."""

    def __init__(self) -> None:
        self.file: Fetched | FetchError = Fetched(PNG, "foto.png")
        self.gate = asyncio.Event()
        self.gate.set()
        self.fetched = 0

    async def fetch(self, _url: str) -> Fetched:
        self.fetched += 1
        await self.gate.wait()
        if isinstance(self.file, FetchError):
            raise self.file
        return self.file


class World:
    """A sender and what is around it; `now` is the pacing's clock."""

    def __init__(self, pacing: Pacing) -> None:
        self.engine, self.fetcher, self.journal = Engine(), Fetcher(), Journal(":memory:")
        self.not_ready: str | None = None
        self.now = 1_700_000_000.0
        self.acks: list[float] = []
        fetcher: Any = self.fetcher
        self.sender = Sender(
            self.engine,
            self.journal,
            ClientCalls(),
            fetcher=fetcher,
            pacer=Pacer(pacing, self.journal.budget, now=lambda: self.now, jitter=lambda: 0.0),
            not_ready=lambda: self.not_ready,
            own_jid=lambda: OWN,
            on_ack=self.acks.append,
        )

    def receive(self, id_: str, *, chat: str = CHAT, sender: str = CHAT, at: int = 1, from_me: bool = False) -> None:
        self.journal.record(Received(id_, chat, sender, from_me, f"text of {id_}", "text", has_media=False, timestamp=at), pending=False)

    async def refused(self, work: Awaitable[object], code: ErrorCode, words: str | None = None) -> SendError:
        with pytest.raises(SendError, match=words) as refused:
            await work
        assert refused.value.code is code
        return refused.value

    def key(self, key: str, request: SendRequest) -> Outcome:
        return self.journal.begin_send(key, fingerprint(request), int(self.now))[0]


@pytest.fixture
def world() -> World:
    return World(Pacing())


@pytest.fixture
def make() -> Callable[[Pacing], World]:
    return World


async def test_a_file_by_url_is_fetched_and_kept_as_its_caption(world: World) -> None:
    await world.sender.send(IMAGE)
    assert world.engine.sent == [File(MediaKind.IMAGE, PNG, "image/png", filename="foto.png", caption="mira")]
    assert [(m.text, m.type, m.has_media, m.sender) for m in world.journal.messages(CHAT, 9)] == [("mira", "image", True, OWN)]


async def test_a_file_without_caption_is_kept_as_the_contracts_words(world: World) -> None:
    await world.sender.send(SendRequest(CHAT, media=Media(MediaKind.DOCUMENT, base64=b"%PDF-", filename="a.pdf")))
    assert [(m.text, m.type) for m in world.journal.messages(CHAT, 9)] == [("[Documento recibido]", "document")]
    assert world.fetcher.fetched == 0


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [
        (FetchError("address not allowed"), ErrorCode.MEDIA_UNFETCHABLE, r"\Amedia\.url: address not allowed\Z"),
        (Fetched(b"%PDF-", "foto.png"), ErrorCode.BAD_REQUEST, "application/pdf"),
    ],
)
async def test_a_file_that_cannot_be_had_is_not_sent_and_frees_the_key(
    world: World, file: Fetched | FetchError, code: ErrorCode, words: str
) -> None:
    world.fetcher.file = file
    await world.refused(world.sender.send(IMAGE, "k"), code, words)
    assert world.engine.sent == []
    assert world.sender.failed == 1
    assert world.key("k", IMAGE) is Outcome.NEW


async def test_an_answer_quotes_what_the_journal_holds(world: World) -> None:
    world.receive("q1")
    await world.sender.send(SendRequest(CHAT, "Sí", reply_to="q1"))
    assert world.engine.sent == [Text("Sí", Quoted("q1", CHAT, "text of q1"))]
    await world.refused(world.sender.send(SendRequest(CHAT, "Sí", reply_to="q2"), "k"), ErrorCode.MESSAGE_UNKNOWN, "'q2'")
    assert world.key("k", SendRequest(CHAT, "Sí", reply_to="q2")) is Outcome.NEW


async def test_a_full_budget_refuses_with_the_time_and_frees_the_key(make: Callable[[Pacing], World]) -> None:
    world = make(Pacing(messages_per_minute=6, burst=1))
    await world.sender.send(HELLO)
    refused = await world.refused(world.sender.send(IMAGE, "k"), ErrorCode.PACING_LIMITED, "try again in 10 s")
    assert (refused.retry_after, world.fetcher.fetched, len(world.engine.sent)) == (10, 0, 1)
    world.now += 10
    await world.sender.send(IMAGE, "k")
    assert len(world.engine.sent) == 2


async def test_what_was_not_handed_over_costs_no_budget(make: Callable[[Pacing], World]) -> None:
    world = make(Pacing(messages_per_day=1))
    world.fetcher.file = FetchError("status 404")
    await world.refused(world.sender.send(IMAGE), ErrorCode.MEDIA_UNFETCHABLE)
    world.not_ready = "WhatsApp is not connected"
    await world.refused(world.sender.send(HELLO), ErrorCode.NOT_CONNECTED)
    world.not_ready = None
    await world.sender.send(HELLO)
    await world.refused(world.sender.send(HELLO), ErrorCode.PACING_LIMITED)


async def test_the_patient_wait_for_the_budget(make: Callable[[Pacing], World], monkeypatch: pytest.MonkeyPatch) -> None:
    world = make(Pacing(messages_per_minute=6, burst=1))
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)
        world.now += seconds

    monkeypatch.setattr("wasession_pod.sender.asyncio.sleep", sleep)
    for _ in range(3):
        await world.sender.send(HELLO, patient=True)
    assert waits == [10, 10]


async def test_a_connection_that_goes_while_the_file_is_fetched_sends_nothing(world: World) -> None:
    world.fetcher.gate.clear()
    sending = asyncio.create_task(world.sender.send(IMAGE, "k"))
    while not world.fetcher.fetched:  # noqa: ASYNC110
        await asyncio.sleep(0)
    world.not_ready = "WhatsApp is not connected"
    world.fetcher.gate.set()
    await world.refused(sending, ErrorCode.NOT_CONNECTED)
    assert world.engine.sent == []


@pytest.mark.parametrize(
    ("failure", "outcome"),
    [
        (EngineError(Refusal.REFUSED, "no"), Outcome.NEW),
        (EngineError(Refusal.NOT_CONNECTED, "no"), Outcome.NEW),
        (EngineError(Refusal.UNKNOWN, "?"), Outcome.UNKNOWN),
        (ZeroDivisionError("a defect in the engine"), Outcome.UNKNOWN),
    ],
)
async def test_a_key_is_free_again_only_if_surely_nothing_went_out(world: World, failure: Exception, outcome: Outcome) -> None:
    world.engine.refusal = failure
    with pytest.raises((SendError, ZeroDivisionError)):
        await world.sender.send(HELLO, "k")
    assert world.key("k", HELLO) is outcome


async def test_who_hangs_up_leaves_the_key_as_it_ends(world: World) -> None:
    world.fetcher.gate.clear()
    sending = asyncio.create_task(world.sender.send(IMAGE, "k"))
    while not world.fetcher.fetched:  # noqa: ASYNC110
        await asyncio.sleep(0)
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    assert world.key("k", IMAGE) is Outcome.NEW


async def test_an_acknowledgement_tells_its_time(world: World) -> None:
    await world.sender.send(HELLO)
    assert len(world.acks) == 1
    assert 0 <= world.acks[0] < 60


async def test_activity_is_shown_while_connected(world: World) -> None:
    await world.sender.show_activity(CHAT, Activity.COMPOSING)
    assert world.engine.seen == [(CHAT, Activity.COMPOSING)]
    world.engine.refusal = EngineError(Refusal.REFUSED, "no")
    await world.refused(world.sender.show_activity(CHAT, Activity.PAUSED), ErrorCode.SEND_REFUSED, "no")
    world.not_ready = "WhatsApp is not connected"
    await world.refused(world.sender.show_activity(CHAT, Activity.PAUSED), ErrorCode.NOT_CONNECTED)


async def test_without_ids_all_since_our_own_last_message_is_read(world: World) -> None:
    world.receive("old", at=1)
    world.receive("ours", sender=OWN, at=2, from_me=True)
    world.receive("a", at=3)
    world.receive("b", at=4)
    assert await world.sender.mark_read(CHAT, None) == ("a", "b")
    assert world.engine.seen == [(CHAT, CHAT, ["a", "b"])]
    assert world.journal.chats()[0].unread_count == 0


async def test_a_chat_is_read_when_its_newest_message_is(world: World) -> None:
    world.receive("a", at=1)
    world.receive("b", at=2)
    await world.sender.mark_read(CHAT, ["a"])
    assert world.journal.chats()[0].unread_count == 2
    await world.sender.mark_read(CHAT, ["b"])
    assert world.journal.chats()[0].unread_count == 0


async def test_only_inbound_messages_of_the_chat_are_read(world: World) -> None:
    world.receive("ours", sender=OWN, from_me=True)
    world.receive("theirs", chat="1@g.us", sender="2@lid")
    for unknown in ("ours", "theirs", "none"):
        await world.refused(world.sender.mark_read(CHAT, [unknown]), ErrorCode.MESSAGE_UNKNOWN, unknown)
    assert await world.sender.mark_read(CHAT, None) == ()
    assert world.engine.seen == []


def test_in_a_group_each_sender_has_its_own_ids() -> None:
    messages = [
        Received(id_, "1@g.us", sender, from_me=False, text="x", type="text", has_media=False, timestamp=1)
        for id_, sender in (("a", "2@lid"), ("b", "3@lid"), ("c", "2@lid"))
    ]
    assert by_sender(messages) == {"2@lid": ["a", "c"], "3@lid": ["b"]}
