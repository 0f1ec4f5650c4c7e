"""Waiting without sleeping blindly: ask until it is so, or say what was seen last."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
PAUSE_SECONDS = 0.1


def until(ask: Callable[[], T], what: str, seconds: float = 60) -> T:
    """The first true answer. Raises AssertionError, with the last answer, when there is none within `seconds`."""
    end = time.monotonic() + seconds
    while True:
        answer = ask()
        if answer:
            return answer
        assert time.monotonic() < end, f"waited {seconds} s for {what}; last answer: {answer!r}"
        time.sleep(PAUSE_SECONDS)
