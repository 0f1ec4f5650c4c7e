"""When a session's pod is created, seen beside its claim. The API server's own volume controller binds; no provisioner answers."""

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from operator_support import CORE, Kube, eventually

pytestmark = pytest.mark.integration
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
VOLUMES = f"{CORE}/persistentvolumes"


@pytest.fixture
def storage_class(kube: Kube, request: pytest.FixtureRequest) -> Iterator[str]:
    """A class of the binding mode that the test's parameter says, whose provisioner does not exist."""
    name = f"class-{uuid.uuid4().hex[:8]}"
    kube.call("POST", CLASSES, {"metadata": {"name": name}, "provisioner": "example.com/nobody", "volumeBindingMode": request.param})
    yield name
    for volume in (kube.call("GET", VOLUMES) or {})["items"]:
        if volume["spec"].get("storageClassName") == name:
            kube.call("DELETE", f"{VOLUMES}/{volume['metadata']['name']}")
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


def _pod_beside_claim(kube: Kube, session: str) -> tuple[dict[str, Any], dict[str, Any]]:
    pod = eventually(lambda: kube.pod(session), f"{session} has its pod")
    claim = kube.claim(session)
    assert claim
    return pod, claim


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("storage_class", ["Immediate"], indirect=True)
def test_a_class_that_binds_by_itself_has_the_claim_bound_before_the_pod_is_created(kube: Kube, storage_class: str) -> None:
    kube.create("first", storage={"storageClassName": storage_class})
    _, claim = _pod_beside_claim(kube, "first")  # all the same, although this one never binds
    assert claim["status"]["phase"] == "Pending"
    in_order = []
    for name in ("second", "third", "fourth"):  # one in order is enough: the wait is bounded, and a machine may be slow
        kube.create(name, storage={"storageClassName": storage_class})
        claim = eventually(lambda name=name: kube.claim(name), "the claim")
        _provision(kube, claim, storage_class)  # surely after a pod that did not wait
        pod, claim = _pod_beside_claim(kube, name)
        bound = claim["status"]["phase"] == "Bound"
        in_order.append(bound and int(claim["metadata"]["resourceVersion"]) < int(pod["metadata"]["resourceVersion"]))
    assert any(in_order)


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("storage_class", ["WaitForFirstConsumer"], indirect=True)
def test_a_class_that_waits_for_the_pod_gets_it(kube: Kube, storage_class: str) -> None:
    for name in ("first", "second"):
        kube.create(name, storage={"storageClassName": storage_class})
        _, claim = _pod_beside_claim(kube, name)
        assert claim["status"]["phase"] == "Pending"
        kube.wait_phase(name, "Pending")
