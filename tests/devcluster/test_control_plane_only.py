"""etcd, API server and controller manager as plain processes: what the integration tests start."""

import os
import subprocess
from pathlib import Path

import pytest
from own_cluster import Cluster, NewCluster

from polling import until

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def cluster(new_cluster: NewCluster, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    cluster = new_cluster(tmp_path_factory.mktemp("plane") / "cluster")
    cluster.run("up", "--control-plane-only")
    return cluster


@pytest.mark.parametrize("process", ["etcd", "kube-apiserver", "kube-controller-manager", None])
def test_up_mends_what_was_killed_and_keeps_the_objects(cluster: Cluster, process: str | None) -> None:
    cluster.kubectl("create", "namespace", f"before-{process}".lower())
    cluster.run("kill", "control-plane", *([process] if process else []))
    until(lambda: cluster.run("status", check=False).returncode == 1, "the loss to be seen")
    cluster.run("up")
    assert f"before-{process}".lower() in cluster.kubectl("get", "namespaces")
    assert cluster.run("status").returncode == 0


def test_a_taken_port_is_named(cluster: Cluster, new_cluster: NewCluster, tmp_path: Path) -> None:
    other = new_cluster(tmp_path / "other")
    port = cluster.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}").rpartition(":")[2]
    done = other.run("up", "--control-plane-only", "--port", port, check=False)
    assert done.returncode == 1
    assert port in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_second_one_ends_with_the_process_that_asked_for_it(cluster: Cluster, new_cluster: NewCluster, tmp_path: Path) -> None:
    other = new_cluster(tmp_path / "other")
    script = f"{other.devcluster} up --control-plane-only --die-with-parent >/dev/null; exec sleep 600"
    parent = subprocess.Popen(["sh", "-c", script], env=os.environ | {"DEVCLUSTER_DIR": str(other.directory)})
    try:
        until(lambda: other.run("status", check=False).returncode == 0, "the cluster to work")
        cluster.kubectl("create", "namespace", "only-in-one")
        assert "only-in-one" not in other.kubectl("get", "namespaces")
    finally:
        parent.kill()
        parent.wait()
    until(lambda: not other.directory.exists() and not other.processes(), "the cluster to be gone")
    assert cluster.run("status").returncode == 0


def test_what_could_not_be_started_ends_with_it_too(cluster: Cluster, new_cluster: NewCluster, tmp_path: Path) -> None:
    other = new_cluster(tmp_path / "other")
    port = cluster.kubectl("config", "view", "-o", "jsonpath={.clusters[0].cluster.server}").rpartition(":")[2]
    script = f"! {other.devcluster} up --control-plane-only --die-with-parent --port {port}; exit $?"
    subprocess.run(["sh", "-c", script], env=os.environ | {"DEVCLUSTER_DIR": str(other.directory)}, capture_output=True, check=True)
    until(lambda: not other.directory.exists() and not other.processes(), "the cluster to be gone")
