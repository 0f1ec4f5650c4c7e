"""The API server in trouble: away, cutting watches, refusing, asking to come back later. The operator stands behind a fault proxy.

After each: no session lost, no second pod, what was changed during the trouble is carried out, and what the operator asked
meanwhile is bounded. Gaps between requests are held against lower bounds alone, which a slow machine only makes longer.
"""

import math
import os
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from operator_support import Kube, Kubelet, OperatorProcess, eventually

from apiproxy import ApiProxy, Cut, Expire, Request, RequestFault, Rule, When, conflict, expired, failing, running, too_many
from controlplane import control_plane

pytestmark = pytest.mark.integration
StartOperator = Callable[..., OperatorProcess]
NAMES = ("kept", "restarted", "deleted")
STREAMS = 3  # sessions, pods, claims
FIRST_DELAY = 0.5  # seconds, of the operator's back-off for a session; doubled with each failure, and more by jitter


class Sessions:
    """Three connected sessions, of which each test changes two while there is trouble, and creates a fourth."""

    def __init__(self, kube: Kube, kubelet: Kubelet) -> None:
        self.kube, self.kubelet = kube, kubelet
        for name in NAMES:
            kube.create(name, logoutOnDelete=False)
        for name in NAMES:
            eventually(lambda name=name: kube.condition(name, "PodReady") == "True PodReady", f"{name} is ready")
            kube.report(name, "Connected")
        for name in NAMES:
            kube.wait_phase(name, "Connected")
        self.before = {name: self._uids(name) for name in NAMES}

    def change(self) -> None:
        """Directly at the API server, whatever the operator sees of it."""
        self.kube.patch_spec("restarted", restartedAt="2026-01-01T00:00:00Z")
        self.kube.delete("deleted")
        self.kube.create("new", logoutOnDelete=False)

    def wait_carried_out(self, deadline: float = 60) -> None:
        """All that `change` asks for, and no more than that."""
        kube = self.kube
        eventually(lambda: kube.session("deleted") is None, "the deleted one is gone", deadline)
        for name in ("restarted", "new"):
            eventually(lambda name=name: self._serves_anew(name), f"{name} has a new pod that serves", deadline)
            kube.report(name, "Connected")
        for name in ("kept", "restarted", "new"):
            eventually(lambda name=name: kube.phase(name) == "Connected", f"{name} is connected", deadline)
        assert self._uids("kept") == self.before["kept"]
        assert self._uids("restarted")[1] == self.before["restarted"][1]
        assert (kube.pod("deleted"), kube.claim("deleted")) == (None, None)
        assert len(self.kubelet.pods_seen) == len(NAMES) + 2  # one more for the restart, one for the new session

    def wait_settled(self, deadline: float = 60) -> None:
        """Nothing was changed: everything is as it was."""
        for name in NAMES:
            eventually(lambda name=name: self.kube.phase(name) == "Connected", f"{name} is connected", deadline)
            assert self._uids(name) == self.before[name]
        assert len(self.kubelet.pods_seen) == len(NAMES)

    def _serves_anew(self, name: str) -> bool:
        pod, status = self.kube.pod(name), (self.kube.session(name) or {}).get("status", {})
        new = pod is not None and pod["metadata"]["uid"] != self.before.get(name, ("", ""))[0]
        return bool(new and status.get("pod", {}).get("ready") and pod and status["pod"]["uid"] == pod["metadata"]["uid"])

    def _uids(self, name: str) -> tuple[str, str]:
        pod, claim = self.kube.pod(name), self.kube.claim(name)
        assert pod
        assert claim
        return pod["metadata"]["uid"], claim["metadata"]["uid"]


@pytest.fixture
def proxy(api_server: Path) -> Iterator[ApiProxy]:
    with running(api_server) as proxy:
        yield proxy


@pytest.fixture
def start_operator(kube: Kube, tmp_path: Path) -> Iterator[StartOperator]:
    """Starts operators. kopf logs its own failures with a traceback, so only the operator's defects are looked for."""
    started: list[OperatorProcess] = []

    def start(**environment: str) -> OperatorProcess:
        operator = OperatorProcess(kube, tmp_path / f"operator-{len(started)}", **environment)
        started.append(operator)
        operator.start()
        return operator

    yield start
    for operator in started:
        assert operator.stop() == 0, operator.log
        assert "a defect" not in operator.log, operator.log


@pytest.fixture
def operator(proxy: ApiProxy, start_operator: StartOperator, tmp_path: Path) -> OperatorProcess:
    """Behind the proxy; it watches."""
    proxy.write_kubeconfig(tmp_path / "kubeconfig")
    operator = start_operator(KUBECONFIG=str(tmp_path / "kubeconfig"), WASESSION_RESYNC_SECONDS="3600")
    operator.wait_started()
    eventually(lambda: len(_plurals(proxy)) == STREAMS, "it watches")
    return operator


@pytest.fixture
def sessions(kube: Kube, kubelet: Kubelet, operator: OperatorProcess) -> Sessions:
    assert operator.probe("/healthz") == 200
    return Sessions(kube, kubelet)


def test_away_it_asks_less_and_less_often_and_catches_up_when_it_is_back(
    sessions: Sessions, proxy: ApiProxy, operator: OperatorProcess
) -> None:
    began = time.monotonic()
    proxy.away = True
    proxy.cut()
    sessions.change()
    eventually(lambda: proxy.refused >= STREAMS * 4, "it has tried again several times")
    took = time.monotonic() - began
    proxy.away = False
    assert proxy.refused <= STREAMS * (2 + math.log2(1 + took / 0.5)) * 2, f"{proxy.refused} requests in {took:.1f} s"
    sessions.wait_carried_out()
    assert operator.probe("/healthz") == 200


def test_a_watch_that_is_cut_again_and_again_misses_nothing(sessions: Sessions, proxy: ApiProxy) -> None:
    requests = len(proxy.log)
    for cut in range(1, 6):
        watches = sum(one.is_watch for one in proxy.log)
        proxy.cut()
        if cut == 3:
            sessions.change()
        eventually(lambda watches=watches: sum(one.is_watch for one in proxy.log) >= watches + STREAMS, "it watches again")
    sessions.wait_carried_out()
    assert sum(one.is_list for one in proxy.log[requests:]) <= 5 * STREAMS, "a cut costs no list of everything, or one"


@pytest.mark.parametrize("how", ["event", "answer"])
def test_a_version_that_is_too_old_to_watch_from_is_fetched_anew(
    sessions: Sessions, proxy: ApiProxy, operator: OperatorProcess, how: str
) -> None:
    """410 Gone, in the stream and as the answer to a watch; the second is rare, and must not end the operator either."""
    if how == "event":
        counts = Counter(event.plural for event in proxy.events)
        for plural, count in counts.items():
            proxy.at_event[plural, count + 1] = Expire()
    else:
        proxy.rules += [Rule(lambda one, plural=plural: one.is_watch and one.plural == plural, expired()) for plural in _plurals(proxy)]
        proxy.cut()
        eventually(lambda: sum(rule.used for rule in proxy.rules) == STREAMS, "each watch was refused")
    sessions.change()
    sessions.wait_carried_out()
    assert operator.probe("/healthz") == 200


def test_a_list_that_fails_is_tried_again(sessions: Sessions, proxy: ApiProxy) -> None:
    answers = (expired(), failing())
    for plural in _plurals(proxy):
        proxy.at_event[plural, Counter(event.plural for event in proxy.events)[plural] + 1] = Expire()
    proxy.rules += [
        Rule(lambda one, plural=plural: one.is_list and one.plural == plural, answer) for plural in _plurals(proxy) for answer in answers
    ]
    sessions.change()
    sessions.wait_carried_out(90)


WRITES = {
    "PATCH whatsappsessions",  # the finalizer
    "PATCH whatsappsessions/status",
    "POST persistentvolumeclaims",
    "PATCH persistentvolumeclaims",
    "DELETE persistentvolumeclaims",
    "POST pods",
    "DELETE pods",
    "POST events",
}


@pytest.mark.parametrize("answer", [conflict(), too_many(), failing(), Cut(When.BEFORE), Cut(When.AFTER)], ids=lambda one: str(one)[:24])
def test_each_kind_of_write_that_fails_once_is_done_once(sessions: Sessions, proxy: ApiProxy, kube: Kube, answer: RequestFault) -> None:
    proxy.rules += [Rule(lambda one, kind=kind: _kind(one) == kind, answer) for kind in WRITES]
    kube.patch_spec("kept", storage={"reclaimPolicy": "Retain"})
    sessions.change()
    sessions.wait_carried_out()
    eventually(lambda: "ownerReferences" not in (kube.claim("kept") or {"metadata": {}})["metadata"], "the volume is kept")
    unused = {kind for kind, rule in zip(WRITES, proxy.rules, strict=True) if not rule.used}
    assert unused == set()


def test_a_session_that_shall_come_back_later_does_and_others_do_not_wait_for_it(sessions: Sessions, proxy: ApiProxy, kube: Kube) -> None:
    wait, asked = 4, list[float]()

    def about_the_restarted(one: Request) -> bool:
        return one.name.startswith("restarted") and not one.is_watch

    def noted(one: Request) -> bool:
        if about_the_restarted(one):
            asked.append(time.monotonic())
        return False

    proxy.rules += [Rule(noted, failing(), times=None), Rule(about_the_restarted, too_many(wait))]
    sessions.change()
    eventually(lambda: kube.pod("new"), "another session is served")
    eventually(lambda: len(asked) > 1, "it is asked again")
    assert asked[1] - asked[0] >= wait, f"asked again after {asked[1] - asked[0]:.2f} s, told to wait {wait}"
    sessions.wait_carried_out()


@pytest.mark.usefixtures("kubelet", "operator")
def test_while_every_write_fails_each_session_is_tried_less_and_less_often(proxy: ApiProxy, kube: Kube) -> None:
    tried: dict[str, list[float]] = {}
    names = [f"waiting-{number}" for number in range(5)]

    def fails(one: Request) -> bool:
        if one.write and one.name:
            tried.setdefault(one.name, []).append(time.monotonic())
        return one.write is not None

    proxy.rules.append(rule := Rule(fails, failing(), times=None))
    for name in names:
        kube.create(name)
    eventually(lambda: all(len(tried.get(name, ())) >= 4 for name in names), "each was tried several times", 60)
    proxy.rules.remove(rule)
    for moments in (tried[name] for name in names):
        gaps = [then - before for before, then in pairwise(moments)]
        assert all(gap >= FIRST_DELAY * 2**number * 0.99 for number, gap in enumerate(gaps)), gaps
    delays = [tried[name][1] - tried[name][0] for name in names]
    assert max(delays) - min(delays) > 0.01, f"without jitter they all come at once: {delays}"
    for name in names:
        eventually(lambda name=name: kube.condition(name, "PodReady") == "True PodReady", f"{name} is served", 60)


def _plurals(proxy: ApiProxy) -> list[str]:
    return sorted({one.plural for one in proxy.log if one.is_watch})


def _kind(one: Request) -> str:
    return f"{one.method} {one.plural}" + (f"/{one.subresource}" if one.subresource else "")


@pytest.mark.parametrize("process", ["etcd", "kube-apiserver"])
def test_a_control_plane_that_is_killed_and_started_again_is_caught_up_with(
    plane: Path, devcluster: Callable[..., None], tmp_path: Path, process: str
) -> None:
    kube = Kube(plane, f"killed-{process}")
    kube.create_namespace()
    operator = OperatorProcess(kube, tmp_path / "operator", WASESSION_RESYNC_SECONDS="3600")
    operator.start()
    try:
        operator.wait_started()
        with Kubelet(kube) as kubelet:
            sessions = Sessions(kube, kubelet)
        devcluster("kill", "control-plane", process)
        devcluster("up")
        with Kubelet(kube) as again:
            again.pods_seen += kubelet.pods_seen
            sessions.kubelet = again
            sessions.change()
            sessions.wait_carried_out(120)
    finally:
        code = operator.stop()
        kube.close()
    assert code == 0, operator.log
    assert "a defect" not in operator.log, operator.log


@pytest.fixture(scope="module")
def plane(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Kubeconfig of a control plane that may be broken."""
    with control_plane(repo, tmp_path_factory.mktemp("broken") / "cluster") as kubeconfig:
        yield kubeconfig


@pytest.fixture
def devcluster(repo: Path, plane: Path) -> Callable[..., None]:
    """Its driver."""

    def run(*command: str) -> None:
        subprocess.run([repo / "devcluster" / "devcluster", *command], env={**os.environ, "DEVCLUSTER_DIR": str(plane.parent)}, check=True)

    return run
