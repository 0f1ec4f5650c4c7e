"""What is known of one session at one moment: the argument of `decide` and `judge`."""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from wasession_contract.conditions import ConditionType, Reason
from wasession_contract.v1alpha1 import Condition, ConditionStatus, OperatingMode, SessionReport, SessionState, WhatsAppSession
from wasession_operator.views import ClaimView, PodView


class Belongs(Enum):
    """Whose a pod or claim of the session's name is."""

    NOBODY = "nobody"
    """There is none."""
    OURS = "ours"
    """This very session owns it."""
    KEPT = "kept"
    """A claim without an owner that carries the session's label: kept by Retain, to be taken up."""
    FORMER = "former"
    """Owned by a former session of this name; Kubernetes collects it."""
    TAKEN = "taken"
    """Somebody else's; it is never touched."""


class Logout(Enum):
    """How far the logout of a deleted session's device is."""

    NOT_TRIED = "not-tried"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Observed:
    """The session, what is there for it, and what this process remembers of it."""

    session: WhatsAppSession
    pod: PodView | None = None
    claim: ClaimView | None = None
    admitted: bool = True
    id_taken_by: str = ""
    """The name of the older object whose session id is the same; empty: none."""
    may_roll: bool = False
    """A changed pod template may reach this session now."""
    starts_at: datetime | None = None
    """Its turn to start has not come yet; it will then."""
    pod_not_before: datetime | None = None
    """Back-off after a pod that ended by itself."""
    keeps_pod_until: datetime | None = None
    """Until when a session that lost its place keeps its pod: what says so may be the past."""
    binds_until: datetime | None = None
    """Until when a new pod waits for the claim to be bound; None: it does not."""
    logout: Logout = Logout.NOT_TRIED
    logout_failure: str = ""
    refusal: str = ""
    """Why the API server last refused what we wanted for this session."""

    @property
    def report(self) -> SessionReport | None:
        """The pod's report, while it is that of the pod that is there and ours."""
        report = self.session.status.session
        ours = belongs(self, self.pod) is Belongs.OURS
        return report if report and self.pod and ours and report.pod_uid == self.pod.uid else None

    @property
    def asleep(self) -> bool:
        """Put to sleep by `idle.policy: Suspend`: the status says so of this very generation; any change of the spec wakes it.

        The operator never writes the spec, so the status is the only place that can remember this.
        """
        ready = condition(self.session, ConditionType.POD_READY)
        said = ready is not None and ready.reason == Reason.SUSPENDED and ready.observed_generation == self.session.metadata.generation
        return said and not self.suspended_by_spec

    @property
    def suspended_by_spec(self) -> bool:
        """The spec asks for no pod."""
        return self.session.spec.operating_mode is OperatingMode.SUSPENDED

    @property
    def suspended(self) -> bool:
        """No pod, because the spec or the idle policy says so."""
        return self.suspended_by_spec or self.asleep

    @property
    def wanted(self) -> bool:
        """Whether the session shall have a pod."""
        return self.admitted and not self.id_taken_by and not self.suspended

    @property
    def name_taken(self) -> str:
        """The kind (`pod` or `claim`) of the foreign object that has the session's name; empty: none."""
        if belongs(self, self.pod) is Belongs.TAKEN:
            return "pod"
        return "claim" if belongs(self, self.claim) is Belongs.TAKEN else ""

    @property
    def owes_logout(self) -> bool:
        """Whether the device still has to be unlinked before deletion goes on."""
        connected = condition(self.session, ConditionType.CONNECTED)
        given_up = connected is not None and connected.reason == Reason.LOGOUT_FAILED
        return self.session.spec.logout_on_delete and self.paired and not given_up and self.logout is not Logout.DONE

    @property
    def logout_is_to_be_said(self) -> bool:
        """Whether the device is unlinked and the status does not know it yet, which alone outlives this process and the pod."""
        known = condition(self.session, ConditionType.PAIRED)
        unlinked = self.logout is Logout.DONE or linked_by(self.report) is False
        return unlinked and known is not None and known.status is ConditionStatus.TRUE

    @property
    def paired(self) -> bool:
        """Whether the device is linked, as far as was last known."""
        if (linked := linked_by(self.report)) is not None:
            return linked
        known = condition(self.session, ConditionType.PAIRED)
        return known is not None and known.status is ConditionStatus.TRUE


def belongs(observed: Observed, thing: PodView | ClaimView | None) -> Belongs:
    """Whose `thing` is."""
    if thing is None:
        return Belongs.NOBODY
    if thing.owner_uid == observed.session.metadata.uid:
        return Belongs.OURS
    if not thing.of_a_session:
        return Belongs.TAKEN
    return Belongs.FORMER if thing.owner_uid else Belongs.KEPT


def condition(session: WhatsAppSession, kind: ConditionType) -> Condition | None:
    """The condition of that type as the status says it."""
    return next((one for one in session.status.conditions if one.type == kind), None)


def linked_by(report: SessionReport | None) -> bool | None:
    """Whether the device is linked, by the pod's own word; None where it does not know (yet).

    After its process was replaced, a pod knows the account only once it is logged in again, so without an account the
    states in which that happens tell nothing.
    """
    match report and report.state:
        case SessionState.CONNECTING | SessionState.CONNECTED | SessionState.REPLACED | SessionState.BANNED:
            return True
        case SessionState.AWAITING_SCAN | SessionState.LOGGED_OUT:
            return False
        case _:
            return True if report and report.jid else None
