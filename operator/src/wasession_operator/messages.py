"""The words of a status for people: one message per scenario. Pure."""

from wasession_contract import names
from wasession_contract.conditions import ConditionType
from wasession_operator import mends
from wasession_operator.observed import Observed, condition
from wasession_operator.scenarios import Scenario

MAX_MESSAGE = 1024  # the schema takes 32,768; more than this helps nobody
NOT_ADMITTED = "older sessions fill the installation's limit of sessions (MAX_SESSIONS); delete one, or raise the limit"

_MESSAGES: dict[Scenario, str] = {
    Scenario.TERMINATING: "the session is being deleted",
    Scenario.NOT_ADMITTED: NOT_ADMITTED,
    Scenario.STARTING: "the pod serves and has not reported yet",
    Scenario.AWAITING_SCAN: "scan the QR code or enter the pairing code on the phone",
    Scenario.UNLINKED: "the device was unlinked; scan the new QR code",
    Scenario.CONNECTING: "paired, logging in",
    Scenario.LOGGED_OUT: "the device was logged out",
    Scenario.REPLACED: "another process uses the same credentials; this one stays down until it is restarted",
    Scenario.BANNED: "WhatsApp refuses the account",
    Scenario.TEMPORARILY_BANNED: "WhatsApp refuses the account for some time",
    Scenario.CLIENT_OUTDATED: "WhatsApp refuses this client's version; install a newer release",
    Scenario.FAILED: "the pod gave up",
    Scenario.GAVE_UP: "gave up; restart the session to try again",
}
_ASLEEP = "idle.policy Suspend took the pod away; set spec.restartedAt, or change the spec otherwise, to wake the session"
_ABOUT_THE_POD = frozenset(
    {
        Scenario.CREATING,
        Scenario.REPLACING,
        Scenario.POD_WAITING,
        Scenario.CRASHING,
        Scenario.OOM_KILLED,
        Scenario.SILENT,
    }
)
_IN_THE_PODS_WORDS = frozenset({Scenario.TEMPORARILY_BANNED, Scenario.BANNED, Scenario.CLIENT_OUTDATED, Scenario.FAILED, Scenario.GAVE_UP})


def message(which: Scenario, observed: Observed, logout_failure: str = "") -> str:  # noqa: C901, PLR0911  one a case
    """What to say about scenario `which`; never a phone number, never a QR code."""
    report, pod = observed.report, observed.pod
    if which in _IN_THE_PODS_WORDS and report and report.message:
        return with_mend(observed, report.message)
    if which in _ABOUT_THE_POD and pod and pod.message and not pod.deleting:
        return with_mend(observed, ": ".join(filter(None, (pod.reason, pod.message))), _mend_of_a_crash(which, observed))
    match which:
        case Scenario.LOGOUT_FAILED:
            return _logout_failed(observed, logout_failure)
        case Scenario.SUSPENDED:
            return "spec.operatingMode is Suspended" if observed.suspended_by_spec else _ASLEEP
        case Scenario.ID_TAKEN:
            return id_taken(observed)
        case Scenario.NAME_TAKEN:
            name = observed.session.metadata.name
            return f"a {observed.name_taken} of this session's name ({name}) belongs to somebody else; remove it, or use another name"
        case Scenario.REFUSED:
            return with_mend(observed, observed.refusal)
        case Scenario.CREATING | Scenario.REPLACING:
            return _coming(which, observed)
        case Scenario.NODE_LOST:
            return _node_lost(observed)
        case Scenario.RECONNECTING:
            return _reconnecting(observed)
        case _:
            return _MESSAGES.get(which, "")


def with_mend(observed: Observed, words: str, mend: str = "") -> str:
    """`words`, cut to what a message may have, and behind them what to do; empty where there is nothing to say."""
    mend = mend or mends.mend(words, observed.session, observed.claim)
    return f"{words[: MAX_MESSAGE - len(mend) - 2]}; {mend}" if words and mend else words[:MAX_MESSAGE]


def id_taken(observed: Observed) -> str:
    """Why a session whose id is an older one's gets no pod."""
    given = observed.session.session_id
    return f"the session id {given!r} is that of the older {observed.id_taken_by}; delete one of the two, spec.sessionId cannot change"


def _mend_of_a_crash(which: Scenario, observed: Observed) -> str:
    if which is Scenario.OOM_KILLED:
        return "raise sessionPod.resources.limits.memory of the installation if it comes again"
    if which is Scenario.CRASHING:
        return f"see kubectl logs --previous {names.pod_name(observed.session.metadata.name)}"
    return ""


def _node_lost(observed: Observed) -> str:
    """Only people can know whether a silent node still runs the pod."""
    node = observed.pod.node if observed.pod else None
    return (
        f"the node {node} does not answer; the pod may still run there, so no second one is started. Bring the node back, or, if it is"
        f" gone for good, kubectl delete node {node}: a minute later the pod is replaced"
    )


def _coming(which: Scenario, observed: Observed) -> str:
    if observed.pod is None and observed.starts_at:
        return f"waits for its turn to start, at about {observed.starts_at:%H:%M:%S} UTC (operator.startup.sessionsPerSecond)"
    if which is Scenario.REPLACING:
        return "the old pod is going, the next one follows"
    name = observed.session.metadata.name
    seen = f"kubectl describe pod {names.pod_name(name)} pvc {names.claim_name(name)}"
    return f"the pod or its volume is being made; if that takes long, see {seen}"


def _logout_failed(observed: Observed, why: str) -> str:
    if why:
        return f"the device could not be unlinked: {why}; unlink it on the phone"
    known = condition(observed.session, ConditionType.CONNECTED)
    return known.message if known else ""


def _reconnecting(observed: Observed) -> str:
    report, limit = observed.report, observed.session.spec.reconnect.max_attempts
    if report is None:
        return ""
    due = f", next at {report.next_attempt_at:%Y-%m-%dT%H:%M:%SZ}" if report.next_attempt_at else ""
    return f"attempt {report.reconnect_attempts}{f' of {limit}' if limit else ''}{due}"
