"""The operator itself: killed at any moment, away while things happen, restarted on a settled cluster, badly set up."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from operator_support import DATA, Kube, Kubelet, OperatorProcess, eventually

pytestmark = pytest.mark.integration
StartOperator = Callable[..., OperatorProcess]
MOMENTS: dict[str, Callable[[Kube], Any]] = {
    "finalizer": lambda kube: (kube.session("cliente1") or {}).get("metadata", {}).get("finalizers"),
    "claim": lambda kube: kube.claim("cliente1"),
    "pod": lambda kube: kube.pod("cliente1"),
    "status": lambda kube: kube.phase("cliente1"),
    "pod ready": lambda kube: kube.condition("cliente1", "PodReady") == "True PodReady",
}
LAST_MOMENTS: dict[str, Callable[[Kube], Any]] = {
    "deletion": lambda kube: (kube.session("cliente1") or {}).get("metadata", {}).get("deletionTimestamp"),
    "pod going": lambda kube: "deletionTimestamp" in (kube.pod("cliente1") or {"metadata": {"deletionTimestamp": 1}})["metadata"],
    "pod gone": lambda kube: kube.pod("cliente1") is None,
}


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.usefixtures("kubelet")
def test_killed_while_it_creates_it_reaches_the_same_end(kube: Kube, kubelet: Kubelet, start_operator: StartOperator, moment: str) -> None:
    operator = start_operator()
    operator.wait_started()
    kube.create("cliente1")
    eventually(lambda: MOMENTS[moment](kube), moment)
    operator.kill()
    operator.start()
    eventually(lambda: kube.condition("cliente1", "PodReady") == "True PodReady", "the pod is ready")
    kube.report("cliente1", "AwaitingScan")
    kube.wait_phase("cliente1", "AwaitingScan")
    assert kube.claim("cliente1")
    assert len(kubelet.pods_seen) == 1


@pytest.mark.parametrize("moment", LAST_MOMENTS)
def test_killed_while_it_deletes_it_reaches_the_same_end(kube: Kube, kubelet: Kubelet, start_operator: StartOperator, moment: str) -> None:
    operator = start_operator()
    kube.create("cliente1")
    eventually(lambda: kube.condition("cliente1", "PodReady") == "True PodReady", "the pod is ready")
    kubelet.lets_go = moment == "pod gone"
    kube.delete("cliente1")
    eventually(lambda: LAST_MOMENTS[moment](kube), moment)
    operator.kill()
    kubelet.lets_go = True
    operator.start()
    kube.wait_gone("cliente1")
    eventually(lambda: kube.pod("cliente1") is None and kube.claim("cliente1") is None, "nothing is left")


def test_what_happened_while_it_was_away_is_done_when_it_is_back(kube: Kube, kubelet: Kubelet, start_operator: StartOperator) -> None:
    operator = start_operator()
    for name in ("deleted", "restarted", "crashed"):
        kube.create(name)
        eventually(lambda name=name: kube.condition(name, "PodReady") == "True PodReady", f"{name} is ready")
    old = (kube.pod("restarted") or {})["metadata"]["uid"]
    operator.kill()
    kube.delete("deleted")
    kube.patch_spec("restarted", restartedAt="2026-01-01T00:00:00Z")
    kube.call("DELETE", kube.path("pods", "crashed-session"))
    kube.create("new")
    eventually(lambda: kube.pod("crashed") is None, "its pod is gone")
    assert kube.session("deleted")
    operator.start()
    kube.wait_gone("deleted")
    for name in ("restarted", "crashed", "new"):
        eventually(lambda name=name: (kube.pod(name) or {}).get("metadata", {}).get("uid") not in {None, old}, f"{name} has a pod")
    eventually(lambda: len(kubelet.pods_seen) == 6, "six pods in all")


@pytest.mark.usefixtures("kubelet")
def test_a_restart_on_a_settled_cluster_writes_nothing(kube: Kube, start_operator: StartOperator) -> None:
    first = start_operator()
    names = [f"cliente{number}" for number in range(5)]
    for name in names:
        kube.create(name)
    for name in names:
        eventually(lambda name=name: kube.condition(name, "PodReady") == "True PodReady", f"{name} is ready")
        kube.report(name, "Connected")
        kube.wait_phase(name, "Connected")
    assert first.stop() == 0
    before = {session["metadata"]["name"]: session["metadata"]["resourceVersion"] for session in kube.sessions()}
    second = start_operator(WASESSION_RESYNC_SECONDS="0.2")
    second.wait_started()
    eventually(lambda: second.metric("wasession_operator_reconciles_total") >= 20, "several resyncs")
    assert second.metric("wasession_operator_status_writes_total") == 0
    assert second.metric("wasession_operator_actions_total") == 0
    assert {session["metadata"]["name"]: session["metadata"]["resourceVersion"] for session in kube.sessions()} == before


def test_a_changed_template_reaches_one_session_after_the_other(
    kube: Kube, kubelet: Kubelet, start_operator: StartOperator, tmp_path: Path
) -> None:
    first = start_operator()
    names = ["cliente1", "cliente2", "cliente3"]
    for name in names:
        kube.create(name)
    for name in names:
        eventually(lambda name=name: kube.condition(name, "PodReady") == "True PodReady", f"{name} is ready")
    assert first.stop() == 0
    template = yaml.safe_load((DATA / "pod-template.yaml").read_text())
    template["spec"]["containers"][0]["image"] += "-next"
    (tmp_path / "template.yaml").write_text(yaml.safe_dump(template))

    def new() -> list[str]:
        pods = {name: kube.pod(name) for name in names}
        return [name for name, pod in pods.items() if pod and pod["spec"]["containers"][0]["image"].endswith("-next")]

    kubelet.makes_ready = False
    second = start_operator(WASESSION_POD_TEMPLATE=str(tmp_path / "template.yaml"), WASESSION_RESYNC_SECONDS="0.2")
    eventually(lambda: len(new()) == 1, "the first one is replaced")
    looks = second.metric("wasession_operator_reconciles_total")
    eventually(lambda: second.metric("wasession_operator_reconciles_total") >= looks + 9, "it was looked at again")
    assert len(new()) == 1
    kubelet.makes_ready = True
    eventually(lambda: len(new()) == 3, "the others follow when it is up")
    eventually(lambda: len(kubelet.pods_seen) == 6, "six pods in all")


@pytest.mark.usefixtures("kubelet", "operator")
def test_sessions_of_another_namespace_are_not_served(kube: Kube, api_server: Path) -> None:
    other = Kube(api_server, kube.namespace + "-other")
    other.create_namespace()
    try:
        other.create("theirs")
        kube.create("ours")
        eventually(lambda: kube.pod("ours"), "ours is served")
        session = other.session("theirs")
        assert session
        assert "status" not in session
        assert "finalizers" not in session["metadata"]
    finally:
        other.delete_namespace()
        other.close()


@pytest.mark.parametrize(
    ("environment", "words"),
    [({"MAX_SESSIONS": "many"}, "MAX_SESSIONS='many'"), ({"KUBECONFIG": "/nowhere"}, "KUBECONFIG='/nowhere'")],
)
def test_a_bad_setting_is_one_line_and_exit_code_2(start_operator: StartOperator, environment: dict[str, str], words: str) -> None:
    operator = start_operator(**environment)
    assert operator.wait_exit() == 2
    assert words in operator.log
    assert operator.log.count("\n") == 1


def test_a_second_start_without_anything_to_do_is_live_and_stops_at_once(start_operator: StartOperator) -> None:
    operator = start_operator()
    operator.wait_started()
    assert operator.stop() == 0
    assert '"event": "stopped"' in operator.log
