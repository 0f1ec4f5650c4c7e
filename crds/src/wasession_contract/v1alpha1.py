"""The `WhatsAppSession` resource, `wasession.dev/v1alpha1`, as frozen structs.

The schema in `crds/whatsappsession.yaml` is what the API server enforces; a test holds the two together field by
field. Surprising: these structs read leniently (unknown fields are ignored, so that an older part can read an object
that a newer one wrote) and are written whole, `None` as `null`, because a merge patch deletes a field by `null`.
"""

from datetime import datetime
from enum import StrEnum
from typing import Literal

import msgspec

GROUP = "wasession.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "WhatsAppSession"
PLURAL = "whatsappsessions"

FINALIZER = f"{GROUP}/logout"
SESSION_LABEL = f"{GROUP}/session"
TEMPLATE_HASH_ANNOTATION = f"{GROUP}/template-hash"
PREVIOUSLY_ANNOTATION = f"{GROUP}/previously"


class OperatingMode(StrEnum):
    """Whether a session shall have a pod."""

    RUNNING = "Running"
    SUSPENDED = "Suspended"


class PairingMethod(StrEnum):
    """How the account's owner links this device: WhatsApp's QR code, or its eight-character code."""

    QR = "QR"
    CODE = "Code"


class IdlePolicy(StrEnum):
    """What happens to a session that was not connected for `idle.timeoutSeconds`."""

    KEEP = "Keep"
    SUSPEND = "Suspend"
    DELETE = "Delete"


class ReclaimPolicy(StrEnum):
    """What happens to the credentials' volume when the object is deleted."""

    DELETE = "Delete"
    RETAIN = "Retain"


class AccessMode(StrEnum):
    """How the volume is mounted; the first makes a second pod on the same credentials impossible."""

    READ_WRITE_ONCE_POD = "ReadWriteOncePod"
    READ_WRITE_ONCE = "ReadWriteOnce"


class Phase(StrEnum):
    """The object's situation in one word, judged by the operator. Conditions hold the details."""

    PENDING = "Pending"
    AWAITING_SCAN = "AwaitingScan"
    CONNECTING = "Connecting"
    CONNECTED = "Connected"
    RECONNECTING = "Reconnecting"
    LOGGED_OUT = "LoggedOut"
    REPLACED = "Replaced"
    BANNED = "Banned"
    FAILED = "Failed"
    CRASHING = "Crashing"
    LOST = "Lost"
    SUSPENDED = "Suspended"
    TERMINATING = "Terminating"


class SessionState(StrEnum):
    """Where the pod's WhatsApp client is, as the pod reports it."""

    STARTING = "Starting"
    AWAITING_SCAN = "AwaitingScan"
    CONNECTING = "Connecting"
    CONNECTED = "Connected"
    RECONNECTING = "Reconnecting"
    LOGGED_OUT = "LoggedOut"
    REPLACED = "Replaced"
    BANNED = "Banned"
    FAILED = "Failed"


class BackendState(StrEnum):
    """The pod's WebSocket to the backend. `Disabled`: no backend URL."""

    DISABLED = "Disabled"
    DISCONNECTED = "Disconnected"
    CONNECTED = "Connected"


class ConditionStatus(StrEnum):
    """Kubernetes' three values; `Unknown` means that nobody could look, never "no"."""

    TRUE = "True"
    FALSE = "False"
    UNKNOWN = "Unknown"


class _Struct(msgspec.Struct, frozen=True, kw_only=True, rename="camel", gc=False):
    """Base of all: immutable, camelCase on the wire. None can be part of a cycle, so the garbage collector need not look at them."""


class SecretKeyRef(_Struct, frozen=True, kw_only=True):
    """One key of a Secret in the session's namespace."""

    name: str
    key: str = "value"


class Pairing(_Struct, frozen=True, kw_only=True):
    """How to link; `phone_number` (digits with the country code) is for method `Code`."""

    method: PairingMethod = PairingMethod.QR
    phone_number: str | None = None


class Reconnect(_Struct, frozen=True, kw_only=True):
    """Exponential back-off with jitter. `max_attempts` 0: never give up. Numbers: the original's settings."""

    max_attempts: int = 5
    initial_delay_seconds: int = 1
    max_delay_seconds: int = 30


class Pacing(_Struct, frozen=True, kw_only=True):
    """Limits of sends, 0: none. A token bucket of `burst` messages is filled at `messages_per_minute`; the day is UTC's."""

    messages_per_minute: int = 0
    burst: int = 5
    messages_per_day: int = 0


class Idle(_Struct, frozen=True, kw_only=True):
    """Clean-up of sessions that are not connected. 1,800 s is the original's `SESSION_TIMEOUT`."""

    timeout_seconds: int = 1800
    policy: IdlePolicy = IdlePolicy.KEEP


class Backend(_Struct, frozen=True, kw_only=True):
    """Base URL of the backend whose WebSocket gets the messages; `""`: none; `None`: the installation's."""

    url: str | None = None


class Webhook(_Struct, frozen=True, kw_only=True):
    """Signed HTTP delivery of the named events."""

    url: str
    secret_ref: SecretKeyRef | None = None
    events: tuple[Literal["message", "message.ack", "session.status"], ...] = ("message",)


class Proxy(_Struct, frozen=True, kw_only=True):
    """The URL of the HTTP or SOCKS5 proxy for WhatsApp, from a Secret because it may hold a password."""

    secret_ref: SecretKeyRef


class Storage(_Struct, frozen=True, kw_only=True):
    """The credentials' volume."""

    size: str = "1Gi"
    storage_class_name: str | None = None
    access_mode: AccessMode = AccessMode.READ_WRITE_ONCE_POD
    reclaim_policy: ReclaimPolicy = ReclaimPolicy.DELETE


class Spec(_Struct, frozen=True, kw_only=True):
    """What people want. `None` means: the installation's default (`session_id`: the object's name)."""

    session_id: str | None = None
    operating_mode: OperatingMode = OperatingMode.RUNNING
    device_name: str | None = None
    pairing: Pairing = Pairing()
    reconnect: Reconnect = Reconnect()
    pacing: Pacing = Pacing()
    idle: Idle = Idle()
    backend: Backend = Backend()
    webhooks: tuple[Webhook, ...] = ()
    proxy: Proxy | None = None
    restarted_at: datetime | None = None
    storage: Storage = Storage()
    logout_on_delete: bool = True


class Condition(_Struct, frozen=True, kw_only=True):
    """A Kubernetes condition; `last_transition_time` moves only when `status` flips."""

    type: str
    status: ConditionStatus
    reason: str
    last_transition_time: datetime
    message: str = ""
    observed_generation: int | None = None


class PodStatus(_Struct, frozen=True, kw_only=True):
    """The session's pod as the operator sees it."""

    name: str
    uid: str
    ip: str | None = None
    node: str | None = None
    ready: bool = False
    restarts: int = 0


class QR(_Struct, frozen=True, kw_only=True):
    """The text behind the QR code, and when WhatsApp stops accepting it."""

    code: str
    expires_at: datetime


class PairingCode(_Struct, frozen=True, kw_only=True):
    """The eight characters to type into the phone, and when they stop being accepted."""

    code: str
    expires_at: datetime


class LastDisconnect(_Struct, frozen=True, kw_only=True):
    """Why the connection was last lost: WhatsApp's or the original's numeric code, and words."""

    code: int
    message: str
    at: datetime


class BackendReport(_Struct, frozen=True, kw_only=True):
    """The backend's socket and how many messages wait for it."""

    state: BackendState = BackendState.DISABLED
    backlog: int = 0


class SessionReport(_Struct, frozen=True, kw_only=True):
    """`status.session`: facts from the session's own pod, believed only while `pod_uid` is that of the known pod."""

    pod_uid: str = msgspec.field(name="podUID")
    state: SessionState
    reported_at: datetime
    number: str | None = None
    name: str | None = None
    jid: str | None = None
    lid: str | None = None
    qr: QR | None = None
    pairing_code: PairingCode | None = None
    reconnect_attempts: int = 0
    next_attempt_at: datetime | None = None
    last_disconnect: LastDisconnect | None = None
    connected_since: datetime | None = None
    last_activity: datetime | None = None
    backend: BackendReport = BackendReport()
    message: str | None = None


class Status(_Struct, frozen=True, kw_only=True):
    """`session` is written by the pod, all the rest by the operator."""

    observed_generation: int | None = None
    phase: Phase | None = None
    conditions: tuple[Condition, ...] = ()
    pod: PodStatus | None = None
    session: SessionReport | None = None


class Metadata(_Struct, frozen=True, kw_only=True):
    """The part of an object's metadata that any of us reads."""

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    finalizers: tuple[str, ...] = ()
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}


class WhatsAppSession(_Struct, frozen=True, kw_only=True):
    """The whole object."""

    metadata: Metadata
    spec: Spec = Spec()
    status: Status = Status()
    api_version: str = API_VERSION
    kind: str = KIND

    @property
    def session_id(self) -> str:
        """The id that the REST API knows: `spec.sessionId`, else the object's name."""
        return self.spec.session_id or self.metadata.name

    @property
    def believed_report(self) -> SessionReport | None:
        """The pod's report, if it comes from the pod that the operator knows; an older pod's report is none."""
        report, pod = self.status.session, self.status.pod
        return report if report and pod and report.pod_uid == pod.uid else None


_decoder = msgspec.json.Decoder(WhatsAppSession)


def decode(raw: bytes | str) -> WhatsAppSession:
    """Read an object's JSON. Raises msgspec.ValidationError, naming the field, where it does not fit."""
    return _decoder.decode(raw)


def convert(obj: object) -> WhatsAppSession:
    """Read an object that is already made of dicts and lists. Raises msgspec.ValidationError."""
    return msgspec.convert(obj, WhatsAppSession)
