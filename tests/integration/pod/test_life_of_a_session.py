"""The main way through a session's life: real pod process, real neonize, emulated WhatsApp."""

from collections.abc import Callable

import pytest
from pod_support import CONTACT, OWNER, TOKEN, World, eventually

from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import BackendState, SessionState

pytestmark = pytest.mark.integration
CHAT = f"{CONTACT}@s.whatsapp.net"


async def test_from_qr_code_to_logout(world: World) -> None:
    connected = await world.pair()
    assert (connected.number, connected.name, connected.qr) == (OWNER, "María Dueña", None)
    assert connected.jid == f"{OWNER}@s.whatsapp.net"
    assert connected.lid
    assert connected.lid.endswith("@lid")

    status, answer = await world.pod.post("/v1/messages", {"to": CONTACT, "text": "Hola @573001234567"})
    assert status == 200
    sent = await world.control("wait_for", lambda record: record["kind"] == "message")
    assert sent["id"] == answer["id"]
    assert await world.sent_texts() == ["Hola @573001234567"]

    await world.control("incoming", CONTACT, OWNER, "buenas")
    await eventually(lambda: world.backend.messages, "the message at the backend")
    assert world.backend.messages == [{"phone": CHAT, "message": "buenas", "botNumber": OWNER, "messageType": "text"}]
    assert world.backend.phones == [OWNER]

    for unusable in ("no json", '{"to": "x", "message": "y"}', '{"message": "y"}', '{"to": "573009999999", "message": ""}'):
        await world.backend.sockets[0].send_str(unusable)
    await world.backend.sockets[0].send_json({"to": CONTACT, "message": "respuesta"})
    await world.control("wait_for", lambda record: record["kind"] == "message" and record["i"] > sent["i"])
    assert (await world.sent_texts())[1:] == ["respuesta"]

    await world.backend.leave()
    waiting_id = await world.control("incoming", CONTACT, OWNER, "¿sigue ahí?")
    await world.pod.session_where(lambda report: report.backend.backlog == 1, f"message {waiting_id} in the backlog")
    await world.pod.kill()
    world.backend.away = False
    await world.pod.start()
    again = await world.pod.reaches(SessionState.CONNECTED)
    assert again.number == OWNER
    await eventually(lambda: len(world.backend.messages) == 2, "the undelivered message")
    assert world.backend.messages[1]["message"] == "¿sigue ahí?"
    await world.pod.session_where(lambda report: report.backend.backlog == 0, "an empty backlog")
    assert len(await world.control("log", kind="register")) == 1, "no second QR code after the restart"

    await world.control("fault", "unlink", OWNER)
    unlinked = await world.pod.reaches(SessionState.AWAITING_SCAN)
    assert unlinked.last_disconnect
    assert unlinked.last_disconnect.code == 401
    assert unlinked.number is None
    assert unlinked.qr
    assert world.pod.zombies() <= 2, "of one import of neonize; a fresh start leaves none behind"
    await world.control("scan", OWNER, unlinked.qr.code)
    await world.pod.reaches(SessionState.CONNECTED)

    status, report = await world.pod.post("/v1/logout")
    assert (status, report["state"], report["number"]) == (200, "LoggedOut", None)
    assert len(await world.control("log", kind="unlinked_by_client")) == 1
    assert not list((world.pod.directory / "data").glob("whatsmeow.db*"))
    assert (await world.pod.post("/v1/logout"))[0] == 200, "a second logout has nothing to do"
    assert await world.pod.terminate() == 0


async def test_the_status_of_the_object_follows_the_session(world: World) -> None:
    await world.pair()
    await eventually(lambda: world.status.report and world.status.report.name, "the report with the name")
    reports = world.status.reports
    assert [report.state for report in reports if report.qr] == [SessionState.AWAITING_SCAN]
    assert {report.pod_uid for report in reports} == {"pod-uid-1"}
    assert world.status.patches[-1]["status"]["session"]["qr"] is None, "a merge patch deletes by null"

    world.status.refuse = True
    await world.control("fault", "drop", OWNER)
    await world.pod.session_where(lambda r: r.state is SessionState.CONNECTED and r.last_disconnect is not None, "connected again")
    await eventually(lambda: world.status.refused, "a report while the API server is away")
    world.status.refuse = False
    await eventually(lambda: world.status.report and world.status.report.last_disconnect, "the report that caught up")
    assert world.status.report
    assert world.status.report.state is SessionState.CONNECTED


async def test_the_device_has_the_name_of_the_settings(make_world: Callable[..., World]) -> None:
    world = make_world({Env.DEVICE_NAME: "Recepción", Env.BACKEND_URL: ""})
    report = await world.pair()
    assert [record["os"] for record in await world.control("log", kind="register")] == ["Recepción"]
    assert report.backend.state is BackendState.DISABLED
    await world.control("incoming", CONTACT, OWNER, "sin backend")
    chats = await eventually(lambda: world.pod.get("/v1/chats"), "the chat")
    assert [(chat["id"], chat["name"], chat["lastMessage"]["text"]) for chat in chats] == [(CHAT, "Carlos", "sin backend")]
    assert [message["text"] for message in await world.pod.get(f"/v1/chats/{CHAT}/messages?limit=5")] == ["sin backend"]
    assert (await world.pod.get("/v1/session"))["backend"]["backlog"] == 0


async def test_the_log_has_the_originals_lines_and_no_secret(world: World) -> None:
    await world.pair()
    await world.control("incoming", CONTACT, OWNER, "muy privado")
    await eventually(lambda: "📨" in world.pod.log, "the line of the message")
    log = world.pod.log
    assert "✅ [cliente1] Conexión WhatsApp establecida\n" in log
    assert f"📨 [cliente1] Mensaje de {CONTACT}: (11 caracteres)\n" in log
    codes = [report.qr.code for report in world.status.reports if report.qr]
    assert codes
    for secret in [TOKEN, "api-token", "muy privado", *codes, *[part for code in codes for part in code.split(",")[:4]]]:
        assert secret not in log


async def test_message_texts_are_logged_on_request(make_world: Callable[..., World]) -> None:
    world = make_world({Env.LOG_MESSAGE_TEXT: "true"})
    await world.pair()
    await world.control("incoming", CONTACT, OWNER, "línea 1\n✅ [cliente2] falsa")
    await eventually(lambda: "📨" in world.pod.log, "the line of the message")
    assert f"📨 [cliente1] Mensaje de {CONTACT}: línea 1 ✅ [cliente2] falsa\n" in world.pod.log
