"""A real API server without nodes: etcd, kube-apiserver and controller manager as plain processes on loopback."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_KEEP_PODS = "--controller-manager-arg=--controllers=*,-pod-garbage-collector-controller"
"""Tests bind pods to nodes that do not exist, and the collector would delete those some time within a minute."""


@contextmanager
def control_plane(repo: Path, directory: Path) -> Iterator[Path]:
    """Path of a kubeconfig for a fresh API server in which the CRD is established; all of it is kept in `directory`."""
    env = {**os.environ, "DEVCLUSTER_DIR": str(directory)}

    def run(*command: str) -> None:
        done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"

    kubeconfig = directory / "kubeconfig"
    kubectl = [str(repo / "devcluster" / "kubectl"), f"--kubeconfig={kubeconfig}"]
    try:
        run(str(repo / "devcluster" / "devcluster"), "up", "--control-plane-only", "--die-with-parent", _KEEP_PODS)
        run(*kubectl, "apply", "-f", str(repo / "crds" / "whatsappsession.yaml"))
        run(*kubectl, "wait", "--for=condition=Established", "--timeout=30s", "crd/whatsappsessions.wasession.dev")
        yield kubeconfig
    finally:
        run(str(repo / "devcluster" / "devcluster"), "down")
