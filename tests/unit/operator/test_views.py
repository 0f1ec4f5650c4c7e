from typing import Any

import msgspec
import pytest

from wasession_operator.views import Key, Trouble, claim_view, pod_view

pytestmark = pytest.mark.unit


def _pod(status: dict[str, Any] | None = None, **metadata: object) -> dict[str, Any]:
    meta = {"name": "cliente1-session", "namespace": "default", "uid": "p-1", "resourceVersion": "7"} | metadata
    return {"metadata": meta, "spec": {"nodeName": "node-1"}, "status": status or {}}


def _container(**facts: object) -> dict[str, Any]:
    return {"containerStatuses": [{"name": "sidecar"}, {"name": "session", **facts}], "phase": "Running"}


NOT_READY = {"type": "Ready", "status": "False", "reason": "ContainersNotReady"}
STARTED = {"running": {"startedAt": "2026-01-01T00:00:05Z"}}
EARLIER, LATER = "2026-01-01T00:00:01Z", "2026-01-01T00:01:00Z"
ENDED = {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}


_WAITING_SIDECAR = {"name": "helper", "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}


@pytest.mark.parametrize(
    ("status", "trouble", "reason"),
    [
        ({"phase": "Pending"}, Trouble.NONE, ""),
        (_container(state={"waiting": {"reason": "ContainerCreating"}}), Trouble.NONE, ""),
        (_container(state={"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}), Trouble.WAITING, "ImagePullBackOff"),
        (
            {"conditions": [{"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": "0/1 nodes"}]},
            Trouble.WAITING,
            "Unschedulable",
        ),
        (
            _container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState={"terminated": {"exitCode": 1, "reason": "Error"}}),
            Trouble.CRASHING,
            "Error",
        ),
        (_container(state={"waiting": {"reason": "CrashLoopBackOff"}}, lastState=ENDED), Trouble.OOM_KILLED, "OOMKilled"),
        (_container(state={"running": {}}, lastState=ENDED, restartCount=1), Trouble.OOM_KILLED, "OOMKilled"),
        (
            _container(started=True, state=STARTED) | {"conditions": [NOT_READY | {"lastTransitionTime": LATER}]},
            Trouble.SILENT,
            "",
        ),
        (
            _container(started=True, state=STARTED, lastState=ENDED) | {"conditions": [NOT_READY | {"lastTransitionTime": LATER}]},
            Trouble.SILENT,
            "",
        ),
        (_container(started=True, state=STARTED) | {"conditions": [NOT_READY | {"lastTransitionTime": EARLIER}]}, Trouble.NONE, ""),
        ({"phase": "Pending", "containerStatuses": [_WAITING_SIDECAR, {"name": "session"}]}, Trouble.WAITING, "ErrImagePull"),
        ({"phase": "Pending", "initContainerStatuses": [_WAITING_SIDECAR]}, Trouble.WAITING, "ErrImagePull"),
        (_container(started=True, ready=True) | {"conditions": [{"type": "Ready", "status": "False"}]}, Trouble.NODE_LOST, "NodeLost"),
        ({"phase": "Running", "reason": "NodeLost"}, Trouble.NODE_LOST, "NodeLost"),
        (_container(started=True, ready=True) | {"conditions": [{"type": "Ready", "status": "True"}]}, Trouble.NONE, ""),
    ],
)
def test_what_keeps_a_pod_from_being_ready(status: dict[str, Any], trouble: Trouble, reason: str) -> None:
    view = pod_view(_pod(status))
    assert view
    assert (view.trouble, view.reason) == (trouble, reason)


def test_a_container_beside_the_sessions_is_named() -> None:
    view = pod_view(_pod({"containerStatuses": [_WAITING_SIDECAR]}))
    assert view
    assert view.message == "container helper: no such image"


def test_what_a_pod_that_goes_says_is_no_trouble_unless_its_node_is_lost() -> None:
    ending = {"containerStatuses": [{"name": "session", "state": {"terminated": {"exitCode": 0, "reason": "Completed"}}}]}
    view = pod_view(_pod(ending, deletionTimestamp=LATER))
    assert view
    assert (view.trouble, view.message) == (Trouble.NONE, "")
    lost = _container(started=True, ready=True) | {"conditions": [{"type": "Ready", "status": "False"}]}
    view = pod_view(_pod(lost, deletionTimestamp=LATER))
    assert view
    assert view.trouble is Trouble.NODE_LOST


def test_a_pod_belongs_to_the_controller_that_owns_it() -> None:
    owner = {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "name": "cliente1", "uid": "s-1", "controller": True}
    mine = pod_view(msgspec.json.encode(_pod(ownerReferences=[owner])))
    assert mine
    assert (mine.key, mine.owner_uid, mine.of_a_session, mine.version) == (Key("default", "cliente1"), "s-1", True, 7)
    theirs = pod_view(_pod(ownerReferences=[owner | {"kind": "ReplicaSet", "apiVersion": "apps/v1"}]))
    assert theirs
    assert not theirs.of_a_session


def test_a_pod_that_goes_is_not_ready() -> None:
    view = pod_view(_pod({"conditions": [{"type": "Ready", "status": "True"}]}, deletionTimestamp="2026-01-01T00:00:00Z"))
    assert view
    assert (view.deleting, view.ready) == (True, False)


@pytest.mark.parametrize(("labels", "kept"), [({"wasession.dev/session": "cliente1"}, True), ({}, False)])
def test_a_claim_without_an_owner_is_ours_only_by_its_label(labels: dict[str, str], kept: bool) -> None:  # noqa: FBT001  a table
    meta = {"name": "cliente1-data", "namespace": "default", "uid": "c-1", "resourceVersion": "1", "labels": labels}
    spec = {"resources": {"requests": {"storage": "1Gi"}}, "storageClassName": "standard"}
    view = claim_view({"metadata": meta, "spec": spec, "status": {"phase": "Pending"}})
    assert view
    assert (view.of_a_session, view.size, view.storage_class, view.phase) == (kept, "1Gi", "standard", "Pending")


def test_names_that_cannot_be_ours_are_left_out() -> None:
    assert pod_view(_pod(name="something")) is None
