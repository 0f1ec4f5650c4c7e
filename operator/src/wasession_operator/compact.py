"""Makes the session that is kept small: what ten thousand of them have in common is held once.

A session as decoded takes 5 KB, half of it the same policies, conditions and words as in its neighbours. Surprising: labels
and annotations are dropped, among them kubectl's copy of the whole object. The operator reads none, and writes only patches.
"""

from sys import intern
from typing import Any, TypeVar

import msgspec

from wasession_contract.v1alpha1 import Condition, Metadata, SessionReport, Spec, Status, WhatsAppSession

SHARED_AT_MOST = 4096
"""Values to remember. Then all are forgotten; those in use live on with their users."""
_shared: dict[Any, Any] = {}
_T = TypeVar("_T")
_replace = msgspec.structs.replace


def compact(session: WhatsAppSession) -> WhatsAppSession:
    """The same session without labels and annotations."""
    return _replace(
        session,
        metadata=_metadata(session.metadata),
        spec=_spec(session.spec),
        status=_status(session.status),
        api_version=intern(session.api_version),
        kind=intern(session.kind),
    )


def share(value: _T) -> _T:
    """`value`, or an equal one that others hold already. Only for what is immutable and hashable."""
    if value not in _shared and len(_shared) >= SHARED_AT_MOST:
        _shared.clear()
    known: _T = _shared.setdefault(value, value)
    return known


def _metadata(metadata: Metadata) -> Metadata:
    return _replace(
        metadata,
        name=intern(metadata.name),
        namespace=intern(metadata.namespace),
        uid=intern(metadata.uid),
        creation_timestamp=share(metadata.creation_timestamp),
        finalizers=share(metadata.finalizers),
        labels=_NOTHING,
        annotations=_NOTHING,
    )


_NOTHING: dict[str, str] = {}


def _spec(spec: Spec) -> Spec:
    """Whole policies are shared: nearly all sessions of an installation have the same ones."""
    return _replace(
        spec,
        session_id=intern(spec.session_id) if spec.session_id else spec.session_id,
        pairing=share(spec.pairing),
        reconnect=share(spec.reconnect),
        pacing=share(spec.pacing),
        idle=share(spec.idle),
        backend=share(spec.backend),
        storage=share(spec.storage),
    )


def _status(status: Status) -> Status:
    report, pod = status.session, status.pod
    return _replace(
        status,
        conditions=tuple(map(_condition, status.conditions)),
        pod=_replace(pod, uid=intern(pod.uid), node=intern(pod.node) if pod.node else pod.node) if pod else None,
        session=_report(report) if report else None,
    )


def _condition(condition: Condition) -> Condition:
    """Shared whole: sessions that came to the same in the same second say the same. The parts are, in any case."""
    since = share(condition.last_transition_time)
    type_, reason, message = (intern(str(word)) for word in (condition.type, condition.reason, condition.message))
    return share(_replace(condition, type=type_, reason=reason, message=message, last_transition_time=since))


def _report(report: SessionReport) -> SessionReport:
    return _replace(
        report,
        pod_uid=intern(report.pod_uid),
        reported_at=share(report.reported_at),
        connected_since=share(report.connected_since),
        last_activity=share(report.last_activity),
        backend=share(report.backend),
    )
