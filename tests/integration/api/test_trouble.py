"""Two replicas, an API server that goes and comes back, paths as they really come, settings that cannot be used."""

import asyncio
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from facade_support import FacadeProcess, FakePod, Kube, eventually, serving

pytestmark = pytest.mark.integration
MakeFacade = Callable[..., FacadeProcess]
SEND = {"number": "573007654321", "message": "Hola"}


async def test_two_replicas_agree(make_facade: MakeFacade, kube: Kube) -> None:
    one, two = make_facade(), make_facade()
    await asyncio.gather(one.start(), two.start())
    for name in ("b", "a", "c"):
        kube.apply(name, {})
        kube.admit(name)
    kube.connect("a")

    async def both() -> list[str]:
        return [(await facade.http.get("/sessions")).text for facade in (one, two)]

    async def agree() -> bool:
        first, second = await both()
        return first == second and '"total":3' in first and '"connected":true' in first

    await eventually(agree, "both say the same")
    answers = await asyncio.gather(*(facade.http.post("/sessions/d") for facade in (one, two)))
    assert sorted(answer.status_code for answer in answers) == [200, 500]
    assert next(a for a in answers if a.status_code == 500).json()["details"] == "La sesión d ya existe"
    assert (await one.http.delete("/sessions/d")).status_code == 200
    await eventually(agree, "both say the same after the deletion")


async def test_the_api_server_goes_and_comes_back(facade: FacadeProcess, kube: Kube, repo: Path) -> None:
    def devcluster(*arguments: str) -> None:
        env = {**os.environ, "DEVCLUSTER_DIR": str(kube.kubeconfig.parent)}
        subprocess.run([repo / "devcluster" / "devcluster", *arguments], env=env, check=True, capture_output=True)

    kube.apply("cliente1", {})
    uid = (kube.get("cliente1") or {})["metadata"]["uid"]
    kube.connect("cliente1")
    await eventually(lambda: facade.is_connected("cliente1"), "connected")
    await asyncio.to_thread(devcluster, "stop")
    try:
        assert await facade.is_connected("cliente1")
        assert (await facade.http.get("/readyz")).status_code == 200
        async with serving(FakePod(uid)) as pod:
            assert (await facade.http.post("/sessions/cliente1/send", json=SEND)).status_code == 200
            assert pod.sent
        for call, doing in (("POST /sessions/new", "creando"), ("DELETE /sessions/cliente1", "eliminando")):
            answer = await facade.http.request(*call.split(" "))
            assert answer.status_code == 500
            assert answer.json() == {"error": f"Error {doing} sesión", "details": "Kubernetes no responde; reintenta en unos segundos"}
    finally:
        await asyncio.to_thread(devcluster, "up", "--control-plane-only")
    kube.report("cliente1", "pod-1", "Reconnecting", reconnectAttempts=2)

    async def attempts() -> bool:
        return (await facade.status("cliente1"))["reconnect_attempts"] == 2

    await eventually(attempts, "the watch goes on")
    assert "Traceback" not in facade.log


PATHS = [  # as sent, status, a part of the answer
    ("/sessions/..%2F..%2Fx", 400, "sessionId inválido"),
    ("/sessions/a%252Fb", 400, "a%2Fb"),
    ("/sessions/%20", 400, "sessionId es requerido"),
    ("/sessions/../../x", 404, "Ruta no encontrada"),
    ("//sessions/a", 404, "Ruta no encontrada"),
    ("/sessions/" + "a" * 300, 400, "sessionId inválido"),
]


async def test_a_path_is_taken_as_it_comes(facade: FacadeProcess, kube: Kube) -> None:
    for path, code, part in PATHS:
        reader, writer = await asyncio.open_connection("127.0.0.1", facade.port)
        writer.write(f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        answer = (await reader.read()).decode()
        writer.close()
        assert answer.startswith(f"HTTP/1.1 {code} "), path
        assert part in answer, path
    assert kube.all() == []


async def test_a_key_is_asked_for_and_not_logged(make_facade: MakeFacade) -> None:
    facade = make_facade(WASESSION_API_KEY="clave-muy-secreta")
    await facade.start()
    assert (await facade.http.get("/sessions")).status_code == 401
    assert (await facade.http.get("/sessions", headers={"X-API-Key": "clave-muy-secreta"})).status_code == 200
    assert "clave-muy-secreta" not in facade.log
    assert "Sin WASESSION_API_KEY" not in facade.log


@pytest.mark.parametrize(
    ("name", "value"),
    [("MAX_SESSIONS", "muchas"), ("WASESSION_INTERNAL_KEY_FILE", "/nowhere"), ("KUBECONFIG", "/nowhere"), ("WS_PORT", "99999")],
)
async def test_a_setting_that_cannot_be_used_ends_it_with_one_line(make_facade: MakeFacade, name: str, value: str) -> None:
    facade = make_facade(**{name: value})
    assert await asyncio.to_thread(facade.launch().wait, 30) == 2
    last = facade.log.splitlines()[-1]
    assert last.startswith(f"wasession_api: {name}={value!r}")
    assert "Traceback" not in facade.log


async def test_without_a_key_it_warns(facade: FacadeProcess) -> None:
    assert "Sin WASESSION_API_KEY" in facade.log
