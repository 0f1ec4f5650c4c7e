"""A changed pod template reaches sessions a few at a time and stops where it does harm; many paired sessions start one by one.

The kubelet of these tests makes pods ready or not, and the test itself reports as the pods do, so each step is seen to wait
for the one before it. The roll-out is not to do something: that is asserted after the operator has looked at every session
several times more.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from operator_support import DATA, Kube, Kubelet, OperatorProcess, eventually

pytestmark = pytest.mark.integration
StartOperator = Callable[..., OperatorProcess]
NUMBER = "573001234567"
CONNECTED = {"state": "Connected", "number": NUMBER, "jid": f"{NUMBER}@s.whatsapp.net"}
STOPPED = "wasession_operator_rollout_stopped"
OUTDATED = "wasession_operator_rollout_outdated_sessions"
IN_PROGRESS = "wasession_operator_rollout_in_progress_sessions"
SHORT = {"WASESSION_ROLLOUT_PROGRESS_DEADLINE_SECONDS": "2"}


class World:
    """Sessions of one namespace, under one template after the other."""

    def __init__(self, kube: Kube, start: StartOperator, directory: Path) -> None:
        self.kube, self._start, self._directory = kube, start, directory

    def operator(self, template: str = "", **environment: str) -> OperatorProcess:
        """An operator that watches; its template's image ends with `template`."""
        document = yaml.safe_load((DATA / "pod-template.yaml").read_text())
        document["spec"]["containers"][0]["image"] += template
        path = self._directory / f"template{template}.yaml"
        path.write_text(yaml.safe_dump(document))
        settings = {"WASESSION_RESYNC_SECONDS": "0.3", "WASESSION_ROLLOUT_MAX_UNAVAILABLE": "1"} | environment
        operator = self._start(WASESSION_POD_TEMPLATE=str(path), **settings)
        operator.wait_started()
        return operator

    def settle(self, sessions: dict[str, dict[str, str]]) -> None:
        """Sessions that are what their reports say, under the first template, without an operator."""
        operator = self.operator()
        for name in sessions:
            self.kube.create(name)
        for name, report in sessions.items():
            eventually(lambda name=name: self.kube.condition(name, "PodReady") == "True PodReady", f"{name} is ready")
            self.kube.report(name, **report)
        for name, report in sessions.items():
            eventually(lambda name=name, state=report["state"]: self.kube.phase(name) == state, f"{name} is {report['state']}")
        assert operator.stop() == 0

    def pods(self) -> dict[str, dict[str, Any]]:
        answer = self.kube.call("GET", self.kube.path("pods"))
        return {pod["metadata"]["name"].removesuffix("-session"): pod for pod in (answer or {"items": []})["items"]}

    def on(self, template: str) -> set[str]:
        """Sessions with a pod of that template that is not being deleted."""
        pods = self.pods().items()
        return {
            name
            for name, pod in pods
            if pod["spec"]["containers"][0]["image"].endswith(template) and "deletionTimestamp" not in pod["metadata"]
        }

    def wait_on(self, template: str, count: int) -> set[str]:
        eventually(lambda: len(self.on(template)) == count, f"{count} sessions on {template}")
        return self.on(template)

    def connect(self, *names: str) -> None:
        for name in names:
            eventually(lambda name=name: self.kube.condition(name, "PodReady") == "True PodReady", f"{name} is ready")
            self.kube.report(name, **CONNECTED)

    def connect_one_by_one(self, template: str, count: int) -> None:
        """Until `count` sessions are on `template`."""
        connected: set[str] = set()

        def another() -> set[str]:
            return self.on(template) - connected

        while len(connected) < count:
            new = eventually(another, f"another session on {template}")
            self.connect(*new)
            connected.update(new)

    def look_again(self, operator: OperatorProcess) -> None:
        """Every session is looked at three times more."""
        looks, sessions = operator.metric("wasession_operator_reconciles_total"), len(self.kube.sessions())
        eventually(lambda: operator.metric("wasession_operator_reconciles_total") >= looks + 4 * sessions, "several looks")


@pytest.fixture
def world(kube: Kube, start_operator: StartOperator, tmp_path: Path) -> World:
    return World(kube, start_operator, tmp_path)


def connected(count: int) -> dict[str, dict[str, str]]:
    return {f"cliente{number}": CONNECTED for number in range(count)}


@pytest.mark.usefixtures("kubelet")
def test_the_next_one_goes_when_the_last_is_connected_again(world: World) -> None:
    world.settle(connected(3))
    operator = world.operator("-next")
    replaced: set[str] = set()
    for count in (1, 2, 3):
        new = world.wait_on("-next", count) - replaced
        assert len(new) == 1
        world.look_again(operator)
        assert len(world.on("-next")) == count, "it serves and is not connected yet"
        assert operator.metric(OUTDATED) == 3 - count
        world.connect(*new)
        replaced |= new
    eventually(lambda: operator.metric(IN_PROGRESS) == 0, "everybody is back")
    assert {pod["metadata"]["annotations"]["wasession.dev/previously"] for pod in world.pods().values()} == {"Connected"}
    assert world.kube.events("RolloutStopped") == []


@pytest.mark.usefixtures("kubelet")
def test_who_was_not_connected_before_is_not_waited_for_longer_than_its_pod(world: World) -> None:
    world.settle({"banned": {"state": "Banned", "jid": CONNECTED["jid"]}, "unpaired": {"state": "AwaitingScan"}})
    operator = world.operator("-next")
    world.wait_on("-next", 2)
    eventually(lambda: operator.metric(IN_PROGRESS) == 0, "both are back to what they were")


def _stop(world: World, kubelet: Kubelet, count: int) -> tuple[OperatorProcess, set[str]]:
    """Connected sessions, of which two were replaced by a template whose pods do not come up. Returns the two."""
    world.settle(connected(count))
    kubelet.makes_ready = False
    operator = world.operator("-bad", **SHORT)
    eventually(lambda: operator.metric(STOPPED) == 1, "the roll-out is stopped")
    failed = world.on("-bad")
    assert len(failed) == 2
    return operator, failed


def test_two_that_do_not_come_back_stop_it_until_they_are_back(world: World, kubelet: Kubelet) -> None:
    operator, failed = _stop(world, kubelet, 3)
    world.look_again(operator)
    assert world.on("-bad") == failed
    assert operator.metric(OUTDATED) == 1
    eventually(lambda: len(world.kube.events("RolloutStopped")) == 2, "told")
    events = world.kube.events("RolloutStopped")
    assert {event["involvedObject"]["name"] for event in events} == failed
    assert events[0]["type"] == "Warning"
    assert "did not come back within 2 s" in events[0]["message"]
    assert '"the roll-out is stopped: sessions did not come back"' in operator.log
    kubelet.makes_ready = True
    world.connect_one_by_one("-bad", 3)
    eventually(lambda: operator.metric(OUTDATED) == 0 and operator.metric(STOPPED) == 0, "it went on")
    assert '"the roll-out goes on"' in operator.log


def test_it_is_stopped_for_the_next_operator_too_and_the_next_template_mends_who_is_down_first(world: World, kubelet: Kubelet) -> None:
    first, failed = _stop(world, kubelet, 4)
    eventually(lambda: len(world.kube.events("RolloutStopped")) == 2, "told")
    assert first.stop() == 0

    second = world.operator("-bad", **SHORT)
    world.look_again(second)
    assert second.metric(STOPPED) == 1
    assert world.on("-bad") == failed
    assert len(world.kube.events("RolloutStopped")) == 2, "it was told before"

    (impatient, waiting) = sorted(set(world.pods()) - failed)
    world.kube.patch_spec(impatient, restartedAt="2026-01-01T00:00:00Z")
    world.wait_on("-bad", 3)
    world.look_again(second)
    assert waiting not in world.on("-bad"), "its own restart is at once, and nobody else's turn"
    assert second.stop() == 0

    kubelet.makes_ready = True
    mended = world.operator("-mended", WASESSION_ROLLOUT_MAX_UNAVAILABLE="50%")
    down = world.wait_on("-mended", 2)
    world.look_again(mended)
    assert world.on("-mended") == down, "two of four at a time"
    assert waiting not in down
    world.connect_one_by_one("-mended", 4)
    eventually(lambda: mended.metric(OUTDATED) == 0, "everybody is up to date")
    assert mended.metric(STOPPED) == 0


@pytest.mark.usefixtures("kubelet")
def test_paired_sessions_start_one_after_the_other_and_keep_their_old_pods_until_then(world: World) -> None:
    names = set(connected(3))
    world.settle(connected(3))
    for name in names:
        world.kube.call("DELETE", world.kube.path("pods", f"{name}-session"))
    eventually(lambda: not world.pods(), "no pod is left")
    slow = world.operator(WASESSION_STARTUP_SESSIONS_PER_SECOND="0.001")
    world.kube.create("unpaired")
    eventually(lambda: "unpaired" in world.pods(), "nobody holds up who waits for a QR code")
    world.look_again(slow)
    started = set(world.pods()) - {"unpaired"}
    assert len(started) == 1
    for name in names - started:
        conditions = (world.kube.session(name) or {})["status"]["conditions"]
        words = next(one["message"] for one in conditions if one["type"] == "PodReady")
        assert words.startswith("waits for its turn to start, at about"), words
    assert slow.stop() == 0

    unlimited = world.operator(WASESSION_STARTUP_SESSIONS_PER_SECOND="0")
    eventually(lambda: set(world.pods()) == {*names, "unpaired"}, "all have a pod")
    world.connect(*names)
    for name in names:
        world.kube.wait_phase(name, "Connected")
    assert unlimited.stop() == 0

    slow = world.operator("-next", WASESSION_ROLLOUT_MAX_UNAVAILABLE="100%", WASESSION_STARTUP_SESSIONS_PER_SECOND="0.001")
    eventually(lambda: "unpaired" in world.on("-next") and len(world.on("-next")) == 2, "one of the paired is replaced")
    world.look_again(slow)
    assert len(world.on("-next")) == 2
    assert world.on("") == {*names, "unpaired"}, "nobody is away and waits"
