"""Which situation a session is in, and what each situation says: `TABLE` has a row per scenario. Pure.

The rows are those of the resource's documentation. Surprising: whether the device is paired is in no row; it is a fact of
its own, mostly "last known", because a device stays linked while its pod is away.
"""

from dataclasses import dataclass
from enum import Enum, auto

from wasession_contract.conditions import ConditionType, Reason
from wasession_contract.v1alpha1 import ConditionStatus, Phase, SessionReport, SessionState
from wasession_operator.observed import Belongs, Observed, belongs, condition
from wasession_operator.views import Trouble

TRUE, FALSE, UNKNOWN = ConditionStatus.TRUE, ConditionStatus.FALSE, ConditionStatus.UNKNOWN
LOGGED_OUT_CODE = 401  # WhatsApp's numbers, as the pod reports them in lastDisconnect.code
TEMPORARILY_BANNED_CODE = 402
CLIENT_OUTDATED_CODE = 405


class Scenario(Enum):
    """The situations that a session can be in; one at a time."""

    TERMINATING = auto()
    """Being deleted: the device is logged out, then pod, volume and finalizer go."""
    LOGOUT_FAILED = auto()
    """Being deleted, and the device could not be unlinked; the deletion goes on. Unlink it on the phone."""
    SUSPENDED = auto()
    """Without a pod, because `operatingMode` or the idle policy says so. The volume stays."""
    NOT_ADMITTED = auto()
    """Over the installation's limit of sessions. Delete a session or raise the limit."""
    ID_TAKEN = auto()
    """An older session of the namespace has the same `spec.sessionId`, so this one gets no pod. Delete one of the two."""
    NAME_TAKEN = auto()
    """A pod or volume of the session's name belongs to somebody else and is not touched. Remove it, or use another name."""
    REFUSED = auto()
    """The API server refuses the pod or volume (quota, Pod Security, rights). The message says why; it is tried again."""
    CREATING = auto()
    """The first pod or its volume is being made."""
    REPLACING = auto()
    """The pod is gone or going, and the next one follows."""
    POD_WAITING = auto()
    """The pod cannot start yet: unschedulable, image or Secret missing, volume not bound. `PodReady` has the reason and the mend."""
    NODE_LOST = auto()
    """The pod's node does not answer. No second pod is made while the first may still run. Bring it back, or delete the Node."""
    CRASHING = auto()
    """The container ends again and again. Look at its log."""
    OOM_KILLED = auto()
    """The container went over its memory limit. Raise the limit."""
    SILENT = auto()
    """The pod was ready, runs on and does not answer its readiness probe any more."""
    STARTING = auto()
    """The pod serves and has not reported yet."""
    AWAITING_SCAN = auto()
    """A QR code or pairing code waits for the account's owner."""
    UNLINKED = auto()
    """The device was unlinked on the phone; a new code waits."""
    CONNECTING = auto()
    """Paired, logging in."""
    CONNECTED = auto()
    """Logged in: messages come and go."""
    RECONNECTING = auto()
    """The connection was lost; the message says which attempt is next and when."""
    GAVE_UP = auto()
    """`reconnect.maxAttempts` attempts in a row failed. Restart the session to try again."""
    LOGGED_OUT = auto()
    """Logged out by us, and staying down."""
    REPLACED = auto()
    """Another process uses the same credentials. End it, then restart the session."""
    TEMPORARILY_BANNED = auto()
    """WhatsApp refuses the account until the time in the message; then it is tried again."""
    BANNED = auto()
    """WhatsApp refuses the account."""
    CLIENT_OUTDATED = auto()
    """WhatsApp refuses this client's version. Install a newer release."""
    FAILED = auto()
    """The pod gave up for a reason of its own (volume, database, setting), which is in the message."""


class EventType(Enum):
    """Kubernetes' two types of events."""

    NORMAL = "Normal"
    WARNING = "Warning"


@dataclass(frozen=True)
class Row:
    """What one scenario says. `pod_ready` None: as it was. `event`: what becoming so is worth telling as."""

    phase: Phase
    pod_ready: tuple[ConditionStatus, Reason] | None
    connected: tuple[ConditionStatus, Reason]
    event: EventType | None = None


SERVES = (TRUE, Reason.POD_READY)
_WARNING = EventType.WARNING

TABLE: dict[Scenario, Row] = {
    Scenario.TERMINATING: Row(Phase.TERMINATING, None, (FALSE, Reason.TERMINATING)),
    Scenario.LOGOUT_FAILED: Row(Phase.TERMINATING, None, (FALSE, Reason.LOGOUT_FAILED), _WARNING),
    Scenario.SUSPENDED: Row(Phase.SUSPENDED, (FALSE, Reason.SUSPENDED), (FALSE, Reason.SUSPENDED)),
    Scenario.NOT_ADMITTED: Row(Phase.PENDING, (FALSE, Reason.NOT_ADMITTED), (FALSE, Reason.SESSION_LIMIT_REACHED), _WARNING),
    Scenario.ID_TAKEN: Row(Phase.FAILED, (FALSE, Reason.NOT_ADMITTED), (FALSE, Reason.SESSION_ID_TAKEN), _WARNING),
    Scenario.NAME_TAKEN: Row(Phase.FAILED, (FALSE, Reason.NAME_TAKEN), (FALSE, Reason.POD_NOT_READY), _WARNING),
    Scenario.REFUSED: Row(Phase.PENDING, (FALSE, Reason.REFUSED), (FALSE, Reason.POD_NOT_READY)),
    Scenario.CREATING: Row(Phase.PENDING, (FALSE, Reason.CREATING), (FALSE, Reason.POD_NOT_READY)),
    Scenario.REPLACING: Row(Phase.PENDING, (FALSE, Reason.REPLACING), (UNKNOWN, Reason.POD_NOT_READY)),
    Scenario.POD_WAITING: Row(Phase.PENDING, (FALSE, Reason.CREATING), (FALSE, Reason.POD_NOT_READY)),
    Scenario.NODE_LOST: Row(Phase.LOST, (UNKNOWN, Reason.NODE_LOST), (UNKNOWN, Reason.NODE_LOST), _WARNING),
    Scenario.CRASHING: Row(Phase.CRASHING, (FALSE, Reason.CRASH_LOOP), (UNKNOWN, Reason.POD_NOT_READY), _WARNING),
    Scenario.OOM_KILLED: Row(Phase.CRASHING, (FALSE, Reason.OOM_KILLED), (UNKNOWN, Reason.POD_NOT_READY), _WARNING),
    Scenario.SILENT: Row(Phase.PENDING, (FALSE, Reason.POD_NOT_READY), (UNKNOWN, Reason.POD_NOT_READY), _WARNING),
    Scenario.STARTING: Row(Phase.PENDING, SERVES, (FALSE, Reason.STARTING)),
    Scenario.AWAITING_SCAN: Row(Phase.AWAITING_SCAN, SERVES, (FALSE, Reason.AWAITING_SCAN)),
    Scenario.UNLINKED: Row(Phase.AWAITING_SCAN, SERVES, (FALSE, Reason.LOGGED_OUT), _WARNING),
    Scenario.CONNECTING: Row(Phase.CONNECTING, SERVES, (FALSE, Reason.CONNECTING)),
    Scenario.CONNECTED: Row(Phase.CONNECTED, SERVES, (TRUE, Reason.CONNECTED), EventType.NORMAL),
    Scenario.RECONNECTING: Row(Phase.RECONNECTING, SERVES, (FALSE, Reason.RECONNECTING)),
    Scenario.GAVE_UP: Row(Phase.FAILED, SERVES, (FALSE, Reason.RECONNECT_LIMIT_REACHED), _WARNING),
    Scenario.LOGGED_OUT: Row(Phase.LOGGED_OUT, SERVES, (FALSE, Reason.LOGGED_OUT)),
    Scenario.REPLACED: Row(Phase.REPLACED, SERVES, (FALSE, Reason.REPLACED_BY_ANOTHER_INSTANCE), _WARNING),
    Scenario.TEMPORARILY_BANNED: Row(Phase.BANNED, SERVES, (FALSE, Reason.TEMPORARILY_BANNED), _WARNING),
    Scenario.BANNED: Row(Phase.BANNED, SERVES, (FALSE, Reason.BANNED), _WARNING),
    Scenario.CLIENT_OUTDATED: Row(Phase.FAILED, SERVES, (FALSE, Reason.CLIENT_OUTDATED), _WARNING),
    Scenario.FAILED: Row(Phase.FAILED, SERVES, (FALSE, Reason.SESSION_FAILED), _WARNING),
}

_BY_STATE: dict[SessionState, Scenario] = {
    SessionState.STARTING: Scenario.STARTING,
    SessionState.AWAITING_SCAN: Scenario.AWAITING_SCAN,
    SessionState.CONNECTING: Scenario.CONNECTING,
    SessionState.CONNECTED: Scenario.CONNECTED,
    SessionState.RECONNECTING: Scenario.RECONNECTING,
    SessionState.LOGGED_OUT: Scenario.LOGGED_OUT,
    SessionState.REPLACED: Scenario.REPLACED,
    SessionState.BANNED: Scenario.BANNED,
    SessionState.FAILED: Scenario.FAILED,
}

_BY_STATE_AND_CODE: dict[tuple[SessionState, int], Scenario] = {
    (SessionState.AWAITING_SCAN, LOGGED_OUT_CODE): Scenario.UNLINKED,
    (SessionState.BANNED, TEMPORARILY_BANNED_CODE): Scenario.TEMPORARILY_BANNED,
    (SessionState.FAILED, CLIENT_OUTDATED_CODE): Scenario.CLIENT_OUTDATED,
}

_BY_TROUBLE: dict[Trouble, Scenario] = {
    Trouble.WAITING: Scenario.POD_WAITING,
    Trouble.CRASHING: Scenario.CRASHING,
    Trouble.OOM_KILLED: Scenario.OOM_KILLED,
    Trouble.SILENT: Scenario.SILENT,
    Trouble.NODE_LOST: Scenario.NODE_LOST,
}


def scenario(observed: Observed) -> Scenario:  # noqa: PLR0911  one a case, in order of precedence
    """Which row of the table applies; the first that does."""
    if observed.session.metadata.deletion_timestamp is not None:
        known = condition(observed.session, ConditionType.CONNECTED)
        return Scenario.LOGOUT_FAILED if known and known.reason == Reason.LOGOUT_FAILED else Scenario.TERMINATING
    if observed.suspended:
        return Scenario.SUSPENDED
    if observed.id_taken_by:
        return Scenario.ID_TAKEN
    if not observed.admitted:
        return Scenario.NOT_ADMITTED
    if observed.name_taken:
        return Scenario.NAME_TAKEN
    pod = observed.pod
    if pod is None or pod.finished or belongs(observed, pod) is not Belongs.OURS:
        return Scenario.REFUSED if observed.refusal else _coming(observed)
    if pod.trouble is Trouble.NODE_LOST:
        return Scenario.NODE_LOST
    if pod.deleting or (not pod.ready and pod.trouble is Trouble.NONE):
        return _coming(observed)
    if not pod.ready:
        return _BY_TROUBLE[pod.trouble]
    return _reported(observed, observed.report) if observed.report else Scenario.STARTING


def _coming(observed: Observed) -> Scenario:
    """A pod is on its way: the first one, or the next one of a session of which something was known."""
    known = condition(observed.session, ConditionType.PAIRED)
    return Scenario.REPLACING if known and known.status is not UNKNOWN else Scenario.CREATING


def _reported(observed: Observed, report: SessionReport) -> Scenario:
    code = report.last_disconnect.code if report.last_disconnect else 0
    if (found := _BY_STATE_AND_CODE.get((report.state, code))) is not None:
        return found
    limit = observed.session.spec.reconnect.max_attempts
    if report.state is SessionState.FAILED and limit and report.reconnect_attempts >= limit:
        return Scenario.GAVE_UP
    return _BY_STATE[report.state]
