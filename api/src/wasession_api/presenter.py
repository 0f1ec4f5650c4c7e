"""Every documented answer of the Baileys-WS contract: words, field names, order of keys, status codes.

Pure, and knows no Kubernetes calls: a `WhatsAppSession` goes in, bytes come out. Answers without data are rows of
`texts.TEXTS`. The order of fields in the structs is the order on the wire.
"""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from wasession_api.memory import MemoryUsage
from wasession_api.texts import POD_FAILURES, TEXTS, Case, Doing
from wasession_contract.podwire import Chat, ErrorCode, LastMessage, Message
from wasession_contract.v1alpha1 import QR, SessionState, WhatsAppSession

_encode = msgspec.json.Encoder().encode
_QUOTED_ID = 80  # characters of a refused id that are quoted back


class Answer(msgspec.Struct, frozen=True):
    """HTTP status code and JSON body."""

    code: int
    body: bytes


class Status(msgspec.Struct, frozen=True):
    """`<status>` of the contract, always with all nine keys."""

    connected: bool
    number: str
    name: str
    qr_code: str
    qr_image: str
    last_disconnect_reason: str
    reconnect_attempts: int
    created_at: str
    last_activity: str


def say(case: Case, **values: object) -> Answer:
    """The answer of one row of `TEXTS`, with `values` in its places."""
    code, body = TEXTS[case]
    return Answer(code, _encode({k: v.format(**values) if isinstance(v, str) else v for k, v in body.items()}))


def invalid_id(session_id: str) -> Answer:
    """400 for an id that no object can have; a long one is quoted in part."""
    quoted = repr(session_id[:_QUOTED_ID]) + ("…" if len(session_id) > _QUOTED_ID else "")
    return say(Case.ID_INVALID, id=quoted)


def failed(doing: Doing, why: str) -> Answer:
    """500 for any unexpected failure."""
    return Answer(500, _encode({"error": f"Error {doing}", "details": why}))


def pod_failure(session_id: str, code: ErrorCode, message: str) -> str:
    """The details of a failure that a session pod reported."""
    return POD_FAILURES[code].format(id=session_id, message=message)


def js_iso(moment: datetime) -> str:
    """JavaScript's `toISOString`: UTC, milliseconds, `Z`."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def is_connected(session: WhatsAppSession) -> bool:
    """WhatsApp is connected, said by the pod that the operator knows, and that pod serves."""
    report, pod = session.believed_report, session.status.pod
    return report is not None and pod is not None and report.state is SessionState.CONNECTED and pod.ready


def qr_of(session: WhatsAppSession) -> QR | None:
    """The QR code that waits for a scan, whether it is still accepted or not."""
    report = session.believed_report
    return None if report is None or report.state is SessionState.CONNECTED else report.qr


def status(session: WhatsAppSession, qr: QR | None = None, qr_image: str = "") -> Status:
    """`<status>` of a session; `qr` and its picture only while the code is accepted."""
    report = session.believed_report
    connected = is_connected(session)
    created = session.metadata.creation_timestamp or datetime.fromtimestamp(0, UTC)
    disconnect = report.last_disconnect if report else None
    return Status(
        connected=connected,
        number=(report.number or "") if report else "",
        name=_name(session, connected=connected),
        qr_code=qr.code if qr else "",
        qr_image=qr_image,
        last_disconnect_reason=f"{disconnect.code}: {disconnect.message}" if disconnect else "",
        reconnect_attempts=report.reconnect_attempts if report else 0,
        created_at=js_iso(created),
        last_activity=js_iso((report.last_activity if report else None) or created),
    )


def _name(session: WhatsAppSession, *, connected: bool) -> str:
    report = session.believed_report
    name = (report.name or "") if report else ""
    return name or (f"Bot {session.session_id}" if connected else "")


def status_json(status: Status) -> bytes:
    """`<status>` as bytes, to be kept and put into answers as it is."""
    return _encode(status)


def item_json(session_id: str, status: Status) -> bytes:
    """One entry of the list of sessions as bytes."""
    return _encode({"id": session_id, "status": status, "has_qr": bool(status.qr_code)})


def created(session_id: str, status: bytes) -> Answer:
    """A session was made."""
    session = {"id": session_id, "status": msgspec.Raw(status)}
    return Answer(200, _encode({"success": True, "message": "Sesión creada correctamente", "session": session}))


def session_status(session_id: str, status: bytes) -> Answer:
    """One session's status."""
    return Answer(200, b'{"session_id":' + _encode(session_id) + b',"status":' + status + b"}")


def sessions(items: list[bytes]) -> Answer:
    """The list of all sessions, from ready-made entries."""
    return Answer(200, b'{"total":%d,"sessions":[' % len(items) + b",".join(items) + b"]}")


def qr(session: WhatsAppSession, pending: QR | None, qr_image: str) -> Answer:
    """What there is to scan: nothing because connected, a code, or nothing yet."""
    now = status(session)
    body: dict[str, Any]
    if now.connected:
        info = {"id": session.session_id, "number": now.number, "name": now.name, "last_activity": now.last_activity}
        body = {"status": "connected", "message": "WhatsApp ya está conectado", "connected": True, "session_info": info}
    elif pending:
        body = {
            "status": "waiting_for_scan",
            "message": "Escanea el código QR en WhatsApp",
            "qr_code": pending.code,
            "qr_image": qr_image,
            "connected": False,
            "session_id": session.session_id,
        }
    else:
        body = {
            "status": "initializing",
            "message": "Iniciando sesión de WhatsApp...",
            "connected": False,
            "reconnect_attempts": now.reconnect_attempts,
            "session_id": session.session_id,
        }
    return Answer(200, _encode(body))


def _last_message(last: LastMessage | None) -> dict[str, Any] | None:
    return {"text": last.text, "timestamp": last.timestamp, "fromMe": last.from_me} if last else None


def chats(session_id: str, found: Iterable[Chat]) -> Answer:
    """The chats of a session, in the pod's order."""
    entries = [
        {
            "id": chat.id,
            "name": chat.name or "Sin nombre",
            "isGroup": chat.is_group,
            "unreadCount": chat.unread_count,
            "lastMessage": _last_message(chat.last_message),
            "pinned": chat.pinned,
            "archived": chat.archived,
        }
        for chat in found
    ]
    return Answer(200, _encode({"session_id": session_id, "total_chats": len(entries), "chats": entries}))


def messages(session_id: str, chat_id: str, found: Iterable[Message]) -> Answer:
    """Messages of a chat, oldest first as the pod gives them."""
    entries = [
        {
            "id": message.id,
            "from": message.sender,
            "fromMe": message.from_me,
            "text": message.text,
            "timestamp": message.timestamp,
            "type": message.type,
            "hasMedia": message.has_media,
        }
        for message in found
    ]
    body = {"session_id": session_id, "chat_id": chat_id, "total_messages": len(entries), "messages": entries}
    return Answer(200, _encode(body))


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """What `/health` and `/status` count."""

    total: int
    connected: int
    with_qr: int
    limit: int

    def fields(self) -> dict[str, int]:
        """Under the contract's names."""
        return {
            "total_sessions": self.total,
            "connected_sessions": self.connected,
            "disconnected_sessions": self.total - self.connected,
            "max_sessions": self.limit,
            "sessions_with_qr": self.with_qr,
        }


def health(now: datetime, totals: Totals, memory: MemoryUsage, uptime: float) -> Answer:
    """`GET /health`; `uptime` in seconds."""
    head = {"status": "ok", "service": "baileys-ws", "timestamp": js_iso(now)}
    return Answer(200, _encode({**head, **totals.fields(), "memory_usage": memory, "uptime": uptime}))


def server_status(totals: Totals, memory: MemoryUsage, uptime: float) -> Answer:
    """`GET /status`; `uptime` in seconds."""
    counted = {**totals.fields(), "memory_usage": memory, "uptime": uptime}
    return Answer(200, _encode({"status": "running", "uptime": uptime, "memory": memory, "sessions": counted}))
