"""pytest-kind's own class drives devcluster, unchanged, as it drives kind."""

import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pytest_kind import KindCluster

from polling import until

pytestmark = pytest.mark.e2e

NAME = "devcluster-kind-test"


@pytest.fixture(scope="module")
def cluster(repo: Path, node_image: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KindCluster]:
    directory = tmp_path_factory.mktemp("kind")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(directory)  # the class makes .pytest-kind where it is
        cluster = KindCluster(NAME, directory / "kubeconfig", None, repo / "devcluster" / "devcluster", repo / "devcluster" / "kubectl")
        try:
            cluster.create()
            cluster.load_docker_image(node_image)
            yield cluster
        finally:
            cluster.delete()


def clusters(devcluster: str) -> list[str]:
    return subprocess.run([devcluster, "get", "clusters"], capture_output=True, text=True, check=True).stdout.splitlines()


def test_a_pod_of_a_loaded_image_answers_through_port_forward(cluster: KindCluster, node_image: str) -> None:
    cluster.kubectl("run", "web", f"--image={node_image}", "--image-pull-policy=Never", "--port=8080")
    cluster.kubectl("wait", "--for=condition=Ready", "pod/web", "--timeout=60s")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # pytest-kind kills kubectl and does not wait for it
        assert until(lambda: page_of_forwarded_pod(cluster), "the pod to answer") == "web"


def page_of_forwarded_pod(cluster: KindCluster) -> str:
    try:  # pytest-kind gives kubectl one second, and makes all of its tries, also after one that worked
        with cluster.port_forward("pod/web", 8080, retries=1) as port:
            return httpx.get(f"http://127.0.0.1:{port}/etc/hostname").text.strip()
    except ConnectionRefusedError:
        return ""


def test_the_context_is_named_as_kind_names_it(cluster: KindCluster) -> None:
    assert cluster.kubectl("config", "current-context").strip() == f"kind-{NAME}"


def test_create_again_uses_the_one_that_works(cluster: KindCluster) -> None:
    before = cluster.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}")
    cluster.create()
    assert cluster.kubectl("get", "namespace", "kube-system", "-o", "jsonpath={.metadata.uid}") == before


def test_a_cluster_with_that_name_is_not_made_twice(cluster: KindCluster, devcluster: str) -> None:
    assert cluster.name in clusters(devcluster)
    again = subprocess.run([devcluster, "create", "cluster", f"--name={NAME}"], capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert f'node(s) already exist for a cluster with the name "{NAME}"' in again.stderr


def test_an_unknown_image_is_named(cluster: KindCluster, devcluster: str) -> None:
    command = [devcluster, "load", "docker-image", "--name", cluster.name, "localhost/no-such:1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "localhost/no-such:1" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_delete_leaves_nothing_and_create_works_again_after_a_kill(cluster: KindCluster, devcluster: str) -> None:
    kubeconfig = Path(cluster.kubeconfig_path)
    cluster.delete()
    assert NAME not in clusters(devcluster)
    assert f"kind-{NAME}" not in kubeconfig.read_text()
    cluster.create()
    inits = subprocess.run(
        ["pgrep", "-f", f"^devcluster (control-plane|node)-init .*/{NAME}( |$)"], capture_output=True, text=True, check=True
    )
    subprocess.run(["kill", "-9", *inits.stdout.split()], check=True)
    until(lambda: NAME not in clusters(devcluster), "the killed cluster not to be listed")
    cluster.create()
    assert "n1" in cluster.kubectl("get", "nodes")
