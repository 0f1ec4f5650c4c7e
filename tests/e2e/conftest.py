"""The whole system on a cluster with a node: emulator, sample backend and chart, installed as the demo installs them."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from pytest_kind import KindCluster

from forwarding import Forward
from installation import IMAGES, Installation
from waemulator.client import ControlClient
from world import World

ALLOWED = os.environ.get("WASESSION_CLUSTER_ALLOWED", "kind-wasession devcluster").split()
"""Contexts that tests may use with WASESSION_CLUSTER=current: they delete what they find in their namespace."""
NAMESPACE = "wasession-e2e"
WEBHOOK_SECRET = {
    "apiVersion": "v1",
    "kind": "Secret",
    "metadata": {"name": "sample-webhook"},
    "stringData": {"value": "a key of the tests"},
}
BACKEND_URL = "http://sample-backend:8080"


def current_cluster(kubectl: str) -> Path:
    """The kubeconfig of the current context, if that is on the allow-list."""
    context = subprocess.run([kubectl, "config", "current-context"], capture_output=True, text=True, check=True).stdout.strip()
    if context not in ALLOWED:
        pytest.exit(f"WASESSION_CLUSTER=current: context {context!r} is not in WASESSION_CLUSTER_ALLOWED ({' '.join(ALLOWED)})", 2)
    return Path(os.environ.get("KUBECONFIG", Path.home() / ".kube" / "config"))


@pytest.fixture(scope="session")
def kubeconfig(request: pytest.FixtureRequest, repo: Path) -> Path:
    """A cluster that has our images: pytest-kind's, or the one of the current context."""
    if os.environ.get("WASESSION_CLUSTER") == "current":
        return current_cluster(request.config.option.kind_kubectl_bin)
    cluster: KindCluster = request.getfixturevalue("kind_cluster")
    subprocess.run(["make", "--no-print-directory", "images"], cwd=repo, check=True)
    for image in IMAGES:
        cluster.load_docker_image(image)
    return Path(cluster.kubeconfig_path).absolute()


def others_crd(there: Installation) -> bool:
    """Whether another release of the cluster owns the CRD; only one can."""
    crds = json.loads(there.kubectl("get", "crd", "-o", "json"))["items"]
    found = [crd["metadata"].get("annotations", {}) for crd in crds if crd["metadata"]["name"] == "whatsappsessions.wasession.dev"]
    return bool(found) and found[0].get("meta.helm.sh/release-namespace") != there.namespace


@pytest.fixture(scope="session")
def installation(request: pytest.FixtureRequest, repo: Path, kubeconfig: Path) -> Installation:
    """Everything installed. The emulator's certificates stay beside the cluster, so that a kept cluster can be used again."""
    state = repo / ".pytest-kind" / "installation"
    state.mkdir(parents=True, exist_ok=True)
    there = Installation(kubeconfig, state, NAMESPACE, kubectl_path=request.config.option.kind_kubectl_bin)
    there.create_namespace()
    values = there.install_emulator()
    there.kubectl("apply", "-f", "-", stdin=json.dumps(WEBHOOK_SECRET))
    there.install_backend()
    crd = "crds.enabled=" + ("false" if others_crd(there) else "true")
    settings = [f"settings.apiUrl={BACKEND_URL}", "settings.maxSessions=5", "settings.maxReconnectAttempts=0", crd]
    there.install_chart(values, settings=settings)  # never giving up: a slow machine may take long to bring the emulator back
    there.wait_for("wa-emulator", "sample-backend")
    return there


@pytest.fixture(scope="session")
def world(installation: Installation) -> Iterator[World]:
    """Everything that a test touches, reachable on loopback."""
    with (
        Forward(installation, "service/wasession-api", 3000) as facade,
        Forward(installation, "service/wa-emulator", 3900) as emulator,
        Forward(installation, "service/sample-backend", 8080) as backend,
        closing(World(installation, facade.url, ControlClient(emulator.url), backend.url)) as there,
    ):
        yield there


@pytest.fixture(autouse=True)
def nothing_left(request: pytest.FixtureRequest) -> Iterator[None]:
    """Delete what a test made, so that the next one starts from an empty namespace."""
    yield
    if "world" in request.fixturenames:
        request.getfixturevalue("world").delete_all()
