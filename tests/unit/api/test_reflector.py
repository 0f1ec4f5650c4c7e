"""List and watch: what the store holds after changes, cut watches, expired versions and refusals."""

import asyncio
from collections.abc import AsyncIterator, Callable

import pytest

from wasession_api.errors import ExpiredError, FacadeError, KubernetesUnavailableError
from wasession_api.reflector import LONGEST_PAUSE, Bookmark, Change, Put, Removed, follow, pause_seconds
from wasession_api.store import Store
from wasession_contract.v1alpha1 import WhatsAppSession, convert

pytestmark = pytest.mark.unit
Step = Change | FacadeError | Exception


def session(name: str, version: str) -> WhatsAppSession:
    meta = {"name": name, "uid": name, "resourceVersion": version, "creationTimestamp": "2025-01-01T00:00:00Z"}
    return convert({"metadata": meta, "spec": {}})


class ScriptedSource:
    """Plays lists and watches; the end of the script cancels the reflector."""

    def __init__(self, lists: list[list[WhatsAppSession] | FacadeError], watches: list[list[Step]]) -> None:
        self.lists = lists
        self.watches = watches
        self.calls: list[str] = []

    async def list_all(self) -> tuple[list[WhatsAppSession], str]:
        self.calls.append("list")
        if not self.lists:
            raise asyncio.CancelledError
        found = self.lists.pop(0)
        if isinstance(found, FacadeError):
            raise found
        return found, "10"

    async def watch(self, version: str) -> AsyncIterator[Change]:
        self.calls.append(f"watch {version}")
        if not self.watches:
            raise asyncio.CancelledError
        for step in self.watches.pop(0):
            if isinstance(step, Exception):
                raise step
            yield step


async def run(source: ScriptedSource, pauses: Callable[[float], None] = lambda _: None) -> Store:
    async def sleep(seconds: float) -> None:
        pauses(seconds)

    store = Store()
    with pytest.raises(asyncio.CancelledError):
        await follow(source, store, sleep)
    store.close()
    return store


def held(store: Store) -> list[str]:
    return [entry.session.metadata.name for entry in store.ordered()]


async def test_changes_are_taken_in_order() -> None:
    changes = [Put(session("b", "11"), "11"), Removed("a", "12"), Put(session("c", "13"), "13"), Bookmark("20")]
    source = ScriptedSource([[session("a", "1")]], [changes])
    assert held(await run(source)) == ["b", "c"]
    assert source.calls == ["list", "watch 10", "watch 20"]


async def test_a_cut_watch_goes_on_where_it_was() -> None:
    source = ScriptedSource([[]], [[Put(session("a", "11"), "11"), KubernetesUnavailableError("cut")], [Put(session("b", "12"), "12")]])
    assert held(await run(source)) == ["a", "b"]
    assert source.calls == ["list", "watch 10", "watch 11", "watch 12"]


async def test_an_expired_version_lists_again_and_what_is_gone_goes() -> None:
    source = ScriptedSource([[session("a", "1"), session("b", "2")], [session("b", "2")]], [[ExpiredError()]])
    assert held(await run(source)) == ["b"]
    assert source.calls == ["list", "watch 10", "list", "watch 10"]


async def test_a_defect_lists_again() -> None:
    source = ScriptedSource([[], [session("a", "1")]], [[ValueError("a line that is no JSON")]])
    assert held(await run(source)) == ["a"]


async def test_nothing_is_known_before_the_first_list_came() -> None:
    pauses: list[float] = []
    source = ScriptedSource([KubernetesUnavailableError("away")] * 8 + [[]], [])
    store = await run(source, pauses.append)
    assert store.synced
    assert source.calls.count("list") == 9
    assert pauses[-1] > pauses[0]
    assert max(pauses) <= LONGEST_PAUSE


@pytest.mark.parametrize(("failures", "jitter", "seconds"), [(0, 0, 0.2), (1, 0, 0.4), (3, 0, 1.6), (3, 1, 0.8), (99, 0, 5.0)])
def test_pauses_grow_up_to_a_bound(failures: int, jitter: float, seconds: float) -> None:
    assert pause_seconds(failures, jitter) == pytest.approx(seconds)
