"""What cannot be: it is told with field and mend, tried again ever more seldom, and works once it is mended."""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from operator_support import CORE, MERGE, Kube, OperatorProcess, eventually

pytestmark = pytest.mark.integration


@dataclass(frozen=True)
class Refusal:
    """A limit of the namespace that a session does not fit into, what is said of it, and its end."""

    set_up: Callable[[Kube], None]
    words: tuple[str, ...]
    mend: Callable[[Kube], None]


def quota(kube: Kube, **hard: str) -> None:
    kube.call("POST", kube.path("resourcequotas"), {"metadata": {"name": "small"}, "spec": {"hard": hard}})
    eventually(lambda: "hard" in (kube.call("GET", kube.path("resourcequotas", "small")) or {}).get("status", {}), "the quota works")


def raise_quota(kube: Kube, **hard: str) -> None:
    kube.call("PATCH", kube.path("resourcequotas", "small"), {"spec": {"hard": hard}}, headers=MERGE)


def largest_claim(kube: Kube, size: str) -> None:
    limit = {"type": "PersistentVolumeClaim", "max": {"storage": size}}
    kube.call("POST", kube.path("limitranges"), {"metadata": {"name": "small"}, "spec": {"limits": [limit]}})


def pod_security(kube: Kube, level: str) -> None:
    labels = {"pod-security.kubernetes.io/enforce": level}
    kube.call("PATCH", f"{CORE}/namespaces/{kube.namespace}", {"metadata": {"labels": labels}}, headers=MERGE)


def account(kube: Kube) -> None:
    kube.call("POST", kube.path("serviceaccounts"), {"metadata": {"name": "wasession-session-pod"}})


REFUSALS = {
    "storage over the quota": Refusal(
        set_up=lambda kube: quota(kube, **{"requests.storage": "512Mi"}),
        words=("exceeded quota: small", "spec.storage.size is 1Gi: raise the ResourceQuota"),
        mend=lambda kube: raise_quota(kube, **{"requests.storage": "2Gi"}),
    ),
    "storage over the largest that is allowed": Refusal(
        set_up=lambda kube: largest_claim(kube, "512Mi"),
        words=("maximum storage usage per PersistentVolumeClaim is 512Mi", "spec.storage.size is 1Gi: raise that limit"),
        mend=lambda kube: kube.call("DELETE", kube.path("limitranges", "small")) and None,
    ),
    "pods over the quota": Refusal(
        set_up=lambda kube: quota(kube, pods="0"),
        words=("exceeded quota: small", "raise the ResourceQuota, or suspend or delete another session"),
        mend=lambda kube: raise_quota(kube, pods="1"),
    ),
    "a pod template that Pod Security forbids": Refusal(
        set_up=lambda kube: pod_security(kube, "restricted"),
        words=('violates PodSecurity "restricted:', "change the installation's sessionPod settings, or the namespace's Pod Security level"),
        mend=lambda kube: pod_security(kube, "privileged"),
    ),
    "a namespace that is not prepared": Refusal(
        set_up=lambda kube: kube.call("DELETE", kube.path("serviceaccounts", "wasession-session-pod")) and None,
        words=("looking up service account", "name this namespace in scope.namespaces of the installation"),
        mend=account,
    ),
}


def message(kube: Kube, name: str = "cliente1", kind: str = "PodReady") -> str:
    conditions = (kube.session(name) or {}).get("status", {}).get("conditions", [])
    return next((str(one["message"]) for one in conditions if one["type"] == kind), "")


def pauses(operator: OperatorProcess) -> list[float]:
    """Seconds until the next try, after each one so far."""
    tries = [line for line in operator.log.splitlines() if "trying again later" in line]
    return [float(found[1]) for line in tries if (found := re.search(r'"seconds": ([0-9.]+)', line))]


@pytest.mark.parametrize("name", REFUSALS)
def test_a_refusal_is_told_with_field_and_mend_and_does_not_storm(kube: Kube, operator: OperatorProcess, name: str) -> None:
    refusal = REFUSALS[name]
    refusal.set_up(kube)
    kube.create("cliente1")
    eventually(lambda: kube.condition("cliente1", "PodReady") == "False Refused", "the refusal is told")
    for words in refusal.words:
        assert words in message(kube)
    assert kube.phase("cliente1") == "Pending"
    writes = operator.metric("wasession_operator_status_writes_total")
    eventually(lambda: len(pauses(operator)) > 2, "it is tried again")
    first, second, third, *_ = pauses(operator)
    assert first >= 0.5
    assert second >= 1
    assert third >= 2
    assert operator.metric("wasession_operator_status_writes_total") == writes
    assert len(kube.events("Refused")) == 1
    refusal.mend(kube)
    eventually(lambda: kube.pod("cliente1"), "the pod is made once it is mended")
    eventually(lambda: kube.condition("cliente1", "PodReady") == "False Creating", "the refusal is not told any more")


@pytest.mark.usefixtures("operator")
def test_the_younger_of_two_with_the_same_session_id_waits_for_the_end_of_the_older(kube: Kube) -> None:
    kube.create("ventas", logoutOnDelete=False)
    eventually(lambda: kube.pod("ventas"), "the older one's pod")
    kube.create("ventas-2", sessionId="ventas")
    eventually(lambda: kube.condition("ventas-2", "Admitted") == "False SessionIdTaken", "the younger one's condition")
    assert kube.phase("ventas-2") == "Failed"
    assert "the session id 'ventas' is that of the older ventas" in message(kube, "ventas-2", "Connected")
    assert kube.pod("ventas-2") is None
    assert kube.pod("ventas")
    kube.delete("ventas")
    eventually(lambda: kube.pod("ventas-2"), "the younger one's pod")
