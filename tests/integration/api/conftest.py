"""Facade processes in a namespace of the test's own."""

import sys
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages
from facade_support import FacadeProcess, Kube

MakeFacade = Callable[..., FacadeProcess]


@pytest.fixture
def kube(api_server: Path) -> Iterator[Kube]:
    """A namespace of the test's own."""
    kube = Kube(api_server, f"facade-{uuid.uuid4().hex[:8]}")
    kube.create_namespace()
    yield kube
    kube.delete_namespace()


@pytest.fixture
async def make_facade(kube: Kube, tmp_path: Path) -> AsyncIterator[MakeFacade]:
    """Makes facades that are not started; environment by keyword. Each has to end well on SIGTERM."""
    made: list[FacadeProcess] = []

    def make(**environment: str) -> FacadeProcess:
        made.append(FacadeProcess(kube, tmp_path / f"facade-{len(made)}", **environment))
        return made[-1]

    yield make
    for facade in made:
        assert await facade.stop() in {0, 2}, facade.log


@pytest.fixture
async def facade(make_facade: MakeFacade) -> FacadeProcess:
    """A facade that is ready."""
    facade = make_facade()
    await facade.start()
    return facade
