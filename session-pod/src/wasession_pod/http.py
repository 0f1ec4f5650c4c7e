"""The pod's HTTP API: which call is meant, who may make it, and what a failure looks like. The calls are in `calls`.

Surprising: whether the caller has the token is looked at before whether the call exists, so that nobody without it learns
which calls there are.
"""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from urllib.parse import unquote

import msgspec

from wasession_contract.podwire import Error, ErrorCode, is_token
from wasession_pod.calls import MAX_BODY_BYTES, ROUTES, BadRequestError, Call, RefusedError, Session, json_response
from wasession_pod.journal import JournalError
from wasession_pod.orders import SendError
from wasession_pod.web.server import Request, Response

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
    ErrorCode.PACING_LIMITED: 429,
    ErrorCode.MEDIA_TOO_LARGE: 422,
    ErrorCode.MEDIA_UNFETCHABLE: 422,
    ErrorCode.MESSAGE_UNKNOWN: 422,
    ErrorCode.ALREADY_PAIRED: 409,
    ErrorCode.PAIRING_REFUSED: 422,
    ErrorCode.DELIVERY_UNKNOWN: 404,
    ErrorCode.INTERNAL: 500,
}
_log = logging.getLogger(__name__)


class Application:
    """The API of `session`; `token_sha256` is what its callers' tokens are checked against."""

    def __init__(self, session: Session, token_sha256: str) -> None:
        self._session = session
        self._token_sha256 = token_sha256

    async def __call__(self, request: Request) -> Response:  # noqa: PLR0911  one a kind of failure
        """Answer `request`. Every failure becomes `podwire.Error`; what we did not expect is logged and named `internal`."""
        if request.path.startswith("/v1/") and not self._is_authorized(request.headers):
            return refuse(ErrorCode.UNAUTHORIZED, "send this session's token as Authorization: Bearer TOKEN")
        call, match = find(request.method, request.path)
        if call is None:
            return _no_such_call(request)
        try:
            return await call.handler(self._session, msgspec.structs.replace(request, match=match))
        except BadRequestError as error:
            return refuse(ErrorCode.BAD_REQUEST, str(error))
        except SendError as error:
            return refuse(error.code, str(error), retry_after=error.retry_after)
        except RefusedError as error:
            return refuse(error.code, str(error))
        except JournalError as error:
            _log.error("journal: %s", error)
            return refuse(ErrorCode.INTERNAL, f"the volume fails: {error}")
        except Exception:  # noqa: BLE001  the outermost frame of every call
            _log.exception("%s %s", request.method, request.path)
            return refuse(ErrorCode.INTERNAL, "a defect; the pod's log has the details")

    def limit(self, method: str, path: str, headers: Mapping[str, str]) -> int:
        """The largest body of a call, in bytes. Who has no token is refused before a large one is read."""
        call, _ = find(method, path)
        return call.max_body(self._session) if call and self._is_authorized(headers) else MAX_BODY_BYTES

    def _is_authorized(self, headers: Mapping[str, str]) -> bool:
        scheme, _, bearer = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and is_token(bearer.strip(), self._token_sha256)


def find(method: str, path: str) -> tuple[Call | None, dict[str, str]]:
    """The call, and the named parts of its path. A GET call answers HEAD too."""
    wanted = "GET" if method == "HEAD" else method
    for call in ROUTES:
        if call.method == wanted and (match := _fits(call.path, path)) is not None:
            return call, match
    return None, {}


def _fits(pattern: str, path: str) -> dict[str, str] | None:
    """`/v1/chats/{jid}/messages` and `/v1/chats/57%40lid/messages` -> `{"jid": "57@lid"}`."""
    wanted, given = pattern.split("/"), path.split("/")
    if len(wanted) != len(given):
        return None
    match = {}
    for part, value in zip(wanted, given, strict=True):
        if part.startswith("{"):
            match[part[1:-1]] = unquote(value)
        elif part != value:
            return None
    return match


def _no_such_call(request: Request) -> Response:
    allowed = sorted({call.method for call in ROUTES if _fits(call.path, request.path) is not None})
    words = f"{request.method} {request.path[:200]}"
    if allowed:
        refused = refuse(ErrorCode.BAD_REQUEST, f"{words}: use {' or '.join(allowed)}", HTTPStatus.METHOD_NOT_ALLOWED)
        return msgspec.structs.replace(refused, headers={"Allow": ", ".join(allowed)})
    return refuse(ErrorCode.NOT_FOUND, f"no such call: {words}")


def refuse(code: ErrorCode, message: str, status: int | None = None, *, retry_after: int | None = None) -> Response:
    """An error's answer; `retry_after` in seconds, in the body and as the header that HTTP has for it."""
    response = json_response(Error(code, message, retry_after), status or STATUS[code])
    return response if retry_after is None else msgspec.structs.replace(response, headers={"Retry-After": str(retry_after)})


def refuse_request(status: int, words: str) -> Response:
    """The answer to what is no usable request."""
    return refuse(ErrorCode.BAD_REQUEST, words, status)
