"""Every row of the contract's table of HTTP calls, byte for byte in words, names, order of keys and status codes."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from facade_fakes import Facade

from wasession_api.qrimage import data_url
from wasession_contract.podwire import Chat, LastMessage, Message

pytestmark = pytest.mark.unit

NEW = {
    "connected": False,
    "number": "",
    "name": "",
    "qr_code": "",
    "qr_image": "",
    "last_disconnect_reason": "",
    "reconnect_attempts": 0,
    "created_at": "2025-10-13T12:00:00.000Z",
    "last_activity": "2025-10-13T12:00:00.000Z",
}
SCANNABLE = {**NEW, "qr_code": "2@abc", "qr_image": data_url("2@abc")}
CONNECTED = {**NEW, "connected": True, "number": "573001234567", "name": "Ana", "last_activity": "2025-10-13T12:00:01.250Z"}
ACTIVE = {"lastActivity": "2025-10-13T12:00:01.250Z"}
MEMORY_KEYS = ["rss", "heapTotal", "heapUsed", "external", "arrayBuffers"]
SEND = {"number": "573007654321", "message": "Hola"}


def nothing(_: Facade) -> None:
    """No session at all."""


def waiting(facade: Facade) -> None:
    facade.cluster.add("cliente1")


def scannable(facade: Facade) -> None:
    facade.scannable()


def connected(facade: Facade) -> None:
    facade.connected(**ACTIVE)


def full(facade: Facade) -> None:
    for n in range(10):
        facade.cluster.add(f"c{n}")


def two(facade: Facade) -> None:
    facade.cluster.add("cliente2", age=-1)
    facade.scannable()


def talking(facade: Facade) -> None:
    connected(facade)
    last = LastMessage(text="Hola", timestamp=1760356800, from_me=True)
    facade.pods.known_chats = [
        Chat(id="573007654321@s.whatsapp.net", name="Luis", is_group=False, unread_count=2, last_message=last, pinned=True),
        Chat(id="120363@g.us", name=None, is_group=True, unread_count=0, last_message=None),
    ]
    facade.pods.known_messages = [
        Message(id="A", sender="573007654321@s.whatsapp.net", from_me=False, text="?", timestamp=5, type="text", has_media=False)
    ]


Row = tuple[str, Callable[[Facade], None], str, Any, int, Any]
ROWS: list[Row] = [
    (
        "POST /sessions/:id",
        nothing,
        "POST /sessions/cliente1",
        None,
        200,
        {"success": True, "message": "Sesión creada correctamente", "session": {"id": "cliente1", "status": NEW}},
    ),
    ("· blank id", nothing, "POST /sessions/%20", None, 400, {"error": "sessionId es requerido"}),
    (
        "· limit reached",
        full,
        "POST /sessions/cliente1",
        None,
        500,
        {"error": "Error creando sesión", "details": "Límite de sesiones alcanzado (10)"},
    ),
    (
        "· id taken",
        waiting,
        "POST /sessions/cliente1",
        None,
        500,
        {"error": "Error creando sesión", "details": "La sesión cliente1 ya existe"},
    ),
    (
        "GET /sessions/:id/qr, connected",
        connected,
        "GET /sessions/cliente1/qr",
        None,
        200,
        {
            "status": "connected",
            "message": "WhatsApp ya está conectado",
            "connected": True,
            "session_info": {"id": "cliente1", "number": "573001234567", "name": "Ana", "last_activity": "2025-10-13T12:00:01.250Z"},
        },
    ),
    (
        "· QR pending",
        scannable,
        "GET /sessions/cliente1/qr",
        None,
        200,
        {
            "status": "waiting_for_scan",
            "message": "Escanea el código QR en WhatsApp",
            "qr_code": "2@abc",
            "qr_image": data_url("2@abc"),
            "connected": False,
            "session_id": "cliente1",
        },
    ),
    (
        "· neither yet",
        waiting,
        "GET /sessions/cliente1/qr",
        None,
        200,
        {
            "status": "initializing",
            "message": "Iniciando sesión de WhatsApp...",
            "connected": False,
            "reconnect_attempts": 0,
            "session_id": "cliente1",
        },
    ),
    (
        "· unknown session",
        nothing,
        "GET /sessions/cliente1/qr",
        None,
        404,
        {"error": "Sesión no encontrada", "message": "La sesión cliente1 no existe. Créala primero con POST /sessions/cliente1"},
    ),
    (
        "GET /sessions/:id/status",
        connected,
        "GET /sessions/cliente1/status",
        None,
        200,
        {"session_id": "cliente1", "status": CONNECTED},
    ),
    ("status, unknown", nothing, "GET /sessions/cliente1/status", None, 404, {"error": "Sesión no encontrada"}),
    (
        "GET /sessions",
        two,
        "GET /sessions",
        None,
        200,
        {
            "total": 2,
            "sessions": [
                {"id": "cliente1", "status": SCANNABLE, "has_qr": True},
                {
                    "id": "cliente2",
                    "status": {**NEW, "created_at": "2025-10-13T12:00:01.000Z", "last_activity": "2025-10-13T12:00:01.000Z"},
                    "has_qr": False,
                },
            ],
        },
    ),
    (
        "POST /sessions/:id/send",
        connected,
        "POST /sessions/cliente1/send",
        SEND,
        200,
        {"success": True, "message": "Mensaje enviado correctamente", "session_id": "cliente1"},
    ),
    (
        "· a field missing or empty",
        connected,
        "POST /sessions/cliente1/send",
        {"number": "57300", "message": ""},
        400,
        {"error": "number y message son requeridos"},
    ),
    (
        "send, unknown session",
        nothing,
        "POST /sessions/cliente1/send",
        SEND,
        500,
        {"error": "Error enviando mensaje", "details": "Sesión cliente1 no encontrada"},
    ),
    (
        "send, not connected",
        scannable,
        "POST /sessions/cliente1/send",
        SEND,
        500,
        {"error": "Error enviando mensaje", "details": "Sesión cliente1 no está conectada"},
    ),
    (
        "POST /sessions/:id/restart",
        connected,
        "POST /sessions/cliente1/restart",
        None,
        200,
        {"success": True, "message": "Sesión reiniciada correctamente", "session_id": "cliente1"},
    ),
    (
        "restart, unknown",
        nothing,
        "POST /sessions/cliente1/restart",
        None,
        500,
        {"error": "Error reiniciando sesión", "details": "Sesión cliente1 no encontrada"},
    ),
    (
        "DELETE /sessions/:id",
        connected,
        "DELETE /sessions/cliente1",
        None,
        200,
        {"success": True, "message": "Sesión eliminada correctamente", "session_id": "cliente1"},
    ),
    (
        "delete, unknown",
        nothing,
        "DELETE /sessions/cliente1",
        None,
        200,
        {"success": True, "message": "Sesión eliminada correctamente", "session_id": "cliente1"},
    ),
    (
        "GET /sessions/:id/chats",
        talking,
        "GET /sessions/cliente1/chats",
        None,
        200,
        {
            "session_id": "cliente1",
            "total_chats": 2,
            "chats": [
                {
                    "id": "573007654321@s.whatsapp.net",
                    "name": "Luis",
                    "isGroup": False,
                    "unreadCount": 2,
                    "lastMessage": {"text": "Hola", "timestamp": 1760356800, "fromMe": True},
                    "pinned": True,
                    "archived": False,
                },
                {
                    "id": "120363@g.us",
                    "name": "Sin nombre",
                    "isGroup": True,
                    "unreadCount": 0,
                    "lastMessage": None,
                    "pinned": False,
                    "archived": False,
                },
            ],
        },
    ),
    ("chats, unknown", nothing, "GET /sessions/cliente1/chats", None, 404, {"error": "Sesión no encontrada"}),
    (
        "chats, not connected",
        scannable,
        "GET /sessions/cliente1/chats",
        None,
        400,
        {"error": "Sesión no conectada", "message": "La sesión debe estar conectada para obtener chats"},
    ),
    (
        "GET /sessions/:id/chats/:chatId/messages",
        talking,
        "GET /sessions/cliente1/chats/573007654321%40s.whatsapp.net/messages?limit=7",
        None,
        200,
        {
            "session_id": "cliente1",
            "chat_id": "573007654321@s.whatsapp.net",
            "total_messages": 1,
            "messages": [
                {
                    "id": "A",
                    "from": "573007654321@s.whatsapp.net",
                    "fromMe": False,
                    "text": "?",
                    "timestamp": 5,
                    "type": "text",
                    "hasMedia": False,
                }
            ],
        },
    ),
    ("messages, not connected", scannable, "GET /sessions/cliente1/chats/x/messages", None, 400, {"error": "Sesión no conectada"}),
]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0])
async def test_a_row_of_the_contract(facade: Facade, row: Row) -> None:
    _, prepare, call, body, code, expected = row
    prepare(facade)
    method, path = call.split(" ", 1)
    answer = await facade.http.request(method, path, json=body)
    assert answer.headers["content-type"] == "application/json; charset=utf-8"
    assert answer.text == json.dumps(expected, ensure_ascii=False, separators=(",", ":"))
    assert answer.status_code == code


async def test_health(facade: Facade) -> None:
    connected(facade)
    facade.scannable("cliente2")
    facade.cluster.add("cliente3")
    answer = (await facade.http.get("/health")).json()
    memory = answer.pop("memory_usage")
    assert list(memory) == MEMORY_KEYS
    assert all(isinstance(value, int) for value in memory.values())
    assert memory["rss"] > 10_000_000
    assert answer == {
        "status": "ok",
        "service": "baileys-ws",
        "timestamp": "2025-10-13T12:00:00.000Z",
        "total_sessions": 3,
        "connected_sessions": 1,
        "disconnected_sessions": 2,
        "max_sessions": 10,
        "sessions_with_qr": 1,
        "uptime": 0.0,
    }


async def test_status_of_the_server(facade: Facade) -> None:
    connected(facade)
    answer = (await facade.http.get("/status")).json()
    assert list(answer) == ["status", "uptime", "memory", "sessions"]
    assert answer["status"] == "running"
    assert list(answer["memory"]) == MEMORY_KEYS
    assert list(answer["sessions"]) == [
        "total_sessions",
        "connected_sessions",
        "disconnected_sessions",
        "max_sessions",
        "sessions_with_qr",
        "memory_usage",
        "uptime",
    ]
    assert answer["sessions"]["connected_sessions"] == 1


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("GET /sessions/cliente1/qr", "Error obteniendo QR"),
        ("GET /sessions/cliente1/status", "Error obteniendo estado"),
        ("GET /sessions/cliente1/chats", "Error obteniendo chats"),
        ("GET /sessions/cliente1/chats/x/messages", "Error obteniendo mensajes"),
        ("GET /sessions", "Error obteniendo sesiones"),
        ("POST /sessions/cliente1", "Error creando sesión"),
        ("POST /sessions/cliente1/restart", "Error reiniciando sesión"),
    ],
)
async def test_an_unexpected_failure_says_what_was_being_done_and_why(facade: Facade, call: str, error: str) -> None:
    facade.store.synced = False
    answer = await facade.http.request(*call.split(" "))
    assert answer.status_code == 500
    assert answer.json() == {
        "error": error,
        "details": "El servicio está arrancando y aún no conoce las sesiones; reintenta en unos segundos",
    }
