"""How fast a session may send: a token bucket and a cap for each UTC day, both off unless the object asks for them.

`take` is pure; `Pacer` keeps its state in the journal, so that a restart gives no second burst. Surprising: the wait that a
caller is told is longer than the true one by a random part, because callers that were refused together would otherwise
come back together.
"""

import math
import random
import time
from collections.abc import Callable
from typing import Protocol

import msgspec

from wasession_contract.v1alpha1 import Pacing

DAY_SECONDS = 86_400
SPREAD = 0.2  # of the wait, at most
_ROUNDING = 1e-6  # of a token, which sums of floats may lack
MAX_SPREAD_SECONDS = 60.0  # who waits for tomorrow need not lose hours


class Spent(msgspec.Struct, frozen=True):
    """What of a session's budget is used: `tokens` were left at `at` (seconds since 1970); `sent` on `day` (days since 1970, UTC)."""

    tokens: float
    at: float
    day: int
    sent: int


def take(policy: Pacing, spent: Spent | None, now: float) -> tuple[Spent, float]:
    """Take one message out of the budget at `now` (seconds since 1970).

    Gives the budget after it and 0, or the budget as it is and the seconds until there is room. `spent` None: nothing was
    sent yet. A clock that was set back costs nothing but the time until it has caught up.
    """
    day = int(now // DAY_SECONDS)
    sent = spent.sent if spent and spent.day == day else 0
    tokens = _refilled(policy, spent, now)
    waits = []
    if policy.messages_per_day and sent >= policy.messages_per_day:
        waits.append((day + 1) * DAY_SECONDS - now)
    if policy.messages_per_minute and tokens < 1 - _ROUNDING:
        waits.append((1 - tokens) * 60 / policy.messages_per_minute)
    if waits:
        return Spent(tokens, now, day, sent), max(waits)
    return Spent(tokens - 1 if policy.messages_per_minute else tokens, now, day, sent + 1), 0.0


def told(wait: float, jitter: float) -> int:
    """The whole seconds that a caller is told to wait; `jitter` from 0 to 1 spreads them."""
    return math.ceil(wait + min(wait * SPREAD, MAX_SPREAD_SECONDS) * jitter)


def _refilled(policy: Pacing, spent: Spent | None, now: float) -> float:
    if spent is None:
        return float(policy.burst)
    elapsed = max(now - spent.at, 0.0)
    return min(spent.tokens + elapsed * policy.messages_per_minute / 60, float(policy.burst))


class Memory(Protocol):
    """Where the budget survives a restart."""

    def spent(self) -> Spent | None:
        """What was kept last."""

    def keep_spent(self, spent: Spent) -> None:
        """Keep it."""


class Pacer:
    """The budget of one session. `now` gives seconds since 1970, `jitter` a number from 0 to 1."""

    def __init__(
        self, policy: Pacing, memory: Memory, *, now: Callable[[], float] = time.time, jitter: Callable[[], float] = random.random
    ) -> None:
        self._policy = policy
        self._memory = memory
        self._now = now
        self._jitter = jitter
        self._on = bool(policy.messages_per_minute or policy.messages_per_day)

    def take(self) -> int:
        """Take one message out of the budget: 0 if there was room, else the seconds to wait. Raises JournalError."""
        return self._try(keep=True)

    def wait(self) -> int:
        """What `take` would say, with nothing taken. Raises JournalError."""
        return self._try(keep=False)

    def _try(self, *, keep: bool) -> int:
        if not self._on:
            return 0
        spent, wait = take(self._policy, self._memory.spent(), self._now())
        if not wait and keep:
            self._memory.keep_spent(spent)
        return told(wait, self._jitter())
