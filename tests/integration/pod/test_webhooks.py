"""Webhooks of a real pod: signed, in order, over failures and a SIGKILL, with dead letters that can be delivered again."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable

import msgspec
import pytest
from aiohttp import web
from cryptography.hazmat.primitives import hashes, hmac
from pod_support import CONTACT, OWNER, World, eventually, served

from wasession_contract.podwire import Env, WebhookSetting
from wasession_contract.v1alpha1 import SessionState

pytestmark = pytest.mark.integration
SECRET = "¿quién llama?"
CHAT = f"{CONTACT}@s.whatsapp.net"


class FakeHook:
    """A receiver that checks signatures, by code that is not the pod's, and answers as the test says."""

    def __init__(self) -> None:
        self.events: list[dict[str, object]] = []
        self.requests: list[dict[str, str]] = []
        self.answers: list[int] = []
        """Statuses of the next answers, 0: none, however long the sender waits; afterwards 200."""
        self.hangs = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        body = await request.read()
        mac = hmac.HMAC(SECRET.encode(), hashes.SHA256())
        mac.update(f"{request.headers['X-Webhook-Timestamp']}.".encode() + body)
        scheme, _, digest = request.headers["X-Webhook-Signature"].partition("=")
        assert scheme == "sha256"
        mac.verify(bytes.fromhex(digest))
        event = json.loads(body)
        assert request.headers["X-Webhook-Event"] == event["event"]
        status = self.answers.pop(0) if self.answers else 200
        self.events.append(event)
        self.requests.append(dict(request.headers))
        if not status:
            self.hangs.set()
            await asyncio.Event().wait()
        return web.Response(status=status, text="x" * 70_000 if status == 200 else "", headers={"Location": "/elsewhere"})

    def texts(self) -> list[str]:
        return [event["payload"]["text"] for event in self.events if event["event"] == "message"]  # type: ignore[index]

    def of(self, name: str) -> list[dict[str, object]]:
        return [event for event in self.events if event["event"] == name]


@pytest.fixture
async def hook() -> FakeHook:
    return FakeHook()


@pytest.fixture
async def world(make_world: Callable[..., World], hook: FakeHook) -> AsyncIterator[World]:
    """A pod with two webhooks: the fake one, and one that never answers."""
    deaf = FakeHook()
    deaf.answers = [0] * 1000
    async with served(hook.handle) as url, served(deaf.handle) as deaf_url:
        settings = [
            WebhookSetting(f"{url}/hook?tenant=7", ("message", "message.ack", "session.status"), signed=True),
            WebhookSetting(f"{deaf_url}/hook", ("message",), signed=True),
        ]
        environment = {Env.WEBHOOKS: msgspec.json.encode(settings).decode()}
        environment |= {f"{Env.WEBHOOK_SECRET}{index}": SECRET for index in range(2)}
        yield make_world(environment)


async def test_events_survive_failures_and_a_kill_and_what_is_refused_can_be_delivered_again(world: World, hook: FakeHook) -> None:
    await world.pair()
    await eventually(lambda: hook.of("session.status"), "the session's states")
    await eventually(lambda: hook.of("session.status")[-1]["payload"]["status"] == "Connected", "connected, told to the hook")
    states = [event["payload"]["status"] for event in hook.of("session.status")]
    assert states[0] == "AwaitingScan"
    codes = [report.qr.code for report in world.status.reports if report.qr]
    assert codes
    assert not any(code in json.dumps(hook.events) for code in codes), "a QR code is for the owner alone"

    hook.answers = [503, 0]
    await world.control("incoming", CONTACT, OWNER, "uno")
    await world.control("incoming", CONTACT, OWNER, "dos")
    await eventually(hook.hangs.is_set, "the second attempt")
    assert hook.texts() == ["uno", "uno"], "what is retried keeps its place"
    await world.pod.kill()
    hook.answers = [200, 400]
    await world.pod.start()
    await world.pod.reaches(SessionState.CONNECTED)
    await eventually(lambda: hook.texts() == ["uno", "uno", "uno", "dos"], "the attempts after the kill")
    one = [event["id"] for event in hook.of("message")[:3]]
    assert len(set(one)) == 1, "one event has one id, however often it is sent"
    ids = [event["id"] for event in hook.events]
    assert sorted(ids) == ids
    assert len({headers["X-Webhook-Request-Id"] for headers in hook.requests}) == len(hook.requests)

    letters = await eventually(lambda: world.pod.get("/v1/webhooks/dead-letters"), "the dead letter")
    assert [(letter["id"], letter["event"], letter["lastError"]) for letter in letters] == [
        (hook.of("message")[3]["id"], "message", "status 400")
    ]
    assert letters[0]["url"].endswith("/hook?tenant=7")
    assert await world.pod.post(f"/v1/webhooks/dead-letters/{letters[0]['id']}/redeliver") == (200, {"redelivered": 1})
    await eventually(lambda: hook.texts()[4:] == ["dos"], "the dead letter, delivered again")
    await eventually(lambda: "did not answer within 10 s), intento 1" in world.pod.log, "an attempt that timed out at the deaf webhook")


async def test_acknowledgements_are_told_and_listed(world: World, hook: FakeHook) -> None:
    await world.pair()
    _, sent = await world.pod.post("/v1/messages", {"to": CONTACT, "text": "Hola"})
    await world.control("receipt", CONTACT, OWNER, sent["id"], kind="read")

    async def status() -> bool:
        return (await world.pod.get(f"/v1/chats/{CHAT}/messages"))[0]["status"] == "read"

    await eventually(status, "the message is read")
    await eventually(lambda: len(hook.of("message.ack")) == 2, "both acknowledgements")
    assert [(event["payload"]["ids"], event["payload"]["status"]) for event in hook.of("message.ack")] == [
        ([sent["id"]], "delivered"),
        ([sent["id"]], "read"),
    ]
    assert hook.of("message") == [], "the account's own message is no event"


async def test_a_webhook_that_is_removed_is_forgotten(world: World, hook: FakeHook) -> None:
    await world.pair()
    hook.answers = [400]
    await world.control("incoming", CONTACT, OWNER, "uno")
    await eventually(lambda: world.pod.get("/v1/webhooks/dead-letters"), "the dead letter")
    await world.pod.kill()
    del world.pod.environment[Env.WEBHOOKS]
    await world.pod.start()
    await world.pod.reaches(SessionState.CONNECTED)
    assert await world.pod.get("/v1/webhooks/dead-letters") == []
