"""Calls of the client: bounded, told of when they end late, and taken back when they never began."""

import asyncio
import threading
from collections.abc import Iterator

import pytest

from wasession_pod.clientcalls import WEDGED_SECONDS, ClientCalls, NotBegunError

pytestmark = pytest.mark.unit


class Hanging:
    """A call that hangs until the test lets it go."""

    def __init__(self) -> None:
        self.gate = threading.Event()
        self.failure: Exception | None = None

    def __call__(self) -> str:
        self.gate.wait(10)
        if self.failure:
            raise self.failure
        return "done"


@pytest.fixture
def hanging() -> Iterator[Hanging]:
    call = Hanging()
    yield call
    call.gate.set()


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


async def test_a_call_gives_its_result_or_its_failure() -> None:
    calls = ClientCalls()
    assert await calls.run(lambda: 7, seconds=5) == 7
    with pytest.raises(ZeroDivisionError):
        await calls.run(lambda: 1 // 0, seconds=5)


async def test_a_call_whose_time_is_up_goes_on_and_its_end_is_told(hanging: Hanging) -> None:
    calls, ended = ClientCalls(), asyncio.Event()
    with pytest.raises(TimeoutError, match=r"within 0\.01 s"):
        await calls.run(hanging, seconds=0.01, on_end=lambda call: ended.set() if call.result() == "done" else None)
    assert not ended.is_set()
    hanging.gate.set()
    async with asyncio.timeout(10):
        await ended.wait()


async def test_the_end_is_told_before_the_result_is_given() -> None:
    told: list[int] = []
    await ClientCalls().run(lambda: 7, seconds=5, on_end=lambda call: told.append(call.result()))
    assert told == [7]


async def test_a_late_failure_that_nobody_waits_for_is_no_noise(hanging: Hanging, caplog: pytest.LogCaptureFixture) -> None:
    calls = ClientCalls()
    hanging.failure = OSError("late")
    with pytest.raises(TimeoutError):
        await calls.run(hanging, seconds=0.01)
    hanging.gate.set()
    await calls.drain(10)
    assert caplog.records == []


async def test_a_call_that_got_no_thread_is_never_begun(hanging: Hanging) -> None:
    calls, begun = ClientCalls(1), []
    with pytest.raises(TimeoutError):
        await calls.run(hanging, seconds=0.01)
    with pytest.raises(NotBegunError):
        await calls.run(lambda: begun.append(1), seconds=0.01)
    hanging.gate.set()
    assert await calls.run(lambda: 7, seconds=5) == 7
    assert begun == []


async def test_a_call_is_wedged_when_it_hangs_far_past_its_limit(hanging: Hanging) -> None:
    clock = Clock()
    calls = ClientCalls(clock=clock)
    with pytest.raises(TimeoutError):
        await calls.run(hanging, seconds=0.01)
    clock.now = WEDGED_SECONDS
    assert not calls.is_wedged()
    clock.now = WEDGED_SECONDS + 0.02
    assert calls.is_wedged()
    hanging.gate.set()
    await calls.drain(10)
    assert not calls.is_wedged()


async def test_whoever_waits_may_go_and_the_call_goes_on(hanging: Hanging) -> None:
    calls, told = ClientCalls(), asyncio.Event()
    waiting = asyncio.create_task(calls.run(hanging, seconds=60, on_end=lambda _call: told.set()))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    hanging.gate.set()
    async with asyncio.timeout(10):
        await told.wait()
