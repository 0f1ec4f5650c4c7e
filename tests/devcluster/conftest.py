"""devcluster's own tests: the clusters they make, and the image of the pod that looks at them from inside."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from polling import until

sys.path.insert(0, str(Path(__file__).parent))  # importlib mode adds no folder

from own_cluster import IMAGE, Cluster


@pytest.fixture(scope="session")
def devcluster(repo: Path) -> str:
    """The command."""
    return str(repo / "devcluster" / "devcluster")


@pytest.fixture(scope="session")
def node_image(repo: Path, devcluster: str) -> str:
    """The image of the test pod; skips where devcluster cannot make a node."""
    if os.geteuid() != 0 or not Path("/sys/fs/cgroup/memory").exists():
        pytest.skip("a node of devcluster needs root and cgroup v1")
    here = repo / "tests" / "devcluster"
    subprocess.run([devcluster, "build-image", "-f", str(here / "Dockerfile"), "-t", IMAGE, str(here)], check=True)
    return IMAGE


@pytest.fixture(scope="session")
def new_cluster(devcluster: str) -> Iterator[Callable[[Path], Cluster]]:
    """Makes clusters' descriptions; whatever was started in their directories is removed at the end."""
    made: list[Cluster] = []

    def describe(directory: Path) -> Cluster:
        made.append(Cluster(directory, devcluster))
        return made[-1]

    yield describe
    for cluster in made:
        cluster.run("down")
    for cluster in made:
        until(lambda c=cluster: not c.processes(), f"the processes of {cluster.directory} to be gone")
        assert not cluster.directory.exists()
