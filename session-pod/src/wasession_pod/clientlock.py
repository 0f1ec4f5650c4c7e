"""A lock that calls of the client share and that its end has alone.

neonize keeps its clients in a Go map without a lock, and looks into it when a call begins: two looks at once are fine, a
look while a client is put in or taken out may end the process. Surprising: who wants the lock alone and does not get it
in time goes on without it, because a call that hangs is past its look and must not keep a dead client alive.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class ClientLock:
    """Shared by calls, taken alone by start and stop."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._sharing = 0
        self._alone = False

    @contextmanager
    def shared(self, seconds: float) -> Iterator[bool]:
        """Hold it with others; False: not within `seconds`, and it is not held."""
        with self._condition:
            mine = self._condition.wait_for(lambda: not self._alone, seconds)
            self._sharing += mine
        try:
            yield mine
        finally:
            with self._condition:
                self._sharing -= mine
                self._condition.notify_all()

    @contextmanager
    def alone(self, seconds: float) -> Iterator[None]:
        """Keep others out, and wait at most `seconds` for those that are in."""
        with self._condition:
            self._condition.wait_for(lambda: not self._alone, seconds)
            self._alone = True
            self._condition.wait_for(lambda: not self._sharing, seconds)
        try:
            yield
        finally:
            with self._condition:
                self._alone = False
                self._condition.notify_all()
