"""Turns to be replaced and turns to start, together: what a look at a session takes, and what it wakes."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec
import pytest

from wasession_contract.v1alpha1 import SessionState
from wasession_operator.rollout import Rollout, Share
from wasession_operator.startup import Starts
from wasession_operator.turns import Turns
from wasession_operator.views import Key, Previously, Trouble, key_of
from wasession_operator.workqueue import WorkQueue

if TYPE_CHECKING:
    from conftest import Build, FakeTimers
    from wasession_operator.observed import Observed

pytestmark = pytest.mark.unit
DEADLINE = timedelta(seconds=600)


class Scene:
    """Paired sessions `s0`, `s1` ... that were connected under an old template, and their turns."""

    def __init__(self, build: Build, timers: FakeTimers, *, at_once: int = 1, per_second: float = 0) -> None:
        self.build = build
        self.queue: WorkQueue[Key] = WorkQueue(timers.call_later, lambda: 0.0, lambda: timers.time)
        self.turns = Turns(Rollout(Share(at_once), DEADLINE), Starts(per_second), self.queue, build.policy.installation_hash)

    def outdated(self, number: int, seconds: int = 0) -> Observed:
        """Created `seconds` after the first."""
        build = self.build
        before = build.reporting(SessionState.CONNECTED)
        pod = build.pod(key=Key("default", f"s{number}"), template_hash=build.hash(installation="old"))
        observed = build.later(replace(before, pod=pod))
        created = build.now + timedelta(seconds=seconds)
        metadata = msgspec.structs.replace(observed.session.metadata, name=f"s{number}", creation_timestamp=created)
        return replace(observed, session=msgspec.structs.replace(observed.session, metadata=metadata))

    def failing(self, number: int) -> Observed:
        """On the new template since `build.now`, and crashing."""
        new = self.build.pod(
            uid=f"new-{number}", ready=False, trouble=Trouble.CRASHING, created=self.build.now, previously=Previously.CONNECTED
        )
        return replace(self.outdated(number), pod=new)

    def look(self, observed: Observed, after: float = 0) -> Observed:
        return self.turns.look(key_of(observed.session), observed, self.build.now + timedelta(seconds=after))


async def _queued(queue: WorkQueue[Key]) -> list[str]:
    found = []
    while len(queue):
        key = await queue.take()
        assert key
        queue.done(key)
        found.append(key.name)
    return found


async def test_a_look_takes_the_turn_and_wakes_the_next(build: Build, timers: FakeTimers) -> None:
    scene = Scene(build, timers, at_once=2)
    sessions = [scene.outdated(number) for number in range(3)]
    scene.turns.survey(sessions, build.now)
    assert scene.look(sessions[0]).may_roll
    assert await _queued(scene.queue) == ["s1"]
    assert scene.look(sessions[1]).may_roll
    assert not scene.look(sessions[2]).may_roll
    assert await _queued(scene.queue) == []
    scene.turns.forget(key_of(sessions[0].session))
    assert await _queued(scene.queue) == ["s2"]


async def test_sessions_without_a_pod_start_in_order_of_creation(build: Build, timers: FakeTimers) -> None:
    scene = Scene(build, timers, per_second=0.1)
    sessions = [replace(scene.outdated(number, seconds=-number), pod=None) for number in range(3)]
    scene.turns.survey(sessions, build.now)
    waits = [scene.look(one).starts_at for one in sessions]
    assert waits == [build.now + timedelta(seconds=20), build.now + timedelta(seconds=10), None]
    assert scene.look(sessions[0], after=20).starts_at is None


async def test_a_turn_waits_for_its_start_with_the_old_pod(build: Build, timers: FakeTimers) -> None:
    scene = Scene(build, timers, at_once=3, per_second=0.1)
    sessions = [scene.outdated(number) for number in range(2)]
    scene.turns.survey(sessions, build.now)
    assert scene.look(sessions[0]).may_roll
    second = scene.look(sessions[1])
    assert (second.may_roll, second.starts_at) == (False, build.now + timedelta(seconds=10))
    assert scene.look(sessions[1], after=10).may_roll


async def test_who_is_not_paired_waits_for_nothing(build: Build, timers: FakeTimers) -> None:
    scene = Scene(build, timers, per_second=0.1)
    new = [build.observed(build.session(name=f"s{number}", uid=f"s-{number}")) for number in range(3)]
    scene.turns.survey(new, build.now)
    assert [scene.look(one).starts_at for one in new] == [None] * 3


async def test_a_stop_is_told_once_to_each_that_did_not_come_back(build: Build, timers: FakeTimers) -> None:
    scene = Scene(build, timers)
    failing, waiting = [scene.failing(number) for number in range(2)], scene.outdated(2)
    keys = [key_of(one.session) for one in (*failing, waiting)]
    scene.turns.survey([*failing, waiting], build.now)
    assert [scene.turns.due(key, build.now) for key in keys] == [600, 600, None]
    for one in failing:
        scene.look(one, after=600)
    assert set(await _queued(scene.queue)) == {"s0", "s1"}
    assert [scene.turns.news(key) != "" for key in keys] == [True, True, False]
    assert [scene.turns.news(key) for key in keys] == [""] * 3
    assert not scene.look(waiting, after=600).may_roll
    back = replace(failing[0], pod=replace(failing[0].pod, ready=True, trouble=Trouble.NONE, uid="p-1"))  # type: ignore[type-var]
    scene.look(back, after=700)
    assert await _queued(scene.queue) == ["s2"]
    assert scene.look(waiting, after=700).may_roll
