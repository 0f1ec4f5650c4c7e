"""What befalls a session's pod on a real node: it is told in words that help, and ends well without a new scan."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from installation import CommandFailedError, Installation
from polling import until
from processes import kill_process
from world import SECONDS, Json, World

pytestmark = pytest.mark.e2e

ANA = "573001234567"
OVER_THE_LIMIT = """
import os
with open("/proc/1/oom_score_adj", "w") as score:
    score.write("1000")
while True:  # many small ones, so that the kernel takes the container's first process and none of these
    if os.fork() == 0:
        held = bytearray(os.urandom(1)) * (16 << 20)
        while True:
            os.sched_yield()
"""


@pytest.fixture(autouse=True)
def account(world: World) -> None:
    world.phones.user(ANA, "Ana")


@pytest.fixture
def paired(world: World) -> Json:
    """The pod of the session `cliente1`, which is connected."""
    world.pair("cliente1", ANA)
    until(lambda: world.phase("cliente1") == "Connected", "the phase", SECONDS)
    return world.pod("cliente1") or {}


def connected_again(world: World, since: int) -> Json:
    """The pod, once the account has logged in anew, with the device that was linked before."""
    world.phones.wait_for(lambda r: r["kind"] == "logged_in" and r["number"] == ANA, SECONDS, since=since)
    world.connected("cliente1")
    assert world.phones.log(since, kind="qr_scanned") == []
    assert len([device for device in world.phones.devices(ANA) if not device["removed"]]) == 1
    return world.pod("cliente1") or {}


def test_a_process_that_is_killed_is_started_again_in_the_same_pod(world: World, paired: Json) -> None:
    since = world.phones.mark()
    try:
        kill_process(paired["metadata"]["uid"], "wasession_pod")
    except LookupError as error:
        pytest.skip(str(error))
    assert connected_again(world, since)["metadata"]["uid"] == paired["metadata"]["uid"]
    until(lambda: (world.object("was", "cliente1") or {})["status"]["pod"]["restarts"] == 1, "the restart in the status", SECONDS)
    until(lambda: "CrashLoop" in world.warnings("cliente1"), "the event", SECONDS)


def test_a_pod_over_its_memory_limit_says_so_and_comes_back(world: World, paired: Json) -> None:
    since = world.phones.mark()
    with suppress(CommandFailedError):  # it dies with the container
        world.installation.kubectl("exec", "cliente1-session", "-c", "session", "--", "python", "-c", OVER_THE_LIMIT)
    until(lambda: "OOMKilled" in world.warnings("cliente1"), "the event", SECONDS)
    assert connected_again(world, since)["metadata"]["uid"] == paired["metadata"]["uid"]
    said = next(event for event in world.objects("events") if event["reason"] == "OOMKilled")
    assert "exit code 137 (OOMKilled)" in said["message"]
    assert "raise sessionPod.resources.limits.memory" in said["message"]


def test_an_evicted_pod_is_replaced_on_the_same_volume(world: World, paired: Json) -> None:
    volume = (world.object("pvc", "cliente1-data") or {})["spec"]["volumeName"]
    since = world.phones.mark()
    place = f"/api/v1/namespaces/{world.installation.namespace}/pods/cliente1-session/eviction"
    eviction = {"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": "cliente1-session"}}
    world.installation.kubectl("create", "--raw", place, "-f", "-", stdin=json.dumps(eviction))
    assert connected_again(world, since)["metadata"]["uid"] != paired["metadata"]["uid"]
    assert (world.object("pvc", "cliente1-data") or {})["spec"]["volumeName"] == volume


@contextmanager
def cordoned(world: World) -> Iterator[None]:
    """No node takes new pods."""
    nodes = [node["metadata"]["name"] for node in world.objects("nodes")]
    world.installation.kubectl("cordon", *nodes)
    try:
        yield
    finally:
        world.installation.kubectl("uncordon", *nodes)


def test_a_session_that_no_node_takes_says_why_and_starts_when_one_does(world: World) -> None:
    with cordoned(world):
        world.apply("cliente1")
        until(lambda: world.condition("cliente1", "PodReady").get("reason") == "Unschedulable", "the scheduler's reason", SECONDS)
        message = world.condition("cliente1", "PodReady")["message"]
        assert "node(s) were unschedulable" in message
        assert "kubectl uncordon" in message
        assert world.phase("cliente1") == "Pending"
    world.qr("cliente1")


@pytest.fixture
def second(installation: Installation) -> Iterator[Callable[..., Installation]]:
    """Installs and changes a second release, in a namespace of its own and without a facade."""
    there = Installation(installation.kubeconfig, installation.state, "wasession-e2e-second", kubectl_path=installation.kubectl_path)
    there.create_namespace()

    def install(*settings: str) -> Installation:
        there.install_chart(settings=["crds.enabled=false", "api.replicas=0", "admissionPolicy.enabled=false", *settings])
        return there

    yield install
    with suppress(CommandFailedError):
        there.kubectl("delete", "was", "--all", "--timeout=60s")
    there.helm("uninstall", "wasession", "--wait=false")
    there.kubectl("delete", "namespace", there.namespace, "--wait=false")


def test_an_image_that_does_not_exist_is_named_and_the_right_one_reaches_the_session(second: Callable[..., Installation]) -> None:
    there = second("sessionPod.image.tag=absent")
    manifest = {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": {"name": "cliente1"}, "spec": {}}
    there.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))
    pod_ready = '{.status.conditions[?(@.type=="PodReady")]}'
    told = until(lambda: _image_trouble(there.kubectl("get", "was", "cliente1", "-o", f"jsonpath={pod_ready}")), "the trouble", SECONDS)
    assert "session-pod:absent" in told["message"]
    assert "sessionPod.image" in told["message"]
    second("sessionPod.image.tag=0.1.0")
    there.kubectl("wait", "--for=condition=PodReady", "--timeout=90s", "was/cliente1")


def _image_trouble(condition: str) -> Json | None:
    said: Json = json.loads(condition or "{}")
    return said if said.get("reason") in {"ErrImagePull", "ImagePullBackOff"} else None
