"""The operator as a process of its own, and what its process costs."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import aiohttp
import yaml

from scale.plane import NAMESPACE, NODE, ROOT, cpu_seconds, free_port
from wasession_operator.resources import Template

KEY = "0123456789abcdef0123456789abcdef"
TEMPLATE = ROOT / "tests/unit/operator/data/pod-template.yaml"
_WAIT = 60.0  # seconds; a bound for what hangs


def template() -> dict[str, Any]:
    """The pod template, on the fake node."""
    document: dict[str, Any] = yaml.safe_load(TEMPLATE.read_text())
    document["spec"]["nodeName"] = NODE
    return document


def checked_template() -> Template:
    """The same, as the operator reads it."""
    return Template.read(template())


class OperatorProcess:
    """`python -m wasession_operator` with the settings of its image."""

    def __init__(self, kubeconfig: Path, directory: Path, environment: dict[str, str] | None = None) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "key").write_text(KEY)
        (directory / "template.yaml").write_text(yaml.safe_dump(template()))
        self._log = directory / "log"
        self._probe, self._metrics = free_port(), free_port()
        self._environment = (
            {
                "PATH": os.environ["PATH"],
                "KUBECONFIG": str(kubeconfig),
                "WASESSION_NAMESPACES": NAMESPACE,
                "WASESSION_INTERNAL_KEY_FILE": str(directory / "key"),
                "WASESSION_POD_TEMPLATE": str(directory / "template.yaml"),
                "WASESSION_PROBE_PORT": str(self._probe),
                "WASESSION_METRICS_PORT": str(self._metrics),
            }
            | image_environment()
            | (environment or {})
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it; it is not waited for."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, "-m", "wasession_operator"], env=self._environment, stdout=log, stderr=log)

    def stop(self) -> None:
        """End it, and wait for its end."""
        if self._process:
            self._process.terminate()
            try:
                self._process.wait(_WAIT)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._process = None

    def check(self) -> None:
        """Raises RuntimeError if it has ended."""
        if self._process is None or self._process.poll() is not None:
            raise RuntimeError(f"the operator has ended: {self._log.read_text()[-2000:]}")

    def cpu(self) -> float:
        """CPU seconds so far."""
        assert self._process
        return cpu_seconds(Path(f"/proc/{self._process.pid}"))

    def memory(self) -> tuple[float, float]:
        """RSS now, and at its highest, in MiB."""
        assert self._process
        lines = Path(f"/proc/{self._process.pid}/status").read_text().splitlines()
        by = {name: value for name, _, value in (line.partition(":") for line in lines)}
        return int(by["VmRSS"].split()[0]) / 1024, int(by["VmHWM"].split()[0]) / 1024

    async def metrics(self, http: aiohttp.ClientSession) -> dict[str, float] | None:
        """The sums of its series by name; None: it does not answer (yet)."""
        self.check()
        try:
            async with http.get(f"http://127.0.0.1:{self._metrics}/metrics") as answer:
                text = await answer.text()
        except aiohttp.ClientConnectionError:
            return None
        found: dict[str, float] = {}
        for line in text.splitlines():
            if not line.startswith("#"):
                series, _, value = line.rpartition(" ")
                name = series.partition("{")[0]
                found[name] = found.get(name, 0) + float(value)
        return found

    async def is_live(self, http: aiohttp.ClientSession) -> bool:
        """Whether it watches."""
        self.check()
        try:
            async with http.get(f"http://127.0.0.1:{self._probe}/readyz") as answer:
                return answer.ok
        except aiohttp.ClientConnectionError:
            return False


def image_environment() -> dict[str, str]:
    """What the image sets: the ENV lines of its Dockerfile."""
    pairs = (
        pair.split("=", 1)
        for line in (ROOT / "operator/Dockerfile").read_text().replace("\\\n", " ").splitlines()
        if line.startswith("ENV ")
        for pair in line.split()[1:]
    )
    return {name: value for name, value in pairs if not name.startswith("PYTHONDONT")}
