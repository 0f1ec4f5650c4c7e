"""A cluster with a node: the ways in and out, and what a kill or a second cluster does to it."""

import json
import os
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from own_cluster import Cluster, NewCluster

from polling import until

pytestmark = pytest.mark.e2e

NODE_PORT = 30123
VOLUME_POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "keeper"},
    "spec": {
        "securityContext": {"fsGroup": 10001},
        "containers": [
            {
                "name": "keeper",
                "image": "localhost/devcluster-test:1",
                "imagePullPolicy": "Never",
                "volumeMounts": [{"name": "data", "mountPath": "/data"}],
            }
        ],
        "volumes": [{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    },
}
CLAIM = {
    "apiVersion": "v1",
    "kind": "PersistentVolumeClaim",
    "metadata": {"name": "data"},
    "spec": {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "1Mi"}}},
}
OUTSIDE = """
import socket
try:
    socket.create_connection(("192.0.2.1", 80), 20)
except OSError as error:
    print(type(error).__name__, error.errno)
try:
    socket.getaddrinfo("outside.example", 80)
except socket.gaierror as error:
    print(error.errno == socket.EAI_NONAME)
"""


def free_port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return int(s.getsockname()[1])


@pytest.fixture(scope="module")
def host_port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def cluster(new_cluster: NewCluster, node_image: str, host_port: int, tmp_path_factory: pytest.TempPathFactory) -> Cluster:
    directory = tmp_path_factory.mktemp("node")
    mapping = {"containerPort": NODE_PORT, "hostPort": host_port, "listenAddress": "127.0.0.1"}
    config = {
        "kind": "Cluster",
        "apiVersion": "kind.x-k8s.io/v1alpha4",
        "nodes": [{"role": "control-plane", "extraPortMappings": [mapping]}],
    }
    (directory / "kind.yaml").write_text(json.dumps(config))
    cluster = new_cluster(directory / "cluster")
    cluster.run("up", "--config", str(directory / "kind.yaml"))
    cluster.run("load", node_image)
    cluster.run_pod("web")
    cluster.kubectl("create", "service", "nodeport", "web", "--tcp=8080:8080", f"--node-port={NODE_PORT}")
    cluster.kubectl("label", "pod", "web", "app=web", "--overwrite")
    return cluster


@pytest.fixture
def listener() -> Iterator[int]:
    """An HTTP server on the host's loopback; returns its port."""

    class Hello(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"the host")

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hello)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


def hostname(host_port: int) -> str:
    try:
        return httpx.get(f"http://127.0.0.1:{host_port}/etc/hostname").text.strip()
    except httpx.TransportError as error:
        return repr(error)


def test_a_node_port_is_reached_on_the_mapped_port_of_the_host(cluster: Cluster, host_port: int) -> None:
    until(lambda: hostname(host_port) == "web", "the mapped port to lead to the pod")
    assert (
        cluster.python("web", "import socket; print(socket.gethostbyname('web.default.svc.cluster.local').startswith('10.96.'))") == "True"
    )


def test_outside_is_refused_at_once(cluster: Cluster) -> None:
    error, unknown = cluster.python("web", OUTSIDE).splitlines()
    assert error.split()[0] == "OSError", "a time-out means that somebody waits"
    assert unknown == "True"


def test_with_a_way_out_a_pod_reaches_the_host_only_if_that_was_asked_for(cluster: Cluster, listener: int) -> None:
    get = f"import urllib.request as r; print(r.urlopen('http://10.0.2.2:{listener}', timeout=20).read().decode())"
    cluster.run("up", "--egress", "--egress-host-loopback")
    assert cluster.python("web", get) == "the host"
    cluster.run("up", "--egress-host-loopback=false")
    assert "the host" not in cluster.kubectl("exec", "web", "--", "python3", "-c", get, check=False)
    cluster.run("up", "--egress=false")
    error, unknown = cluster.python("web", OUTSIDE).splitlines()
    assert (error.split()[0], unknown) == ("OSError", "True")


def test_a_second_cluster_beside_it_has_other_ports_and_objects(cluster: Cluster, new_cluster: NewCluster, tmp_path: Path) -> None:
    other = new_cluster(tmp_path / "other")
    other.run("up")
    assert "web" not in other.kubectl("get", "pods", "-A")
    other.run("down")
    until(lambda: not other.processes(), "the other's processes to be gone")
    assert cluster.run("status").returncode == 0


def test_a_claim_of_the_class_that_binds_at_once_needs_no_pod(cluster: Cluster) -> None:
    claim = CLAIM | {"metadata": {"name": "early"}, "spec": CLAIM["spec"] | {"storageClassName": "immediate"}}  # type: ignore[operator]
    manifest = cluster.directory / "early.json"
    manifest.write_text(json.dumps(claim))
    cluster.kubectl("apply", "-f", str(manifest))
    cluster.kubectl("wait", "--for=jsonpath={.status.phase}=Bound", "pvc/early", "--timeout=60s")
    cluster.kubectl("delete", "pvc", "early", "--timeout=60s")


@pytest.mark.parametrize("killed", [("n1", "kubelet"), ("n1", "containerd"), ("control-plane", "etcd"), ("n1",), ("control-plane",)])
def test_up_mends_what_was_killed_and_volumes_keep_their_files(cluster: Cluster, host_port: int, killed: tuple[str, ...]) -> None:
    if not cluster.kubectl("get", "pvc", "data", "--ignore-not-found"):
        manifest = cluster.directory / "keeper.json"
        manifest.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [CLAIM, VOLUME_POD]}))
        cluster.kubectl("apply", "-f", str(manifest))
        cluster.kubectl("wait", "--for=condition=Ready", "pod/keeper", "--timeout=60s")
        cluster.python("keeper", "open('/data/file', 'w').write('kept')")
    cluster.run("kill", *killed)
    until(lambda: cluster.run("status", check=False).returncode == 1, "the loss to be seen")
    cluster.run("up")
    until(lambda: hostname(host_port) == "web", "the pod to answer again")
    until(lambda: cluster.kubectl("exec", "keeper", "--", "cat", "/data/file", check=False) == "kept", "the volume to be there again")


def test_nothing_of_the_host_is_changed(cluster: Cluster) -> None:
    assert cluster.run("status").returncode == 0
    interfaces = {name for _, name in socket.if_nameindex()}
    assert not {name for name in interfaces if name.startswith(("v-n", "br0", "cni", "tap"))}
    assert str(cluster.directory) not in Path("/proc/self/mountinfo").read_text()
    assert os.access(cluster.directory / "bin" / "kubectl", os.X_OK)


def test_a_cluster_that_down_removed_leaves_no_control_group(new_cluster: NewCluster, tmp_path: Path) -> None:
    before = {str(path) for path in Path("/sys/fs/cgroup").glob("*/**/devcluster-*-n1")}
    cluster = new_cluster(tmp_path / "short")
    cluster.run("up")
    cluster.run("down")
    after = {str(path) for path in Path("/sys/fs/cgroup").glob("*/**/devcluster-*-n1")}
    assert after <= before
