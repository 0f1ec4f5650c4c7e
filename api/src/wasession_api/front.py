"""What stands before the routes: the path as it came, and the API key. Pure ASGI.

Surprising: servers give applications a path that is percent-decoded already, so that `a%2Fb` would be two segments and
`%252F` could be decoded twice. The routes get the raw path instead, and `decoded` undoes the encoding of one
segment, once.
"""

import hmac
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from wasession_api.presenter import Answer, say
from wasession_api.texts import Case

OPEN_PATHS = frozenset({"/health", "/livez", "/readyz"})
JSON = "application/json; charset=utf-8"


def decoded(segment: str) -> str:
    """One segment of a raw path, percent-decoded; bytes that are not UTF-8 become U+FFFD."""
    return unquote_to_bytes(segment.encode("latin-1")).decode("utf-8", errors="replace")


def is_authorized(headers: Headers, key: str) -> bool:
    """Whether the caller sent `key`, as `X-API-Key` or as bearer token; compared in constant time."""
    scheme, _, bearer = headers.get("authorization", "").partition(" ")
    sent = bearer.strip() if scheme.lower() == "bearer" else headers.get("x-api-key", "")
    return hmac.compare_digest(sent.encode("latin-1", "replace"), key.encode())


async def respond(answer: Answer, send: Send) -> None:
    """Send an answer without a framework."""
    headers = [(b"content-type", JSON.encode()), (b"content-length", str(len(answer.body)).encode())]
    await send({"type": "http.response.start", "status": answer.code, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})


class Front:
    """Wraps the application. `api_key` None: everybody may call."""

    def __init__(self, app: ASGIApp, api_key: str | None) -> None:
        self._app = app
        self._key = api_key

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = scope["raw_path"].decode("latin-1").rstrip("/") or "/"
        if self._key is not None and path not in OPEN_PATHS and not is_authorized(Headers(scope=scope), self._key):
            await respond(say(Case.UNAUTHORIZED), send)
            return
        await self._app({**scope, "path": path}, receive, send)
