"""The calls of the pod's HTTP API, one function each, and the table of them.

Surprising: `/readyz` says nothing of WhatsApp or the volume. A session that waits for its QR code to be scanned, or whose
volume is full, is ready, because it serves and says so; the reason would be hidden behind a pod that is not ready. Where
WhatsApp stands is in `GET /v1/session` and in the object's status.
"""

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple, Protocol, TypeVar

import msgspec

from wasession_contract.podwire import ActivityRequest, ErrorCode, PairingCodeRequest, ReadRequest, ReadResponse, Redelivery, SendRequest
from wasession_contract.v1alpha1 import SessionReport
from wasession_pod import jids
from wasession_pod.journal import Journal
from wasession_pod.orders import checked
from wasession_pod.pairing import Pairing
from wasession_pod.sender import MAX_READ, Sender
from wasession_pod.web.server import Request, Response
from wasession_pod.webhooks import Webhooks

MAX_BODY_BYTES = 1 << 20
MAX_KEY = 255
PHONE = re.compile(r"[1-9][0-9]{6,14}")  # whatsmeow takes no fewer digits, E.164 has no more
DEFAULT_MESSAGES = 50  # the contract's default
MAX_MESSAGES = 1000
METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_T = TypeVar("_T")


class Session(Protocol):
    """What the calls need to know of the session."""

    journal: Journal
    sender: Sender
    pairing: Pairing
    webhooks: Webhooks

    @property
    def max_media_bytes(self) -> int:
        """The largest file that is sent."""

    def report(self) -> SessionReport:
        """The session's state."""

    def metrics(self) -> bytes:
        """Prometheus text."""

    def is_alive(self) -> bool:
        """Whether nothing hangs for good."""

    async def logout(self) -> None:
        """Unlink the device and wipe its credentials. Raises SendError."""


class RefusedError(Exception):
    """The call is understood and refused; `code` and the words go to the caller."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class BadRequestError(Exception):
    """The request is not what the call takes; the message names the field."""


async def _livez(session: Session, _request: Request) -> Response:
    """200 while the process is not wedged: the event loop answers and no call to the WhatsApp client hangs. No token."""
    return _probe(good=session.is_alive())


async def _readyz(_session: Session, _request: Request) -> Response:
    """200 once it serves. A session that is down says why in its state, and would not be heard if its pod were not ready. No token."""
    return _probe(good=True)


async def _metrics(session: Session, _request: Request) -> Response:
    """Prometheus text. No token."""
    return Response(body=session.metrics(), content_type=METRICS_TYPE)


async def _session(session: Session, _request: Request) -> Response:
    """Where the session stands: the same as `status.session` of its object."""
    return json_response(session.report())


async def _send(session: Session, request: Request) -> Response:
    """Send `{to, text}` or `{to, media: {kind, url or base64, mimetype, filename, caption}}`, with `replyTo` as an answer to a message.

    `kind` is `image`, `video`, `audio`, `voice` (OGG with Opus) or `document`. The answer `{id, timestamp}` comes after
    WhatsApp's acknowledgement. Header `Idempotency-Key` optional: within a day, the same key sends once.
    """
    body = checked(read(request, SendRequest), session.max_media_bytes)
    key = request.headers.get("idempotency-key")
    if key is not None and not 0 < len(key) <= MAX_KEY:
        raise BadRequestError(f"Idempotency-Key: use 1 to {MAX_KEY} characters")
    return json_response(await session.sender.send(body, key))


async def _activity(session: Session, request: Request) -> Response:
    """Show the chat with `to` an `activity`: `composing`, `recording` or `paused`. WhatsApp forgets it after some seconds."""
    body = read(request, ActivityRequest)
    to = recipient("to", body.to)
    await session.sender.show_activity(to, body.activity)
    return json_response(ActivityRequest(to, body.activity))


async def _read(session: Session, request: Request) -> Response:
    """Mark messages `ids` of a `chat` as read; without `ids` those that came since our own last one, at most 100. Gives `{ids}`."""
    body = read(request, ReadRequest)
    if body.ids is not None and not 0 < len(body.ids) <= MAX_READ:
        raise BadRequestError(f"ids: {len(body.ids)} of them; name 1 to {MAX_READ} messages, or leave it out for all")
    return json_response(ReadResponse(await session.sender.mark_read(recipient("chat", body.chat), body.ids)))


async def _pairing_code(session: Session, request: Request) -> Response:
    """A code `{code, expiresAt}` that pairs this session with the account of `phone`, beside the QR code or instead of it."""
    phone = "".join(part for part in read(request, PairingCodeRequest).phone if part not in "+ -()")
    if not PHONE.fullmatch(phone):
        raise BadRequestError(f"phone: {phone[:60]!r} is no phone number; use 7 to 15 digits with the country code, such as 573001234567")
    return json_response(await session.pairing.code(phone))


async def _logout(session: Session, _request: Request) -> Response:
    """Unlink the device at WhatsApp and wipe the credentials."""
    await session.logout()
    return json_response(session.report())


async def _chats(session: Session, _request: Request) -> Response:
    """The chats that the journal knows, newest first."""
    return json_response(session.journal.chats())


async def _messages(session: Session, request: Request) -> Response:
    """The newest `limit` messages (50) of a chat, oldest first."""
    chat = recipient("chat", request.match["jid"])
    raw = request.query.get("limit", str(DEFAULT_MESSAGES))
    limit = int(raw) if raw.isascii() and raw.isdigit() and len(raw) <= 9 else 0  # noqa: PLR2004  no use for more digits
    if limit < 1:
        raise BadRequestError(f"limit: {raw[:60]!r} is not a whole number from 1 to {MAX_MESSAGES}")
    return json_response(session.journal.messages(chat, min(limit, MAX_MESSAGES)))


async def _dead_letters(session: Session, _request: Request) -> Response:
    """The events that a webhook did not take and that are not tried again by themselves, oldest first."""
    return json_response(session.webhooks.dead_letters())


async def _redeliver(session: Session, request: Request) -> Response:
    """Deliver the dead letters of one event again, at the place in the order that is theirs."""
    number = session.webhooks.redeliver(request.match["id"])
    if not number:
        raise RefusedError(ErrorCode.DELIVERY_UNKNOWN, f"{request.match['id'][:60]!r} is no dead letter; GET /v1/webhooks/dead-letters")
    return json_response(Redelivery(number))


async def _redeliver_all(session: Session, _request: Request) -> Response:
    """Deliver all dead letters again."""
    return json_response(Redelivery(session.webhooks.redeliver()))


def _usual(_session: Session) -> int:
    return MAX_BODY_BYTES


def _with_file(session: Session) -> int:
    return MAX_BODY_BYTES + session.max_media_bytes * 4 // 3  # base64


class Call(NamedTuple):
    """One row of the table; `max_body` gives the largest body in bytes."""

    method: str
    path: str
    handler: Callable[[Session, Request], Awaitable[Response]]
    max_body: Callable[[Session], int] = _usual


ROUTES = (
    Call("GET", "/livez", _livez),
    Call("GET", "/readyz", _readyz),
    Call("GET", "/metrics", _metrics),
    Call("GET", "/v1/session", _session),
    Call("POST", "/v1/messages", _send, max_body=_with_file),
    Call("POST", "/v1/activity", _activity),
    Call("POST", "/v1/read", _read),
    Call("POST", "/v1/pairing-code", _pairing_code),
    Call("POST", "/v1/logout", _logout),
    Call("GET", "/v1/chats", _chats),
    Call("GET", "/v1/chats/{jid}/messages", _messages),
    Call("GET", "/v1/webhooks/dead-letters", _dead_letters),
    Call("POST", "/v1/webhooks/dead-letters/redeliver", _redeliver_all),
    Call("POST", "/v1/webhooks/dead-letters/{id}/redeliver", _redeliver),
)


def read(request: Request, wanted: type[_T]) -> _T:
    """The body as `wanted`. Raises BadRequestError, naming the field."""
    try:
        return msgspec.json.decode(request.body, type=wanted)
    except msgspec.ValidationError as error:
        raise BadRequestError(f"body: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise BadRequestError('body: not JSON; send an object such as {"to": "573001234567", "text": "Hola"}') from None


def recipient(field: str, text: str) -> str:
    """The JID that `text` means. Raises BadRequestError, naming the field."""
    try:
        return jids.recipient(text)
    except ValueError as error:
        raise BadRequestError(f"{field}: {error}") from None


def json_response(body: object, status: int = 200) -> Response:
    """An answer with a JSON body."""
    return Response(status, msgspec.json.encode(body))


def _probe(*, good: bool) -> Response:
    return Response(200 if good else 503, b"ok\n" if good else b"not ok\n", "text/plain; charset=utf-8")
