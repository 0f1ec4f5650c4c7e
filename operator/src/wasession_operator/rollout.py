"""A changed pod template reaches running sessions a few at a time, and stops by itself where it does harm.

A session that is replaced has a turn until it is back, or until the deadline has passed without that: then it has failed.
The roll-out stops when two sessions have failed and none that was replaced after them came back, or when as many have failed
as may be away. All of it follows from where each session stands (`standing`), so a new operator that has seen every session
once knows as much as the old one. Surprising: who is away counts, whatever the reason, as a Deployment counts it; a cluster
in trouble is no time for an upgrade.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import assert_never

from wasession_operator.standing import Place, Standing
from wasession_operator.views import Key

IN_A_ROW = 2
_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class Share:
    """Kubernetes' IntOrString: so many, or so many of a hundred, rounded down as `maxUnavailable` is; at least one."""

    number: int
    percent: bool = False

    def of(self, total: int) -> int:
        """How many of `total`."""
        return max(1, total * self.number // 100 if self.percent else self.number)


class Rollout:
    """Turns for `max_unavailable` of the sessions that shall run; each has `deadline` to come back. Every call is O(1)."""

    def __init__(self, max_unavailable: Share, deadline: timedelta) -> None:
        self._share = max_unavailable
        self.deadline = deadline
        self._running: set[Key] = set()
        self._outdated: set[Key] = set()
        self._waiting: tuple[dict[Key, None], ...] = ({}, {}, {})
        self._turns: dict[Key, datetime | None] = {}
        """Who is away or about to be, with the time from which the deadline counts."""
        self._failed: dict[Key, datetime] = {}
        self._row: set[Key] = set()
        """The failed after whom none came back."""
        self._back: dict[Key, str] = {}
        """The pod that brought the session back; it may lose its connection later."""
        self._newest_back = _NEVER

    @property
    def outdated(self) -> int:
        """Sessions whose pod is of an older template."""
        return len(self._outdated)

    @property
    def in_progress(self) -> int:
        """Sessions that have a turn."""
        return len(self._turns)

    @property
    def failed(self) -> int:
        """Sessions that did not come back."""
        return len(self._failed)

    @property
    def may_be_away(self) -> int:
        """`max_unavailable` as a number."""
        return self._share.of(len(self._running))

    @property
    def stopped(self) -> bool:
        """Whether no further session is replaced."""
        return bool(self._outdated) and (len(self._row) >= IN_A_ROW or len(self._failed) >= self._may_be_lost)

    @property
    def _may_be_lost(self) -> int:
        """It takes two failures to see two in a row, even where one at a time may be away."""
        return max(self.may_be_away, IN_A_ROW)

    def has_failed(self, key: Key) -> bool:
        """Whether `key` was replaced and did not come back."""
        return key in self._failed

    def has_turn(self, key: Key) -> bool:
        """Whether `key` is away, or about to be."""
        return key in self._turns

    def failures(self) -> tuple[Key, ...]:
        """Who did not come back."""
        return tuple(self._failed)

    def due(self, key: Key, now: datetime) -> float | None:
        """Seconds until the deadline of `key`, if one is running."""
        since = self._turns.get(key)
        return max(0.0, (since + self.deadline - now).total_seconds()) if since else None

    def may_replace(self, key: Key) -> bool:
        """Whether `key` has a turn, or it is its turn now."""
        if self.stopped:
            return False
        return key in self._turns or (self._free > 0 and key in self._first_waiting())

    def take(self, key: Key) -> None:
        """`key` is replaced now; it has its turn until `see` says that it is back."""
        self._leave_queue(key)
        self._turns.setdefault(key, None)

    def next(self) -> Key | None:
        """Whose turn it is, if anybody's."""
        return next(iter(self._first_waiting()), None) if self._free > 0 else None

    def see(self, key: Key, where: Standing, now: datetime) -> None:
        """`key` stands there."""
        if where.place is Place.OUT:
            self.forget(key)
            return
        self._running.add(key)
        if where.place is Place.ON_THE_WAY and self._back.get(key) == where.pod_uid:
            return
        match where.place:
            case Place.OUTDATED | Place.UNREACHABLE:
                self._see_outdated(key, where)
            case Place.ON_THE_WAY:
                self._leave_outdated(key)
                self._see_on_the_way(key, where, now)
            case Place.UP_TO_DATE:
                self._leave_outdated(key)
                self._see_back(key, where)
            case _:
                assert_never(where.place)

    def forget(self, key: Key) -> None:
        """`key` is gone, or shall not run."""
        self._running.discard(key)
        self._leave_outdated(key)
        self._turns.pop(key, None)
        self._back.pop(key, None)
        self._forgive(key)

    @property
    def _free(self) -> int:
        if self.stopped:
            return 0
        away = len(self._turns)
        return min(self.may_be_away - away, self._may_be_lost - len(self._failed) - away)

    def _first_waiting(self) -> dict[Key, None]:
        return next((rank for rank in self._waiting if rank), self._waiting[-1])

    def _see_outdated(self, key: Key, where: Standing) -> None:
        """The next template: what the last one did to the session is over."""
        self._back.pop(key, None)
        self._forgive(key)
        self._outdated.add(key)
        if where.place is Place.UNREACHABLE:
            self._turns.pop(key, None)
            self._leave_queue(key)
        elif key not in self._turns:
            rank = self._waiting[_rank(where)]
            if key not in rank:
                self._leave_queue(key)
                rank[key] = None

    def _see_on_the_way(self, key: Key, where: Standing, now: datetime) -> None:
        """Who never worked is nobody's loss: it has a turn only if it was given one, and its failure says nothing."""
        if not where.worked:
            self._forgive(key)
            if key not in self._turns:
                return
        if key in self._failed:
            return
        since = self._turns[key] = self._turns.get(key) or where.since
        if since is None or now < since + self.deadline:
            return
        del self._turns[key]
        if where.worked:
            self._failed[key] = since
            if since > self._newest_back:
                self._row.add(key)

    def _see_back(self, key: Key, where: Standing) -> None:
        """One that was given up and comes back after all speaks for the template as it is now, so for everybody."""
        self._turns.pop(key, None)
        self._back[key] = where.pod_uid
        came_late = key in self._failed
        self._forgive(key)
        if not where.worked or where.since is None:
            return
        newest = max((where.since, *self._failed.values())) if came_late else where.since
        if newest > self._newest_back:
            self._newest_back = newest
            self._row = {one for one in self._row if self._failed[one] > newest}

    def _forgive(self, key: Key) -> None:
        self._failed.pop(key, None)
        self._row.discard(key)

    def _leave_outdated(self, key: Key) -> None:
        self._outdated.discard(key)
        self._leave_queue(key)

    def _leave_queue(self, key: Key) -> None:
        for rank in self._waiting:
            rank.pop(key, None)


def _rank(where: Standing) -> int:
    """Who is down and worked before comes first, having nothing to lose; who never worked last: it may keep a turn for nothing."""
    if not where.worked:
        return 2
    return 0 if where.down else 1
