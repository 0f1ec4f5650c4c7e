"""Installs the whole system into a cluster: emulator, sample backend, chart. The demo and the end-to-end tests share it.

Nothing here is privileged knowledge: it calls kubectl and helm as a user would, and the emulator's part of the session
pods (certificate authority, proxy, key) goes in through Helm values that a user has too.
"""

import base64
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPO = Path(__file__).parents[2]
VERSION = "0.1.0"
REGISTRY = "localhost/wasession"
IMAGES = tuple(f"{REGISTRY}/{name}:{VERSION}" for name in ("operator", "session-pod", "api", "emulator"))
RELEASE = "wasession"


class CommandFailedError(Exception):
    """A program ended with an error; the message holds the command and what it said."""


def run(*command: str, stdin: str | None = None, env: dict[str, str] | None = None) -> str:
    """Run a program to its end and return its output. Raises CommandFailedError."""
    done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False, env=env)
    if done.returncode:
        raise CommandFailedError(f"{' '.join(command)}: exit {done.returncode}\n{done.stdout}{done.stderr}".strip())
    return done.stdout


def emulator(*args: str) -> str:
    """Run a command of the emulator, which is no part of the installed distribution, and return its output."""
    return run(sys.executable, "-m", "waemulator", *args, env={**os.environ, "PYTHONPATH": str(REPO / "tests" / "emulator" / "src")})


@dataclass(frozen=True)
class Installation:
    """One release in one namespace of the cluster behind `kubeconfig`."""

    kubeconfig: Path
    state: Path
    """Where the emulator's certificates and the values made here are kept."""
    namespace: str = "wasession"
    kubectl_path: str = str(REPO / "devcluster" / "kubectl")
    helm_path: str = str(REPO / "devcluster" / "helm")

    def kubectl(self, *args: str, stdin: str | None = None) -> str:
        """Run kubectl in the installation's namespace and return its output."""
        return run(self.kubectl_path, f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *args, stdin=stdin)

    def helm(self, *args: str) -> str:
        """Run helm in the installation's namespace and return its output."""
        return run(self.helm_path, f"--kubeconfig={self.kubeconfig}", f"--namespace={self.namespace}", *args)

    def create_namespace(self) -> None:
        """Create the namespace under the strictest Pod Security level, which everything here has to satisfy."""
        labels = {"pod-security.kubernetes.io/enforce": "restricted"}
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self.namespace, "labels": labels}}
        self.kubectl("apply", "-f", "-", stdin=json.dumps(namespace))

    def install_emulator(self, node_port: int | None = None) -> Path:
        """Install the emulated WhatsApp; returns the file of Helm values that lead session pods to it."""
        state = self.state / "emulator"
        port = () if node_port is None else (f"--node-port={node_port}",)
        emulator("init", f"--state={state}")
        place = (f"--state={state}", f"--namespace={self.namespace}")
        self.kubectl("apply", "-f", "-", stdin=emulator("manifests", *place, f"--image={REGISTRY}/emulator:{VERSION}", *port))
        values = self.state / "emulator-values.yaml"
        values.write_text(emulator("values", *place))
        return values

    def install_backend(self) -> None:
        """Install the sample backend, an echo bot."""
        self.kubectl("apply", "-k", str(REPO / "examples" / "backend"))

    def install_chart(self, *values: Path, settings: Sequence[str] = ()) -> None:
        """Install or upgrade the chart and wait until operator and facade serve."""
        files = [f"--values={file}" for file in values]
        chart = str(REPO / "charts" / "wasession")
        self.helm("upgrade", "--install", RELEASE, chart, *files, *(f"--set={s}" for s in settings), "--wait", "--timeout=180s")

    def wait_for(self, *deployments: str) -> None:
        """Wait until the Deployments are rolled out."""
        for deployment in deployments:
            self.kubectl("rollout", "status", f"deployment/{deployment}", "--timeout=180s")

    def api_key(self) -> str:
        """The key that the facade asks for."""
        secret = json.loads(self.kubectl("get", "secret", f"{RELEASE}-api-key", "-o", "json"))
        return base64.b64decode(secret["data"]["key"]).decode()
