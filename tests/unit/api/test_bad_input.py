"""Nonsense from callers: a clear JSON answer with a 4xx, never a stack trace, never an object made of it."""

import pytest
from facade_fakes import Facade

pytestmark = pytest.mark.unit

ABSURD = ["..%2F..%2Fx", "x" * 300, "%F0%9F%98%80", "%24(reboot)", "a%2Fb", "a%00b", "a%0Ab", "%FF", "-a", "a%20", "a%252Fb"]


@pytest.mark.parametrize("segment", ABSURD)
async def test_an_absurd_id_is_refused_and_nothing_is_made(facade: Facade, segment: str) -> None:
    answer = await facade.http.post(f"/sessions/{segment}")
    assert answer.status_code == 400
    assert answer.json()["error"] == "sessionId inválido"
    assert "letras, dígitos" in answer.json()["message"]
    assert facade.cluster.calls == []


@pytest.mark.parametrize("segment", ABSURD)
@pytest.mark.parametrize(
    ("method", "rest", "expected"),
    [
        ("GET", "/qr", (404, "Sesión no encontrada")),
        ("GET", "/status", (404, "Sesión no encontrada")),
        ("GET", "/chats", (404, "Sesión no encontrada")),
        ("GET", "/chats/x/messages", (404, "Sesión no encontrada")),
        ("POST", "/restart", (500, "Error reiniciando sesión")),
    ],
)
async def test_an_absurd_id_is_an_unknown_session(facade: Facade, segment: str, method: str, rest: str, expected: tuple[int, str]) -> None:
    answer = await facade.http.request(method, f"/sessions/{segment}{rest}")
    assert (answer.status_code, answer.json()["error"]) == expected
    assert facade.cluster.calls == []


@pytest.mark.parametrize("segment", [*ABSURD, "%20"])
async def test_deleting_an_absurd_id_is_like_deleting_any_unknown_one(facade: Facade, segment: str) -> None:
    answer = await facade.http.delete(f"/sessions/{segment}")
    assert answer.status_code == 200
    assert answer.json()["message"] == "Sesión eliminada correctamente"
    assert facade.cluster.calls == []


@pytest.mark.parametrize("path", ["/sessions/%20", "/sessions/%09%20", "/sessions/", "/sessions"])
async def test_a_blank_id_is_required(facade: Facade, path: str) -> None:
    answer = await facade.http.post(path)
    assert (answer.status_code, answer.json()) == (400, {"error": "sessionId es requerido"})


async def test_an_encoded_slash_is_part_of_the_id_and_not_of_the_route(facade: Facade) -> None:
    facade.connected("a")
    answer = await facade.http.get("/sessions/a%2Fstatus")
    assert answer.status_code == 405
    answer = await facade.http.get("/sessions/x%2Fa/status")
    assert (answer.status_code, answer.json()) == (404, {"error": "Sesión no encontrada"})
    answer = await facade.http.delete("/sessions/x%2F..%2Fa")
    assert answer.json()["session_id"] == "x/../a"
    assert "a" in facade.cluster.objects


@pytest.mark.parametrize(
    ("path", "session_id"), [("Mi%20Bot", "Mi Bot"), ("ma%C3%B1ana", "mañana"), ("a%2Bb", "a+b"), ("a+b", "a+b"), ("x@y.z", "x@y.z")]
)
async def test_ids_are_decoded_once(facade: Facade, path: str, session_id: str) -> None:
    answer = await facade.http.post(f"/sessions/{path}")
    assert answer.json()["session"]["id"] == session_id
    answer = await facade.http.get(f"/sessions/{path}/status")
    assert answer.json()["session_id"] == session_id


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"[]",
        b'"x"',
        b"null",
        b"12",
        b'{"number":"57300"}',
        b'{"message":"x"}',
        b'{"number":"","message":"x"}',
        b'{"number":57300,"message":"x"}',
        b'{"number":"57300","message":["x"]}',
        b'{"number":null,"message":null}',
    ],
)
async def test_a_send_without_number_and_message_is_refused(facade: Facade, body: bytes) -> None:
    facade.connected()
    answer = await facade.http.post("/sessions/cliente1/send", content=body)
    assert (answer.status_code, answer.json()) == (400, {"error": "number y message son requeridos"})
    assert facade.pods.sent == []


@pytest.mark.parametrize("body", [b"{", b"number=1", b"\xff\xfe", b'{"number":"\xff","message":"x"}', b'{"number":"1"} x', b"[" * 100_000])
async def test_a_body_that_is_not_json_is_named_as_that(facade: Facade, body: bytes) -> None:
    facade.connected()
    answer = await facade.http.post("/sessions/cliente1/send", content=body)
    assert (answer.status_code, answer.json()["error"]) == (400, "JSON inválido")
    assert facade.pods.sent == []


async def test_a_body_that_is_too_large_is_refused(facade: Facade) -> None:
    facade.connected()
    answer = await facade.http.post("/sessions/cliente1/send", json={"number": "57300", "message": "x" * 1_048_576})
    assert (answer.status_code, answer.json()["error"]) == (413, "Cuerpo demasiado grande")
    assert facade.pods.sent == []


@pytest.mark.parametrize("limit", ["abc", "-1", "0", "1.5", "1e3", "²"])
async def test_a_limit_that_is_no_number_is_refused(facade: Facade, limit: str) -> None:
    facade.connected()
    answer = await facade.http.get("/sessions/cliente1/chats/x/messages", params={"limit": limit})
    assert (answer.status_code, answer.json()["error"]) == (400, "limit inválido")
    assert limit in answer.json()["message"]


@pytest.mark.parametrize(("query", "limit"), [("", 50), ("?limit=", 50), ("?limit=7", 7), ("?limit=99999999999999999999", 1000)])
async def test_how_many_messages_are_asked_for(facade: Facade, query: str, limit: int) -> None:
    facade.connected()
    await facade.http.get(f"/sessions/cliente1/chats/a%2Fb@s.whatsapp.net/messages{query}")
    assert facade.pods.asked == [("a/b@s.whatsapp.net", limit)]


@pytest.mark.parametrize(
    "call", ["GET /nope", "GET /", "GET /sessions/a/nope", "POST /sessions/a/b/c", "GET /docs", "GET /sessions//status"]
)
async def test_an_unknown_route_is_named(facade: Facade, call: str) -> None:
    method, path = call.split(" ")
    answer = await facade.http.request(method, path)
    assert (answer.status_code, answer.json()) == (404, {"error": "Ruta no encontrada", "message": f"No existe {method} {path}"})


async def test_a_method_that_a_route_does_not_know_is_named(facade: Facade) -> None:
    answer = await facade.http.put("/sessions/a")
    assert (answer.status_code, answer.json()) == (405, {"error": "Método no permitido", "message": "/sessions/a no admite PUT"})
    assert "POST" in answer.headers["allow"]


async def test_a_trailing_slash_changes_nothing(facade: Facade) -> None:
    facade.connected()
    assert (await facade.http.get("/sessions/cliente1/status/")).json() == (await facade.http.get("/sessions/cliente1/status")).json()


async def test_a_defect_shows_no_stack_trace(facade: Facade, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(facade.store, "get", broken)
    answer = await facade.http.get("/sessions/a/status")
    assert answer.status_code == 500
    assert answer.json() == {"error": "Error obteniendo estado", "details": "Fallo interno; el registro del servicio tiene los detalles"}
