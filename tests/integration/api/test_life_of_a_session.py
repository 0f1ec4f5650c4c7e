"""The documented calls against a real API server, from the first POST to the DELETE."""

import asyncio
import base64
import io
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
import zxingcpp
from facade_support import FacadeProcess, FakePod, Kube, eventually, serving
from PIL import Image

from wasession_contract import names

pytestmark = pytest.mark.integration
SEND = {"number": "573007654321", "message": "Hola"}


async def create(facade: FacadeProcess, kube: Kube, session_id: str) -> str:
    """Create a session that the operator admits; returns the object's name."""
    name = names.object_name(session_id)
    call = asyncio.create_task(facade.http.post(f"/sessions/{session_id}"))
    await eventually(lambda: kube.get(name), "the object exists")
    kube.admit(name)
    answer = await call
    assert answer.status_code == 200, answer.text
    return name


async def test_from_create_to_delete(facade: FacadeProcess, kube: Kube) -> None:
    await create(facade, kube, "cliente1")
    obj = kube.get("cliente1")
    assert obj is not None
    assert obj["spec"]["sessionId"] == "cliente1"
    assert obj["spec"]["idle"] == {"timeoutSeconds": 1800, "policy": "Delete"}
    assert obj["spec"]["reconnect"]["maxAttempts"] == 5
    assert (await facade.http.get("/sessions/cliente1/qr")).json()["status"] == "initializing"

    code = "2@" + "aB3+/=," * 34
    kube.give_pod("cliente1", "pod-1")
    kube.report("cliente1", "pod-1", "AwaitingScan", qr={"code": code, "expiresAt": in_a_minute()})
    await eventually(lambda: has_status(facade, "waiting_for_scan"), "the QR code")
    qr = (await facade.http.get("/sessions/cliente1/qr")).json()
    picture = Image.open(io.BytesIO(base64.b64decode(qr["qr_image"].split(",")[1])))
    assert qr["qr_code"] == code
    assert [found.text for found in zxingcpp.read_barcodes(picture)] == [code]

    kube.connect("cliente1")
    await eventually(lambda: facade.is_connected("cliente1"), "connected")
    status = await facade.status("cliente1")
    assert (status["number"], status["name"], status["qr_code"]) == ("573001234567", "Ana", "")
    health = (await facade.http.get("/health")).json()
    assert (health["total_sessions"], health["connected_sessions"], health["sessions_with_qr"]) == (1, 1, 0)

    await talk(facade, obj["metadata"]["uid"])
    await restart(facade, kube)

    kube.hold("cliente1")
    deletion = asyncio.create_task(facade.http.delete("/sessions/cliente1"))
    await eventually(lambda: "deletionTimestamp" in (kube.get("cliente1") or {"metadata": {}})["metadata"], "being deleted")
    assert not deletion.done()
    kube.let_go("cliente1")
    assert (await deletion).json() == {"success": True, "message": "Sesión eliminada correctamente", "session_id": "cliente1"}
    assert (await facade.http.get("/sessions")).json() == {"total": 0, "sessions": []}
    assert kube.all() == []
    assert code not in facade.log


def in_a_minute() -> str:
    return (datetime.now(UTC) + timedelta(minutes=1)).isoformat()


async def has_status(facade: FacadeProcess, status: str) -> bool:
    return bool((await facade.http.get("/sessions/cliente1/qr")).json()["status"] == status)


async def talk(facade: FacadeProcess, uid: str) -> None:
    async with serving(FakePod(uid)) as pod:
        answer = await facade.http.post("/sessions/cliente1/send", json=SEND)
        assert answer.json() == {"success": True, "message": "Mensaje enviado correctamente", "session_id": "cliente1"}
        assert pod.sent == [{"to": "573007654321", "text": "Hola"}]
        chats = (await facade.http.get("/sessions/cliente1/chats")).json()
        assert (chats["total_chats"], chats["chats"][0]["name"]) == (1, "Sin nombre")
        messages = (await facade.http.get("/sessions/cliente1/chats/57%40s.whatsapp.net/messages?limit=3")).json()
        assert (messages["chat_id"], messages["messages"][0]["from"]) == ("57@s.whatsapp.net", "x")
        assert pod.paths[-1] == "/v1/chats/57%40s.whatsapp.net/messages?limit=3"


async def restart(facade: FacadeProcess, kube: Kube) -> None:
    call = asyncio.create_task(facade.http.post("/sessions/cliente1/restart"))
    obj = await eventually(lambda: restarted(kube), "restartedAt is set")
    assert not call.done()
    kube.give_pod("cliente1", "pod-2", generation=obj["metadata"]["generation"])
    assert (await call).json()["message"] == "Sesión reiniciada correctamente"
    assert not await facade.is_connected("cliente1")


def restarted(kube: Kube) -> dict[str, dict[str, object]] | None:
    obj = kube.get("cliente1")
    return obj if obj and "restartedAt" in obj["spec"] else None


async def test_any_id_of_the_original_works(facade: FacadeProcess, kube: Kube) -> None:
    for session_id in ("Mi Bot", "mañana", "user@example.com", "57 300+1", "CLIENTE_1", "a" * 128):
        name = await create(facade, kube, session_id)
        assert (await facade.status(session_id))["connected"] is False
        assert (await facade.http.delete(f"/sessions/{session_id}")).status_code == 200
        assert kube.get(name) is None


async def test_a_session_made_with_kubectl_is_one_like_any_other(facade: FacadeProcess, kube: Kube) -> None:
    kube.apply("ventas", {})
    kube.apply("soporte", {"sessionId": "Soporte 24h"})
    await eventually(lambda: is_listed(facade, 2), "both are listed")
    assert {s["id"] for s in (await facade.http.get("/sessions")).json()["sessions"]} == {"ventas", "Soporte 24h"}
    assert (await facade.http.post("/sessions/ventas")).json()["details"] == "La sesión ventas ya existe"
    assert (await facade.http.delete("/sessions/Soporte%2024h")).status_code == 200
    assert kube.get("soporte") is None


async def is_listed(facade: FacadeProcess, total: int) -> bool:
    return bool((await facade.http.get("/sessions")).json()["total"] == total)


async def test_a_session_for_which_the_operator_has_no_room_is_taken_back(make_facade: Callable[..., FacadeProcess], kube: Kube) -> None:
    facade = make_facade(MAX_SESSIONS="1")
    await facade.start()
    call = asyncio.create_task(facade.http.post("/sessions/cliente1"))
    await eventually(lambda: kube.get("cliente1"), "the object exists")
    kube.admit("cliente1", "False", "SessionLimitReached")
    answer = await call
    assert (answer.status_code, answer.json()["details"]) == (500, "Límite de sesiones alcanzado (1)")
    assert kube.all() == []


async def test_create_at_once_after_delete_waits_for_the_old_one_to_go(facade: FacadeProcess, kube: Kube) -> None:
    await create(facade, kube, "cliente1")
    kube.hold("cliente1")
    first = (kube.get("cliente1") or {})["metadata"]["uid"]
    deletion = asyncio.create_task(facade.http.delete("/sessions/cliente1"))
    await eventually(lambda: is_listed(facade, 0), "hidden from readers")
    creation = asyncio.create_task(create_and_admit(facade, kube, first))
    kube.let_go("cliente1")
    assert (await deletion).status_code == 200
    assert await creation != first


async def create_and_admit(facade: FacadeProcess, kube: Kube, old: str) -> str:
    def made() -> str | None:
        obj = kube.get("cliente1")
        return obj["metadata"]["uid"] if obj and obj["metadata"]["uid"] != old else None

    call = asyncio.create_task(facade.http.post("/sessions/cliente1"))
    uid = str(await eventually(made, "a new object"))
    kube.admit("cliente1")
    assert (await call).status_code == 200
    return uid
