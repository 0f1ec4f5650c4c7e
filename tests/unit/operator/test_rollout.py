"""Turns of a roll-out: who gets one, when it ends, when the roll-out stops and goes on."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from wasession_operator.rollout import Rollout, Share
from wasession_operator.standing import Place, Standing
from wasession_operator.views import Key

pytestmark = pytest.mark.unit
START = datetime(2026, 1, 1, 12, tzinfo=UTC)
DEADLINE = timedelta(seconds=600)
OUTDATED = Standing(Place.OUTDATED, worked=True)
GOING = Standing(Place.ON_THE_WAY, worked=True)


def key(number: int) -> Key:
    return Key("default", f"s{number}")


@pytest.mark.parametrize(
    ("share", "total", "expected"),
    [
        (Share(1), 0, 1),
        (Share(3), 2, 3),
        (Share(10, percent=True), 0, 1),
        (Share(10, percent=True), 9, 1),
        (Share(10, percent=True), 19, 1),
        (Share(10, percent=True), 20, 2),
        (Share(10, percent=True), 10_000, 1000),
        (Share(100, percent=True), 7, 7),
    ],
)
def test_a_share_is_rounded_down_and_at_least_one(share: Share, total: int, expected: int) -> None:
    assert share.of(total) == expected


class Fleet:
    """Sessions and their pods, and an operator's roll-out that looks at them."""

    def __init__(self, count: int, share: Share) -> None:
        self.share = share
        self.now = START
        self.where = {key(number): OUTDATED for number in range(count)}
        self.pods = 0
        self.restart()

    def restart(self) -> None:
        """A new operator, which knows nothing but where everybody stands."""
        self.rollout = Rollout(self.share, DEADLINE)
        for one in self.where:
            self.look(one)

    def look(self, one: Key) -> None:
        self.rollout.see(one, self.where[one], self.now)

    def put(self, one: Key, where: Standing) -> None:
        self.where[one] = where
        self.look(one)

    def replace_whoever_may(self) -> list[Key]:
        """As the workers do: whoever's turn it is goes, one after the other."""
        gone = []
        while (one := self.rollout.next()) is not None:
            assert self.rollout.may_replace(one)
            self.rollout.take(one)
            assert self.rollout.in_progress <= self.rollout.may_be_away
            assert self.rollout.in_progress + self.rollout.failed <= max(self.rollout.may_be_away, 2)
            self.put(one, GOING)
            gone.append(one)
        return gone

    def create(self, one: Key) -> None:
        self.pods += 1
        self.put(one, Standing(Place.ON_THE_WAY, self.now, worked=True, pod_uid=f"p-{self.pods}"))

    def come_back(self, one: Key) -> None:
        self.put(one, replace(self.where[one], place=Place.UP_TO_DATE))

    def pass_seconds(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        for one in self.where:
            self.look(one)

    def fail(self, *sessions: Key) -> None:
        for one in sessions:
            self.create(one)
        self.pass_seconds(600)


def test_a_turn_ends_when_the_session_is_back_and_the_next_one_goes() -> None:
    fleet = Fleet(3, Share(1))
    assert fleet.replace_whoever_may() == [key(0)]
    fleet.create(key(0))
    fleet.pass_seconds(599)
    assert fleet.replace_whoever_may() == []
    assert not fleet.rollout.may_replace(key(1))
    fleet.come_back(key(0))
    assert fleet.replace_whoever_may() == [key(1)]
    assert (fleet.rollout.outdated, fleet.rollout.in_progress) == (1, 1)


def test_one_that_does_not_come_back_in_time_gives_up_its_turn_and_two_in_a_row_stop() -> None:
    fleet = Fleet(5, Share(1))
    fleet.replace_whoever_may()
    fleet.create(key(0))
    assert fleet.rollout.due(key(0), START + timedelta(seconds=500)) == 100
    fleet.pass_seconds(600)
    assert (fleet.rollout.failed, fleet.rollout.stopped) == (1, False)
    assert fleet.replace_whoever_may() == [key(1)]
    fleet.fail(key(1))
    assert fleet.rollout.stopped
    assert fleet.replace_whoever_may() == []
    assert fleet.rollout.failures() == (key(0), key(1))
    assert (fleet.rollout.outdated, fleet.rollout.in_progress) == (3, 0)


def stopped() -> Fleet:
    fleet = Fleet(6, Share(1))
    for number in (0, 1):
        fleet.replace_whoever_may()
        fleet.fail(key(number))
    assert fleet.rollout.stopped
    return fleet


def test_a_stopped_rollout_is_stopped_for_the_next_operator_too() -> None:
    fleet = stopped()
    fleet.restart()
    assert fleet.rollout.stopped
    assert fleet.replace_whoever_may() == []


def test_it_goes_on_when_one_of_the_failed_comes_back() -> None:
    fleet = stopped()
    fleet.come_back(key(0))
    assert fleet.replace_whoever_may() == [key(2)]


def test_it_goes_on_when_the_failed_are_deleted() -> None:
    fleet = stopped()
    for number in (0, 1):
        fleet.rollout.forget(key(number))
        del fleet.where[key(number)]
    assert fleet.replace_whoever_may() == [key(2)]


def test_it_goes_on_with_the_next_template_and_first_with_those_that_are_down() -> None:
    fleet = stopped()
    fleet.where = dict.fromkeys(fleet.where, OUTDATED)
    fleet.where[key(4)] = fleet.where[key(5)] = replace(OUTDATED, down=True)
    fleet.restart()
    assert fleet.replace_whoever_may() == [key(4)]


def test_restarting_a_failed_session_does_not_make_it_one_that_came_back() -> None:
    fleet = stopped()
    fleet.put(key(0), GOING)
    fleet.create(key(0))
    assert fleet.rollout.stopped
    assert fleet.rollout.in_progress == 0
    fleet.come_back(key(0))
    assert not fleet.rollout.stopped


def test_two_in_a_row_stop_it_long_before_all_are_away_that_may_be() -> None:
    fleet = Fleet(100, Share(10))
    first, second, *others = fleet.replace_whoever_may()
    for one in others:
        fleet.create(one)
        fleet.come_back(one)
    fleet.pass_seconds(1)
    fleet.fail(first, second)
    assert fleet.rollout.failed == 2
    assert fleet.rollout.stopped
    assert fleet.replace_whoever_may() == []


def test_it_goes_on_when_one_comes_back_late_though_others_stay_away() -> None:
    fleet = Fleet(100, Share(10))
    sessions = fleet.replace_whoever_may()
    for one in sessions[:4]:
        fleet.create(one)
        fleet.pass_seconds(1)
    fleet.pass_seconds(600)
    assert (fleet.rollout.failed, fleet.rollout.stopped) == (4, True)
    fleet.come_back(sessions[0])
    assert (fleet.rollout.failed, fleet.rollout.stopped) == (3, False)


def test_nobody_overtakes_those_that_are_down() -> None:
    fleet = Fleet(3, Share(1))
    fleet.put(key(2), replace(OUTDATED, down=True))
    assert [fleet.rollout.may_replace(key(number)) for number in range(3)] == [False, False, True]


def test_pods_that_come_and_go_do_not_stretch_the_deadline() -> None:
    fleet = Fleet(3, Share(1))
    (one,) = fleet.replace_whoever_may()
    fleet.create(one)
    fleet.pass_seconds(400)
    fleet.put(one, GOING)
    fleet.create(one)
    fleet.pass_seconds(200)
    assert fleet.rollout.failed == 1


def test_one_that_comes_back_resets_the_row_for_this_operator_and_the_next() -> None:
    fleet = Fleet(20, Share(4))
    assert len(fleet.replace_whoever_may()) == 4
    fleet.create(key(0))
    fleet.pass_seconds(1)
    fleet.create(key(1))
    fleet.pass_seconds(1)
    fleet.create(key(2))
    fleet.come_back(key(2))
    fleet.pass_seconds(600)
    assert fleet.rollout.failed == 2
    assert not fleet.rollout.stopped
    fleet.restart()
    assert not fleet.rollout.stopped


def test_as_many_failures_as_may_be_away_stop_it_even_if_others_come_back_between_them() -> None:
    fleet = Fleet(20, Share(3))
    fails = True
    for _ in range(6):
        for one in fleet.replace_whoever_may()[:1]:
            fleet.create(one)
            fleet.pass_seconds(600) if fails else fleet.come_back(one)
            fails = not fails
        for one in [one for one, where in fleet.where.items() if where == GOING]:
            fleet.create(one)
            fleet.come_back(one)
    assert fleet.rollout.failed == 3
    assert fleet.rollout.stopped
    assert fleet.rollout.outdated > 0


def test_what_befalls_a_session_after_it_came_back_is_no_matter_of_the_rollout() -> None:
    fleet = Fleet(4, Share(1))
    for one in fleet.replace_whoever_may():
        fleet.create(one)
        fleet.come_back(one)
        fleet.put(one, replace(fleet.where[one], place=Place.ON_THE_WAY))
        fleet.pass_seconds(10_000)
    assert (fleet.rollout.failed, fleet.rollout.in_progress) == (0, 0)


def test_who_never_worked_comes_last_and_its_failure_says_nothing() -> None:
    fleet = Fleet(4, Share(1))
    for number in (0, 1):
        fleet.put(key(number), replace(OUTDATED, worked=False, down=True))
    order = []
    while turn := fleet.replace_whoever_may():
        order += turn
        worked = turn[0] not in {key(0), key(1)}
        fleet.put(turn[0], Standing(Place.ON_THE_WAY, fleet.now, worked=worked, pod_uid="p"))
        fleet.come_back(turn[0]) if worked else fleet.pass_seconds(600)
    assert order == [key(2), key(3), key(0), key(1)]
    assert fleet.rollout.failed == 0


def test_who_is_away_for_another_reason_counts() -> None:
    fleet = Fleet(20, Share(2))
    fleet.put(key(7), GOING)
    assert len(fleet.replace_whoever_may()) == 1


def test_a_pod_on_a_lost_node_has_no_turn_and_is_outdated_still() -> None:
    fleet = Fleet(2, Share(1))
    fleet.put(key(0), Standing(Place.UNREACHABLE, worked=True, down=True))
    assert fleet.replace_whoever_may() == [key(1)]
    assert fleet.rollout.outdated == 1
    fleet.create(key(1))
    fleet.come_back(key(1))
    fleet.put(key(0), replace(OUTDATED, down=True))
    assert fleet.replace_whoever_may() == [key(0)]


def test_without_an_outdated_session_there_is_nothing_to_stop() -> None:
    fleet = Fleet(2, Share(2))
    fleet.replace_whoever_may()
    fleet.fail(key(0), key(1))
    assert fleet.rollout.failed == 2
    assert not fleet.rollout.stopped


class AnyFleet(RuleBasedStateMachine):
    """Pods come up or not, operators die, sessions come and go: the bounds hold, and healthy pods bring everybody up to date."""

    fleet: Fleet
    anybody_was_back = False

    @initialize(count=st.integers(1, 25), number=st.integers(1, 4), percent=st.booleans())
    def begin(self, count: int, number: int, *, percent: bool) -> None:
        self.fleet = Fleet(count, Share(number * 10, percent=True) if percent else Share(number))

    def some(self, place: Place) -> Iterator[Key]:
        return (one for one, where in self.fleet.where.items() if where.place is place)

    @rule()
    def replace(self) -> None:
        self.fleet.replace_whoever_may()

    @rule(data=st.data())
    def create(self, data: st.DataObject) -> None:
        waiting = [one for one in self.some(Place.ON_THE_WAY) if not self.fleet.where[one].pod_uid]
        if waiting:
            self.fleet.create(data.draw(st.sampled_from(waiting)))

    @rule(data=st.data())
    def come_back(self, data: st.DataObject) -> None:
        ready = [one for one in self.some(Place.ON_THE_WAY) if self.fleet.where[one].pod_uid]
        if ready:
            self.fleet.come_back(data.draw(st.sampled_from(ready)))
            self.anybody_was_back = True

    @rule(data=st.data())
    def lose_connection(self, data: st.DataObject) -> None:
        back = list(self.some(Place.UP_TO_DATE))
        if back:
            one = data.draw(st.sampled_from(back))
            self.fleet.put(one, replace(self.fleet.where[one], place=Place.ON_THE_WAY))

    @rule(seconds=st.sampled_from([1, 300, 600]))
    def wait(self, seconds: int) -> None:
        self.fleet.pass_seconds(seconds)

    @rule()
    def restart(self) -> None:
        self.fleet.restart()

    @rule(data=st.data())
    @precondition(lambda self: len(self.fleet.where) > 1)
    def delete(self, data: st.DataObject) -> None:
        one = data.draw(st.sampled_from(sorted(self.fleet.where, key=str)))
        del self.fleet.where[one]
        self.fleet.rollout.forget(one)

    @rule()
    def next_template(self) -> None:
        """The operator restarts for it."""
        for one, where in self.fleet.where.items():
            if where.pod_uid:
                self.fleet.where[one] = replace(OUTDATED, down=where.place is Place.ON_THE_WAY)
        self.fleet.restart()

    @invariant()
    def a_stopped_rollout_gives_no_turn(self) -> None:
        rollout = self.fleet.rollout
        assert not rollout.stopped or (rollout.next() is None and not any(rollout.may_replace(one) for one in self.fleet.where))

    @invariant()
    def two_failures_and_nobody_back_is_a_stop(self) -> None:
        rollout, back = self.fleet.rollout, list(self.some(Place.UP_TO_DATE))
        if rollout.failed >= 2 and rollout.outdated and not self.anybody_was_back:
            assert not back
            assert rollout.stopped

    def teardown(self) -> None:
        """From wherever this ended: pods that come back bring everybody up to date, never more away than may be."""
        fleet = self.fleet
        for _ in range(3 * len(fleet.where) + 3):
            fleet.replace_whoever_may()
            for one in list(self.some(Place.ON_THE_WAY)):
                if not fleet.where[one].pod_uid:
                    fleet.create(one)
                fleet.come_back(one)
        assert {where.place for where in fleet.where.values()} <= {Place.UP_TO_DATE}
        assert (fleet.rollout.outdated, fleet.rollout.in_progress, fleet.rollout.failed) == (0, 0, 0)


class TestAnyFleet(AnyFleet.TestCase):  # type: ignore[misc,name-defined]
    settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
