"""The session pod and the operator as processes are the integration tests'."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from controlplane import control_plane

for part in ("pod", "operator"):
    sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / part))  # test folders are no packages


@pytest.fixture(scope="session")
def api_server(repo: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Path of a kubeconfig for an API server in which the CRD is established: a fresh one, or that of FAULTS_KUBECONFIG."""
    if given := os.environ.get("FAULTS_KUBECONFIG"):
        yield Path(given)
        return
    with control_plane(repo, tmp_path_factory.mktemp("api-server") / "cluster") as kubeconfig:
        yield kubeconfig
