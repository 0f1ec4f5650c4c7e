"""Calls of the WhatsApp client, each in a worker thread and under a time limit, in the one place that knows if one hangs.

Surprising: a call whose time is up is not ended, because nothing can end it; it is only waited for no longer. What came of
it, however late, is told to `on_end`. A call that never got a thread, because hung ones hold them all, is taken back.
"""

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

THREADS = 4
WEDGED_SECONDS = 30.0  # past its limit: a call that hangs for so long will not come back
_T = TypeVar("_T")


class NotBegunError(Exception):
    """The call was never begun: hung calls hold all threads."""


class ClientCalls:
    """Runs calls, `threads` at a time. `clock` gives seconds that never go back."""

    def __init__(self, threads: int = THREADS, *, clock: Callable[[], float] = time.monotonic) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix="call")
        self._clock = clock
        self._due: dict[asyncio.Future[Any], float] = {}

    async def run(self, call: Callable[[], _T], *, seconds: float, on_end: Callable[[asyncio.Future[_T]], None] | None = None) -> _T:
        """What `call` gives or raises. Raises TimeoutError after `seconds`: it goes on; NotBegunError: it never will.

        `on_end` is called on the event loop with its outcome, before this returns or any time later.
        """
        job = self._executor.submit(call)
        running: asyncio.Future[_T] = asyncio.wrap_future(job)
        self._due[running] = self._clock() + seconds
        running.add_done_callback(self._ended)
        if on_end:
            running.add_done_callback(on_end)
        await asyncio.wait([running], timeout=seconds)
        if running.done():
            return running.result()
        if job.cancel():
            raise NotBegunError("the WhatsApp client hangs in earlier calls, so this one was not begun")
        raise TimeoutError(f"the WhatsApp client did not answer within {seconds:g} s")

    def is_wedged(self) -> bool:
        """Whether a call hangs for good."""
        return any(self._clock() - due > WEDGED_SECONDS for due in self._due.values())

    async def drain(self, seconds: float) -> None:
        """Give what is under way `seconds` to finish."""
        if self._due:
            await asyncio.wait(self._due, timeout=seconds)

    def _ended(self, running: asyncio.Future[_T]) -> None:
        self._due.pop(running, None)
        if not running.cancelled():
            running.exception()  # seen, so that asyncio does not complain of a late failure that nobody waits for
