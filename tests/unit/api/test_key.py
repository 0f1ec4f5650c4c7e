"""The API key: asked for everywhere but at the probes, in either header."""

import pytest
from facade_fakes import Facade, MakeFacade

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 401),
        ({"X-API-Key": "wrong"}, 401),
        ({"X-API-Key": "clave secretx"}, 401),
        ({"X-API-Key": ""}, 401),
        ({"Authorization": "Basic clave secreta"}, 401),
        ({"Authorization": "Bearer"}, 401),
        ({"X-API-Key": "clave secreta"}, 200),
        ({"x-api-key": "clave secreta"}, 200),
        ({"Authorization": "Bearer clave secreta"}, 200),
        ({"Authorization": "bearer clave secreta"}, 200),
    ],
)
async def test_a_call_needs_the_key(make_facade: MakeFacade, headers: dict[str, str], code: int) -> None:
    facade = make_facade(api_key="clave secreta")
    answer = await facade.http.get("/sessions", headers=headers)
    assert answer.status_code == code
    if code == 401:
        assert answer.json()["error"] == "No autorizado"
        assert "X-API-Key" in answer.json()["message"]


@pytest.mark.parametrize("path", ["/health", "/livez", "/readyz"])
async def test_probes_need_no_key(make_facade: MakeFacade, path: str) -> None:
    assert (await make_facade(api_key="k").http.get(path)).status_code == 200


@pytest.mark.parametrize("path", ["/nope", "/status", "/openapi.json", "/health/x", "/sessions/health"])
async def test_everything_else_does(make_facade: MakeFacade, path: str) -> None:
    assert (await make_facade(api_key="k").http.get(path)).status_code == 401


async def test_a_refused_call_changes_nothing(make_facade: MakeFacade) -> None:
    facade = make_facade(api_key="k")
    facade.connected()
    assert (await facade.http.delete("/sessions/cliente1")).status_code == 401
    assert facade.cluster.calls == []


async def test_without_a_key_everybody_may_call(facade: Facade) -> None:
    assert (await facade.http.get("/sessions")).status_code == 200


async def test_readiness_waits_for_the_first_list_and_liveness_does_not(facade: Facade) -> None:
    facade.store.synced = False
    assert (await facade.http.get("/livez")).status_code == 200
    assert (await facade.http.get("/readyz")).status_code == 503
