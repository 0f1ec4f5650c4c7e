"""Webhooks at work, with a receiver that does as the test says: order, retries, dead letters, and who blocks whom."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import pytest

from wasession_pod.events import Event
from wasession_pod.journal import Journal
from wasession_pod.logs import SessionLog
from wasession_pod.settings import Webhook
from wasession_pod.verdicts import MAX_ATTEMPTS, signature
from wasession_pod.web.client import Answer
from wasession_pod.web.wire import TooLargeError, WebError
from wasession_pod.webhooks import Webhooks

pytestmark = pytest.mark.unit
A, B = "http://user:word@a.example:8080/hook?token=secret", "http://b.example/hook"


class Request:
    """What a receiver got."""

    def __init__(self, url: str, headers: Mapping[str, str], body: bytes) -> None:
        self.url, self.headers, self.body = url, headers, body


class Receivers:
    """The other side of all webhooks: its answers by URL are statuses, errors to raise, or gates to wait for."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self.answers: dict[str, list[int | Exception | asyncio.Event]] = {}
        self.headers: dict[str, str] = {}
        self.open = 0

    def connect(self) -> "Receivers":
        self.open += 1
        return self

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, seconds: float, max_bytes: int) -> Answer:
        assert (method, seconds, max_bytes) == ("POST", 10, 65536)
        self.requests.append(Request(url, headers, body))
        answer = self.answers[url].pop(0) if self.answers.get(url) else 200
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            answer = 200
        if isinstance(answer, Exception):
            raise answer
        return Answer(answer, self.headers, b"")

    def close(self) -> None:
        """Nothing to close."""

    def bodies(self, url: str) -> list[str]:
        return [request.body.decode() for request in self.requests if request.url == url]


class World:
    """Webhooks and what they work with."""

    def __init__(self) -> None:
        self.receivers = Receivers()
        self.journal = Journal(":memory:", now=lambda: 1000)
        self.now = 1_000_000
        self.webhooks = Webhooks(
            [Webhook(A, ("message",), "s3cret"), Webhook(B, ("message", "message.ack"))],
            self.journal.outbox,
            SessionLog("cliente1"),
            connect=self.receivers.connect,
            now=lambda: self.now,
            jitter=lambda: 0.5,
        )
        self.webhooks.subscribe()

    def put(self, *names: str) -> None:
        for name in names:
            self.journal.outbox.put(Event(f"evt_{name}", "message", name.encode(), 1_000_000))
        self.webhooks.wake()

    def later(self, seconds: float) -> None:
        self.now += round(seconds * 1000)
        self.webhooks.wake()

    async def until(self, check: Callable[[], Any]) -> None:
        async with asyncio.timeout(10):
            while not check():  # noqa: ASYNC110  polls with a deadline
                await asyncio.sleep(0.001)

    async def settle(self) -> None:
        """Let everything happen that can happen without the clock."""
        for _ in range(50):
            await asyncio.sleep(0)


@pytest.fixture
async def world() -> AsyncIterator[World]:
    world = World()
    task = asyncio.create_task(world.webhooks.run())
    yield world
    assert not task.done()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_every_webhook_gets_its_events_in_order_signed_where_there_is_a_secret(world: World) -> None:
    world.put("1", "2", "3")
    await world.until(lambda: world.webhooks.backlog() == 0)
    assert (world.receivers.bodies(A), world.receivers.bodies(B)) == (["1", "2", "3"], ["1", "2", "3"])
    assert (world.webhooks.delivered, world.webhooks.failed_attempts, world.webhooks.died) == (6, 0, 0)
    signed, plain = (next(r for r in world.receivers.requests if r.url == url) for url in (A, B))
    assert signed.headers["X-Webhook-Signature"] == signature("s3cret", 1_000_000, signed.body)
    assert "X-Webhook-Signature" not in plain.headers
    assert len({request.headers["X-Webhook-Request-Id"] for request in world.receivers.requests}) == 6


async def test_an_event_that_is_retried_blocks_those_behind_it_and_no_other_webhook(world: World) -> None:
    world.receivers.answers[A] = [503, WebError("a.example did not answer within 10 s")]
    world.put("1", "2")
    await world.until(lambda: world.receivers.bodies(B) == ["1", "2"])
    await world.settle()
    assert world.receivers.bodies(A) == ["1"]
    world.later(4.999)
    await world.settle()
    assert world.receivers.bodies(A) == ["1"]
    world.later(0.001)
    await world.until(lambda: world.receivers.bodies(A) == ["1", "1"])
    world.later(10)
    await world.until(lambda: world.webhooks.backlog() == 0)
    assert world.receivers.bodies(A) == ["1", "1", "1", "2"]
    assert world.webhooks.failed_attempts == 2


async def test_a_webhook_that_hangs_blocks_no_other(world: World) -> None:
    gate = asyncio.Event()
    world.receivers.answers[A] = [gate]
    world.put("1", "2")
    await world.until(lambda: world.receivers.bodies(B) == ["1", "2"])
    assert world.receivers.bodies(A) == ["1"]
    gate.set()
    await world.until(lambda: world.receivers.bodies(A) == ["1", "2"])


async def test_a_pause_that_the_receiver_asks_for_is_kept(world: World) -> None:
    world.receivers.answers[A], world.receivers.headers = [429], {"retry-after": "120"}
    world.put("1")
    await world.until(lambda: world.webhooks.failed_attempts)
    world.later(119)
    await world.settle()
    assert world.receivers.bodies(A) == ["1"]
    world.later(1)
    await world.until(lambda: world.receivers.bodies(A) == ["1", "1"])


async def test_what_the_receiver_refuses_is_a_dead_letter_at_once_and_the_rest_goes_on(world: World) -> None:
    world.receivers.answers[A] = [400]
    world.put("1", "2")
    await world.until(lambda: world.receivers.bodies(A) == ["1", "2"])
    letter = world.webhooks.dead_letters()[0]
    assert (letter.id, letter.url, letter.attempts, letter.last_error, letter.at) == ("evt_1", A, 1, "status 400", 1000)
    assert world.webhooks.died == 1
    assert world.webhooks.redeliver("evt_1") == 1
    await world.until(lambda: world.receivers.bodies(A) == ["1", "2", "1"])
    assert world.webhooks.dead_letters() == []


async def test_after_the_last_attempt_an_event_is_a_dead_letter(world: World) -> None:
    world.receivers.answers[A] = [503] * MAX_ATTEMPTS
    world.put("1", "2")
    for attempt in range(1, MAX_ATTEMPTS + 1):
        await world.until(lambda attempt=attempt: world.webhooks.failed_attempts == attempt)
        world.later(2 * 3600)
    await world.until(lambda: world.receivers.bodies(A) == ["1"] * MAX_ATTEMPTS + ["2"])
    assert [letter.attempts for letter in world.webhooks.dead_letters()] == [MAX_ATTEMPTS]


@pytest.mark.parametrize(("status", "delivered"), [(200, True), (503, False)])
async def test_an_answer_that_is_too_long_counts_by_its_status(world: World, status: int, delivered: bool) -> None:  # noqa: FBT001
    world.receivers.answers[A] = [TooLargeError("a.example sends more than 65536 bytes", status)]
    world.put("1")
    await world.until(lambda: world.webhooks.delivered + world.webhooks.failed_attempts == 2)
    assert (world.webhooks.delivered == 2) is delivered


async def test_no_log_line_shows_more_of_a_url_than_its_host(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.receivers.answers[A] = [503, 400]
    world.put("1")
    await world.until(lambda: world.webhooks.failed_attempts)
    world.later(5)
    await world.until(lambda: world.webhooks.died)
    assert "Webhook a.example:8080: message evt_1 no entregado (status 503), intento 1" in caplog.text
    assert "Webhook a.example:8080: message evt_1 no entregado (status 400), sin más intentos" in caplog.text
    assert "secret" not in caplog.text
    assert "word" not in caplog.text


async def test_a_url_that_cannot_be_used_is_said_without_showing_it(caplog: pytest.LogCaptureFixture) -> None:
    world, url = World(), "http://hook.example/ñ?token=secret"
    world.webhooks = Webhooks([Webhook(url, ("message",))], world.journal.outbox, SessionLog("cliente1"), connect=world.receivers.connect)
    world.webhooks.subscribe()
    task = asyncio.create_task(world.webhooks.run())
    world.put("1")
    await world.until(lambda: world.webhooks.died)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert "percent-encode what is not ASCII" in world.webhooks.dead_letters()[0].last_error
    assert "secret" not in caplog.text
    assert world.receivers.requests == []


async def test_a_volume_that_fails_ends_nothing(world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("wasession_pod.webhooks.PAUSE_SECONDS", 0.001)
    world.journal._database._db.execute("PRAGMA query_only = ON")
    world.webhooks.wake()
    await world.settle()
    world.journal._database._db.execute("PRAGMA query_only = OFF")
    world.put("1")
    world.journal._database._db.execute("PRAGMA query_only = ON")
    await world.until(lambda: "readonly" in caplog.text)
    world.journal._database._db.execute("PRAGMA query_only = OFF")
    await world.until(lambda: world.webhooks.backlog() == 0)
    assert world.receivers.bodies(A)[0] == "1"
