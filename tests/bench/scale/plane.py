"""A real API server with one fake node, in a directory of its own: etcd, kube-apiserver, kube-controller-manager, kwok.

Surprising: no scheduler runs. Pods name their node, so that what is measured is who makes pods, not who places them.
"""

import json
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Self

ROOT = Path(__file__).parents[3]
DEVCLUSTER = str(ROOT / "devcluster/devcluster")
NODE = "fake"
NAMESPACE = "bench"
_TICKS = os.sysconf("SC_CLK_TCK")
CONTROLLERS = "*,-persistentvolume-binder-controller,-node-lifecycle-controller,-pod-garbage-collector-controller"
"""Nothing provisions volumes here, so the binder would only post an event for each claim, again and again."""


class PlaneError(Exception):
    """The control plane cannot be started."""


class Plane:
    """Use as a context. `controller_manager`: flags of kube-controller-manager, without the dashes."""

    def __init__(self, directory: Path, controller_manager: Sequence[str] = ()) -> None:
        self._directory = directory
        self._flags = [f"controllers={CONTROLLERS}", *controller_manager]
        self._environment = os.environ | {"DEVCLUSTER_DIR": str(directory)}
        self._node: subprocess.Popen[bytes] | None = None
        self.kubeconfig = directory / "kubeconfig"

    def __enter__(self) -> Self:
        try:
            flags = [f"--controller-manager-arg=--{flag}" for flag in self._flags]
            self._run("up", "--control-plane-only", "--die-with-parent", *flags)
            self._apply((ROOT / "crds/whatsappsession.yaml").read_text())
            self._kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd/whatsappsessions.wasession.dev")
            self._apply(json.dumps(_objects()))
            self._start_node()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        if self._node:
            self._node.terminate()
            self._node.wait()
        self._run("down")

    def cpu(self) -> float:
        """CPU seconds of all its processes so far: etcd, API server, controller manager and the fake node."""
        found = 0.0
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it has ended meanwhile
                if str(self._directory).encode() in (process / "cmdline").read_bytes():
                    found += cpu_seconds(process)
        return found

    def _start_node(self) -> None:
        port = free_port()
        command = [DEVCLUSTER, "kwok", f"--kubeconfig={self.kubeconfig}", f"--config={Path(__file__).parent / 'node.yaml'}"]
        command += [f"--manage-single-node={NODE}", "--cidr=10.64.0.0/10", "--node-ip=127.0.0.1", f"--node-port={port}"]
        with (self._directory / "kwok.log").open("wb") as log:
            self._node = subprocess.Popen(command, env=self._environment, stdout=log, stderr=log)
        self._kubectl("wait", "--for=condition=Ready", "--timeout=60s", f"node/{NODE}")

    def _apply(self, text: str) -> None:
        self._kubectl("apply", "-f", "-", stdin=text)

    def _kubectl(self, *arguments: str, stdin: str = "") -> None:
        self._run("kubectl", f"--kubeconfig={self.kubeconfig}", *arguments, stdin=stdin)

    def _run(self, *arguments: str, stdin: str = "") -> None:
        done = subprocess.run([DEVCLUSTER, *arguments], env=self._environment, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise PlaneError(f"devcluster {' '.join(arguments)}: {done.stdout}{done.stderr}")


def cpu_seconds(process: Path) -> float:
    """User and system time of a process, by its directory in /proc."""
    fields = (process / "stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def _objects() -> dict[str, object]:
    """The node, and what a session's pod needs to be taken."""
    node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": NODE}}
    namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "wasession-session-pod", "namespace": NAMESPACE}}
    return {"apiVersion": "v1", "kind": "List", "items": [node, namespace, account]}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
