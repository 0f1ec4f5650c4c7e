"""The pod's HTTP API, each call and each refusal, with a fake engine behind it."""

import asyncio
import io
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
from aiohttp import ClientSession

from wasession_contract.podwire import Error, ErrorCode, token_sha256
from wasession_contract.v1alpha1 import Pacing, SessionState
from wasession_pod import http
from wasession_pod.engine import Connected, Disconnected, EngineError, QRShown, Received, Refusal, Scanned
from wasession_pod.events import Event
from wasession_pod.settings import MediaPolicy
from wasession_pod.web.server import Request, Server

pytestmark = pytest.mark.unit
CONTACT = "573009999999@s.whatsapp.net"
HELLO = {"to": "573009999999", "text": "Hola"}


class Caller:
    """Calls the API of a shell."""

    def __init__(self, client: Any, bearer: str, shell: Any) -> None:  # noqa: ANN401  the shell is the conftest's
        self.client = client
        self.bearer = bearer
        self.shell = shell

    async def __call__(self, method: str, path: str, *, bearer: str | None = None, **options: Any) -> tuple[int, Any]:  # noqa: ANN401
        headers = {"Authorization": f"Bearer {self.bearer if bearer is None else bearer}"} | options.pop("headers", {})
        answer = await self.client.request(method, path, headers=headers, **options)
        return answer.status, await answer.json()

    async def connect(self) -> None:
        self.shell.engine.on_event(Connected(self.shell.engine.known))
        await self.shell.until(lambda: self.shell.pod.report().state is SessionState.CONNECTED)


@pytest.fixture
async def call(shell: Any, bearer: str) -> AsyncIterator[Caller]:  # noqa: ANN401
    application = http.Application(shell.pod, token_sha256(bearer))
    server = Server(application, limit=application.limit, refuse=http.refuse_request)
    port = await server.start("127.0.0.1", 0)
    async with ClientSession(f"http://127.0.0.1:{port}") as client:
        yield Caller(client, bearer, shell)
    await server.close(0)


async def test_probes_and_metrics_need_no_token(call: Caller) -> None:
    for path in ("/livez", "/readyz", "/metrics"):
        answer = await call.client.get(path)
        assert answer.status == 200, path
    text = await (await call.client.get("/metrics")).text()
    assert 'wasession_session_state{state="Starting"} 1.0' in text
    assert "process_resident_memory_bytes" in text


@pytest.mark.parametrize(
    "header", [{}, {"Authorization": ""}, {"Authorization": "Bearer "}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eA=="}]
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/v1/session"), ("POST", "/v1/messages"), ("POST", "/v1/logout"), ("GET", "/v1/nothing")]
)
async def test_v1_needs_this_sessions_token(call: Caller, method: str, path: str, header: dict[str, str]) -> None:
    answer = await call.client.request(method, path, headers=header)
    assert (answer.status, (await answer.json())["code"]) == (401, "unauthorized")


async def test_the_session_is_the_report(call: Caller) -> None:
    call.shell.engine.on_event(QRShown("2@abc"))
    await call.shell.until(lambda: call.shell.pod.report().qr)
    status, report = await call("GET", "/v1/session")
    assert (status, report["podUID"], report["state"], report["qr"]["code"]) == (200, "pod-uid-1", "AwaitingScan", "2@abc")


async def test_a_message_is_sent_and_acknowledged(call: Caller) -> None:
    await call.connect()
    assert await call("POST", "/v1/messages", json=HELLO) == (200, {"id": "id-1", "timestamp": 1700000000})
    assert call.shell.engine.sent == [(CONTACT, "Hola")]
    status, messages = await call("GET", f"/v1/chats/{CONTACT}/messages")
    assert status == 200
    assert [(m["text"], m["fromMe"], m["sender"]) for m in messages] == [("Hola", True, "573001234567@s.whatsapp.net")]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"", "not JSON"),
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b"[]", "body"),
        (b"null", "body"),
        (b'{"to": "573009999999"}', "text"),
        (b'{"text": "x"}', "to"),
        (b'{"to": 573009999999, "text": "x"}', "$.to"),
        (b'{"to": "573009999999", "text": "x", "media": {}}', "$.media"),
        (b'{"to": "573009999999", "text": "x", "media": {"kind": "image", "url": "https://a/b"}}', "text, media: give one of the two"),
        (b'{"to": "573009999999", "media": {"kind": "image"}}', "media: give url or base64"),
        (b'{"to": "573009999999", "media": {"kind": "image", "base64": "AA==", "url": "https://a/b"}}', "media: give url or base64"),
        (b'{"to": "573009999999", "media": {"kind": "image", "base64": "not base64"}}', "$.media.base64"),
        (b'{"to": "573009999999", "media": {"kind": "image", "base64": ""}}', "media.base64: must not be empty"),
        (b'{"to": "573009999999", "media": {"kind": "sticker", "base64": "AA=="}}', "$.media.kind"),
        (b'{"to": "573009999999", "media": {"kind": "image", "base64": "AA=="}}', "media.mimetype: cannot be found out"),
        (b'{"to": "573009999999", "media": {"kind": "audio", "base64": "AA==", "caption": "x"}}', "media.caption: audio has none"),
        (b'{"to": "573009999999", "media": {"kind": "document", "base64": "AA==", "caption": " "}}', "media.caption: must not be empty"),
        (b'{"to": "573009999999", "media": {"kind": "document", "base64": "AA==", "filename": "a/b"}}', "media.filename"),
        (b'{"to": "573009999999", "media": {"kind": "document", "base64": "AA==", "mimetype": "x"}}', "media.mimetype: 'x'"),
        (b'{"to": "573009999999", "text": "x", "replyTo": ""}', "replyTo"),
        (b'{"to": "573009999999", "text": " "}', "text: must not be empty"),
        (b'{"to": "nobody", "text": "x"}', "to: 'nobody' is no recipient"),
        (b'{"to": "573009999999", "text": "%s"}' % (b"x" * 65_537), "65537 characters"),
    ],
)
async def test_a_bad_body_is_refused_and_the_field_named(call: Caller, body: bytes, named: str) -> None:
    await call.connect()
    status, error = await call("POST", "/v1/messages", data=body)
    assert (status, error["code"]) == (400, "bad_request")
    assert named in error["message"]
    assert call.shell.engine.sent == []


async def test_a_body_over_the_limit_is_refused(call: Caller) -> None:
    status, error = await call("POST", "/v1/activity", data=io.BytesIO(b"x" * (http.MAX_BODY_BYTES + 1)))
    assert (status, error["code"]) == (413, "bad_request")


async def test_without_a_connection_nothing_is_sent_and_the_state_is_named(call: Caller) -> None:
    status, error = await call("POST", "/v1/messages", json=HELLO)
    assert (status, error["code"]) == (503, "not_connected")
    assert "Starting" in error["message"]
    assert call.shell.engine.sent == []


@pytest.mark.parametrize(
    ("refusal", "status", "code"),
    [
        (Refusal.NOT_CONNECTED, 503, "not_connected"),
        (Refusal.NO_SUCH_RECIPIENT, 422, "recipient_not_on_whatsapp"),
        (Refusal.REFUSED, 422, "send_refused"),
        (Refusal.UNKNOWN, 504, "ack_timeout"),
    ],
)
async def test_each_refusal_has_its_status_and_code(call: Caller, refusal: Refusal, status: int, code: str) -> None:
    await call.connect()
    call.shell.engine.refusal = EngineError(refusal, "WhatsApp's words")
    got, error = await call("POST", "/v1/messages", json=HELLO)
    assert (got, error["code"]) == (status, code)


async def test_the_same_key_sends_once(call: Caller) -> None:
    await call.connect()
    call.shell.engine.gate.clear()
    key = {"headers": {"Idempotency-Key": "k"}}
    first = asyncio.create_task(call("POST", "/v1/messages", json=HELLO, **key))
    await call.shell.until(lambda: call.shell.engine.sent)
    status, error = await call("POST", "/v1/messages", json=HELLO, **key)
    assert (status, error["code"]) == (409, "idempotency_key_in_flight")
    call.shell.engine.gate.set()
    assert await first == await call("POST", "/v1/messages", json=HELLO, **key) == (200, {"id": "id-1", "timestamp": 1700000000})
    status, error = await call("POST", "/v1/messages", json=HELLO | {"text": "x"}, **key)
    assert (status, error["code"]) == (422, "idempotency_key_reused")
    assert len(call.shell.engine.sent) == 1


async def test_a_refused_send_frees_its_key_and_an_unknown_one_does_not(call: Caller) -> None:
    await call.connect()
    key = {"headers": {"Idempotency-Key": "k"}}
    for refusal, status, sends in ((Refusal.REFUSED, 422, 1), (Refusal.UNKNOWN, 504, 2), (None, 504, 2)):
        call.shell.engine.refusal = EngineError(refusal, "x") if refusal else None
        assert (await call("POST", "/v1/messages", json=HELLO, **key))[0] == status
        assert len(call.shell.engine.sent) == sends


async def test_a_file_may_be_larger_than_other_bodies(make_shell: Any, bearer: str) -> None:  # noqa: ANN401
    shell = await make_shell(media=MediaPolicy(max_bytes=2 << 20))
    application = http.Application(shell.pod, token_sha256(bearer))
    known = {"authorization": f"Bearer {bearer}"}
    assert application.limit("POST", "/v1/messages", {}) == http.MAX_BODY_BYTES
    assert application.limit("POST", "/v1/messages", known) == http.MAX_BODY_BYTES + (2 << 20) * 4 // 3
    assert application.limit("POST", "/v1/read", known) == application.limit("GET", "/v1/nothing", known) == http.MAX_BODY_BYTES
    call = Caller(None, bearer, shell)
    await call.connect()
    body = msgspec.json.encode({"to": CONTACT, "media": {"kind": "document", "base64": bytes(2 << 20)}})
    headers = {"authorization": f"Bearer {bearer}"}
    assert (await http.Application(shell.pod, token_sha256(bearer))(Request("POST", "/v1/messages", {}, headers, body))).status == 200
    assert len(shell.engine.outgoing[0].data) == 2 << 20


async def test_a_full_budget_says_when_to_come_back(make_shell: Any, bearer: str) -> None:  # noqa: ANN401
    shell = await make_shell(pacing=Pacing(messages_per_minute=1, burst=1))
    await Caller(None, bearer, shell).connect()
    application = http.Application(shell.pod, token_sha256(bearer))
    request = Request("POST", "/v1/messages", {}, {"authorization": f"Bearer {bearer}"}, msgspec.json.encode(HELLO))
    assert (await application(request)).status == 200
    refused = await application(request)
    error = msgspec.json.decode(refused.body, type=Error)
    assert (refused.status, error.code) == (429, ErrorCode.PACING_LIMITED)
    assert refused.headers == {"Retry-After": str(error.retry_after_seconds)}
    assert 60 <= (error.retry_after_seconds or 0) <= 72


async def test_typing_and_reading_are_passed_on(call: Caller) -> None:
    await call.connect()
    assert await call("POST", "/v1/activity", json={"to": "573009999999", "activity": "recording"}) == (
        200,
        {"to": CONTACT, "activity": "recording"},
    )
    call.shell.engine.on_news(
        Received("m1", CONTACT, CONTACT, from_me=False, text="x", type="text", has_media=False, timestamp=1),
    )
    assert await call("POST", "/v1/read", json={"chat": "573009999999"}) == (200, {"ids": ["m1"]})
    assert call.shell.engine.calls[1:] == [f"recording {CONTACT}", f"read {CONTACT} {CONTACT} m1"]


@pytest.mark.parametrize(
    ("path", "body", "named"),
    [
        ("/v1/activity", {"to": "573009999999"}, "activity"),
        ("/v1/activity", {"to": "573009999999", "activity": "dancing"}, "$.activity"),
        ("/v1/activity", {"to": "nobody", "activity": "paused"}, "to: 'nobody'"),
        ("/v1/read", {}, "chat"),
        ("/v1/read", {"chat": "nobody"}, "chat: 'nobody'"),
        ("/v1/read", {"chat": "573009999999", "ids": []}, "ids: 0 of them"),
        ("/v1/read", {"chat": "573009999999", "ids": ["x"] * 101}, "ids: 101 of them"),
        ("/v1/read", {"chat": "573009999999", "more": 1}, "more"),
    ],
)
async def test_what_is_no_activity_or_reading_is_refused(call: Caller, path: str, body: dict[str, Any], named: str) -> None:
    await call.connect()
    status, error = await call("POST", path, json=body)
    assert (status, error["code"]) == (400, "bad_request")
    assert named in error["message"]


async def test_an_idempotency_key_of_absurd_length_is_refused(call: Caller) -> None:
    status, error = await call("POST", "/v1/messages", json=HELLO, headers={"Idempotency-Key": "k" * 256})
    assert (status, error["code"]) == (400, "bad_request")


async def test_a_logout_unlinks_and_wipes(call: Caller) -> None:
    call.shell.link()
    await call.connect()
    status, report = await call("POST", "/v1/logout")
    assert (status, report["state"], report["number"]) == (200, "LoggedOut", None)
    assert call.shell.engine.calls == ["connect", "logout", "stop"]
    assert not list(call.shell.data_dir.glob("whatsmeow.db*"))


async def test_a_logout_without_a_linked_device_has_nothing_to_do(call: Caller) -> None:
    assert (await call("POST", "/v1/logout"))[0] == 200
    assert call.shell.engine.calls == ["connect"]


async def test_a_logout_that_cannot_reach_whatsapp_keeps_the_credentials(call: Caller) -> None:
    call.shell.link()
    call.shell.engine.on_event(Scanned())
    await call.shell.until(lambda: call.shell.pod.report().state is SessionState.CONNECTING)
    status, error = await call("POST", "/v1/logout")
    assert (status, error["code"]) == (503, "not_connected")
    await call.connect()
    call.shell.engine.refusal = EngineError(Refusal.REFUSED, "no")
    status, error = await call("POST", "/v1/logout")
    assert (status, error["code"]) == (422, "send_refused")
    assert list(call.shell.data_dir.glob("whatsmeow.db"))


async def test_chats_and_messages_come_from_live_traffic(call: Caller) -> None:
    for number in range(3):
        call.shell.engine.on_news(
            Received(
                f"m{number}",
                CONTACT,
                CONTACT,
                from_me=False,
                text=f"t{number}",
                type="text",
                has_media=False,
                timestamp=number,
                push_name="Carlos",
            )
        )
    status, chats = await call("GET", "/v1/chats")
    assert (status, [chat["name"] for chat in chats]) == (200, ["Carlos"])
    assert [m["id"] for m in (await call("GET", f"/v1/chats/{CONTACT}/messages?limit=2"))[1]] == ["m1", "m2"]
    assert (await call("GET", "/v1/chats/573000000000/messages"))[1] == []


@pytest.mark.parametrize(
    "path",
    [
        "/v1/chats/..%2F..%2Fx/messages",
        "/v1/chats/573009999999/messages?limit=0",
        "/v1/chats/573009999999/messages?limit=-1",
        "/v1/chats/573009999999/messages?limit=x",
        "/v1/chats/573009999999/messages?limit=99999999999999999999",
    ],
)
async def test_a_bad_chat_or_limit_is_refused(call: Caller, path: str) -> None:
    status, error = await call("GET", path)
    assert (status, error["code"]) == (400, "bad_request")


async def test_unknown_calls_and_wrong_methods_are_named(call: Caller) -> None:
    assert (await call("GET", "/v1/nothing"))[1]["code"] == ErrorCode.NOT_FOUND
    status, error = await call("GET", "/v1/messages")
    assert (status, error["code"]) == (405, "bad_request")


async def test_a_defect_gives_no_stack_trace(call: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(call.shell.pod, "report", lambda: 1 / 0)
    status, error = await call("GET", "/v1/session")
    assert (status, error["code"]) == (500, "internal")
    assert "ZeroDivisionError" not in str(error)


async def test_a_broken_journal_is_said(call: Caller) -> None:
    call.shell.pod.journal.close()
    status, error = await call("GET", "/v1/chats")
    assert (status, error["code"]) == (500, "internal")
    assert "volume" in error["message"]


async def test_a_lost_connection_is_counted_by_code(call: Caller) -> None:
    call.shell.engine.on_event(Disconnected(428))
    await call.shell.until(lambda: call.shell.pod.report().last_disconnect)
    assert 'wasession_session_disconnects_total{code="428"} 1.0' in await (await call.client.get("/metrics")).text()


async def test_dead_letters_are_listed_and_delivered_again(call: Caller) -> None:
    outbox, url = call.shell.pod.journal.outbox, "http://hook.example/x"
    outbox.subscribe({url: {"message"}})
    for number in (1, 2, 3):
        outbox.put(Event(f"evt_{number}", "message", b"{}", 7000))
        outbox.dead(url, outbox.first(url).seq, int(time.time()), "status 400")
    status, letters = await call("GET", "/v1/webhooks/dead-letters")
    assert status == 200
    assert [(letter["id"], letter["event"], letter["url"], letter["attempts"], letter["lastError"]) for letter in letters] == [
        (f"evt_{number}", "message", url, 1, "status 400") for number in (1, 2, 3)
    ]
    assert await call("POST", "/v1/webhooks/dead-letters/evt_2/redeliver") == (200, {"redelivered": 1})
    status, error = await call("POST", "/v1/webhooks/dead-letters/evt_2/redeliver")
    assert (status, error["code"]) == (404, ErrorCode.DELIVERY_UNKNOWN)
    assert await call("POST", "/v1/webhooks/dead-letters/redeliver") == (200, {"redelivered": 2})
    assert await call("GET", "/v1/webhooks/dead-letters") == (200, [])
