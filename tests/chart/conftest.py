"""The chart as Helm renders it, and as a real API server without nodes has it after `helm install`."""

import functools
import os
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest
import yaml

NAMESPACE = "whatsapp"
RELEASE = "wa"

Manifest = dict[str, Any]


@dataclass(frozen=True)
class Rendering:
    """The manifests of one `helm template`."""

    manifests: tuple[Manifest, ...]

    def all(self, kind: str) -> list[Manifest]:
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def get(self, kind: str, name: str, namespace: str | None = None) -> Manifest:
        found = [m for m in self.all(kind) if m["metadata"]["name"] == name and namespace in (None, m["metadata"].get("namespace"))]
        assert len(found) == 1, f"{len(found)} of {kind} {name}; there are {self.names(kind)}"
        return found[0]

    def names(self, kind: str) -> set[str]:
        return {manifest["metadata"]["name"] for manifest in self.all(kind)}

    def namespaces(self, kind: str, name: str) -> set[str]:
        """The namespaces that hold such an object."""
        return {m["metadata"]["namespace"] for m in self.all(kind) if m["metadata"]["name"] == name}

    def pod_templates(self) -> dict[str, Manifest]:
        """The PodTemplateSpec of each component: operator, api, session-pod."""
        templates = [deployment["spec"]["template"] for deployment in self.all("Deployment")]
        templates += [yaml.safe_load(m["data"]["template.yaml"]) for m in self.all("ConfigMap")]
        return {template["metadata"]["labels"]["app.kubernetes.io/component"]: template for template in templates}

    def container(self, component: str) -> Manifest:
        """The component's own container, which comes first."""
        return self.pod_templates()[component]["spec"]["containers"][0]

    def env(self, component: str) -> dict[str, str]:
        return {entry["name"]: entry["value"] for entry in self.container(component).get("env", [])}


Run = Callable[..., CompletedProcess[str]]
Render = Callable[..., Rendering]
Refusal = Callable[..., str]


@pytest.fixture(scope="session")
def chart(repo: Path) -> Path:
    return repo / "charts" / "wasession"


@pytest.fixture(scope="session")
def helm(repo: Path) -> Run:
    """Run Helm; the finished process, whatever its exit status."""
    binary = os.environ.get("HELM", str(repo / "devcluster" / "helm"))

    def run(*arguments: str, kubeconfig: Path | None = None) -> CompletedProcess[str]:
        env = {**os.environ, "KUBECONFIG": str(kubeconfig or os.devnull)}
        return subprocess.run([binary, *arguments], env=env, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def render(helm: Run, chart: Path) -> Render:
    """Render the chart with `--set-json` arguments and a values file of its `ci/` folder; the same only once."""

    @functools.cache
    def rendering(*settings: str, values: str | None = None) -> Rendering:
        arguments = [argument for setting in settings for argument in ("--set-json", setting)]
        if values:
            arguments += ["--values", str(chart / "ci" / f"{values}-values.yaml")]
        done = helm("template", RELEASE, str(chart), "--namespace", NAMESPACE, *arguments)
        assert done.returncode == 0, done.stderr
        return Rendering(tuple(manifest for manifest in yaml.safe_load_all(done.stdout) if manifest))

    return rendering


@pytest.fixture(scope="session")
def refusal(helm: Run, chart: Path) -> Refusal:
    """What Helm says to `--set-json` arguments that it must refuse."""

    def refused(*settings: str) -> str:
        arguments = [argument for setting in settings for argument in ("--set-json", setting)]
        done = helm("template", RELEASE, str(chart), "--namespace", NAMESPACE, *arguments)
        assert done.returncode != 0, f"{settings} was taken"
        return done.stderr

    return refused


@pytest.fixture(scope="session")
def bare_cluster(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Path of a kubeconfig for a fresh API server, with namespaces that enforce Pod Security `restricted`."""
    directory = tmp_path_factory.mktemp("chart") / "cluster"
    devcluster = os.environ.get("DEVCLUSTER", str(repo / "devcluster" / "devcluster"))
    kubectl = os.environ.get("KUBECTL", str(repo / "devcluster" / "kubectl"))
    kubeconfig = directory / "kubeconfig"
    env = {**os.environ, "DEVCLUSTER_DIR": str(directory), "KUBECONFIG": str(kubeconfig)}

    def run(*command: str) -> None:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"

    try:
        run(devcluster, "up", "--control-plane-only", "--die-with-parent")
        for namespace in (NAMESPACE, "team-a", "team-b", "elsewhere"):
            run(kubectl, "create", "namespace", namespace)
            run(kubectl, "label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
        yield kubeconfig
    finally:
        run(devcluster, "down")


@pytest.fixture(scope="session")
def installed(helm: Run, chart: Path, bare_cluster: Path) -> Path:
    """The same kubeconfig, after `helm install` with default values."""
    done = helm("install", RELEASE, str(chart), "--namespace", NAMESPACE, kubeconfig=bare_cluster)
    assert done.returncode == 0, done.stderr
    return bare_cluster
