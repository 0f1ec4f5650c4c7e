"""Operator processes, and a namespace with a kubelet of the test's own."""

import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages
from operator_support import Kube, Kubelet, OperatorProcess

StartOperator = Callable[..., OperatorProcess]


@pytest.fixture
def kube(api_server: Path) -> Iterator[Kube]:
    kube = Kube(api_server, f"operator-{uuid.uuid4().hex[:8]}")
    kube.create_namespace()
    yield kube
    kube.delete_namespace()
    kube.close()


@pytest.fixture
def kubelet(kube: Kube) -> Iterator[Kubelet]:
    with Kubelet(kube) as kubelet:
        yield kubelet


@pytest.fixture
def start_operator(kube: Kube, tmp_path: Path) -> Iterator[StartOperator]:
    """Starts operators; environment by keyword. Each has to end well on SIGTERM, and without a defect in its log."""
    started: list[OperatorProcess] = []

    def start(**environment: str) -> OperatorProcess:
        operator = OperatorProcess(kube, tmp_path / f"operator-{len(started)}", **environment)
        started.append(operator)
        operator.start()
        return operator

    yield start
    for operator in started:
        assert operator.stop() in {0, 2, -9, -15}, operator.log  # -15: told to stop before it could listen
        assert "Traceback" not in operator.log, operator.log
        assert "573001234567" not in operator.log


@pytest.fixture
def operator(start_operator: StartOperator) -> OperatorProcess:
    """An operator that watches."""
    operator = start_operator()
    operator.wait_started()
    return operator
