"""The pod's HTTP API: probes and metrics for everybody, `/v1` for who has the bearer token.

Surprising: `/readyz` says nothing of WhatsApp. A session that waits for its QR code to be scanned is ready, because
it serves; where WhatsApp stands is in `GET /v1/session` and in the object's status.
"""

import logging
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Middleware

from wasession_contract.podwire import Error, ErrorCode, SendRequest, is_token
from wasession_contract.v1alpha1 import SessionReport
from wasession_pod import jids
from wasession_pod.journal import Journal, JournalError
from wasession_pod.sender import Sender, SendError

MAX_BODY_BYTES = 1 << 20
MAX_TEXT = 65_536  # WhatsApp's own limit of a text message
MAX_KEY = 255
DEFAULT_MESSAGES = 50  # the contract's default
MAX_MESSAGES = 1000

STATUS = {
    ErrorCode.UNAUTHORIZED: 401,
    ErrorCode.BAD_REQUEST: 400,
    ErrorCode.NOT_FOUND: 404,
    ErrorCode.NOT_CONNECTED: 503,
    ErrorCode.RECIPIENT_NOT_ON_WHATSAPP: 422,
    ErrorCode.SEND_REFUSED: 422,
    ErrorCode.IDEMPOTENCY_KEY_REUSED: 422,
    ErrorCode.IDEMPOTENCY_KEY_IN_FLIGHT: 409,
    ErrorCode.ACK_TIMEOUT: 504,
    ErrorCode.INTERNAL: 500,
}
_T = TypeVar("_T")
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
_log = logging.getLogger(__name__)


class Session(Protocol):
    """What this module needs to know of the session."""

    journal: Journal
    sender: Sender

    def report(self) -> SessionReport:
        """The session's state."""

    def metrics(self) -> bytes:
        """Prometheus text."""

    def is_alive(self) -> bool:
        """Whether nothing hangs for good."""

    def is_ready(self) -> bool:
        """Whether the volume works."""

    async def logout(self) -> None:
        """Unlink the device and wipe its credentials. Raises SendError."""


class BadRequestError(Exception):
    """The request is not what the call takes; the message names the field."""


def application(session: Session, token_sha256: str) -> web.Application:
    """The API of `session`; `token_sha256` is what its callers' tokens are checked against."""
    app = web.Application(client_max_size=MAX_BODY_BYTES, middlewares=(_errors, _authorization(token_sha256)))
    calls = _Calls(session)
    app.add_routes(
        [
            web.get("/livez", calls.livez),
            web.get("/readyz", calls.readyz),
            web.get("/metrics", calls.metrics),
            web.get("/v1/session", calls.session),
            web.post("/v1/messages", calls.send),
            web.post("/v1/logout", calls.logout),
            web.get("/v1/chats", calls.chats),
            web.get("/v1/chats/{jid}/messages", calls.messages),
        ]
    )
    return app


class _Calls:
    """One method per call."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def livez(self, _request: web.Request) -> web.Response:
        return _probe(self._session.is_alive())

    async def readyz(self, _request: web.Request) -> web.Response:
        return _probe(self._session.is_ready())

    async def metrics(self, _request: web.Request) -> web.Response:
        return web.Response(body=self._session.metrics(), headers={"Content-Type": "text/plain; version=0.0.4; charset=utf-8"})

    async def session(self, _request: web.Request) -> web.Response:
        return _json(self._session.report())

    async def send(self, request: web.Request) -> web.Response:
        body = await _body(request, SendRequest)
        if not body.text or not body.text.strip():
            raise BadRequestError("text: must not be empty")
        if len(body.text) > MAX_TEXT:
            raise BadRequestError(f"text: {len(body.text)} characters; WhatsApp takes {MAX_TEXT}")
        key = request.headers.get("Idempotency-Key")
        if key is not None and not 0 < len(key) <= MAX_KEY:
            raise BadRequestError(f"Idempotency-Key: use 1 to {MAX_KEY} characters")
        to = _recipient("to", body.to)
        return _json(await self._session.sender.send(to, body.text, key))

    async def logout(self, _request: web.Request) -> web.Response:
        await self._session.logout()
        return _json(self._session.report())

    async def chats(self, _request: web.Request) -> web.Response:
        return _json(self._session.journal.chats())

    async def messages(self, request: web.Request) -> web.Response:
        chat = _recipient("chat", request.match_info["jid"])
        raw = request.query.get("limit", str(DEFAULT_MESSAGES))
        limit = int(raw) if raw.isascii() and raw.isdigit() and len(raw) <= 9 else 0  # noqa: PLR2004  no use for more digits
        if limit < 1:
            raise BadRequestError(f"limit: {raw[:60]!r} is not a whole number from 1 to {MAX_MESSAGES}")
        return _json(self._session.journal.messages(chat, min(limit, MAX_MESSAGES)))


async def _body(request: web.Request, wanted: type[_T]) -> _T:
    try:
        return msgspec.json.decode(await request.read(), type=wanted)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"body: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequestError('body: not JSON; send an object such as {"to": "573001234567", "text": "Hola"}') from None


def _recipient(field: str, text: str) -> str:
    try:
        return jids.recipient(text)
    except ValueError as error:
        raise BadRequestError(f"{field}: {error}") from None


def _json(body: object, status: int = 200) -> web.Response:
    return web.Response(body=msgspec.json.encode(body), status=status, content_type="application/json")


def _probe(good: bool) -> web.Response:  # noqa: FBT001  a probe's one question
    return web.Response(text="ok\n") if good else web.Response(text="not ok\n", status=503)


def _refuse(code: ErrorCode, message: str, status: int | None = None) -> web.Response:
    return _json(Error(code, message), status or STATUS[code])


@web.middleware
async def _errors(request: web.Request, handler: _Handler) -> web.StreamResponse:  # noqa: PLR0911  one a kind of failure
    """Every failure becomes `podwire.Error`; what we did not expect is logged for us and named `internal` for the caller."""
    try:
        return await handler(request)
    except BadRequestError as error:
        return _refuse(ErrorCode.BAD_REQUEST, str(error))
    except SendError as error:
        return _refuse(error.code, str(error))
    except JournalError as error:
        _log.error("journal: %s", error)
        return _refuse(ErrorCode.INTERNAL, f"the volume fails: {error}")
    except web.HTTPNotFound:
        return _refuse(ErrorCode.NOT_FOUND, f"no such call: {request.method} {request.path[:200]}")
    except web.HTTPException as error:
        if error.status >= 500:  # noqa: PLR2004  HTTP
            raise
        return _refuse(ErrorCode.BAD_REQUEST, error.reason, error.status)
    except Exception:  # noqa: BLE001  the outermost frame of every call
        _log.exception("%s %s", request.method, request.path)
        return _refuse(ErrorCode.INTERNAL, "a defect; the pod's log has the details")


def _authorization(token_sha256: str) -> Middleware:
    @web.middleware
    async def check(request: web.Request, handler: _Handler) -> web.StreamResponse:
        if request.path.startswith("/v1/"):
            scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not is_token(bearer.strip(), token_sha256):
                return _refuse(ErrorCode.UNAUTHORIZED, "send this session's token as Authorization: Bearer TOKEN")
        return await handler(request)

    return check
