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
    """The environment of the session's container; the operator sets all up to `WEBHOOK_SECRET`, the installation the rest."""

    NAME = "WASESSION_NAME"
    """Name of the session's object."""
    NAMESPACE = "WASESSION_NAMESPACE"
    """Its namespace."""
    SESSION_ID = "WASESSION_SESSION_ID"
    """The id that the REST API knows; it stands in log lines."""
    UID = "WASESSION_UID"
    """The object's uid."""
    POD_UID = "WASESSION_POD_UID"
    """The pod's own uid, by the downward API: a report says whose it is."""
    TOKEN_SHA256 = "WASESSION_TOKEN_SHA256"  # noqa: S105  a variable's name
    """SHA-256 of the bearer token that callers of `/v1` need, 64 hex digits."""
    DEVICE_NAME = "WASESSION_DEVICE_NAME"
    """Name in the phone's list of linked devices."""
    BACKEND_URL = "WASESSION_BACKEND_URL"
    """Base URL of the backend whose WebSocket gets the messages; empty: none."""
    PAIRING_METHOD = "WASESSION_PAIRING_METHOD"
    """`QR` or `Code`."""
    PAIRING_PHONE_NUMBER = "WASESSION_PAIRING_PHONE_NUMBER"
    """Digits with the country code, for method `Code`."""
    RECONNECT_MAX_ATTEMPTS = "WASESSION_RECONNECT_MAX_ATTEMPTS"
    """Attempts before the session is Failed; 0 never gives up."""
    RECONNECT_INITIAL_DELAY_SECONDS = "WASESSION_RECONNECT_INITIAL_DELAY_SECONDS"
    """The wait before the first attempt, doubled for each further one."""
    RECONNECT_MAX_DELAY_SECONDS = "WASESSION_RECONNECT_MAX_DELAY_SECONDS"
    """Upper bound of that wait."""
    PACING_MESSAGES_PER_MINUTE = "WASESSION_PACING_MESSAGES_PER_MINUTE"
    """Sends a minute in the long run; 0 is without limit."""
    PACING_BURST = "WASESSION_PACING_BURST"
    """Sends at once after a pause."""
    PACING_MESSAGES_PER_DAY = "WASESSION_PACING_MESSAGES_PER_DAY"
    """Sends a day (UTC); 0 is without limit."""
    PROXY_URL = "WASESSION_PROXY_URL"
    """`http://[USER:PASSWORD@]HOST:PORT` or `socks5://...`: the way to WhatsApp; from the Secret that `spec.proxy` names."""
    WEBHOOKS = "WASESSION_WEBHOOKS"
    """JSON list of webhooks: `[{"url": ..., "events": [...], "signed": true}]`."""
    WEBHOOK_SECRET = "WASESSION_WEBHOOK_SECRET_"  # noqa: S105  a variable's name
    """With the webhook's index behind it: the key of its signatures; from the Secret that its `secretRef` names."""
    LOG_FORMAT = "WASESSION_LOG_FORMAT"
    """`text` (the original's lines, the default) or `json`."""
    LOG_MESSAGE_TEXT = "WASESSION_LOG_MESSAGE_TEXT"
    """`true`: log lines hold the text of messages, as the original's did. Default: only its length."""
    JOURNAL_MAX_MESSAGES = "WASESSION_JOURNAL_MAX_MESSAGES"
    """Messages that the journal keeps (20,000); the oldest go first."""
    JOURNAL_MAX_PENDING = "WASESSION_JOURNAL_MAX_PENDING"
    """Deliveries that wait for the backend (10,000), and as many for each webhook; what is dropped beyond is counted."""
    JOURNAL_MAX_AGE_DAYS = "WASESSION_JOURNAL_MAX_AGE_DAYS"
    """Messages and waiting deliveries older than this (30) go."""
    MEDIA_MAX_BYTES = "WASESSION_MEDIA_MAX_BYTES"
    """Largest media file that is sent (16 MiB); more needs more memory than 256 MiB for the pod."""
    MEDIA_ALLOWED_NETWORKS = "WASESSION_MEDIA_ALLOWED_NETWORKS"
    """CIDRs, separated by commas, from which media is fetched although they are private. Default: none."""
    REPORT_MINOR_SECONDS = "WASESSION_REPORT_MINOR_SECONDS"
    """How often at most `lastActivity` and the backlog alone are written to the object (60)."""


class WebhookSetting(msgspec.Struct, frozen=True):
    """One webhook in `Env.WEBHOOKS`; `signed`: its key is in `Env.WEBHOOK_SECRET` with the webhook's index."""

    url: str
    events: tuple[str, ...]
    signed: bool = False


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
    PACING_LIMITED = "pacing_limited"
    """429: the session's own limit of sends; `retryAfterSeconds` says when to try again."""
    MEDIA_TOO_LARGE = "media_too_large"
    """422: the file is larger than the installation allows."""
    MEDIA_UNFETCHABLE = "media_unfetchable"
    """422: the URL cannot be fetched, or must not be; the message says why."""
    MESSAGE_UNKNOWN = "message_unknown"
    """422: the message to reply to or to mark is not in the journal."""
    ALREADY_PAIRED = "already_paired"
    """409: a pairing code was asked for, but the session is linked."""
    PAIRING_REFUSED = "pairing_refused"
    """422: WhatsApp gave no pairing code; the message says why."""
    DELIVERY_UNKNOWN = "delivery_unknown"
    """404: no dead letter has this id."""
    INTERNAL = "internal"
    """500: a defect; the log has the details."""


class Error(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """Body of every error answer; `retryAfterSeconds` with `pacing_limited` alone."""

    code: ErrorCode
    message: str
    retry_after_seconds: int | None = None


class MediaKind(StrEnum):
    """What a media message is shown as. `voice` is a voice note, `audio` a file to play."""

    IMAGE = "image"
    VIDEO = "video"
    AUDIO = "audio"
    VOICE = "voice"
    DOCUMENT = "document"


class Media(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file to send: by `url` or `base64`, one of the two. `mimetype` None: found out; `filename` is for documents.

    `base64` holds the bytes; on the wire they are base64 with padding (RFC 4648, section 4), and msgspec does both ways.
    """

    kind: MediaKind
    url: str | None = None
    base64: bytes | None = None
    mimetype: str | None = None
    filename: str | None = None
    caption: str | None = None


class SendRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename="camel", omit_defaults=True):
    """`POST /v1/messages`: `to` is digits with the country code, or a JID; `text` (not empty) or `media`, one of the two.

    `reply_to` is the id of a message of this chat that the journal holds.
    """

    to: str
    text: str | None = None
    media: Media | None = None
    reply_to: str | None = None


class Activity(StrEnum):
    """What the other side sees us do."""

    COMPOSING = "composing"
    RECORDING = "recording"
    PAUSED = "paused"


class ActivityRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/activity`: the typing indicator in the chat with `to`."""

    to: str
    activity: Activity


class ReadRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/read`: mark messages of a chat as read; `ids` None: all that came since the last of our own."""

    chat: str
    ids: tuple[str, ...] | None = None


class ReadResponse(msgspec.Struct, frozen=True):
    """Which messages are marked as read now, oldest first."""

    ids: tuple[str, ...]


class PairingCodeRequest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`POST /v1/pairing-code`: digits with the country code of the account's phone."""

    phone: str


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
    """One message of `GET /v1/chats/{jid}/messages`; `sender` is a JID, `timestamp` seconds since 1970.

    `status` of our own messages: `sent`, `delivered`, `read` or `played`.
    """

    id: str
    sender: str
    from_me: bool
    text: str
    timestamp: int
    type: str
    has_media: bool
    status: str | None = None


class DeadLetter(msgspec.Struct, frozen=True, rename="camel"):
    """One event that a webhook did not take, in `GET /v1/webhooks/dead-letters`.

    `id` is the event's, the same for each webhook that did not take it; `at`: when it was given up, in seconds since 1970.
    """

    id: str
    event: str
    url: str
    attempts: int
    last_error: str
    at: int


class Redelivery(msgspec.Struct, frozen=True):
    """How many dead letters are on their way again."""

    redelivered: int


def token(internal_key: bytes, session_uid: str) -> str:
    """The bearer token of one session's pod, as hex."""
    return hmac.new(internal_key, session_uid.encode(), hashlib.sha256).hexdigest()


def token_sha256(bearer: str) -> str:
    """What a pod is given to check its callers by, as hex."""
    return hashlib.sha256(bearer.encode()).hexdigest()


def is_token(bearer: str, expected_sha256: str) -> bool:
    """Whether `bearer` is the token behind `expected_sha256`, compared in constant time."""
    return hmac.compare_digest(token_sha256(bearer), expected_sha256)
