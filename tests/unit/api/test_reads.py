"""Reads from the cache, and calls to the pod: which pod is believed, and what its errors become."""

from datetime import timedelta

import pytest
from facade_fakes import NOW, POD, Facade

from wasession_api.errors import PodError
from wasession_api.pods import NO_ANSWER
from wasession_contract.podwire import ErrorCode

pytestmark = pytest.mark.unit
SEND = {"number": "573007654321", "message": "Hola"}


async def test_a_qr_code_that_has_expired_is_not_shown(facade: Facade) -> None:
    facade.scannable(seconds=20)
    facade.time = NOW + timedelta(seconds=19)
    assert (await facade.http.get("/sessions/cliente1/status")).json()["status"]["qr_code"] == "2@abc"
    facade.time = NOW + timedelta(seconds=20)
    status = (await facade.http.get("/sessions/cliente1/status")).json()["status"]
    assert (status["qr_code"], status["qr_image"]) == ("", "")
    assert (await facade.http.get("/sessions/cliente1/qr")).json()["status"] == "initializing"
    assert (await facade.http.get("/sessions")).json()["sessions"][0]["has_qr"] is False
    assert (await facade.http.get("/health")).json()["sessions_with_qr"] == 0


async def test_the_next_code_takes_the_place_of_the_last(facade: Facade) -> None:
    facade.scannable(code="2@first")
    first = (await facade.http.get("/sessions/cliente1/qr")).json()
    facade.cluster.report("cliente1", state="AwaitingScan", qr={"code": "2@second", "expiresAt": "2025-10-13T12:01:00Z"})
    second = (await facade.http.get("/sessions/cliente1/qr")).json()
    assert (first["qr_code"], second["qr_code"]) == ("2@first", "2@second")
    assert first["qr_image"] != second["qr_image"]


async def test_a_code_is_gone_once_the_session_is_connected(facade: Facade) -> None:
    facade.scannable()
    assert (await facade.http.get("/sessions/cliente1/qr")).json()["status"] == "waiting_for_scan"
    facade.cluster.report("cliente1", state="Connected", number="57300")
    assert (await facade.http.get("/sessions/cliente1/qr")).json()["status"] == "connected"
    assert (await facade.http.get("/health")).json()["sessions_with_qr"] == 0


async def test_sessions_are_listed_oldest_first(facade: Facade) -> None:
    for session_id, age in (("b", 1), ("c", 3), ("a", 2)):
        facade.cluster.add(session_id, age=age)
    facade.cluster.show("b")
    assert [s["id"] for s in (await facade.http.get("/sessions")).json()["sessions"]] == ["c", "a", "b"]


async def test_a_message_goes_to_the_sessions_own_pod(facade: Facade) -> None:
    facade.connected()
    answer = await facade.http.post("/sessions/cliente1/send", json=SEND, headers={"Idempotency-Key": "k1"})
    assert answer.status_code == 200
    uid = facade.cluster.objects["cliente1"]["metadata"]["uid"]
    assert facade.pods.sent == [("10.0.0.7", uid, "573007654321", "Hola", "k1")]
    assert facade.cluster.calls == []


@pytest.mark.parametrize(
    "pod", [{**POD, "uid": "next"}, {**POD, "ready": False}, {k: v for k, v in POD.items() if k != "ip"}], ids=["uid", "ready", "ip"]
)
async def test_a_pod_that_is_not_known_to_be_the_connected_one_gets_nothing(facade: Facade, pod: dict[str, object]) -> None:
    facade.connected()
    facade.cluster.objects["cliente1"]["status"]["pod"] = pod
    facade.cluster.show("cliente1")
    answer = await facade.http.post("/sessions/cliente1/send", json=SEND)
    assert answer.json() == {"error": "Error enviando mensaje", "details": "Sesión cliente1 no está conectada"}
    assert (await facade.http.get("/sessions/cliente1/chats")).status_code == 400
    assert facade.pods.sent == []


@pytest.mark.parametrize(
    ("error", "details"),
    [
        (PodError(ErrorCode.NOT_CONNECTED, "Reconnecting"), "Sesión cliente1 no está conectada"),
        (PodError(ErrorCode.RECIPIENT_NOT_ON_WHATSAPP, "57300"), "El destinatario no tiene WhatsApp: 57300"),
        (PodError(ErrorCode.ACK_TIMEOUT, "75 s"), "WhatsApp no confirmó el mensaje a tiempo; no se sabe si llegó"),
        (PodError(None, NO_ANSWER), NO_ANSWER),
    ],
)
async def test_what_a_pod_could_not_send_is_said(facade: Facade, error: PodError, details: str) -> None:
    facade.connected()
    facade.pods.trouble = error
    answer = await facade.http.post("/sessions/cliente1/send", json=SEND)
    assert (answer.status_code, answer.json()) == (500, {"error": "Error enviando mensaje", "details": details})


@pytest.mark.parametrize(("path", "what"), [("chats", "chats"), ("chats/x/messages", "mensajes")])
async def test_a_pod_that_does_not_answer_for_chats(facade: Facade, path: str, what: str) -> None:
    facade.connected()
    facade.pods.trouble = PodError(None, NO_ANSWER)
    answer = await facade.http.get(f"/sessions/cliente1/{path}")
    assert (answer.status_code, answer.json()) == (500, {"error": f"Error obteniendo {what}", "details": NO_ANSWER})
    facade.pods.trouble = PodError(ErrorCode.NOT_CONNECTED, "Reconnecting")
    assert (await facade.http.get(f"/sessions/cliente1/{path}")).status_code == 400


async def test_messages_of_an_unknown_session(facade: Facade) -> None:
    answer = await facade.http.get("/sessions/x/chats/y/messages")
    assert (answer.status_code, answer.json()) == (404, {"error": "Sesión no encontrada"})
