from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from wasession_operator.workqueue import BACKGROUND_SHARE, FIRST_DELAY, MAX_DELAY, WorkQueue

if TYPE_CHECKING:
    from conftest import FakeTimers

pytestmark = pytest.mark.unit


@pytest.fixture
def queue(timers: FakeTimers) -> WorkQueue[str]:
    return WorkQueue(timers.call_later, lambda: 0.0)


async def test_a_key_is_in_the_queue_once(queue: WorkQueue[str]) -> None:
    for key in ("a", "b", "a", "a"):
        queue.add(key)
    assert len(queue) == 2
    assert [await queue.take(), await queue.take()] == ["a", "b"]


async def test_a_key_is_never_with_two_workers(queue: WorkQueue[str]) -> None:
    queue.add("a")
    await queue.take()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert len(queue) == 1
    await queue.take()
    queue.done("a")
    assert queue.idle


async def test_a_waiting_worker_is_woken(queue: WorkQueue[str]) -> None:
    worker = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.add("a")
    assert await worker == "a"


async def test_the_earlier_of_two_timers_counts_and_taking_the_key_forgets_it(queue: WorkQueue[str], timers: FakeTimers) -> None:
    queue.add_after("a", 50)
    queue.add_after("a", 10)
    queue.add_after("a", 70)
    assert timers.pending == [10]
    timers.advance(10)
    assert len(queue) == 1
    queue.add_after("a", 5)
    await queue.take()
    assert timers.pending == []
    queue.done("a", again_after=30)
    assert timers.pending == [30]


async def test_failures_back_off_exponentially_up_to_a_limit_and_success_forgets_them(queue: WorkQueue[str], timers: FakeTimers) -> None:
    delays = []
    for _ in range(12):
        queue.add("a")
        await queue.take()
        delays.append(queue.failed("a"))
        assert queue.failing == 1
        timers.advance(delays[-1])
    assert delays[:4] == [FIRST_DELAY, 2 * FIRST_DELAY, 4 * FIRST_DELAY, 8 * FIRST_DELAY]
    assert max(delays) == delays[-1] == MAX_DELAY
    await queue.take()
    queue.done("a")
    queue.add("a")
    await queue.take()
    assert queue.failed("a") == FIRST_DELAY


async def test_the_server_may_ask_for_a_longer_wait(queue: WorkQueue[str], timers: FakeTimers) -> None:
    queue.add("a")
    await queue.take()
    assert queue.failed("a", at_least=30) == 30
    assert timers.pending == [30]


async def test_jitter_only_lengthens(timers: FakeTimers) -> None:
    queue: WorkQueue[str] = WorkQueue(timers.call_later, lambda: 1.0)
    queue.add("a")
    await queue.take()
    assert queue.failed("a") == FIRST_DELAY * 1.5


async def test_what_comes_during_a_failing_attempt_waits_for_the_back_off(queue: WorkQueue[str], timers: FakeTimers) -> None:
    queue.add("a")
    await queue.take()
    queue.add("a")
    queue.failed("a")
    assert len(queue) == 0
    timers.advance(FIRST_DELAY)
    assert len(queue) == 1


async def test_an_event_does_not_wait_for_the_back_off(queue: WorkQueue[str], timers: FakeTimers) -> None:
    queue.add("a")
    await queue.take()
    queue.failed("a")
    queue.add("a")
    assert await queue.take() == "a"
    assert timers.pending == []


async def test_a_closed_queue_gives_nothing_out(queue: WorkQueue[str]) -> None:
    worker = asyncio.create_task(queue.take())
    await asyncio.sleep(0)
    queue.add("a")
    queue.close()
    assert await worker is None
    assert await queue.take() is None


async def test_a_key_that_is_gone_leaves_nothing_behind(queue: WorkQueue[str], timers: FakeTimers) -> None:
    queue.add("a")
    await queue.take()
    queue.failed("a")
    queue.forget("a")
    assert (queue.failing, timers.pending) == (0, [])


async def test_how_long_keys_wait_and_are_worked_on_is_told(timers: FakeTimers) -> None:
    waits: list[float] = []
    queue: WorkQueue[str] = WorkQueue(timers.call_later, lambda: 0.0, lambda: timers.time, waits.append)
    assert (queue.oldest_wait, queue.longest_work) == (0, 0)
    queue.add("a")
    timers.advance(3)
    queue.add("b")
    timers.advance(1)
    assert queue.oldest_wait == 4
    await queue.take()
    assert (queue.oldest_wait, queue.working) == (1, 1)
    timers.advance(2)
    assert queue.longest_work == 2
    queue.done("a")
    assert (queue.longest_work, waits) == (0, [4])


async def test_what_happened_goes_before_what_is_only_looked_at_to_be_sure(queue: WorkQueue[str]) -> None:
    for key in ("a", "b", "c"):
        queue.add(key, background=True)
    queue.add("x")
    queue.add("b")
    queue.add("x", background=True)
    assert len(queue) == 4
    assert [await queue.take() for _ in range(4)] == ["x", "b", "a", "c"]
    assert len(queue) == 0


async def test_a_stream_of_events_does_not_starve_the_background(queue: WorkQueue[str]) -> None:
    queue.add("background", background=True)
    taken: list[str | None] = []
    for number in range(BACKGROUND_SHARE):
        queue.add(f"event {number}")
    for number in range(BACKGROUND_SHARE):
        taken.append(await queue.take())
        queue.add(f"later event {number}")
    assert "background" in taken


async def test_an_event_cuts_a_back_off_short_but_not_the_wait_that_the_server_asked_for(queue: WorkQueue[str], timers: FakeTimers) -> None:
    for key, at_least in (("refused", 0.0), ("told to wait", 4.0)):
        queue.add(key)
        await queue.take()
        queue.failed(key, at_least)
    queue.add("told to wait")
    queue.add("refused")
    assert [await queue.take(), len(queue)] == ["refused", 0]
    timers.advance(4)
    assert await queue.take() == "told to wait"
    queue.done("told to wait")
    queue.add("told to wait")
    assert len(queue) == 1
