"""The texts of the Baileys-WS contract as tables: one row for each answer that carries no data but names.

`:id` and the like of the contract stand in them as `{id}`, filled in by `presenter.say`.
"""

from enum import StrEnum

from wasession_contract import names
from wasession_contract.podwire import ErrorCode


class Case(StrEnum):
    """The answers that carry no data but names."""

    ID_REQUIRED = "id required"
    ID_INVALID = "id invalid"
    CREATE_LIMIT = "create: limit reached"
    CREATE_TAKEN = "create: id taken"
    CREATE_NAME_TAKEN = "create: object name taken by another id"
    QR_UNKNOWN = "qr: unknown session"
    STATUS_UNKNOWN = "status: unknown session"
    SEND_REQUIRED = "send: a field missing or empty"
    SENT = "sent"
    SEND_UNKNOWN = "send: unknown session"
    SEND_NOT_CONNECTED = "send: not connected"
    RESTARTED = "restarted"
    RESTART_UNKNOWN = "restart: unknown session"
    DELETED = "deleted"
    CHATS_UNKNOWN = "chats: unknown session"
    CHATS_NOT_CONNECTED = "chats: not connected"
    MESSAGES_UNKNOWN = "messages: unknown session"
    MESSAGES_NOT_CONNECTED = "messages: not connected"
    LIMIT_INVALID = "messages: limit invalid"
    JSON_INVALID = "body is not JSON"
    BODY_TOO_LARGE = "body too large"
    NO_ROUTE = "no such route"
    NO_METHOD = "no such method"
    UNAUTHORIZED = "unauthorized"
    ALIVE = "alive"
    READY = "ready"
    NOT_READY = "not ready"


_NOT_FOUND = "Sesión no encontrada"
_CREATING, _SENDING, _RESTARTING = "Error creando sesión", "Error enviando mensaje", "Error reiniciando sesión"
_GONE = "Sesión {id} no encontrada"

TEXTS: dict[Case, tuple[int, dict[str, str | bool]]] = {
    Case.ID_REQUIRED: (400, {"error": "sessionId es requerido"}),
    Case.ID_INVALID: (
        400,
        {
            "error": "sessionId inválido",
            "message": (
                f"{{id}} no sirve como sessionId: usa de 1 a {names.MAX_SESSION_ID} letras, dígitos, espacios o _.@+:- "
                "(el primero, letra o dígito; el último, no un espacio)"
            ),
        },
    ),
    Case.CREATE_LIMIT: (500, {"error": _CREATING, "details": "Límite de sesiones alcanzado ({limit})"}),
    Case.CREATE_TAKEN: (500, {"error": _CREATING, "details": "La sesión {id} ya existe"}),
    Case.CREATE_NAME_TAKEN: (
        500,
        {"error": _CREATING, "details": "El objeto WhatsAppSession {name} ya existe y es de la sesión {other}; usa otro id que {id}"},
    ),
    Case.QR_UNKNOWN: (404, {"error": _NOT_FOUND, "message": "La sesión {id} no existe. Créala primero con POST /sessions/{id}"}),
    Case.STATUS_UNKNOWN: (404, {"error": _NOT_FOUND}),
    Case.SEND_REQUIRED: (400, {"error": "number y message son requeridos"}),
    Case.SENT: (200, {"success": True, "message": "Mensaje enviado correctamente", "session_id": "{id}"}),
    Case.SEND_UNKNOWN: (500, {"error": _SENDING, "details": _GONE}),
    Case.SEND_NOT_CONNECTED: (500, {"error": _SENDING, "details": "Sesión {id} no está conectada"}),
    Case.RESTARTED: (200, {"success": True, "message": "Sesión reiniciada correctamente", "session_id": "{id}"}),
    Case.RESTART_UNKNOWN: (500, {"error": _RESTARTING, "details": _GONE}),
    Case.DELETED: (200, {"success": True, "message": "Sesión eliminada correctamente", "session_id": "{id}"}),
    Case.CHATS_UNKNOWN: (404, {"error": _NOT_FOUND}),
    Case.CHATS_NOT_CONNECTED: (
        400,
        {"error": "Sesión no conectada", "message": "La sesión debe estar conectada para obtener chats"},
    ),
    Case.MESSAGES_UNKNOWN: (404, {"error": _NOT_FOUND}),
    Case.MESSAGES_NOT_CONNECTED: (400, {"error": "Sesión no conectada"}),
    Case.LIMIT_INVALID: (400, {"error": "limit inválido", "message": "limit={value} no sirve: usa un número entero de 1 en adelante"}),
    Case.JSON_INVALID: (400, {"error": "JSON inválido", "message": "El cuerpo de la petición no es JSON: {why}"}),
    Case.BODY_TOO_LARGE: (413, {"error": "Cuerpo demasiado grande", "message": "El cuerpo de la petición puede tener {limit} bytes"}),
    Case.NO_ROUTE: (404, {"error": "Ruta no encontrada", "message": "No existe {method} {path}"}),
    Case.NO_METHOD: (405, {"error": "Método no permitido", "message": "{path} no admite {method}"}),
    Case.UNAUTHORIZED: (
        401,
        {"error": "No autorizado", "message": "Falta la clave o no es válida: envía X-API-Key: <clave> o Authorization: Bearer <clave>"},
    ),
    Case.ALIVE: (200, {"status": "ok"}),
    Case.READY: (200, {"status": "ok"}),
    Case.NOT_READY: (503, {"error": "No listo", "message": "La lista de sesiones aún no se ha leído de Kubernetes"}),
}


class Doing(StrEnum):
    """What failed, in the words of `Error <doing it>`."""

    CREATE = "creando sesión"
    QR = "obteniendo QR"
    STATUS = "obteniendo estado"
    SESSIONS = "obteniendo sesiones"
    SEND = "enviando mensaje"
    RESTART = "reiniciando sesión"
    DELETE = "eliminando sesión"
    CHATS = "obteniendo chats"
    MESSAGES = "obteniendo mensajes"
    ANSWER = "procesando la petición"


POD_FAILURES: dict[ErrorCode, str] = {
    ErrorCode.UNAUTHORIZED: "El pod de la sesión no acepta la clave interna de esta instalación",
    ErrorCode.BAD_REQUEST: "El pod de la sesión no acepta la petición: {message}",
    ErrorCode.NOT_FOUND: "El pod de la sesión no conoce esta llamada: {message}",
    ErrorCode.NOT_CONNECTED: "Sesión {id} no está conectada",
    ErrorCode.RECIPIENT_NOT_ON_WHATSAPP: "El destinatario no tiene WhatsApp: {message}",
    ErrorCode.SEND_REFUSED: "WhatsApp rechazó el mensaje: {message}",
    ErrorCode.IDEMPOTENCY_KEY_REUSED: "La Idempotency-Key ya se usó con otro mensaje: {message}",
    ErrorCode.IDEMPOTENCY_KEY_IN_FLIGHT: "Un mensaje con esta Idempotency-Key se está enviando ahora: {message}",
    ErrorCode.ACK_TIMEOUT: "WhatsApp no confirmó el mensaje a tiempo; no se sabe si llegó",
    ErrorCode.PACING_LIMITED: "Límite de envíos de la sesión alcanzado: {message}",
    ErrorCode.MEDIA_TOO_LARGE: "El archivo es demasiado grande: {message}",
    ErrorCode.MEDIA_UNFETCHABLE: "El archivo no se puede descargar: {message}",
    ErrorCode.MESSAGE_UNKNOWN: "El mensaje citado no existe: {message}",
    ErrorCode.ALREADY_PAIRED: "La sesión ya está vinculada",
    ErrorCode.PAIRING_REFUSED: "WhatsApp no dio un código de vinculación: {message}",
    ErrorCode.DELIVERY_UNKNOWN: "La entrega no existe: {message}",
    ErrorCode.INTERNAL: "El pod de la sesión falló: {message}",
}
"""What a client reads for each error code of a session pod."""
