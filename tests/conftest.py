"""What all tests share: where the repository is, and which cluster tools drive it."""

import shutil
import subprocess
from pathlib import Path

import pytest

REPO = Path(__file__).parents[1]


def has_docker_and_kind() -> bool:
    """Whether a Docker engine answers and kind is installed."""
    if not (shutil.which("kind") and shutil.which("kubectl") and shutil.which("docker")):
        return False
    return subprocess.run(["docker", "info"], capture_output=True, check=False, timeout=30).returncode == 0


def pytest_configure(config: pytest.Config) -> None:
    """Let pytest-kind drive kind where it works, devcluster (which speaks kind's command line) where it does not."""
    kind = has_docker_and_kind()
    for option, ours, theirs in (("kind_bin", "devcluster", "kind"), ("kind_kubectl_bin", "kubectl", "kubectl")):
        if not getattr(config.option, option, None):
            setattr(config.option, option, shutil.which(theirs) if kind else str(REPO / "devcluster" / ours))


@pytest.fixture(scope="session")
def repo() -> Path:
    """The repository's root."""
    return REPO
