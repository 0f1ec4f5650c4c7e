"""The main job: accounts are paired, used and unlinked, through the REST API and with kubectl alone."""

import base64
import io
import json

import pytest
from PIL import Image

from installation import CommandFailedError
from polling import until
from world import SECONDS, World

pytestmark = pytest.mark.e2e

ANA, LUIS = "573001234567", "573009876543"


@pytest.fixture(autouse=True)
def accounts(world: World) -> None:
    world.phones.user(ANA, "Ana")
    world.phones.user(LUIS, "Luis")


def test_a_session_lives_from_create_to_delete(world: World) -> None:
    created = world.call("POST", "/sessions/cliente1")
    assert created.status_code == 200
    assert created.json()["message"] == "Sesión creada correctamente"
    assert created.json()["session"]["status"]["connected"] is False

    answer = world.qr_answer("cliente1")
    assert answer["status"] == "waiting_for_scan"
    picture = Image.open(io.BytesIO(base64.b64decode(answer["qr_image"].removeprefix("data:image/png;base64,"))))
    assert picture.width == picture.height > 100

    world.phones.scan(ANA, world.qr("cliente1"))
    status = world.connected("cliente1")
    assert (status["number"], status["qr_code"]) == (ANA, "")
    until(lambda: world.status("cliente1")["name"] == "Ana", "the push name", SECONDS)
    assert world.get("/sessions/cliente1/qr")["status"] == "connected"

    since = world.phones.mark()
    sent = world.call("POST", "/sessions/cliente1/send", json={"number": LUIS, "message": "Hola, Luis"})
    assert sent.json() == {"success": True, "message": "Mensaje enviado correctamente", "session_id": "cliente1"}
    until(lambda: world.texts_to(LUIS, since) == ["Hola, Luis"], "the text on Luis' phone", SECONDS)

    before = len(world.backend_messages(ANA))
    world.phones.incoming(LUIS, ANA, "¿Hay pan?")
    expected = {"phone": f"{LUIS}@s.whatsapp.net", "message": "¿Hay pan?", "botNumber": ANA, "messageType": "text"}
    until(lambda: world.backend_messages(ANA)[before:], "the backend to get the message", SECONDS)
    assert world.backend_messages(ANA)[before:] == [expected]
    until(lambda: world.texts_to(LUIS, since)[1:], "the backend's answer", SECONDS)
    assert world.texts_to(LUIS, since) == ["Hola, Luis", "Eco: ¿Hay pan?"]

    listed = world.get("/sessions")
    assert [(s["id"], s["status"]["connected"], s["has_qr"]) for s in listed["sessions"]] == [("cliente1", True, False)]
    assert {k: world.get("/health")[k] for k in ("status", "total_sessions", "connected_sessions", "max_sessions")} == {
        "status": "ok",
        "total_sessions": 1,
        "connected_sessions": 1,
        "max_sessions": 5,
    }

    since = world.phones.mark()
    assert world.call("DELETE", "/sessions/cliente1").json()["message"] == "Sesión eliminada correctamente"
    assert world.phones.log(since, kind="unlinked_by_client", number=ANA)
    assert world.call("GET", "/sessions/cliente1/status").status_code == 404
    until(lambda: not world.sessions_children(), "pod and volume to be gone", SECONDS)


def test_a_restart_and_a_killed_pod_need_no_new_scan(world: World) -> None:
    world.pair("cliente1", ANA)
    for disturb in (lambda: world.call("POST", "/sessions/cliente1/restart").raise_for_status(), lambda: world.kill("cliente1-session")):
        before = world.pod("cliente1")
        assert before is not None
        since = world.phones.mark()
        disturb()
        until(
            lambda old=before["metadata"]["uid"]: (pod := world.pod("cliente1")) and pod["metadata"]["uid"] != old, "another pod", SECONDS
        )
        world.phones.wait_for(lambda r: r["kind"] == "logged_in" and r["number"] == ANA, SECONDS, since=since)
        assert world.connected("cliente1")["number"] == ANA
        assert world.phones.log(since, kind="qr_scanned") == []
    assert len(world.phones.devices(ANA)) == len([d for d in world.phones.devices(ANA) if d["removed"]]) + 1


def test_a_message_that_came_while_the_pod_was_gone_reaches_the_backend(world: World) -> None:
    world.pair("cliente1", ANA)
    before = len(world.backend_messages(ANA))
    world.kill("cliente1-session")
    world.phones.incoming(LUIS, ANA, "mientras tanto")
    until(lambda: len(world.backend_messages(ANA)) > before, "the message", SECONDS)
    assert world.backend_messages(ANA)[-1]["message"] == "mientras tanto"


def test_two_sessions_do_not_disturb_each_other(world: World) -> None:
    world.pair("uno", ANA)
    world.pair("dos", LUIS)
    since = world.phones.mark()
    world.phones.fault("drop", ANA)
    world.phones.wait_for(lambda r: r["kind"] == "logged_in" and r["number"] == ANA, SECONDS, since=since)
    world.connected("uno")
    assert world.phones.log(since, kind="logged_in", number=LUIS) == []
    assert world.status("dos")["connected"] is True


def test_a_device_unlinked_on_the_phone_shows_a_new_qr_code(world: World) -> None:
    world.pair("cliente1", ANA)
    world.phones.fault("unlink", ANA)
    world.phones.scan(ANA, world.qr("cliente1"))
    assert world.connected("cliente1")["last_disconnect_reason"].startswith("401")


def test_kubectl_alone_does_it_too(world: World) -> None:
    kubectl = world.installation.kubectl
    manifest = {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": {"name": "ventas"}, "spec": {}}
    kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    code = until(lambda: kubectl("get", "was", "ventas", "-o", "jsonpath={.status.session.qr.code}"), "the QR code", SECONDS)
    until(lambda: "AwaitingScan" in kubectl("get", "was", "ventas"), "the phase", SECONDS)
    world.phones.scan(ANA, code)
    kubectl("wait", "--for=condition=Ready", "--timeout=60s", "whatsappsession/ventas")
    row = kubectl("get", "was", "ventas", "--no-headers").split()
    assert row[:4] == ["ventas", "Connected", ANA, "True"]
    assert kubectl("get", "was", "ventas", "-o", "jsonpath={.status.session.qr}") == ""
    kubectl("delete", "was", "ventas", "--timeout=60s")
    assert world.object("was", "ventas") is None


def test_a_session_over_the_limit_is_refused_and_leaves_nothing(world: World) -> None:
    for n in range(5):
        world.create(f"lleno{n}")
    refused = world.call("POST", "/sessions/sexta")
    assert refused.status_code == 500
    assert refused.json() == {"error": "Error creando sesión", "details": "Límite de sesiones alcanzado (5)"}
    assert world.object("was", "sexta") is None


ABSURD = ["..%2F..%2Fx", "a" * 300, "%F0%9F%98%80", "$(reboot)", "%20", "a%00b"]


@pytest.mark.parametrize("session_id", ABSURD, ids=lambda s: s[:12])
def test_an_absurd_id_is_refused_and_creates_nothing(world: World, session_id: str) -> None:
    created = world.call("POST", f"/sessions/{session_id}")
    assert created.status_code == 400
    assert set(created.json()) <= {"error", "message"}
    assert world.call("GET", f"/sessions/{session_id}/status").status_code in {400, 404}
    assert world.objects("was") == []


def test_bad_bodies_get_the_contracts_answers(world: World) -> None:
    world.create("cliente1")
    for body in (
        b"",
        b"not json",
        b"[]",
        b"{}",
        b'{"number": "57300"}',
        b'{"number": "", "message": "x"}',
        b'{"number": 5, "message": "x"}',
    ):
        answer = world.call("POST", "/sessions/cliente1/send", content=body, headers={"Content-Type": "application/json"})
        assert answer.status_code == 400, body
        assert "error" in answer.json()
    again = world.call("POST", "/sessions/cliente1")
    assert (again.status_code, again.json()["details"]) == (500, "La sesión cliente1 ya existe")
    unconnected = world.call("POST", "/sessions/cliente1/send", json={"number": LUIS, "message": "x"})
    assert unconnected.json() == {"error": "Error enviando mensaje", "details": "Sesión cliente1 no está conectada"}
    unknown = world.call("POST", "/sessions/nadie/send", json={"number": LUIS, "message": "x"})
    assert unknown.json() == {"error": "Error enviando mensaje", "details": "Sesión nadie no encontrada"}


def test_a_caller_without_the_key_gets_nothing(world: World) -> None:
    answer = world.call("GET", "/sessions", headers={"X-API-Key": "wrong"})
    assert answer.status_code == 401
    assert "sessions" not in answer.json()


def test_an_invalid_object_is_refused_with_field_and_rule(world: World) -> None:
    spec = {"pairing": {"method": "Code"}}
    manifest = {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": {"name": "mal"}, "spec": spec}
    with pytest.raises(CommandFailedError, match=r"spec\.pairing: Invalid value: .*pairing\.method Code needs pairing\.phoneNumber"):
        world.installation.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
