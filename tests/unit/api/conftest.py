"""Facades with nothing real around them."""

import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from wasession_api.changes import Patience
from wasession_api.settings import Settings

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages
from facade_fakes import KEY, Facade, MakeFacade


@pytest.fixture
async def make_facade() -> AsyncIterator[MakeFacade]:
    """Makes facades; settings by keyword, waits of 0 s unless `patience` is given."""
    made: list[Facade] = []

    def make(patience: Patience | None = None, **settings: Any) -> Facade:  # noqa: ANN401  any setting
        waits = patience or Patience(admitted=0, replaced=0, gone=0)
        made.append(Facade(Settings(internal_key=KEY, **settings), waits))
        return made[-1]

    yield make
    for facade in made:
        await facade.http.aclose()
        facade.store.close()


@pytest.fixture
def facade(make_facade: MakeFacade) -> Facade:
    """A facade with the contract's default settings."""
    return make_facade()
