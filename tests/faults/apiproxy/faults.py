"""What can be done to a request or to a watch event. Values; `ApiProxy` does it."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from apiproxy.log import Request


class When(Enum):
    """Before the API server did it, or after it did and before the answer is passed on."""

    BEFORE = auto()
    AFTER = auto()


Before: Final = When.BEFORE
After: Final = When.AFTER


@dataclass(frozen=True)
class Kill:
    """Kill the program. After: the API server did what was asked, and the answer is lost."""

    when: When


@dataclass(frozen=True)
class Cut:
    """Abort the connection of this request; the program lives."""

    when: When


@dataclass(frozen=True)
class Answer:
    """Answer in the API server's stead."""

    status: int
    reason: str
    retry_after: int | None = None
    """Seconds of the Retry-After header; None: no such header."""


@dataclass(frozen=True)
class Hold:
    """Pass the answer on only when `release` is set."""

    release: asyncio.Event = field(default_factory=asyncio.Event)


RequestFault = Kill | Cut | Answer | Hold


@dataclass(frozen=True)
class Drop:
    """The event never arrives."""


@dataclass(frozen=True)
class HoldEvent:
    """The event, and all behind it in its stream, arrives only when `release` is set."""

    release: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(frozen=True)
class Expire:
    """In its stead comes an ERROR event with code 410, and the stream ends: the version is too old."""


EventFault = Drop | HoldEvent | Expire


@dataclass
class Rule:
    """`fault` for each request that `picks`, `times` at most (None: always). `used` counts."""

    picks: Callable[[Request], bool]
    fault: RequestFault
    times: int | None = 1
    used: int = 0

    def take(self, request: Request) -> RequestFault | None:
        """The fault, if the rule is for this request."""
        if (self.times is not None and self.used >= self.times) or not self.picks(request):
            return None
        self.used += 1
        return self.fault


def conflict() -> Answer:
    """409, as for an object that changed meanwhile."""
    return Answer(409, "Conflict")


def too_many(retry_after: int = 1) -> Answer:
    """429 with Retry-After, as of priority and fairness."""
    return Answer(429, "TooManyRequests", retry_after)


def failing() -> Answer:
    """500."""
    return Answer(500, "InternalError")


def expired() -> Answer:
    """410, as for a list's or watch's version that is compacted."""
    return Answer(410, "Expired")
