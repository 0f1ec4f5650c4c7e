"""The wire between operator, facade and session pod: environment, HTTP bodies, error codes, and the bearer token.

The token of a session's pod is an HMAC of the session's uid under the installation's internal key. The pod is given
only the token's SHA-256, so that nothing secret is stored per session and no pod can speak to another.
"""

import hashlib
import hmac
from enum import StrEnum

import msgspec

PORT = 8080
DATA_DIR = "/data"


class Env(StrEnum):
    """The environment variables that the operator sets on the session's container."""

    NAME = "WASESSION_NAME"
    NAMESPACE = "WASESSION_NAMESPACE"
    SESSION_ID = "WASESSION_SESSION_ID"
    UID = "WASESSION_UID"
    POD_UID = "WASESSION_POD_UID"
    TOKEN_SHA256 = "WASESSION_TOKEN_SHA256"  # noqa: S105  a variable's name
    DEVICE_NAME = "WASESSION_DEVICE_NAME"
    BACKEND_URL = "WASESSION_BACKEND_URL"
    PAIRING_METHOD = "WASESSION_PAIRING_METHOD"
    PAIRING_PHONE_NUMBER = "WASESSION_PAIRING_PHONE_NUMBER"
    RECONNECT_MAX_ATTEMPTS = "WASESSION_RECONNECT_MAX_ATTEMPTS"
    RECONNECT_INITIAL_DELAY_SECONDS = "WASESSION_RECONNECT_INITIAL_DELAY_SECONDS"
    RECONNECT_MAX_DELAY_SECONDS = "WASESSION_RECONNECT_MAX_DELAY_SECONDS"
    LOG_MESSAGE_TEXT = "WASESSION_LOG_MESSAGE_TEXT"
    """`true`: log lines hold the text of messages, as the original's did. Unset: only its length. Set by extra environment."""


class ErrorCode(StrEnum):
    """Stable codes of the pod's error answers."""

    UNAUTHORIZED = "unauthorized"
    """401: the bearer token is missing or is another session's."""
    BAD_REQUEST = "bad_request"
    """400: the body is not what the call takes; the message names the field."""
    NOT_FOUND = "not_found"
    """404: no such call."""
    NOT_CONNECTED = "not_connected"
    """503: WhatsApp is not connected; the message says in which state the session is."""
    RECIPIENT_NOT_ON_WHATSAPP = "recipient_not_on_whatsapp"
    """422: WhatsApp knows no account of that number."""
    SEND_REFUSED = "send_refused"
    """422: WhatsApp refused the message."""
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused"
    """422: the same Idempotency-Key came with another body."""
    IDEMPOTENCY_KEY_IN_FLIGHT = "idempotency_key_in_flight"
    """409: the same Idempotency-Key is being sent now."""
    ACK_TIMEOUT = "ack_timeout"
    """504: WhatsApp did not acknowledge in time; whether it has the message is unknown."""
    INTERNAL = "internal"
    """500: a defect; the log has the details."""


class Error(msgspec.Struct, frozen=True):
    """Body of every error answer."""

    code: ErrorCode
    message: str


class SendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/messages`: `to` is digits with the country code, or a JID; `text` is not empty."""

    to: str
    text: str


class SendResponse(msgspec.Struct, frozen=True):
    """WhatsApp's acknowledgement: the message's id and its time in seconds since 1970."""

    id: str
    timestamp: int


class LastMessage(msgspec.Struct, frozen=True, rename="camel"):
    """The newest message of a chat; `timestamp` in seconds since 1970."""

    text: str
    timestamp: int
    from_me: bool


class Chat(msgspec.Struct, frozen=True, rename="camel"):
    """One chat of `GET /v1/chats`."""

    id: str
    name: str | None
    is_group: bool
    unread_count: int
    last_message: LastMessage | None
    pinned: bool = False
    archived: bool = False


class Message(msgspec.Struct, frozen=True, rename="camel"):
    """One message of `GET /v1/chats/{jid}/messages`; `sender` is a JID, `timestamp` seconds since 1970."""

    id: str
    sender: str
    from_me: bool
    text: str
    timestamp: int
    type: str
    has_media: bool


def token(internal_key: bytes, session_uid: str) -> str:
    """The bearer token of one session's pod, as hex."""
    return hmac.new(internal_key, session_uid.encode(), hashlib.sha256).hexdigest()


def token_sha256(bearer: str) -> str:
    """What a pod is given to check its callers by, as hex."""
    return hashlib.sha256(bearer.encode()).hexdigest()


def is_token(bearer: str, expected_sha256: str) -> bool:
    """Whether `bearer` is the token behind `expected_sha256`, compared in constant time."""
    return hmac.compare_digest(token_sha256(bearer), expected_sha256)
