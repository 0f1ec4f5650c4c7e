"""The work queue: which session is to be looked at next. As client-go's, in asyncio; no library of the field has one.

A key is in it once, and never with two workers: added while it is worked on, it comes again when that is done. Failures
back off per key, exponentially with jitter. What is only looked at to be sure (after a start, at each resync) goes behind what
happened, so that ten thousand looks delay no event. Surprising: taking a key forgets its timer, because whoever works on it
says anew when to look again.
"""

import asyncio
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from typing import Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)
FIRST_DELAY = 0.5  # seconds; doubled with each failure in a row
BACKGROUND_SHARE = 8  # every so many keys one from the background is taken first, so that it cannot starve
MAX_DELAY = 120.0  # seconds; a mend is noticed by its event anyway, this is for what has none


class Timer(Protocol):
    """What `call_later` of an event loop gives."""

    def cancel(self) -> None:
        """Forget it."""


CallLater = Callable[[float, Callable[[], None]], Timer]


class WorkQueue(Generic[K]):
    """Keys to work on.

    `call_later(seconds, function)`, `jitter()` (0 to 1) and `clock()` (seconds) are the loop's, `random`'s and `time`'s, but
    for tests. `waited(seconds)` is told how long each key waited before it was taken.
    """

    def __init__(
        self,
        call_later: CallLater,
        jitter: Callable[[], float],
        clock: Callable[[], float] = time.monotonic,
        waited: Callable[[float], None] = lambda _: None,
    ) -> None:
        self._call_later = call_later
        self._jitter = jitter
        self._clock = clock
        self._waited = waited
        self._ready: deque[K] = deque()
        self._background: OrderedDict[K, None] = OrderedDict()  # a deque that any key can leave
        self._turn = 0
        self._queued: dict[K, float] = {}  # since when; the oldest comes first
        self._working: dict[K, float] = {}
        self._again: set[K] = set()
        self._held: set[K] = set()
        self._timers: dict[K, tuple[float, Timer]] = {}
        self._failures: dict[K, int] = {}
        self._arrived = asyncio.Event()
        self._closed = False

    def __len__(self) -> int:
        return len(self._queued)

    @property
    def idle(self) -> bool:
        """Nothing is waiting and nothing is worked on; timers do not count."""
        return not self._queued and not self._working

    @property
    def failing(self) -> int:
        """Keys whose last attempt failed."""
        return len(self._failures)

    @property
    def working(self) -> int:
        """Keys that are worked on."""
        return len(self._working)

    @property
    def oldest_wait(self) -> float:
        """Seconds for which the key that came first of all that wait has waited; 0: none waits."""
        return self._clock() - next(iter(self._queued.values())) if self._queued else 0

    @property
    def longest_work(self) -> float:
        """Seconds for which the key that was taken first is worked on; 0: none is."""
        return self._clock() - next(iter(self._working.values())) if self._working else 0

    def add(self, key: K, *, background: bool = False) -> None:
        """Let `key` be worked on, once; `background`: nothing is known to have happened to it."""
        if key in self._held:
            return
        if key in self._working:
            self._again.add(key)
        elif key not in self._queued:
            self._queued[key] = self._clock()
            if background:
                self._background[key] = None
            else:
                self._ready.append(key)
            self._arrived.set()
        elif not background and key in self._background:
            del self._background[key]
            self._ready.append(key)

    def add_after(self, key: K, seconds: float) -> None:
        """Let `key` be worked on in `seconds`; of two timers of a key the earlier one counts."""
        known = self._timers.get(key)
        if known is not None:
            if known[0] <= seconds:
                return
            known[1].cancel()
        self._timers[key] = seconds, self._call_later(seconds, lambda: self._due(key))

    async def take(self) -> K | None:
        """The next key, waiting for one; None once the queue is closed. Whoever takes it calls `done` or `failed`."""
        while not self._queued and not self._closed:
            self._arrived.clear()
            await self._arrived.wait()
        if self._closed:
            return None
        key = self._next()
        now = self._clock()
        self._waited(now - self._queued.pop(key))
        self._working[key] = now
        if (known := self._timers.pop(key, None)) is not None:
            known[1].cancel()
        return key

    def done(self, key: K, again_after: float | None = None) -> None:
        """The work on `key` went well; look again after so many seconds, or at the next event."""
        self._failures.pop(key, None)
        self._release(key)
        if again_after is not None:
            self.add_after(key, again_after)

    def failed(self, key: K, at_least: float = 0) -> float:
        """The work on `key` failed: it comes again after a back-off, which is returned in seconds.

        An event cuts a back-off short, because it may be the mend; not so if the server asked for `at_least` so many seconds.
        """
        failures = self._failures[key] = self._failures.get(key, 0) + 1
        delay = max(at_least, min(FIRST_DELAY * 2.0 ** min(failures - 1, 20), MAX_DELAY))
        delay *= 1 + self._jitter() / 2
        self._release(key, again=False)
        self.add_after(key, delay)
        if at_least:
            self._held.add(key)
        return delay

    def forget(self, key: K) -> None:
        """`key` is gone for good."""
        self._held.discard(key)
        self._failures.pop(key, None)
        if (known := self._timers.pop(key, None)) is not None:
            known[1].cancel()

    def close(self) -> None:
        """Give out no more keys."""
        self._closed = True
        self._arrived.set()

    def _release(self, key: K, *, again: bool = True) -> None:
        """After a failure what came meanwhile waits for the back-off too, so that events cannot make a retry storm."""
        self._working.pop(key, None)
        came_meanwhile = key in self._again
        self._again.discard(key)
        if came_meanwhile and again:
            self.add(key)

    def _next(self) -> K:
        self._turn += 1
        if self._background and (not self._ready or self._turn % BACKGROUND_SHARE == 0):
            return self._background.popitem(last=False)[0]
        return self._ready.popleft()

    def _due(self, key: K) -> None:
        self._timers.pop(key, None)
        self._held.discard(key)
        self.add(key)
