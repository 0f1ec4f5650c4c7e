"""When a session's pod is created, seen beside its claim. The API server's own volume controller binds; no provisioner answers."""

import uuid
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from operator_support import CORE, Kube, eventually

pytestmark = pytest.mark.integration
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = f"{CORE}/persistentvolumes"
MakeClass = Callable[[str], str]


@pytest.fixture
def make_class(kube: Kube) -> Iterator[MakeClass]:
    """Makes storage classes of a binding mode, whose provisioner does not exist."""
    made: list[str] = []

    def make(mode: str) -> str:
        made.append(f"class-{uuid.uuid4().hex[:8]}")
        kube.call("POST", CLASSES, {"metadata": {"name": made[-1]}, "provisioner": "example.com/nobody", "volumeBindingMode": mode})
        return made[-1]

    yield make
    for volume in (kube.call("GET", VOLUMES) or {})["items"]:
        if volume["spec"].get("storageClassName") in made:
            kube.call("DELETE", f"{VOLUMES}/{volume['metadata']['name']}")
    for name in made:
        kube.call("DELETE", f"{CLASSES}/{name}")


def _provision(kube: Kube, claim: dict[str, Any], storage_class: str) -> None:
    """Make the volume of `claim`, as a provisioner would."""
    meta = claim["metadata"]
    spec = {
        "accessModes": ["ReadWriteOncePod"],
        "capacity": {"storage": "1Gi"},
        "storageClassName": storage_class,
        "claimRef": {"namespace": kube.namespace, "name": meta["name"], "uid": meta["uid"]},
        "hostPath": {"path": "/nowhere"},
    }
    kube.call("POST", VOLUMES, {"metadata": {"name": f"pvc-{meta['uid']}"}, "spec": spec})


def _created(kube: Kube, session: str, storage_class: str) -> dict[str, Any]:
    kube.create(session, storage={"storageClassName": storage_class})
    claim: dict[str, Any] = eventually(lambda: kube.claim(session), f"{session} has its claim")
    return claim


@pytest.mark.usefixtures("operator")
def test_a_class_that_binds_by_itself_has_the_claim_bound_before_the_pod_is_created(kube: Kube, make_class: MakeClass) -> None:
    binds, waits = make_class("Immediate"), make_class("WaitForFirstConsumer")
    held = []
    for attempt in range(3):  # once is enough: the wait is bounded, and a machine may be slow
        claim = _created(kube, f"ours-{attempt}", binds)
        _created(kube, f"later-{attempt}", waits)
        eventually(lambda attempt=attempt: kube.pod(f"later-{attempt}"), "a later session has its pod")
        held.append(kube.pod(f"ours-{attempt}") is None)
        _provision(kube, claim, binds)
        pod = eventually(lambda attempt=attempt: kube.pod(f"ours-{attempt}"), "the pod comes when the claim is bound")
        bound = eventually(lambda attempt=attempt: _bound(kube.claim(f"ours-{attempt}")), "the claim is bound")
        held[-1] &= int(bound["metadata"]["resourceVersion"]) < int(pod["metadata"]["resourceVersion"])
    assert any(held), held


def _bound(claim: dict[str, Any] | None) -> dict[str, Any] | None:
    return claim if claim and claim["status"]["phase"] == "Bound" else None


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("mode", ["Immediate", "WaitForFirstConsumer"])
def test_a_pod_comes_although_its_claim_never_binds(kube: Kube, make_class: MakeClass, mode: str) -> None:
    storage_class = make_class(mode)
    for name in ("first", "second"):
        _created(kube, name, storage_class)
        eventually(lambda name=name: kube.pod(name), f"{name} has its pod")
        assert not _bound(kube.claim(name))
        kube.wait_phase(name, "Pending")
