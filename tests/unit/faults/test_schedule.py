"""A seed is a life, and the same life each time."""

import pytest

from podhistory.checker import Guarantee, Violation
from podhistory.history import History, Phase
from podhistory.schedule import PAIRING_KILLS, STRIKES, draw
from podhistory.tally import Tally

pytestmark = pytest.mark.unit


def test_a_seed_draws_the_same_schedule_each_time() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_many_seeds_reach_every_phase() -> None:
    schedules = [draw(seed) for seed in range(200)]
    assert {strike.phase for one in schedules for strike in (*one.pairing, *one.strikes)} == set(Phase)
    assert {len(one.pairing) for one in schedules} == set(range(PAIRING_KILLS[0], PAIRING_KILLS[1] + 1))
    assert all(STRIKES[0] <= len(one.strikes) <= STRIKES[1] for one in schedules)


def test_the_table_tells_which_kills_held() -> None:
    tally = Tally()
    tally.add(1, [Phase.SENDING, Phase.PAIRING], History("1", (), ()), [])
    tally.add(2, [Phase.SENDING], History("1", (), ()), [Violation(Guarantee.NOT_LOST, "x")])
    assert tally.table().splitlines()[0].split() == ["phase", "kills", "held", "violated"]
    assert [line.split() for line in tally.table().splitlines()[4:6]] == [["receiving", "0", "0", "0"], ["delivering", "0", "0", "0"]]
    assert tally.table().splitlines()[3].split() == ["sending", "2", "1", "1"]
    met = {row["metric"]: row["met"] for row in tally.results()}
    assert met["violations: each inbound message reaches the backend"] is False
    assert met["violations: one Idempotency-Key, at most one message"] is True
    assert met["kills of the pod"] is False
