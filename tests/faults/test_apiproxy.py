"""The fault proxy does what it says, seen by the real operator and by a plain client."""

import json
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from operator_support import GROUP, Kube, Kubelet, OperatorProcess, eventually

from apiproxy import After, Answer, ApiProxy, Before, Cut, Drop, Expire, Kill, Rule, conflict, running, too_many

pytestmark = pytest.mark.integration


@pytest.fixture
def kube(api_server: Path) -> Iterator[Kube]:
    kube = Kube(api_server, f"proxy-{uuid.uuid4().hex[:8]}")
    kube.create_namespace()
    yield kube
    kube.delete_namespace()
    kube.close()


@pytest.fixture
def proxy(api_server: Path) -> Iterator[ApiProxy]:
    with running(api_server) as proxy:
        yield proxy


@pytest.fixture
def client(proxy: ApiProxy) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=proxy.server, trust_env=False, timeout=30) as client:
        yield client


@pytest.fixture
def start_operator(kube: Kube, proxy: ApiProxy, tmp_path: Path) -> Iterator[Callable[..., OperatorProcess]]:
    proxy.write_kubeconfig(tmp_path / "kubeconfig")
    started: list[OperatorProcess] = []

    def start(**environment: str) -> OperatorProcess:
        operator = OperatorProcess(kube, tmp_path / "operator", KUBECONFIG=str(tmp_path / "kubeconfig"), **environment)
        started.append(operator)
        proxy.kill = operator.kill
        operator.start()
        return operator

    yield start
    for operator in started:
        assert operator.stop() in {0, -9}, operator.log
        assert "Traceback" not in operator.log, operator.log


def _config_map(name: str) -> dict[str, object]:
    return {"metadata": {"name": name}}


def _watch(client: httpx.Client, path: str, count: int) -> list[tuple[str, str]]:
    """The first `count` events: type and name."""
    seen: list[tuple[str, str]] = []
    with client.stream(
        "GET", path, params={"watch": "true", "resourceVersion": client.get(path).json()["metadata"]["resourceVersion"]}
    ) as it:
        for number in range(4):
            client.post(path, json=_config_map(f"map-{number}"))
        for line in it.iter_lines():
            event = json.loads(line)
            seen.append((event["type"], event["object"].get("metadata", {}).get("name", "")))
            if len(seen) == count:
                break
    return seen


def test_the_operator_works_through_it_and_its_writes_are_numbered(
    kube: Kube, proxy: ApiProxy, start_operator: Callable[..., OperatorProcess]
) -> None:
    start_operator()
    with Kubelet(kube):
        kube.create("cliente1")
        eventually(lambda: kube.condition("cliente1", "PodReady") == "True PodReady", "the pod is ready")
    writes = [request for request in proxy.log if request.write]
    assert [request.write for request in writes] == list(range(1, len(writes) + 1))
    assert [(one.method, one.plural) for one in writes[:3]] == [
        ("PATCH", "whatsappsessions"),
        ("POST", "persistentvolumeclaims"),
        ("POST", "pods"),
    ]
    assert all(request.status == request.answered for request in writes)
    assert {event.plural for event in proxy.events} >= {"whatsappsessions", "pods"}


@pytest.mark.parametrize(("when", "done"), [(Before, False), (After, True)], ids=["before", "after"])
def test_a_kill_falls_before_or_after_the_write(
    kube: Kube, proxy: ApiProxy, start_operator: Callable[..., OperatorProcess], when: object, *, done: bool
) -> None:
    proxy.at_write[2] = Kill(when)  # type: ignore[arg-type]
    operator = start_operator()
    kube.create("cliente1")
    assert operator.wait_exit() == -9
    assert (kube.claim("cliente1") is not None) is done
    assert kube.pod("cliente1") is None


def test_a_cut_loses_the_answer_but_not_the_write(kube: Kube, proxy: ApiProxy, client: httpx.Client) -> None:
    proxy.at_write |= {1: Cut(Before), 2: Cut(After)}
    for name in ("never", "unheard"):
        with pytest.raises(httpx.TransportError):
            client.post(kube.path("configmaps"), json=_config_map(name))
    assert client.get(kube.path("configmaps", "never")).status_code == 404
    assert client.get(kube.path("configmaps", "unheard")).status_code == 200


def test_it_answers_in_the_api_servers_stead(kube: Kube, proxy: ApiProxy, client: httpx.Client) -> None:
    proxy.rules.append(Rule(lambda request: request.plural == "configmaps" and request.is_list, Answer(410, "Expired"), times=1))
    proxy.at_write |= {1: too_many(7), 2: conflict()}
    refused = client.post(kube.path("configmaps"), json=_config_map("one"))
    assert (refused.status_code, refused.headers["Retry-After"], refused.json()["reason"]) == (429, "7", "TooManyRequests")
    assert client.post(kube.path("configmaps"), json=_config_map("one")).status_code == 409
    assert client.post(kube.path("configmaps"), json=_config_map("one")).status_code == 201
    assert [client.get(kube.path("configmaps")).status_code for _ in range(2)] == [410, 200]


def test_a_dropped_event_never_arrives(kube: Kube, proxy: ApiProxy, client: httpx.Client) -> None:
    proxy.at_event["configmaps", 2] = Drop()
    assert _watch(client, kube.path("configmaps"), 3) == [("ADDED", "map-0"), ("ADDED", "map-2"), ("ADDED", "map-3")]


def test_an_expired_watch_ends_with_the_error(kube: Kube, proxy: ApiProxy, client: httpx.Client) -> None:
    proxy.at_event["configmaps", 2] = Expire()
    assert _watch(client, kube.path("configmaps"), 9) == [("ADDED", "map-0"), ("ERROR", "")]


def test_the_past_is_told_until_it_is_over(kube: Kube, proxy: ApiProxy, client: httpx.Client) -> None:
    path = kube.path("whatsappsessions", api=GROUP)
    client.get(path)
    before = proxy.record_now()
    kube.create("cliente1")
    proxy.past = before
    answer = client.get(path).json()
    assert answer["items"] == []
    query = {"watch": "true", "resourceVersion": answer["metadata"]["resourceVersion"]}
    with client.stream("GET", path, params=query) as it:
        assert not [event for event in proxy.events if event.plural == "whatsappsessions"]
        proxy.past = None
        event = json.loads(next(it.iter_lines()))
    assert (event["type"], event["object"]["metadata"]["name"]) == ("ADDED", "cliente1")
    assert len(client.get(path).json()["items"]) == 1


def test_while_it_is_away_nothing_is_answered(proxy: ApiProxy, client: httpx.Client) -> None:
    proxy.away = True
    for _ in range(3):
        with pytest.raises(httpx.TransportError):
            client.get("/api/v1/namespaces")
    assert proxy.refused == 3
    proxy.away = False
    assert client.get("/api/v1/namespaces").status_code == 200


def test_a_cut_ends_the_watches(kube: Kube, proxy: ApiProxy, client: httpx.Client) -> None:
    with client.stream("GET", kube.path("configmaps"), params={"watch": "true"}) as it:
        proxy.cut()
        with pytest.raises(httpx.TransportError):
            for _ in it.iter_lines():
                pass
