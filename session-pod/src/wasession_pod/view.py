"""What others see of the state: `v1alpha1.SessionReport`. Pure. Lengths are those that the schema allows."""

from datetime import datetime

import msgspec

from wasession_contract.v1alpha1 import BackendReport, SessionReport
from wasession_pod.machine import State

MAX_NAME = 256
MAX_MESSAGE = 1024


def session_report(state: State, pod_uid: str, backend: BackendReport, last_activity: datetime | None, now: datetime) -> SessionReport:
    """The report of `state`, stamped with the pod's uid and `now`."""
    account, last = state.account, state.last_disconnect
    return SessionReport(
        pod_uid=pod_uid,
        state=state.at,
        reported_at=now,
        number=account.number if account else None,
        name=account.name[:MAX_NAME] if account and account.name else None,
        jid=account.jid if account else None,
        lid=account.lid if account else None,
        qr=state.qr,
        pairing_code=state.pairing_code,
        reconnect_attempts=state.attempts,
        next_attempt_at=state.next_attempt_at,
        last_disconnect=msgspec.structs.replace(last, message=last.message[:MAX_MESSAGE]) if last else None,
        connected_since=state.connected_since,
        last_activity=last_activity,
        backend=backend,
        message=state.message[:MAX_MESSAGE] if state.message else None,
    )
