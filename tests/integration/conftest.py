"""A real API server without nodes, shared by all tests of a run."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane import control_plane


@pytest.fixture(scope="session")
def api_server(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Path of a kubeconfig for a fresh API server in which the CRD is established."""
    with control_plane(repo, tmp_path_factory.mktemp("api-server") / "cluster") as kubeconfig:
        yield kubeconfig
