"""What happened to the sessions, pods and claims of a namespace, in the API server's order; and what is there now.

Resource versions order events over all kinds, because all of them are versions of one etcd.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from operatorpoints.api import CLAIMS, PODS, SESSIONS, Api, Json, path

KINDS = (SESSIONS, PODS, CLAIMS)
DEADLINE = 60.0  # seconds; a bound for what hangs, not a measure


class NeverError(Exception):
    """What was waited for did not come."""


@dataclass(frozen=True)
class Change:
    """One watch event."""

    plural: str
    type: str
    object: Json

    @property
    def meta(self) -> Json:
        """The object's metadata."""
        meta: Json = self.object["metadata"]
        return meta

    @property
    def version(self) -> int:
        """When it happened."""
        return int(self.meta["resourceVersion"])


class History:
    """Watches one namespace from an empty start. `seen` is told each change."""

    def __init__(self, api: Api, namespace: str, seen: Callable[[Change], None]) -> None:
        self._api, self._namespace, self._seen = api, namespace, seen
        self.changes: list[Change] = []
        self._now: dict[tuple[str, str], Json] = {}
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._tasks = [asyncio.create_task(self._watch(plural), name=f"watch of {plural}") for plural in KINDS]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._news.set())
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def get(self, plural: str, name: str) -> Json | None:
        """The object as it is now."""
        return self._now.get((plural, name))

    def all(self, plural: str) -> Iterator[Json]:
        """All objects of a kind, by name."""
        return (one for (kind, _), one in sorted(self._now.items(), key=lambda item: item[0]) if kind == plural)

    async def until(self, look: Callable[[], Any], what: str, deadline: float = DEADLINE) -> None:
        """Wait until `look` is truthy. Raises NeverError."""
        try:
            async with asyncio.timeout(deadline):
                while not look():
                    self._news.clear()
                    self._see_that_it_hears(what)
                    await self._news.wait()
        except TimeoutError:
            raise NeverError(f"{what}: not within {deadline:g} s") from None

    def _see_that_it_hears(self, what: str) -> None:
        for task in self._tasks:
            if task.done() and not task.cancelled():
                raise NeverError(f"{what}: the {task.get_name()} ended: {task.exception()!r}")

    async def _watch(self, plural: str) -> None:
        async for event in self._api.watch(path(self._namespace, plural)):
            change = Change(plural, event["type"], event["object"])
            self.changes.append(change)
            where = plural, change.meta["name"]
            if change.type == "DELETED":
                self._now.pop(where, None)
            else:
                self._now[where] = change.object
            self._seen(change)
            self._news.set()
