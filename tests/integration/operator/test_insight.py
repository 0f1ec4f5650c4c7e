"""What the operator tells of itself: probes, log lines and metrics, seen from outside."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from operator_support import Kube, OperatorProcess, eventually

from apiproxy import ApiProxy, HoldEvent, running

pytestmark = pytest.mark.integration
NUMBER = "573001234567"
CODE = "2@AbCdEfGhIjKlMnOpQrStUvWxYz0123456789,abcdef,ghijkl"
StartOperator = Callable[..., OperatorProcess]


@pytest.fixture
def proxy(api_server: Path) -> Iterator[ApiProxy]:
    with running(api_server) as proxy:
        yield proxy


@pytest.fixture
def behind_proxy(proxy: ApiProxy, tmp_path: Path) -> dict[str, str]:
    """Environment of an operator whose API server is the proxy."""
    proxy.write_kubeconfig(tmp_path / "through-the-proxy")
    return {"KUBECONFIG": str(tmp_path / "through-the-proxy")}


def _probe(operator: OperatorProcess, path: str) -> httpx.Response:
    return httpx.get(f"http://127.0.0.1:{operator.probe_port}{path}", timeout=30, trust_env=False)


@pytest.mark.usefixtures("kubelet")
def test_a_watch_that_dies_without_a_word_fails_the_probe_and_until_then_lists_do_its_work(
    kube: Kube, proxy: ApiProxy, behind_proxy: dict[str, str], start_operator: StartOperator
) -> None:
    proxy.at_event["pods", 1] = HoldEvent()
    operator = start_operator(**behind_proxy, WASESSION_RESYNC_SECONDS="1", WASESSION_DEAF_AFTER_SECONDS="4")
    operator.wait_started()
    assert _probe(operator, "/healthz").text == "ok\n"
    kube.create("cliente1")
    eventually(lambda: kube.condition("cliente1", "PodReady") == "True PodReady", "lists tell that the pod is ready")
    eventually(lambda: operator.probe("/healthz") == 503, "the probe fails")
    assert _probe(operator, "/healthz").text == f"the watch of pods in {kube.namespace} is deaf: lists show changes that it never told\n"
    assert operator.metric("wasession_operator_deaf_watches") == 1
    assert "a watch is deaf" in operator.log


def test_an_api_server_that_is_away_ends_no_operator(
    kube: Kube, proxy: ApiProxy, behind_proxy: dict[str, str], start_operator: StartOperator
) -> None:
    proxy.away = True
    operator = start_operator(**behind_proxy, WASESSION_RESYNC_SECONDS="0.5")
    eventually(lambda: operator.probe("/readyz") == 503 and proxy.refused >= 2, "it waits for its API server")
    assert operator.probe("/healthz") == 200
    proxy.away = False
    operator.wait_started()
    proxy.away = True
    proxy.cut()
    refused = proxy.refused
    eventually(lambda: proxy.refused >= refused + 10, "it tries again and again")
    assert (operator.probe("/healthz"), operator.probe("/readyz")) == (200, 200)
    assert operator.metric("wasession_operator_deaf_watches") == 0
    proxy.away = False
    kube.create("cliente1")
    eventually(lambda: kube.pod("cliente1"), "it goes on")


def _lines(operator: OperatorProcess) -> list[dict[str, Any]]:
    return [json.loads(line) for line in operator.log.splitlines()]


@pytest.mark.usefixtures("kubelet")
def test_a_life_leaves_named_lines_and_neither_number_nor_code(kube: Kube, operator: OperatorProcess) -> None:
    kube.create("cliente1", pairing={"method": "Code", "phoneNumber": NUMBER}, logoutOnDelete=False)
    eventually(lambda: kube.condition("cliente1", "PodReady") == "True PodReady", "the pod is ready")
    kube.report("cliente1", "AwaitingScan", qr={"code": CODE, "expiresAt": "2026-01-01T00:00:20Z"})
    kube.wait_phase("cliente1", "AwaitingScan")
    kube.report("cliente1", "Connected", qr=None, number=NUMBER, jid=f"{NUMBER}@s.whatsapp.net", lid=f"{NUMBER}@lid")
    kube.wait_phase("cliente1", "Connected")
    kube.call("DELETE", kube.path("pods", "cliente1-session"))
    eventually(lambda: operator.metric('wasession_operator_pods_created_total{cause="vanished"}') == 1, "a new pod, and why")
    kube.patch_spec("cliente1", restartedAt="2026-01-01T00:00:00Z")
    eventually(lambda: operator.metric('wasession_operator_pods_created_total{cause="spec-changed"}') == 1, "another, and why")
    kube.delete("cliente1")
    kube.wait_gone("cliente1")
    metrics = httpx.get(f"http://127.0.0.1:{operator.metrics_port}/metrics", timeout=30, trust_env=False).text
    said = [line for line in _lines(operator) if line["event"] not in {"started", "stopped"}]
    assert {(line.get("namespace"), line.get("session")) for line in said} == {(kube.namespace, "cliente1")}
    assert {"pod created", "phase", "pod deleted", "session deleted"} <= {line["event"] for line in said}
    everything = "\n".join((operator.log, metrics, json.dumps(kube.call("GET", kube.path("events")))))
    for secret in (NUMBER, CODE[2:20]):
        assert secret not in everything
    assert "cliente1" not in metrics
    assert 'wasession_operator_pods_deleted_total{cause="terminating"} 1.0' in metrics


@pytest.mark.usefixtures("kubelet")
@pytest.mark.parametrize("form", ["json", "text"])
def test_the_cleanup_of_an_idle_session_is_logged_as_it_ever_was(kube: Kube, start_operator: StartOperator, form: str) -> None:
    operator = start_operator(CLEANUP_INTERVAL="100", WASESSION_LOG_FORMAT=form, WASESSION_LOG_LEVEL="debug")
    operator.wait_started()
    kube.create("cliente3", idle={"timeoutSeconds": 1, "policy": "Delete"}, logoutOnDelete=False)
    eventually(lambda: kube.condition("cliente3", "PodReady") == "True PodReady", "it is ready")
    kube.report("cliente3", "AwaitingScan")
    kube.wait_gone("cliente3")
    [line] = [line for line in operator.log.splitlines() if "Limpiando" in line]
    if form == "json":
        said = json.loads(line)
        assert (said["event"], said["namespace"], said["session"]) == (
            "🧹 Limpiando sesión inactiva: cliente3",
            kube.namespace,
            "cliente3",
        )
    else:
        assert "🧹 Limpiando sesión inactiva: cliente3" in line
        assert f"namespace={kube.namespace}" in line
        assert "session=cliente3" in line
    assert "looked at" in operator.log, "the level is debug"
