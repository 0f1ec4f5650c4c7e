"""When a session may start, so that a thousand of them do not log in in the same second. A token bucket. Pure.

A cluster that was restored or lost its nodes, and everybody resumed at once, would send WhatsApp a burst of logins from few
addresses, and the nodes a burst of pods. Surprising: a key keeps the time that it was given until it is forgotten, so that
looking at a session again does not send it to the end of the queue.
"""

from datetime import UTC, datetime, timedelta

from wasession_operator.views import Key

_LONG_AGO = datetime.min.replace(tzinfo=UTC)


class Starts:
    """At most `per_second` starts, and as many at once after a quiet second (at least one); 0: no limit."""

    def __init__(self, per_second: float) -> None:
        self._between = timedelta(seconds=1 / per_second) if per_second else timedelta()
        self._spare = (max(1, int(per_second)) - 1) * self._between
        self._given: dict[Key, datetime] = {}
        self._full_at = _LONG_AGO

    def not_before(self, key: Key, now: datetime) -> datetime | None:
        """When `key` may start; None: now. The first to ask is the first to start."""
        if not self._between:
            return None
        at = self._given.get(key)
        if at is None:
            full_at = max(self._full_at, now)
            self._full_at = full_at + self._between
            at = self._given[key] = full_at - self._spare
        return at if at > now else None

    def forget(self, key: Key) -> None:
        """`key` has started, or shall not start any more."""
        self._given.pop(key, None)
