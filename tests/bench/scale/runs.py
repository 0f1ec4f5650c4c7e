"""The measured runs, each on a control plane of its own."""

import asyncio
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import aiohttp
import msgspec

from scale.objects import PODS, SESSIONS, Chain, name, raw, session, stateful_set
from scale.plane import Plane
from scale.subject import OperatorProcess
from scale.wire import MERGE, Counts, Event, Wire

UNTHROTTLED = ("kube-api-qps=5000", "kube-api-burst=5000", "concurrent-statefulset-syncs=16")
OURS = ("whatsappsessions", "pods", "persistentvolumeclaims", "events")
WRITES = ("POST", "PUT", "PATCH", "APPLY", "DELETE")
READS = ("GET", "LIST", "WATCH")
QUIET_SECONDS = 4.0
DEADLINE = 1800.0


@dataclass
class Measured:
    """What the operator's run gave; durations in seconds, memory in MiB, counts for all sessions together."""

    sessions: int
    rate: float = 0
    requests: float = 0
    """Of the operator, until all sessions were created and at rest."""
    created_cpu: float = 0
    plane_cpu: float = 0
    """Of etcd, API server, controller manager and the fake node meanwhile."""
    created: Counts = field(default_factory=lambda: Counts(Counter()))
    created_memory: tuple[float, float] = (0, 0)
    told: Counts = field(default_factory=lambda: Counts(Counter()))
    told_cpu: float = 0
    rest_seconds: float = 0
    rest_writes: float = 0
    rest_cpu: float = 0
    rest_memory: tuple[float, float] = (0, 0)
    restarts: list[float] = field(default_factory=list)
    """Event → action: `spec.restartedAt` acknowledged → the pod is being deleted."""
    creations: list[float] = field(default_factory=list)
    """A session acknowledged → its pod is there."""
    taken_over: float = 0
    taken_over_cpu: float = 0
    taken_over_writes: float = 0
    taken_over_memory: tuple[float, float] = (0, 0)


def say(text: str) -> None:
    """Progress, to standard error."""
    sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")


async def pods_rate(kubeconfig: Path, chains: Sequence[Chain], seconds: float = DEADLINE) -> float:
    """Create `chains`; pods per second from the first request to the last pod, or to the last one seen within `seconds`."""
    async with Wire(kubeconfig) as wire:
        version = await wire.version(PODS)
        seen: list[float] = []

        async def count() -> None:
            async with aclosing(wire.watch(PODS, version)) as events:
                async for event in events:
                    if event.type == "ADDED":
                        seen.append(time.monotonic())
                        if len(seen) == len(chains):
                            return

        counting = asyncio.create_task(count())
        began = time.monotonic()
        creating = asyncio.create_task(wire.create_all(chains))
        _, pending = await asyncio.wait({counting, creating}, timeout=seconds, return_when=asyncio.FIRST_EXCEPTION)
        for task in pending:
            task.cancel()
        for task in {counting, creating} - pending:
            task.result()
        return len(seen) / (seen[-1] - began) if seen else 0.0


class Anchor(NamedTuple):
    """What somebody else gave: pods per second, and CPU seconds per pod of the control plane (controllers and node with it)."""

    rate: float
    cpu: float


def anchor(make: Callable[[int], Chain], number: int, *, flags: Sequence[str] = (), seconds: float = DEADLINE) -> Anchor:
    """Let somebody else make `number` pods, or as many as they make in `seconds`."""
    with tempfile.TemporaryDirectory(prefix="wasession-scale-") as directory, Plane(Path(directory) / "cluster", flags) as plane:
        before = plane.cpu()
        rate = asyncio.run(pods_rate(plane.kubeconfig, [make(one) for one in range(number)], seconds))
        time.sleep(QUIET_SECONDS)  # the last pods' statuses
        return Anchor(rate, (plane.cpu() - before) / number)


def raw_client(number: int) -> Anchor:
    """The minimal client."""
    return anchor(raw, number)


def stateful_sets(number: int) -> Anchor:
    """Their controller, unthrottled."""
    return anchor(stateful_set, number, flags=UNTHROTTLED)


def stateful_sets_by_default(number: int, seconds: float) -> Anchor:
    """Their controller as it comes: 20 requests a second."""
    return anchor(stateful_set, number, seconds=seconds)


def operator(number: int, *, rest: float, samples: int) -> Measured:
    """The operator with `number` sessions; `rest` in seconds."""
    with tempfile.TemporaryDirectory(prefix="wasession-scale-") as directory, Plane(Path(directory) / "cluster") as plane:
        process = OperatorProcess(plane.kubeconfig, Path(directory) / "operator")
        try:
            return asyncio.run(_Life(plane, process, number).lead(rest, samples))
        finally:
            process.stop()


class _Life:
    def __init__(self, plane: Plane, process: OperatorProcess, number: int) -> None:
        self._plane, self._process, self._number = plane, process, number
        self._measured = Measured(number)

    async def lead(self, rest: float, samples: int) -> Measured:
        measured, process = self._measured, self._process
        process.start()
        async with aiohttp.ClientSession() as self._http:
            await self._until(lambda: process.is_live(self._http))
            await self._settle()
            await self._create()
            async with Wire(self._plane.kubeconfig) as self._wire:
                await self._tell()
                await self._rest(rest)
                measured.restarts = await self._react(self._restart, samples)
                measured.creations = await self._react(self._add, samples // 3)
                await self._settle()
                await self._take_over()
        return measured

    async def _create(self) -> None:
        measured, process = self._measured, self._process
        async with Wire(self._plane.kubeconfig) as wire:
            before, cpu, asked, plane_cpu = await wire.counts(), process.cpu(), await self._requests(), self._plane.cpu()
            measured.rate = await pods_rate(self._plane.kubeconfig, [session(one) for one in range(self._number)])
            await self._settle()
            measured.created_cpu, measured.plane_cpu = process.cpu() - cpu, self._plane.cpu() - plane_cpu
            measured.created = await wire.counts() - before
            measured.requests = await self._requests() - asked
            measured.created_memory = process.memory()
        say(f"  created: {measured.rate:.1f} pods/s, memory {measured.created_memory}, {measured.created_cpu:.1f} s CPU")

    async def _tell(self) -> None:
        """As the session pods would: each says that it is connected."""
        measured, process = self._measured, self._process
        before, cpu = await self._wire.counts(), process.cpu()
        listed = msgspec.json.decode(await self._wire.call("GET", PODS), type=_List)
        waiting = iter(listed.items)

        async def report() -> None:
            for pod in waiting:
                path = f"{SESSIONS}/{pod.metadata.name.removesuffix('-session')}/status?fieldManager=session-pod"
                await self._wire.call("PATCH", path, msgspec.json.encode({"status": {"session": _report(pod.metadata)}}), MERGE)

        await asyncio.gather(*(report() for _ in range(8)))
        await self._settle()
        measured.told_cpu = process.cpu() - cpu
        measured.told = await self._wire.counts() - before
        say(f"  told: {measured.told_cpu:.1f} s CPU, memory {process.memory()}")

    async def _rest(self, seconds: float) -> None:
        measured, process = self._measured, self._process
        before, cpu, began = await self._wire.counts(), process.cpu(), time.monotonic()
        await asyncio.sleep(seconds)
        measured.rest_writes = (await self._wire.counts() - before).total(resources=OURS, verbs=WRITES)
        measured.rest_seconds = time.monotonic() - began
        measured.rest_cpu = process.cpu() - cpu
        measured.rest_memory = process.memory()
        say(f"  rest: {measured.rest_writes:.0f} writes, memory {measured.rest_memory}, {measured.rest_cpu:.2f} s CPU")

    async def _react(self, provoke: Callable[[int, AsyncIterator[Event]], Awaitable[float]], samples: int) -> list[float]:
        """One after the other, each once the one before has come to rest."""
        version = await self._wire.version(PODS)
        async with aclosing(self._wire.watch(PODS, version)) as events:
            found = [await provoke(sample, events) for sample in range(samples)]
        say(f"  {provoke.__name__}: median {sorted(found)[len(found) // 2] * 1000:.0f} ms, worst {max(found) * 1000:.0f} ms")
        return found

    async def _restart(self, sample: int, events: AsyncIterator[Event]) -> float:
        which = name(sample * 7919 % self._number)
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1_800_000_000 + sample))
        await self._wire.call("PATCH", f"{SESSIONS}/{which}", msgspec.json.encode({"spec": {"restartedAt": moment}}), MERGE)
        began = time.monotonic()
        async for event in events:
            if event.object.metadata.name == f"{which}-session" and event.object.metadata.deletion_timestamp:
                took = time.monotonic() - began
                break
        async for event in events:
            if event.object.metadata.name == f"{which}-session" and event.type == "ADDED":
                break
        return took

    async def _add(self, sample: int, events: AsyncIterator[Event]) -> float:
        ((path, body),) = session(self._number + sample)
        await self._wire.call("POST", path, body)
        began = time.monotonic()
        async for event in events:
            if event.object.metadata.name == f"{name(self._number + sample)}-session":
                break
        return time.monotonic() - began

    async def _take_over(self) -> None:
        measured, process = self._measured, self._process
        process.stop()
        known = len(msgspec.json.decode(await self._wire.call("GET", SESSIONS), type=_List).items)
        before, began = await self._wire.counts(), time.monotonic()
        process.start()
        await self._until(lambda: self._looked_at(known))
        measured.taken_over = time.monotonic() - began
        await self._until(lambda: process.is_live(self._http))
        await asyncio.sleep(15)  # the second list is in it
        await self._settle()
        measured.taken_over_cpu = process.cpu()
        measured.taken_over_writes = (await self._wire.counts() - before).total(resources=OURS, verbs=WRITES)
        measured.taken_over_memory = process.memory()
        say(f"  taken over after {measured.taken_over:.1f} s, {measured.taken_over_writes:.0f} writes, {measured.taken_over_memory}")

    async def _looked_at(self, sessions: int) -> bool:
        seen = await self._process.metrics(self._http)
        return seen is not None and seen.get("wasession_operator_reconciles_total", 0) >= sessions

    async def _requests(self) -> float:
        seen = await self._process.metrics(self._http) or {}
        return seen["wasession_operator_api_requests_total"]

    async def _settle(self) -> None:
        """Until the operator has looked at nothing for a while."""
        last, since = -1.0, time.monotonic()
        end = since + DEADLINE
        while time.monotonic() < since + QUIET_SECONDS:
            seen = await self._process.metrics(self._http) or {}
            now = seen.get("wasession_operator_reconciles_total", 0)
            if now != last or seen.get("wasession_operator_queue_depth"):
                last, since = now, time.monotonic()
            if since > end:
                raise RuntimeError("the operator does not come to rest")
            await asyncio.sleep(0.5)

    async def _until(self, look: Callable[[], Awaitable[bool]]) -> None:
        while not await look():  # noqa: ASYNC110  another process tells by being asked
            await asyncio.sleep(0.1)


class _Named(msgspec.Struct):
    name: str
    uid: str


class _Item(msgspec.Struct):
    metadata: _Named


class _List(msgspec.Struct):
    items: list[_Item]


def _report(pod: _Named) -> dict[str, object]:
    return {
        "podUID": pod.uid,
        "state": "Connected",
        "reportedAt": "2026-01-01T00:00:00Z",
        "connectedSince": "2026-01-01T00:00:00Z",
        "lastActivity": "2026-01-01T00:00:00Z",
        "number": "573000000000",
        "name": "María",
        "jid": "573000000000:1@s.whatsapp.net",
        "backend": {"state": "Connected", "backlog": 0},
    }
