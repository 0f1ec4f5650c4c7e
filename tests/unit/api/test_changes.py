"""Create, restart, delete: what is done to the objects, what is waited for, and what a failing Kubernetes looks like."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from facade_fakes import POD, Facade, MakeFacade

from wasession_api.changes import Patience, manifest
from wasession_api.errors import KubernetesRefusedError, KubernetesUnavailableError
from wasession_api.settings import Settings
from wasession_contract import names, v1alpha1

pytestmark = pytest.mark.unit
LONG = Patience(admitted=10, replaced=10, gone=10)


async def once(task: "asyncio.Task[Any]", happened: Callable[[], bool]) -> None:
    """Let other tasks run until `happened`; `task` must not be done before."""
    for _ in range(1000):
        if happened():
            return
        assert not task.done(), task.result().text
        await asyncio.sleep(0)
    raise AssertionError("it did not happen")


def test_an_object_says_what_the_settings_say_and_leaves_the_rest_to_the_installation() -> None:
    settings = Settings(internal_key=b"k" * 16, max_reconnect_attempts=7, session_timeout=90_500, api_url="http://x")
    assert manifest("Mi Bot", settings) == {
        "apiVersion": "wasession.dev/v1alpha1",
        "kind": "WhatsAppSession",
        "metadata": {"name": names.object_name("Mi Bot")},
        "spec": {
            "sessionId": "Mi Bot",
            "reconnect": {"maxAttempts": 7},
            "idle": {"timeoutSeconds": 91, "policy": "Delete"},
        },
    }
    named = manifest("a", Settings(internal_key=b"k" * 16, bot_name="Tienda"))
    assert named["spec"]["deviceName"] == "Tienda"
    v1alpha1.convert(named)


async def test_create_waits_for_the_operators_word(make_facade: MakeFacade) -> None:
    facade = make_facade(LONG)
    facade.cluster.after_create = lambda _: None
    call = asyncio.create_task(facade.http.post("/sessions/cliente1"))
    await once(call, lambda: "cliente1" in facade.cluster.objects)
    facade.cluster.admit("cliente1")
    assert (await call).status_code == 200


async def test_create_takes_its_object_back_if_the_operator_has_no_room(make_facade: MakeFacade) -> None:
    facade = make_facade(LONG, max_sessions=3)
    facade.cluster.after_create = lambda name: facade.cluster.admit(name, status="False", reason="SessionLimitReached")
    answer = await facade.http.post("/sessions/cliente1")
    assert (answer.status_code, answer.json()["details"]) == (500, "Límite de sesiones alcanzado (3)")
    assert facade.cluster.objects == {}


async def test_create_over_the_limit_makes_nothing(make_facade: MakeFacade) -> None:
    facade = make_facade(max_sessions=1)
    facade.cluster.add("other")
    assert (await facade.http.post("/sessions/cliente1")).json()["details"] == "Límite de sesiones alcanzado (1)"
    assert facade.cluster.calls == []


async def test_a_session_that_is_being_deleted_leaves_its_place_and_its_id_free(make_facade: MakeFacade) -> None:
    facade = make_facade(LONG, max_sessions=1)
    facade.cluster.finalizers = True
    facade.cluster.add("cliente1")
    deletion = asyncio.create_task(facade.http.delete("/sessions/cliente1"))
    await once(deletion, lambda: facade.store.get("cliente1") is None)
    assert (await facade.http.get("/sessions")).json() == {"total": 0, "sessions": []}
    creation = asyncio.create_task(facade.http.post("/sessions/cliente1"))
    await once(creation, lambda: "get cliente1" in facade.cluster.calls)
    facade.cluster.end("cliente1")
    assert (await creation).status_code == 200
    assert (await deletion).status_code == 200


async def test_create_while_the_old_one_does_not_go_says_so(facade: Facade) -> None:
    facade.cluster.finalizers = True
    facade.cluster.add("cliente1")
    await facade.http.delete("/sessions/cliente1")
    answer = await facade.http.post("/sessions/cliente1")
    assert answer.status_code == 500
    assert "todavía se está eliminando" in answer.json()["details"]


async def test_an_id_that_only_the_api_server_knows_yet_is_taken(facade: Facade) -> None:
    facade.cluster.add("cliente1")
    facade.store.remove("cliente1")
    assert (await facade.http.post("/sessions/cliente1")).json()["details"] == "La sesión cliente1 ya existe"


async def test_an_object_name_that_another_id_has_is_named(facade: Facade) -> None:
    facade.cluster.add("otra", name="cliente1")
    details = (await facade.http.post("/sessions/cliente1")).json()["details"]
    assert "es de la sesión otra" in details


async def test_two_objects_with_one_id_are_the_older_one(facade: Facade) -> None:
    facade.cluster.add("cliente1", name="new", age=1)
    facade.cluster.add("cliente1", name="old", age=9)
    assert (await facade.http.get("/sessions")).json()["total"] == 1
    assert (await facade.http.get("/sessions/cliente1/status")).json()["status"]["created_at"] == "2025-10-13T11:59:51.000Z"
    facade.cluster.end("old")
    assert (await facade.http.get("/sessions/cliente1/status")).json()["status"]["created_at"] == "2025-10-13T11:59:59.000Z"


async def test_restart_waits_until_the_old_pod_is_gone(make_facade: MakeFacade) -> None:
    facade = make_facade(LONG)
    facade.connected()
    facade.cluster.objects["cliente1"]["spec"]["operatingMode"] = "Suspended"
    call = asyncio.create_task(facade.http.post("/sessions/cliente1/restart"))
    await once(call, lambda: "patch cliente1" in facade.cluster.calls)
    spec, status = facade.cluster.objects["cliente1"]["spec"], facade.cluster.objects["cliente1"]["status"]
    assert (spec["restartedAt"], spec["operatingMode"]) == ("2025-10-13T12:00:00+00:00", "Running")
    status["observedGeneration"] = 2
    facade.cluster.show("cliente1")
    await asyncio.sleep(0)
    assert not call.done()
    status["pod"] = {**POD, "uid": "pod-2", "ready": False}
    facade.cluster.show("cliente1")
    assert (await call).status_code == 200
    assert (await facade.http.get("/sessions/cliente1/status")).json()["status"]["connected"] is False


async def test_restart_of_a_session_that_has_just_gone_is_unknown(facade: Facade) -> None:
    facade.cluster.add("cliente1")
    del facade.cluster.objects["cliente1"]
    assert (await facade.http.post("/sessions/cliente1/restart")).json()["details"] == "Sesión cliente1 no encontrada"


async def test_delete_finds_a_session_that_the_cache_has_not_seen(facade: Facade) -> None:
    facade.cluster.add("Mi Bot", name=names.object_name("Mi Bot"))
    facade.store.remove(names.object_name("Mi Bot"))
    assert (await facade.http.delete("/sessions/Mi%20Bot")).status_code == 200
    assert facade.cluster.objects == {}


async def test_delete_does_not_touch_the_object_of_another_id(facade: Facade) -> None:
    facade.cluster.add("otra", name="cliente1")
    assert (await facade.http.delete("/sessions/cliente1")).status_code == 200
    assert "cliente1" in facade.cluster.objects


async def test_delete_of_a_session_that_was_made_anew_meanwhile_deletes_the_new_one(make_facade: MakeFacade) -> None:
    facade = make_facade(LONG)
    facade.cluster.add("cliente1")
    facade.cluster.objects["cliente1"]["metadata"]["uid"] = "new"
    assert (await facade.http.delete("/sessions/cliente1")).status_code == 200
    assert facade.cluster.calls == ["delete cliente1", "get cliente1", "delete cliente1"]
    assert facade.cluster.objects == {}


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("POST /sessions/new", "Error creando sesión"),
        ("POST /sessions/cliente1/restart", "Error reiniciando sesión"),
        ("DELETE /sessions/cliente1", "Error eliminando sesión"),
    ],
)
async def test_without_kubernetes_changes_fail_and_reads_go_on(facade: Facade, call: str, error: str) -> None:
    facade.connected()
    facade.cluster.trouble = KubernetesUnavailableError("Cannot connect to host 10.96.0.1:443")
    answer = await facade.http.request(*call.split(" "))
    assert answer.status_code == 500
    assert answer.json() == {"error": error, "details": "Kubernetes no responde; reintenta en unos segundos"}
    assert (await facade.http.get("/sessions/cliente1/status")).json()["status"]["connected"] is True
    send = await facade.http.post("/sessions/cliente1/send", json={"number": "57300", "message": "x"})
    assert send.status_code == 200


async def test_what_kubernetes_refuses_is_passed_on_in_its_words(facade: Facade) -> None:
    facade.cluster.trouble = KubernetesRefusedError(403, "exceeded quota: sessions")
    answer = await facade.http.post("/sessions/cliente1")
    assert answer.json()["details"] == "Kubernetes rechazó la petición (403): exceeded quota: sessions"
