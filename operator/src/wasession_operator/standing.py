"""Where a session stands in the roll-out of a changed pod template, read off what is observed of it alone. Pure.

Nothing of this is remembered by the process: which template a pod has is in its annotation, since when in its creation time,
and what the session was before in another annotation that each pod gets when it is created. Surprising: a session has come
back once it was connected again, and stays so; what befalls it later is no matter of the roll-out.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from wasession_contract.conditions import ConditionType, Reason
from wasession_contract.v1alpha1 import ConditionStatus, SessionState, WhatsAppSession
from wasession_operator import resources
from wasession_operator.observed import Belongs, Observed, belongs, condition
from wasession_operator.views import PodView, Previously, Trouble

_LOGGED_IN = frozenset({SessionState.CONNECTED, SessionState.CONNECTING})


class Place(Enum):
    """Where a session can stand."""

    OUT = "out"
    """It shall have no pod, or cannot: the roll-out does not concern it."""
    OUTDATED = "outdated"
    """Its pod is of an older template."""
    UNREACHABLE = "unreachable"
    """So it is, on a node that does not answer: it could not be replaced before the node is back or removed."""
    ON_THE_WAY = "on-the-way"
    """It has no pod, or one that goes, or a new one that has not brought the session back yet."""
    UP_TO_DATE = "up-to-date"
    """Its new pod has brought it back."""


@dataclass(frozen=True, slots=True)
class Standing:
    """One session's."""

    place: Place
    since: datetime | None = None
    """When the new pod was created, or the API server began to refuse one; None: neither."""
    worked: bool = False
    """Some pod of this session has served before, so that there is something to come back to."""
    down: bool = False
    """The outdated pod does not serve: nothing is lost by replacing it."""
    pod_uid: str = ""


def standing(observed: Observed, installation_hash: str) -> Standing:
    """Where the session stands as far as the template `installation_hash` goes."""
    session, pod = observed.session, observed.pod
    if session.metadata.deletion_timestamp is not None or not observed.wanted or observed.name_taken:
        return Standing(Place.OUT)
    worked = session.status.session is not None
    if pod is None or belongs(observed, pod) is not Belongs.OURS:
        return Standing(Place.ON_THE_WAY, _refused_since(observed), worked)
    if pod.deleting:
        return Standing(Place.ON_THE_WAY, None, worked)
    of_installation, _, of_session = (pod.template_hash or "").partition("-")
    if of_installation != installation_hash:
        if pod.finished or of_session != resources.session_hash(session.spec):  # replaced at once, not because of the roll-out
            return Standing(Place.ON_THE_WAY, None, worked)
        place = Place.UNREACHABLE if pod.trouble is Trouble.NODE_LOST else Place.OUTDATED
        return Standing(place, worked=worked, down=not pod.ready)
    place = Place.UP_TO_DATE if _is_back(observed, pod) else Place.ON_THE_WAY
    return Standing(place, pod.created, pod.previously is not Previously.NOTHING, pod_uid=pod.uid)


def previously(session: WhatsAppSession) -> Previously:
    """What the last pod of `session` had made of it, when the next one is created.

    The pod's last report outlives it, and a pod that is stopping reports no more.
    """
    report, paired = session.status.session, condition(session, ConditionType.PAIRED)
    if report is None:
        return Previously.NOTHING
    linked = report.jid is not None or (paired is not None and paired.status is ConditionStatus.TRUE)
    on_its_way = report.state is SessionState.STARTING and linked
    return Previously.CONNECTED if report.state in _LOGGED_IN or on_its_way else Previously.SERVED


def _is_back(observed: Observed, pod: PodView) -> bool:
    if pod.previously is not Previously.CONNECTED:
        return pod.ready
    report = observed.report
    return (pod.ready and report is not None and report.state is SessionState.CONNECTED) or _was_back(observed, pod)


def _was_back(observed: Observed, pod: PodView) -> bool:
    """Whether the status remembers that this pod was connected: while a pod serves, Connected flips only from True or to it."""
    status = observed.session.status
    if status.pod is None or status.pod.uid != pod.uid:
        return False
    connected, ready = condition(observed.session, ConditionType.CONNECTED), condition(observed.session, ConditionType.POD_READY)
    if connected is None or ready is None or pod.created is None or ready.status is not ConditionStatus.TRUE:
        return False
    if connected.status is ConditionStatus.TRUE:
        return True
    return ready.last_transition_time >= pod.created and connected.last_transition_time > ready.last_transition_time


def _refused_since(observed: Observed) -> datetime | None:
    """The refusal is in the status, so that it is known after a restart of the operator, too."""
    ready = condition(observed.session, ConditionType.POD_READY)
    return ready.last_transition_time if ready is not None and ready.reason == Reason.REFUSED else None
