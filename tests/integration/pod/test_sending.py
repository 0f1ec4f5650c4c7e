"""Files, answers, typing and read receipts of a real pod, as the contact's phone sees them; and whom the pod does not fetch from."""

import asyncio
import base64
import hashlib
import struct
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from pod_support import CONTACT, OWNER, World, eventually, served

from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import SessionState

pytestmark = pytest.mark.integration
CHAT = f"{CONTACT}@s.whatsapp.net"
PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + bytes(range(256)) * 40
MP4 = b"\0\0\0\x18ftypisom" + bytes(range(256)) * 300
MP3 = b"ID3\x04" + bytes(range(256)) * 30
OPUS_HEAD = b"OggS\0\x02" + bytes(22) + b"OpusHead\x01\x01" + struct.pack("<H", 312) + bytes(7)
OPUS = OPUS_HEAD + b"OggS\0\x04" + struct.pack("<q", 48_000 * 7 + 312) + bytes(300)
PDF = b"%PDF-1.7\n" + bytes(range(256)) * 1000
KINDS: dict[str, tuple[bytes, dict[str, str], dict[str, Any]]] = {
    "image": (PNG, {"caption": "una foto"}, {"mimetype": "image/png", "caption": "una foto", "width": 640, "height": 480}),
    "video": (MP4, {"caption": "un video"}, {"mimetype": "video/mp4", "caption": "un video"}),
    "audio": (MP3, {}, {"mimetype": "audio/mpeg", "ptt": False}),
    "voice": (OPUS, {}, {"kind": "audio", "mimetype": "audio/ogg; codecs=opus", "ptt": True, "seconds": 7}),
    "document": (PDF, {"caption": "el informe", "filename": "informe.pdf"}, {"mimetype": "application/pdf", "fileName": "informe.pdf"}),
}


class Files:
    """A file server: `/KIND` and some ways to lead astray."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request.path)
        name = request.path.strip("/").partition("/")[0]
        if name == "redirect":
            raise web.HTTPFound(request.query["to"])
        if name == "endless":
            return web.Response(body=bytes(300_000))
        if name not in KINDS:
            raise web.HTTPNotFound(text="words of an inner host")
        return web.Response(body=KINDS[name][0])


async def shown(world: World, message_id: str) -> Any:  # noqa: ANN401  JSON
    """What the contact's phone shows of a message."""
    record = await world.control("wait_for", lambda record: record["kind"] == "message" and record["id"] == message_id)
    return record["decrypted"]["contact"]


async def test_each_kind_of_file_arrives_by_base64_and_by_url(make_world: Callable[..., World]) -> None:
    world, files = make_world({Env.MEDIA_ALLOWED_NETWORKS: "127.0.0.0/8"}), Files()
    await world.pair()
    async with served(files.handle) as url:
        for kind, (data, more, expected) in KINDS.items():
            for source in ({"base64": base64.b64encode(data).decode()}, {"url": f"{url}/{kind}/archivo.pdf?x=1"}):
                body = {"to": CONTACT, "media": {"kind": kind} | source | more}
                status, answer = await world.pod.post("/v1/messages", body)
                assert status == 200, (kind, answer)
                media = (await shown(world, answer["id"]))["media"]
                assert media == media | {"kind": kind, "sha256": hashlib.sha256(data).hexdigest(), "sha256_ok": True} | expected
    assert len(files.asked) == len(KINDS)
    messages = await world.pod.get(f"/v1/chats/{CONTACT}/messages")
    assert [(message["type"], message["text"]) for message in messages[::2]] == [
        ("image", "una foto"),
        ("video", "un video"),
        ("audio", "[Audio recibido]"),
        ("audio", "[Audio recibido]"),
        ("document", "el informe"),
    ]
    assert all(message["hasMedia"] for message in messages)


async def test_a_document_by_url_is_named_after_it_and_a_key_sends_a_file_once(make_world: Callable[..., World]) -> None:
    world, files = make_world({Env.MEDIA_ALLOWED_NETWORKS: "127.0.0.0/8"}), Files()
    await world.pair()
    key = {"Idempotency-Key": "pedido-1"}
    async with served(files.handle) as url:
        body = {"to": CONTACT, "media": {"kind": "document", "url": f"{url}/redirect/informe%20anual.pdf?to=/document"}}
        first = await world.pod.post("/v1/messages", body, **key)
        assert first[0] == 200
        assert await world.pod.post("/v1/messages", body, **key) == first
        body["media"]["caption"] = "other"  # type: ignore[index]
        status, error = await world.pod.post("/v1/messages", body, **key)
        assert (status, error["code"]) == (422, "idempotency_key_reused")
    assert (await shown(world, first[1]["id"]))["media"]["fileName"] == "informe anual.pdf"
    assert files.asked == ["/redirect/informe anual.pdf", "/document"]


async def test_an_answer_names_the_message_that_it_answers(world: World) -> None:
    await world.pair()
    asked = await world.control("incoming", CONTACT, OWNER, "¿precio?")
    await eventually(lambda: world.backend.messages, "the question")
    status, answer = await world.pod.post("/v1/messages", {"to": CONTACT, "text": "20 €", "replyTo": asked})
    assert status == 200
    text = await shown(world, answer["id"])
    assert (text["text"], text["reply_to"]) == ("20 €", asked)
    file = {"kind": "image", "base64": base64.b64encode(PNG).decode()}
    status, answer = await world.pod.post("/v1/messages", {"to": CONTACT, "media": file, "replyTo": answer["id"]})
    assert status == 200, "our own message can be answered too"
    status, error = await world.pod.post("/v1/messages", {"to": CONTACT, "text": "x", "replyTo": "unheard-of"})
    assert (status, error["code"]) == (422, "message_unknown")
    status, error = await world.pod.post("/v1/messages", {"to": "573008888888", "text": "x", "replyTo": asked})
    assert (status, error["code"]) == (422, "message_unknown"), "it is another chat's"


async def test_the_contact_sees_typing_and_reading(world: World) -> None:
    await world.pair()
    for activity in ("composing", "recording", "paused"):
        assert await world.pod.post("/v1/activity", {"to": CONTACT, "activity": activity}) == (200, {"to": CHAT, "activity": activity})
        await world.control("wait_for", lambda record, a=activity: record["kind"] == "chatstate" and record["state"] == a)
    states = await world.control("log", kind="chatstate")
    assert [(record["state"], record["to_number"]) for record in states] == [(a, CONTACT) for a in ("composing", "recording", "paused")]

    ids = [await world.control("incoming", CONTACT, OWNER, f"mensaje {number}") for number in range(3)]
    await eventually(lambda: len(world.backend.messages) == 3, "the messages")
    assert (await world.pod.get("/v1/chats"))[0]["unreadCount"] == 3
    assert await world.pod.post("/v1/read", {"chat": CONTACT, "ids": [ids[1]]}) == (200, {"ids": [ids[1]]})
    assert await world.pod.post("/v1/read", {"chat": CONTACT}) == (200, {"ids": ids})
    await world.control("wait_for", lambda record: record["kind"] == "receipt" and record["ids"] == ids)
    read = [record["ids"] for record in await world.control("log", kind="receipt") if record["type"] == "read"]
    assert read == [[ids[1]], ids]
    assert (await world.pod.get("/v1/chats"))[0]["unreadCount"] == 0
    status, error = await world.pod.post("/v1/read", {"chat": CONTACT, "ids": ["unheard-of"]})
    assert (status, error["code"]) == (422, "message_unknown")


async def test_in_a_group_each_sender_learns_that_we_read(world: World) -> None:
    await world.pair()
    other = "573007777777"
    await world.control("user", other, "Lucía")
    group = await world.control("group", "Ventas", OWNER, CONTACT, other)
    ids = [await world.control("incoming", sender, OWNER, "hola", group=group) for sender in (CONTACT, other, CONTACT)]
    await eventually(lambda: len(world.backend.messages) == 3, "the messages")
    status, answer = await world.pod.post("/v1/read", {"chat": group})
    assert (status, answer) == (200, {"ids": ids})
    await world.control("wait_for", lambda record: record["kind"] == "receipt" and record["type"] == "read" and record["ids"] == [ids[1]])
    read = [record for record in await world.control("log", kind="receipt") if record["type"] == "read"]
    assert [(record["ids"], record["to"]) for record in read] == [([ids[0], ids[2]], group), ([ids[1]], group)]
    assert all(record["participant"] for record in read), "in a group a receipt says whose messages it is for"


async def test_the_pod_fetches_from_nobody_inside(make_world: Callable[..., World]) -> None:
    world, files = make_world({Env.MEDIA_ALLOWED_NETWORKS: "127.0.0.1/32", Env.MEDIA_MAX_BYTES: "262144"}), Files()
    await world.pair()
    async with served(files.handle) as url:
        port = url.rpartition(":")[2]
        table = {
            "http://169.254.169.254/latest/meta-data/": "address not allowed",
            "http://[fd00:ec2::254]/": "address not allowed",
            f"http://127.0.0.2:{port}/image": "address not allowed",
            f"http://[::ffff:127.0.0.2]:{port}/image": "address not allowed",
            f"http://[::1]:{port}/image": "address not allowed",
            "http://10.96.0.1/": "address not allowed",
            f"{url}/redirect?to=http://127.0.0.2:{port}/image": "address not allowed",
            f"{url}/redirect?to=http://169.254.169.254/": "address not allowed",
            f"{url}/redirect?to=file:///etc/passwd": "use http:// or https://",
            f"{url}/nothing": "status 404",
            f"{url}/endless": "too large: more than 262144 bytes",
            "http://127.0.0.1:1/": "the host does not answer",
            f"http://user:secret@127.0.0.1:{port}/image": "must not hold a user or password",
            "ftp://127.0.0.1/": "use http:// or https://",
        }
        for bad, words in table.items():
            status, error = await world.pod.post("/v1/messages", {"to": CONTACT, "media": {"kind": "image", "url": bad}})
            assert (status, error) == (422, {"code": "media_unfetchable", "message": f"media.url: {words}"}), bad
    big = base64.b64encode(bytes(262_145)).decode()
    status, error = await world.pod.post("/v1/messages", {"to": CONTACT, "media": {"kind": "document", "base64": big}})
    assert (status, error["code"]) == (422, "media_too_large")
    assert await world.control("log", kind="message") == []


async def test_a_name_that_means_this_machine_is_not_fetched_from(world: World) -> None:
    await world.pair()
    files = Files()
    async with served(files.handle) as url:
        for host in ("localhost", "127.0.0.1", "127.1", "2130706433"):
            bad = url.replace("127.0.0.1", host) + "/image"
            status, error = await world.pod.post("/v1/messages", {"to": CONTACT, "media": {"kind": "image", "url": bad}})
            assert (status, error["message"]) == (422, "media.url: address not allowed"), host
    assert files.asked == []


async def test_the_pace_holds_over_a_restart_and_the_backend_waits_for_it(make_world: Callable[..., World]) -> None:
    world = make_world({Env.PACING_MESSAGES_PER_MINUTE: "20", Env.PACING_BURST: "2"})
    await world.pair()
    hello = {"to": CONTACT, "text": "Hola"}
    assert [(await world.pod.post("/v1/messages", hello))[0] for _ in range(3)] == [200, 200, 429]
    await world.pod.kill()
    await world.pod.start()
    await world.pod.reaches(SessionState.CONNECTED)
    await eventually(lambda: world.backend.sockets, "the backend's socket")
    await asyncio.gather(*[world.pod.post("/v1/messages", hello) for _ in range(3)])
    async with world.pod.http.post("/v1/messages", json=hello) as answer:
        error = await answer.json()
        assert (answer.status, error["code"]) == (429, "pacing_limited")
        assert answer.headers["Retry-After"] == str(error["retryAfterSeconds"])
        assert 1 <= error["retryAfterSeconds"] <= 4
    for text in ("uno", "dos"):
        await world.backend.sockets[0].send_json({"to": CONTACT, "message": text})
    await world.control("wait_for", lambda record: record["kind"] == "message" and record["text"] == "dos")
    assert (await world.sent_texts())[-2:] == ["uno", "dos"]


async def test_a_message_that_whatsapp_refuses_is_named_so_and_frees_its_key(world: World) -> None:
    await world.pair()
    await world.control("fault", "refuse_message", OWNER, code=463)
    body, key = {"to": CONTACT, "text": "Hola"}, {"Idempotency-Key": "pedido-1"}
    status, error = await world.pod.post("/v1/messages", body, **key)
    assert (status, error["code"]) == (422, "send_refused")
    assert "463" in error["message"]
    await world.control("fault", "clear")
    assert (await world.pod.post("/v1/messages", body, **key))[0] == 200


async def test_a_file_with_a_key_is_sent_once_however_often_it_is_asked_for(world: World) -> None:
    await world.pair()
    body = {"to": CONTACT, "media": {"kind": "image", "base64": base64.b64encode(PNG).decode()}}
    key = {"Idempotency-Key": "pedido-1"}
    status, error = await world.pod.post("/v1/messages", body | {"to": "573001111111"}, **key)
    assert (status, error["code"]) == (422, "recipient_not_on_whatsapp"), "nothing was sent, so the key is free"
    answers = await asyncio.gather(*[world.pod.post("/v1/messages", body, **key) for _ in range(3)])
    assert {status for status, _ in answers} <= {200, 409}
    assert len(await world.control("log", kind="message")) == 1
