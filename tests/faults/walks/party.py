"""Several walks side by side in one world."""

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from walks.draw import LEAVES, Walk, one_field, walk
from walks.tally import Outcome
from walks.walker import Walker
from walks.world import World

AT_A_TIME = 6
WALK = "walk"
Drawing = Callable[[], Walk]
"""Draws a walk, which takes a second, so that it is done when its turn comes."""
_one_drawing = threading.Lock()


def fields(seed: int) -> dict[str, Drawing]:
    """Every field of the schema, each changed alone; by the field's name."""
    return {str(leaf): partial(one_field, leaf, seed) for leaf in LEAVES}


def named(name: str, seed: int) -> Drawing:
    """The walk that a report named. Raises KeyError."""
    return partial(walk, seed) if name == WALK else fields(seed)[name]


def lead(world: World, drawings: Iterable[tuple[str, Drawing]], more: Callable[[], bool] = lambda: True) -> Iterator[Outcome]:
    """Lead the walks, a few at a time, and begin one only while `more()`."""

    def one(task: tuple[str, Drawing]) -> Outcome | None:
        if not more():
            return None
        scenario, drawing = task
        with _one_drawing:
            drawn = drawing()
        walker, broken = Walker(world, drawn), ""
        try:
            walker.run()
        except AssertionError as error:
            broken = str(error)
        return Outcome(scenario, drawn, tuple(walker.points), broken)

    with ThreadPoolExecutor(AT_A_TIME) as pool:
        yield from (outcome for outcome in pool.map(one, drawings) if outcome is not None)
