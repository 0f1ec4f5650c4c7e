"""A small, fixed part of `make faults-walks`: every field of the schema changed alone, and a few walks over all of it."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from walks.draw import LEAVES, How, walk
from walks.party import WALK, fields, lead
from walks.tally import Tally, table
from walks.world import World

pytestmark = pytest.mark.integration
SEEDS = (1, 2)
"""A seed that fails is added here."""


@pytest.fixture(scope="module")
def world(api_server: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(api_server, tmp_path_factory.mktemp("world")) as world:
        yield world


def test_the_state_follows_every_field_and_a_bad_value_leaves_no_trace(world: World) -> None:
    drawings = [*fields(1).items(), *((WALK, partial(walk, seed)) for seed in SEEDS)]
    tally = Tally(list(lead(world, drawings)))
    assert [outcome.report() for outcome in tally.outcomes if outcome.failed] == []
    assert {outcome.scenario for outcome in tally.outcomes} == {WALK, *map(str, LEAVES)}
    assert {point.how for outcome in tally.outcomes for point in outcome.points} == set(How), table(tally.rows())
