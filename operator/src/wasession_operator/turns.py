"""Whose turn it is to be replaced or to start: feeds `rollout` and `startup` with what is observed, and tells what follows.

Surprising: a turn is taken in the same step in which the session is looked at, before anything is awaited, so that two
sessions never get the same one.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import structlog

from wasession_operator.observed import Observed
from wasession_operator.rollout import Rollout
from wasession_operator.standing import Place, Standing, standing
from wasession_operator.startup import Starts
from wasession_operator.views import Key, key_of
from wasession_operator.workqueue import WorkQueue

log = structlog.get_logger(__name__)
NAMED = 10  # in a log line
_NO_TIME = datetime.max.replace(tzinfo=UTC)


@dataclass
class Turns:
    """Of all sessions, for the template `installation_hash`."""

    rollout: Rollout
    starts: Starts
    queue: WorkQueue[Key]
    installation_hash: str
    _told: set[Key] = field(default_factory=set)
    _stopped: bool = False

    def survey(self, everything: Iterable[Observed], now: datetime) -> None:
        """Take in all sessions before the first is decided on; those to be started get their times in order of creation."""
        for observed in sorted(everything, key=lambda one: one.session.metadata.creation_timestamp or _NO_TIME):
            key = key_of(observed.session)
            where = standing(observed, self.installation_hash)
            self.rollout.see(key, where, now)
            self._start(key, observed, where, now)
        self._tell_stop()

    def look(self, key: Key, observed: Observed, now: datetime) -> Observed:
        """`observed` with the session's turns, which are taken by this look."""
        where = standing(observed, self.installation_hash)
        self.rollout.see(key, where, now)
        self._tell_stop()
        may_roll = where.place is Place.OUTDATED and self.rollout.may_replace(key)
        if may_roll:
            self.rollout.take(key)
        starts_at = self._start(key, observed, where, now)
        self._wake()
        return replace(observed, may_roll=may_roll and starts_at is None, starts_at=starts_at)

    def forget(self, key: Key) -> None:
        """The session is gone."""
        self.rollout.forget(key)
        self._tell_stop()
        self.starts.forget(key)
        self._told.discard(key)
        self._wake()

    def due(self, key: Key, now: datetime) -> float | None:
        """Seconds after which the session must be looked at, lest it miss its deadline unnoticed."""
        return self.rollout.due(key, now)

    def news(self, key: Key) -> str:
        """What to tell of a session for which the roll-out is stopped, once; else nothing."""
        if not (self.rollout.stopped and self.rollout.has_failed(key)):
            self._told.discard(key)
            return ""
        if key in self._told:
            return ""
        self._told.add(key)
        seconds, outdated = self.rollout.deadline.total_seconds(), self.rollout.outdated
        return (
            f"the pod template changed, and this session did not come back within {seconds:g} s on the new one; the roll-out is stopped, "
            f"{outdated} sessions keep their old pods. Mend or take back the template (helm upgrade, helm rollback), or mend what this "
            "session's conditions name; the roll-out goes on when the session is back, or with the next template"
        )

    def _tell_stop(self) -> None:
        if self.rollout.stopped is self._stopped:
            return
        self._stopped = self.rollout.stopped
        if not self._stopped:
            log.info("the roll-out goes on", outdated=self.rollout.outdated)
            return
        failures = self.rollout.failures()
        for key in failures:  # each is told in its own turn of the queue
            self.queue.add(key)
        named = [f"{key.namespace}/{key.name}" for key in failures[-NAMED:]]
        log.error("the roll-out is stopped: sessions did not come back", failed=named, outdated=self.rollout.outdated)

    def _start(self, key: Key, observed: Observed, where: Standing, now: datetime) -> datetime | None:
        """Only who is paired logs in by itself; who is not is waited for by somebody with a phone in the hand."""
        replaced_now = where.place is Place.OUTDATED and self.rollout.has_turn(key)
        if observed.paired and (replaced_now or (where.place is Place.ON_THE_WAY and observed.pod is None)):
            return self.starts.not_before(key, now)
        if observed.pod is None or not observed.pod.deleting:
            self.starts.forget(key)
        return None

    def _wake(self) -> None:
        """One at a time: whoever takes a turn wakes the next."""
        if (following := self.rollout.next()) is not None:
            self.queue.add(following)
