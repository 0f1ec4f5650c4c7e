"""Many trials, side by side: first each scenario without faults, then its points."""

import asyncio
import random
import secrets
import sys
import time
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import TypeVar

from operatorpoints.api import Api
from operatorpoints.points import Point, points
from operatorpoints.scenarios import SCENARIOS
from operatorpoints.tally import Tally
from operatorpoints.trial import Lane, Outcome

_Work = TypeVar("_Work")


@dataclass
class Campaign:
    """`kept`: where to keep what failed trials saw; `wanted`: patterns of points, none: all; `seconds`: begin no trial after these."""

    kept: Path
    wanted: tuple[str, ...] = ()
    seconds: float = 3600
    all_refusals: bool = False
    """Try each write in every way that it can fail, not in one."""
    tally: Tally = field(default_factory=Tally)
    plain: dict[tuple[str, bool], Outcome] = field(default_factory=dict)

    async def lead(self, kubeconfig: Path, scratch: Path, lanes: int) -> None:
        """Try all points that are wanted, on the API server of `kubeconfig`."""
        end = time.monotonic() + self.seconds
        run = secrets.token_hex(3)
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(Api(kubeconfig))
            ready = [
                await stack.enter_async_context(Lane(api, f"faults-{run}-{number}", scratch / f"lane-{number}")) for number in range(lanes)
            ]
            names = [name for name in SCENARIOS if not self.wanted or any(fnmatch(name, one.split("/")[0]) for one in self.wanted)]
            await _side_by_side(ready, [(name, resync) for name in names for resync in (False, True)], self._lead_plain, end)
            found = [point for name in names for point in self._points(name)]
            random.shuffle(found)  # what a short time leaves is a fair sample
            await _side_by_side(ready, found, self._try, end)

    def _points(self, name: str) -> Iterable[Point]:
        few, many = self.plain.get((name, False)), self.plain.get((name, True))
        if few is None or many is None:
            return []
        found = points(name, few.extent, many.extent, all_refusals=self.all_refusals or bool(self.wanted))
        return [point for point in found if not self.wanted or any(fnmatch(str(point), pattern) for pattern in self.wanted)]

    async def _lead_plain(self, lane: Lane, which: tuple[str, bool]) -> None:
        name, resync = which
        outcome = await lane.plain(name, resync=resync)
        print(f"{name}: {outcome.extent}", file=sys.stderr, flush=True)
        if outcome.broken:
            self.tally.without_fault_broken.append(name)
            self._keep(f"{name}/none/{'resync' if resync else 'events'}", outcome)
        else:
            self.plain[which] = outcome

    async def _try(self, lane: Lane, point: Point) -> None:
        outcome = await lane.tried(point, self.plain[point.scenario, point.needs_resync])
        print(f"{point}: {'held' if not outcome.broken else 'broken'}", file=sys.stderr, flush=True)
        self.tally.add(point, fired=outcome.fired, broken=outcome.broken)
        if outcome.broken:
            self._keep(str(point), outcome)

    def _keep(self, point: str, outcome: Outcome) -> None:
        print(f"{point} did not hold:", *outcome.broken, sep="\n  ", file=sys.stderr, flush=True)
        self.kept.mkdir(parents=True, exist_ok=True)
        (self.kept / point.replace("/", "-")).write_text("\n".join([*outcome.broken, "", outcome.story, ""]))


async def _side_by_side(lanes: list[Lane], work: list[_Work], do: Callable[[Lane, _Work], Awaitable[None]], end: float) -> None:
    """Each lane does one piece after the other."""
    left = iter(work)

    async def lead(lane: Lane) -> None:
        for piece in left:
            if time.monotonic() > end:
                return
            await do(lane, piece)

    await asyncio.gather(*(lead(lane) for lane in lanes))
