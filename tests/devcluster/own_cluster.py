"""A cluster that a test makes with devcluster, driven as a user drives it."""

import os
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

IMAGE = "localhost/devcluster-test:1"


@dataclass(frozen=True)
class Cluster:
    """A cluster of its own in `directory`, driven as a user drives it."""

    directory: Path
    devcluster: str

    def run(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command of devcluster on this cluster."""
        done = subprocess.run(
            [self.devcluster, *arguments],
            env=os.environ | {"DEVCLUSTER_DIR": str(self.directory)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert not check or done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return done

    def kubectl(self, *arguments: str, check: bool = True) -> str:
        """Run kubectl; returns what it printed."""
        return self.run("kubectl", f"--kubeconfig={self.directory / 'kubeconfig'}", *arguments, check=check).stdout

    def processes(self) -> list[str]:
        """Command lines of the processes that mention this cluster, its pods' among them."""
        found = []
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit() and int(entry.name) != os.getpid():
                try:
                    line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                except OSError:
                    continue
                if str(self.directory) in line:
                    found.append(line)
        return found

    def run_pod(self, name: str) -> None:
        """Start a pod of the test image and wait until it runs."""
        self.kubectl("run", name, f"--image={IMAGE}", "--image-pull-policy=Never", "--port=8080")
        self.kubectl("wait", "--for=condition=Ready", f"pod/{name}", "--timeout=60s")

    def python(self, pod: str, program: str) -> str:
        """Run a Python program in a pod; returns what it printed."""
        return self.kubectl("exec", pod, "--", "python3", "-c", program).strip()


NewCluster = Callable[[Path], Cluster]
