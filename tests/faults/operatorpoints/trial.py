"""Leads one scenario with one fault, or none, and tells what was broken."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from apiproxy import ApiProxy, Snapshot
from operatorpoints.api import CORE, Api, RefusedError, path
from operatorpoints.history import DEADLINE, History, NeverError
from operatorpoints.node import Node
from operatorpoints.normal import Normal, difference, normal
from operatorpoints.operators import Operators
from operatorpoints.oracles import pods_made, violations
from operatorpoints.points import EVENT_FAULTS, PAST_FAULTS, WRITE_FAULTS, Extent, Point
from operatorpoints.scenarios import SCENARIOS, Scenario
from operatorpoints.stage import Stage, clear

QUIET = 0.4  # seconds without a write, after which the operator is taken to be at rest
LOOK = 0.02
WATCHES = 3
RESYNC = "1"  # seconds, where a look at everything is the way back
NO_RESYNC = "600"


@dataclass(frozen=True)
class Outcome:
    """Of one trial. `fired`: the fault was done; `broken`: what did not hold."""

    fired: bool
    broken: tuple[str, ...]
    end: Normal
    extent: Extent
    pods: dict[str, int]
    told: frozenset[str]
    """Reasons of the warnings that were told about sessions."""
    story: str
    """The proxy's and the operator's logs."""


@dataclass
class Lane:
    """A namespace and a forge of operators, for one trial after the other."""

    api: Api
    namespace: str
    directory: Path
    operators: Operators = field(init=False)

    async def __aenter__(self) -> Self:
        await self.api.call("POST", f"{CORE}/namespaces", {"metadata": {"name": self.namespace}})
        await self.api.call("POST", path(self.namespace, "serviceaccounts"), {"metadata": {"name": "wasession-session-pod"}})
        self.operators = await Operators(self.directory).__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.operators.__aexit__()
        with suppress(RefusedError):
            await self.api.call("DELETE", f"{CORE}/namespaces/{self.namespace}")

    async def plain(self, scenario: str, *, resync: bool) -> Outcome:
        """The scenario without a fault."""
        return await _Trial(self, SCENARIOS[scenario], None, None, resync=resync).lead()

    async def tried(self, point: Point, plain: Outcome) -> Outcome:
        """The scenario with a fault; `plain` is how it goes without."""
        return await _Trial(self, SCENARIOS[point.scenario], point, plain, resync=point.needs_resync).lead()


class _Trial:
    def __init__(self, lane: Lane, scenario: Scenario, point: Point | None, plain: Outcome | None, *, resync: bool) -> None:
        self._lane, self._scenario, self._point, self._plain = lane, scenario, point, plain
        self._api, self._operators = lane.api, lane.operators
        self._settings = {
            "WASESSION_NAMESPACES": lane.namespace,
            "MAX_SESSIONS": "0",
            "CLEANUP_INTERVAL": "300000",
            "WASESSION_RESYNC_SECONDS": RESYNC if resync else NO_RESYNC,
            **scenario.settings,
        }
        self._pasts: list[Snapshot] = []
        self._rests: list[int] = []
        self._past_was_told = False
        self._by_intent = False

    async def lead(self) -> Outcome:
        """From an empty namespace to an empty namespace."""
        self._operators.prepare(**self._settings)
        volumes: list[str] = []
        try:
            async with AsyncExitStack() as stack:
                self._proxy = await stack.enter_async_context(ApiProxy(self._api.kubeconfig, self._operators.kill))
                self._proxy.write_kubeconfig(self._operators.kubeconfig)
                self._arm()
                self._node = await stack.enter_async_context(Node(self._api, self._lane.namespace))
                self._history = await stack.enter_async_context(History(self._api, self._lane.namespace, self._node.changed))
                self._node.look_at(self._history)
                stack.push_async_callback(self._operators.stop)
                await self._operators.start()
                await self._until_it_watches(0)
                keeper = asyncio.create_task(self._keep_alive(), name="starts killed operators again")
                stack.callback(keeper.cancel)
                stage = Stage(
                    self._api,
                    self._lane.namespace,
                    self._history,
                    self._node,
                    at_step=self._at_step,
                    at_moment=self._at_moment,
                    next_template=self._next_template,
                )
                volumes = stage.volumes
                return await self._story(stage)
        finally:
            await clear(self._api, self._lane.namespace, volumes)

    def _arm(self) -> None:
        point = self._point
        if point and point.fault in WRITE_FAULTS:
            self._proxy.at_write[point.number] = WRITE_FAULTS[point.fault]()
        if point and point.fault in EVENT_FAULTS:
            plural, fault = EVENT_FAULTS[point.fault]
            self._proxy.at_event[plural, point.number] = fault()

    async def _story(self, stage: Stage) -> Outcome:
        broken: list[str] = []
        try:
            await self._at_step()
            await self._scenario.story(stage)
            await self._at_step()
            await self._until_the_end_is_as_expected()
        except (NeverError, RefusedError) as error:
            broken.append(str(error))
        told = frozenset(event["reason"] for event in await self._warnings())
        pods, end = pods_made(self._history.changes), self._end()
        broken += violations(self._history.changes, self._proxy.log, self._operators.log)
        if (code := self._operators.exit_code) is not None:
            broken.append(f"the operator ended by itself with exit code {code}")
        if self._plain:
            broken += difference(self._plain.end, end)
            broken += [f"told {reason}, which is not so" for reason in told - self._plain.told]
            if self._scenario.same_pods:
                broken += difference(self._plain.pods, pods, "pods made")
        events = {plural: sum(event.plural == plural for event in self._proxy.events) for plural, _ in EVENT_FAULTS.values()}
        lines = [*map(str, self._proxy.log), "events:", *map(str, self._proxy.events), "operator:", self._operators.log]
        extent = Extent(self._proxy.writes, events, tuple(self._rests))
        fired = bool(self._proxy.fired) or self._past_was_told
        return Outcome(fired, tuple(broken), end, extent, pods, told, "\n".join(lines))

    # The operator's life.

    async def _keep_alive(self) -> None:
        while True:
            await self._operators.killed.wait()
            if not self._by_intent:
                await self._operators.start()
            else:
                await asyncio.sleep(LOOK)

    async def _restart(self) -> None:
        """On purpose, and until it watches."""
        self._by_intent = True
        await self._operators.stop()
        since = len(self._proxy.log)
        await self._operators.start()
        self._by_intent = False
        await self._until_it_watches(since)

    async def _next_template(self) -> None:
        self._operators.change_template()
        await self._restart()

    async def _at_step(self) -> None:
        """The story is at rest: remember it, and perhaps start the operator on an earlier step."""
        point = self._point
        if self._remembers:
            await self._rest()
            here = len(self._pasts)
            self._rests.append(here)
            self._pasts.append(await self._proxy.record())
            if point and point.fault in PAST_FAULTS and point.step == here:
                self._proxy.past = replace(self._pasts[point.number], gets=PAST_FAULTS[point.fault])
                await self._restart()
                await self._rest()
                self._proxy.past = None
                self._past_was_told = True

    async def _at_moment(self, does: Callable[[], Awaitable[None]]) -> None:
        """Remember the moment at which people have done something and the operator has not."""
        if not self._remembers:
            await does()
            return
        with self._operators.held_still():
            await does()
            self._pasts.append(await self._proxy.record())

    @property
    def _remembers(self) -> bool:
        return self._plain is None or (self._point is not None and self._point.fault in PAST_FAULTS)

    # Looking.

    async def _until_the_end_is_as_expected(self) -> None:
        if self._plain is None:
            await self._rest()
            await self._rest()
            return
        expected = self._plain.end
        await self._history.until(lambda: self._end() == expected, "the end is as without the fault")
        await self._rest()

    def _end(self) -> Normal:
        return normal(self._history, self._node.linked)

    async def _rest(self) -> None:
        """Until nothing was written for a while."""
        loop, writes = asyncio.get_running_loop(), -1
        since = loop.time()
        while loop.time() < since + QUIET:
            if self._proxy.writes != writes:
                writes, since = self._proxy.writes, loop.time()
            await asyncio.sleep(LOOK)

    async def _until_it_watches(self, since: int) -> None:
        """Since that many requests."""
        loop = asyncio.get_running_loop()
        end = loop.time() + DEADLINE
        while sum(request.is_watch for request in self._proxy.log[since:]) < WATCHES:
            if loop.time() > end:
                raise NeverError(f"the operator watches: not within {DEADLINE:g} s")
            await asyncio.sleep(LOOK)

    async def _warnings(self) -> list[dict[str, str]]:
        answer = await self._api.call("GET", path(self._lane.namespace, "events"), fieldSelector="type=Warning")
        found: list[dict[str, str]] = [one for one in answer["items"] if one["involvedObject"]["kind"] == "WhatsAppSession"]
        return found
