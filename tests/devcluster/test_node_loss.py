"""Sessions on a node that is lost, drained or gone for good; a cluster of two, because operator and WhatsApp live on the other one."""

import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from own_cluster import Cluster, NewCluster

from forwarding import Forward
from installation import IMAGES, Installation
from polling import until
from waemulator.client import ControlClient
from world import SECONDS, Json, World

pytestmark = pytest.mark.e2e

ANA = "573001234567"
HOME, OTHER = "n1", "n2"
PATIENCE = 120
"""Seconds until a node is believed lost, its pods evicted and collected; the collector alone takes up to a minute."""
LOSES_NODES_FAST = ("--controller-manager-arg=--node-monitor-grace-period=8s", "--kubelet-config", "nodeLeaseDurationSeconds: 8")
SETTINGS = (
    "api.replicas=0",
    "settings.apiUrl=",
    r"sessionPod.nodeSelector.kubernetes\.io/hostname=" + OTHER,
    "sessionPod.tolerations[0].key=node.kubernetes.io/unreachable",
    "sessionPod.tolerations[0].operator=Exists",
    "sessionPod.tolerations[0].effect=NoExecute",
    "sessionPod.tolerations[0].tolerationSeconds=20",
)


@dataclass(frozen=True)
class Place:
    """The cluster and what runs in it."""

    cluster: Cluster
    world: World


@pytest.fixture(scope="module")
def place(new_cluster: NewCluster, node_image: str, repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """Operator and emulated WhatsApp on one node, sessions on the other."""
    assert node_image  # it skips where there can be no node
    directory = tmp_path_factory.mktemp("two-nodes")
    cluster = new_cluster(directory / "cluster")
    cluster.run("up", "--nodes", "2", *LOSES_NODES_FAST)
    subprocess.run(["make", "--no-print-directory", "images"], cwd=repo, check=True)
    cluster.run("load", *(image for image in IMAGES if "/api:" not in image))
    there = Installation(cluster.directory / "kubeconfig", directory, "wasession-nodes")
    there.create_namespace()
    there.kubectl("cordon", OTHER)
    there.install_chart(there.install_emulator(), settings=SETTINGS)
    there.wait_for("wa-emulator")
    there.kubectl("uncordon", OTHER)
    with Forward(there, "service/wa-emulator", 3900) as emulator, closing(World(there, "", ControlClient(emulator.url), "")) as world:
        yield Place(cluster, world)


@pytest.fixture
def pod(place: Place) -> Iterator[Json]:
    """The pod of the session `cliente1`, which is connected."""
    world = place.world
    world.phones.user(ANA, "Ana")
    world.apply("cliente1")
    code = until(lambda: report(world).get("qr", {}).get("code"), "the QR code", SECONDS)
    world.phones.scan(ANA, code)
    connected(world)
    found = world.pod("cliente1") or {}
    assert found["spec"]["nodeName"] == OTHER
    yield found
    world.delete_all()


def report(world: World) -> Json:
    found: Json = (world.object("was", "cliente1") or {}).get("status", {}).get("session", {})
    return found


def connected(world: World) -> None:
    until(lambda: world.phase("cliente1") == "Connected", "the session to be connected", PATIENCE)


def connected_without_a_scan(world: World, since: int) -> Json:
    """The pod, once the session is connected with the device that was linked before."""
    connected(world)
    assert world.phones.log(since, kind="qr_scanned") == []
    assert len([device for device in world.phones.devices(ANA) if not device["removed"]]) == 1
    return world.pod("cliente1") or {}


def lost(world: World) -> None:
    until(lambda: world.phase("cliente1") == "Lost", "the session to be Lost", PATIENCE)
    said = world.condition("cliente1", "PodReady")
    assert (said["status"], said["reason"]) == ("Unknown", "NodeLost")
    assert f"the node {OTHER} does not answer" in said["message"]
    assert f"kubectl delete node {OTHER}" in said["message"]
    until(lambda: "NodeLost" in world.warnings("cliente1"), "the event", SECONDS)


def test_a_node_that_is_lost_for_a_moment_keeps_its_session(place: Place, pod: Json) -> None:
    since = place.world.phones.mark()
    place.cluster.run("cut", OTHER)
    try:
        lost(place.world)
    finally:
        place.cluster.run("heal", OTHER)
    assert connected_without_a_scan(place.world, since)["metadata"]["uid"] == pod["metadata"]["uid"]


def test_a_drained_node_has_its_session_back_when_it_is_opened_again(place: Place, pod: Json) -> None:
    world = place.world
    since = world.phones.mark()
    world.installation.kubectl("drain", OTHER, "--force", "--delete-emptydir-data", "--timeout=60s")
    try:
        until(lambda: world.condition("cliente1", "PodReady").get("reason") == "Unschedulable", "the scheduler's reason", SECONDS)
        assert "kubectl uncordon" in world.condition("cliente1", "PodReady")["message"]
        assert world.condition("cliente1", "Paired")["status"] == "True"
    finally:
        world.installation.kubectl("uncordon", OTHER)
    assert connected_without_a_scan(world, since)["metadata"]["uid"] != pod["metadata"]["uid"]


def test_a_node_gone_for_good_lets_its_session_go_only_when_it_is_deleted(place: Place, pod: Json) -> None:
    world, old = place.world, pod["metadata"]["uid"]
    volume = (world.object("pvc", "cliente1-data") or {})["spec"]["volumeName"]
    since = world.phones.mark()
    place.cluster.run("kill", OTHER)
    try:
        lost(world)
        until(lambda: (world.pod("cliente1") or {})["metadata"].get("deletionTimestamp"), "Kubernetes to evict the pod", PATIENCE)
        assert world.phase("cliente1") == "Lost"
        assert (world.pod("cliente1") or {})["metadata"]["uid"] == old
        world.installation.kubectl("delete", "node", OTHER)
        until(lambda: (world.pod("cliente1") or {}).get("metadata", {}).get("uid") not in {None, old}, "the next pod", PATIENCE)
        until(lambda: world.condition("cliente1", "PodReady").get("reason") == "Unschedulable", "the scheduler's reason", SECONDS)
    finally:
        place.cluster.run("up")
    assert connected_without_a_scan(world, since)["metadata"]["uid"] != old
    assert (world.object("pvc", "cliente1-data") or {})["spec"]["volumeName"] == volume
