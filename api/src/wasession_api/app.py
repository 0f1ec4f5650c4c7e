"""The FastAPI application: routes, bodies, and what a caller reads when something goes wrong.

Every answer is bytes made by `presenter`; there are no response models, so a read costs routing and a look-up.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Annotated

import msgspec
from fastapi import APIRouter, FastAPI, Path, Request, Response
from pydantic import AfterValidator
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp

from wasession_api import presenter
from wasession_api.errors import FacadeError
from wasession_api.front import JSON, Front, decoded
from wasession_api.presenter import Answer
from wasession_api.service import Service
from wasession_api.texts import Case, Doing
from wasession_contract.podwire import SendRequest

log = logging.getLogger(__name__)
Lifespan = Callable[[FastAPI], AbstractAsyncContextManager[None]]

MAX_BODY = 1_048_576  # bytes; WhatsApp's longest text is 65,536 characters
DEFAULT_LIMIT, MOST_MESSAGES = 50, 1000
HTTP_NO_METHOD = 405
SessionId = Annotated[str, Path(description="Free text: letters, digits, spaces and _.@+:-, up to 128"), AfterValidator(decoded)]
ChatId = Annotated[str, Path(description="The chat's JID"), AfterValidator(decoded)]

DOING = {
    "create": Doing.CREATE,
    "qr": Doing.QR,
    "status": Doing.STATUS,
    "sessions": Doing.SESSIONS,
    "send": Doing.SEND,
    "restart": Doing.RESTART,
    "delete": Doing.DELETE,
    "chats": Doing.CHATS,
    "messages": Doing.MESSAGES,
    "health": Doing.STATUS,
    "server_status": Doing.STATUS,
}
"""What the caller wanted, by the name of the route, for `Error <doing it>`."""


class BodyTooLargeError(Exception):
    """More than MAX_BODY bytes came."""


def as_response(answer: Answer) -> Response:
    """An answer as FastAPI wants it."""
    return Response(answer.body, status_code=answer.code, media_type=JSON)


async def read_body(request: Request) -> bytes:
    """The body, never more than MAX_BODY bytes of it. Raises BodyTooLargeError."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise BodyTooLargeError
    return bytes(body)


def parse_send(body: bytes) -> SendRequest | Answer:
    """`number` and `message` of a send, or what is wrong with them."""
    try:
        sent = msgspec.json.decode(body) if body.strip() else None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:  # the last: nested too deeply
        return presenter.say(Case.JSON_INVALID, why=error)
    number, message = (sent.get("number"), sent.get("message")) if isinstance(sent, dict) else (None, None)
    if isinstance(number, str) and isinstance(message, str) and number and message:
        return SendRequest(to=number, text=message)
    return presenter.say(Case.SEND_REQUIRED)


def parse_limit(text: str | None) -> int | Answer:
    """How many messages: the original's default without a wish, at most MOST_MESSAGES."""
    if not text:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and int(text[:9]) > 0):
        return presenter.say(Case.LIMIT_INVALID, value=text[:20])
    return min(int(text[:9]), MOST_MESSAGES)


def change_routes(service: Service) -> APIRouter:
    """Create, restart, delete."""
    router = APIRouter()

    @router.post("/sessions", include_in_schema=False)
    async def create_blank() -> Response:
        return as_response(presenter.say(Case.ID_REQUIRED))

    @router.post("/sessions/{session_id}", summary="Create a session")
    async def create(session_id: SessionId) -> Response:
        return as_response(await service.changes.create(session_id))

    @router.post("/sessions/{session_id}/restart", summary="Restart a session")
    async def restart(session_id: SessionId) -> Response:
        return as_response(await service.changes.restart(session_id))

    @router.delete("/sessions/{session_id}", summary="Delete a session and unlink its device")
    async def delete(session_id: SessionId) -> Response:
        return as_response(await service.changes.delete(session_id))

    return router


def read_routes(service: Service) -> APIRouter:
    """What the watch cache knows."""
    router = APIRouter()

    @router.get("/sessions", summary="List all sessions")
    async def sessions() -> Response:
        return as_response(await service.list())

    @router.get("/sessions/{session_id}/qr", summary="The QR code to scan")
    async def qr(session_id: SessionId) -> Response:
        return as_response(await service.qr(session_id))

    @router.get("/sessions/{session_id}/status", summary="One session's status")
    async def status(session_id: SessionId) -> Response:
        return as_response(await service.status(session_id))

    return router


def message_routes(service: Service) -> APIRouter:
    """What session pods answer."""
    router = APIRouter()

    @router.post("/sessions/{session_id}/send", summary="Send a text message")
    async def send(session_id: SessionId, request: Request) -> Response:
        parsed = parse_send(await read_body(request))
        if isinstance(parsed, Answer):
            return as_response(parsed)
        return as_response(await service.send(session_id, parsed, request.headers.get("idempotency-key")))

    @router.get("/sessions/{session_id}/chats", summary="A session's chats")
    async def chats(session_id: SessionId) -> Response:
        return as_response(await service.chats(session_id))

    @router.get("/sessions/{session_id}/chats/{chat_id}/messages", summary="A chat's newest messages")
    async def messages(session_id: SessionId, chat_id: ChatId, request: Request) -> Response:
        limit = parse_limit(request.query_params.get("limit"))
        if isinstance(limit, Answer):
            return as_response(limit)
        return as_response(await service.messages(session_id, chat_id, limit))

    return router


def server_routes(service: Service) -> APIRouter:
    """The calls about the facade itself."""
    router = APIRouter()

    @router.get("/health", summary="Counts, memory, uptime")
    async def health() -> Response:
        return as_response(service.health())

    @router.get("/status", summary="Counts, memory, uptime")
    async def server_status() -> Response:
        return as_response(service.server_status())

    @router.get("/livez", include_in_schema=False)
    async def livez() -> Response:
        return as_response(presenter.say(Case.ALIVE))

    @router.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        return as_response(presenter.say(Case.READY if service.store.synced else Case.NOT_READY))

    return router


def _doing(request: Request) -> Doing:
    return DOING.get(getattr(request.scope.get("route"), "name", ""), Doing.ANSWER)


async def _on_http_error(request: Request, error: Exception) -> Response:
    case = Case.NO_METHOD if isinstance(error, HTTPException) and error.status_code == HTTP_NO_METHOD else Case.NO_ROUTE
    response = as_response(presenter.say(case, method=request.method, path=decoded(request.scope["path"])))
    response.headers.update(getattr(error, "headers", None) or {})
    return response


async def _on_facade_error(request: Request, error: Exception) -> Response:
    doing = _doing(request)
    log.warning("❌ [%s] Error %s: %s", request.path_params.get("session_id", "-"), doing, getattr(error, "cause", "") or error)
    return as_response(presenter.failed(doing, str(error)))


async def _on_large_body(_: Request, __: Exception) -> Response:
    response = as_response(presenter.say(Case.BODY_TOO_LARGE, limit=MAX_BODY))
    response.headers["connection"] = "close"
    return response


async def _on_defect(request: Request, _: Exception) -> Response:
    return as_response(presenter.failed(_doing(request), "Fallo interno; el registro del servicio tiene los detalles"))


def create_app(service: Service, lifespan: Lifespan | None = None) -> ASGIApp:
    """The whole application, key check included."""
    app = FastAPI(title="wasession", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False)
    for group in (change_routes, read_routes, message_routes, server_routes):
        app.include_router(group(service))
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(FacadeError, _on_facade_error)
    app.add_exception_handler(BodyTooLargeError, _on_large_body)
    app.add_exception_handler(Exception, _on_defect)
    return Front(app, service.settings.api_key)
