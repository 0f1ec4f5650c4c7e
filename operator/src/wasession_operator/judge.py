"""From what is observed to what the status says: phase, conditions, pod; and which change of it is worth an event. Pure.

Surprising: `lastTransitionTime` moves only when a condition's status flips, and a condition that nothing is known about
keeps what it said.
"""

from datetime import datetime

import msgspec

from wasession_contract.conditions import ConditionType, Reason
from wasession_contract.names import pod_name
from wasession_contract.v1alpha1 import BackendState, Condition, ConditionStatus, Phase, PodStatus, SessionState, Status
from wasession_operator.messages import MAX_MESSAGE, NOT_ADMITTED, id_taken, message, with_mend
from wasession_operator.observed import Belongs, Logout, Observed, belongs, condition, linked_by
from wasession_operator.scenarios import FALSE, LOGGED_OUT_CODE, SERVES, TABLE, TRUE, UNKNOWN, EventType, Row, Scenario, scenario


def status(observed: Observed, now: datetime, *, put_to_sleep: bool = False, logout_failure: str = "") -> Status:
    """The status to show. `put_to_sleep`: the idle policy suspends it now; `logout_failure`: why the logout failed, just now."""
    which = scenario(observed)
    if put_to_sleep:
        which = Scenario.SUSPENDED
    elif logout_failure:
        which = Scenario.LOGOUT_FAILED
    row = TABLE[which]
    words = message(which, observed, logout_failure)
    connected = (*row.connected, words)
    said: dict[ConditionType, tuple[ConditionStatus, Reason | str, str] | None] = {
        ConditionType.ADMITTED: _admitted(observed),
        ConditionType.POD_READY: _pod_ready(row, which, observed, words),
        ConditionType.PAIRED: _paired(observed),
        ConditionType.CONNECTED: connected,
        ConditionType.BACKEND_CONNECTED: _backend(observed, row),
        ConditionType.READY: connected,
    }
    conditions = tuple(one for kind, new in said.items() if (one := _condition(kind, new, observed, now)) is not None)
    generation = observed.session.metadata.generation
    return Status(observed_generation=generation, phase=row.phase, conditions=conditions, pod=_pod(observed))


def comparable(status: Status) -> Status:
    """`status` as the operator's own part of it, in the operator's order, to see whether there is something to write."""
    order = list(ConditionType)
    ours = sorted((one for one in status.conditions if one.type in order), key=lambda one: order.index(ConditionType(one.type)))
    return msgspec.structs.replace(status, session=None, conditions=tuple(ours))


def event(before: Status, after: Status) -> tuple[EventType, str, str] | None:
    """Type, reason and message of the event that a change of status is worth; on transitions only."""
    if _signature(before) == _signature(after):
        return None
    phase, pod_ready, connected = _signature(after)
    words = next((one.message for one in after.conditions if one.type == ConditionType.CONNECTED), "")
    for row in TABLE.values():
        same_pod = row.pod_ready is None or row.pod_ready[1] == pod_ready
        if row.event and (row.phase, row.connected[1]) == (phase, connected) and same_pod:
            return row.event, pod_ready if connected == Reason.POD_NOT_READY else connected, words
    return None


def _signature(status: Status) -> tuple[Phase | None, str, str]:
    reasons = {one.type: one.reason for one in status.conditions}
    return status.phase, reasons.get(ConditionType.POD_READY, ""), reasons.get(ConditionType.CONNECTED, "")


def _condition(
    kind: ConditionType, new: tuple[ConditionStatus, Reason | str, str] | None, observed: Observed, now: datetime
) -> Condition | None:
    known = condition(observed.session, kind)
    if new is None:
        return known
    value, reason, message = new
    since = known.last_transition_time if known and known.status is value else now.replace(microsecond=0)
    return Condition(
        type=kind,
        status=value,
        reason=str(reason),
        message=message[:MAX_MESSAGE],
        last_transition_time=since,
        observed_generation=observed.session.metadata.generation,
    )


def _admitted(observed: Observed) -> tuple[ConditionStatus, Reason, str]:
    if observed.id_taken_by:
        return FALSE, Reason.SESSION_ID_TAKEN, id_taken(observed)
    if observed.admitted:
        return TRUE, Reason.ADMITTED, ""
    return FALSE, Reason.SESSION_LIMIT_REACHED, NOT_ADMITTED


def _pod_ready(row: Row, which: Scenario, observed: Observed, words: str) -> tuple[ConditionStatus, Reason | str, str] | None:
    if row.pod_ready is None:
        return None
    value, reason = row.pod_ready
    if which is Scenario.POD_WAITING and observed.pod:
        return value, observed.pod.reason or reason, words
    return value, reason, with_mend(observed, observed.refusal) if value is TRUE else words  # serves, but something else is refused


def _paired(observed: Observed) -> tuple[ConditionStatus, Reason | str, str]:
    if observed.logout is Logout.DONE:
        return FALSE, Reason.LOGGED_OUT, ""
    report = observed.report
    linked = linked_by(report)
    if linked is None:
        known = condition(observed.session, ConditionType.PAIRED)
        return (known.status, known.reason, known.message) if known else (UNKNOWN, Reason.POD_NOT_READY, "")
    if linked:
        return TRUE, Reason.PAIRED, ""
    unlinked = report is not None and (
        report.state is SessionState.LOGGED_OUT or (report.last_disconnect is not None and report.last_disconnect.code == LOGGED_OUT_CODE)
    )
    return FALSE, Reason.LOGGED_OUT if unlinked else Reason.AWAITING_SCAN, ""


def _backend(observed: Observed, row: Row) -> tuple[ConditionStatus, Reason, str]:
    if observed.report is None or row.pod_ready != SERVES:
        return UNKNOWN, Reason.POD_NOT_READY, ""
    match observed.report.backend.state:
        case BackendState.CONNECTED:
            return TRUE, Reason.BACKEND_CONNECTED, ""
        case BackendState.DISABLED:
            return FALSE, Reason.BACKEND_DISABLED, "spec.backend.url and API_URL are empty"
        case BackendState.DISCONNECTED:
            return FALSE, Reason.BACKEND_UNREACHABLE, "messages wait in the session's journal"


def _pod(observed: Observed) -> PodStatus | None:
    pod = observed.pod
    if pod is None or belongs(observed, pod) is not Belongs.OURS:
        return None
    name = pod_name(observed.session.metadata.name)
    return PodStatus(name=name, uid=pod.uid, ip=pod.ip, node=pod.node, ready=pod.ready, restarts=pod.restarts)
