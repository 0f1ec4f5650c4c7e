from datetime import UTC, datetime

import msgspec
import pytest

from wasession_contract.v1alpha1 import (
    BackendReport,
    Condition,
    ConditionStatus,
    Metadata,
    PodStatus,
    SessionReport,
    SessionState,
    Spec,
    Status,
    WhatsAppSession,
    decode,
)
from wasession_operator.compact import SHARED_AT_MOST, compact, share
from wasession_operator.store import SessionView

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def session(name: str) -> WhatsAppSession:
    """As it comes from the wire, so that nothing is shared by chance."""
    words = "Connected as María"
    report = SessionReport(pod_uid=f"pod-{name}", state=SessionState.CONNECTED, reported_at=NOW, backend=BackendReport())
    conditions = tuple(
        Condition(type=kind, status=ConditionStatus.TRUE, reason=kind, message=words, last_transition_time=NOW, observed_generation=1)
        for kind in ("Connected", "Ready")
    )
    whole = WhatsAppSession(
        metadata=Metadata(
            name=name, namespace="here", uid=f"uid-{name}", resource_version="7", creation_timestamp=NOW, finalizers=("one",)
        ),
        spec=Spec(session_id=name),
        status=Status(observed_generation=1, conditions=conditions, pod=PodStatus(name=name, uid=f"pod-{name}", node="n1"), session=report),
    )
    return decode(msgspec.json.encode(whole))


def test_nothing_but_labels_and_annotations_is_lost() -> None:
    whole = session("one")
    labelled = msgspec.structs.replace(whole, metadata=msgspec.structs.replace(whole.metadata, labels={"a": "b"}, annotations={"c": "d"}))
    assert compact(labelled) == whole


def test_what_two_sessions_have_in_common_is_held_once() -> None:
    one, two = (SessionView.of(session(name)).session for name in ("one", "two"))
    assert one.spec.reconnect is two.spec.reconnect
    assert one.status.conditions[0] is two.status.conditions[0]
    assert one.status.conditions[0].message is one.status.conditions[1].message
    assert one.status.pod
    assert one.status.session
    assert one.status.pod.uid is one.status.session.pod_uid


def test_values_that_nobody_shares_are_not_remembered_for_ever() -> None:
    first = (object(), "first")
    assert share(first) is first
    for number in range(SHARED_AT_MOST):
        share(("other", number))
    again = (first[0], "first")
    assert share(again) is again
