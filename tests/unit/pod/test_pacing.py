"""The budget of sends: a burst, then the rate, never more than the day's cap, and no second burst after a restart."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasession_contract.v1alpha1 import Pacing
from wasession_pod.journal import Journal
from wasession_pod.pacing import DAY_SECONDS, MAX_SPREAD_SECONDS, Pacer, Spent, take, told

pytestmark = pytest.mark.unit
NOON = 20_000 * DAY_SECONDS + DAY_SECONDS / 2
policies = st.builds(
    Pacing,
    messages_per_minute=st.integers(0, 600),
    burst=st.integers(1, 100),
    messages_per_day=st.integers(0, 50),
)


def sends(policy: Pacing, times: list[float]) -> list[float]:
    """At which of `times` there was room."""
    spent, taken = None, []
    for now in times:
        spent, wait = take(policy, spent, now)
        if not wait:
            taken.append(now)
    return taken


def test_a_burst_goes_at_once_and_then_the_rate_rules() -> None:
    policy = Pacing(messages_per_minute=6, burst=3)
    assert sends(policy, [NOON + second for second in range(31)]) == [NOON, NOON + 1, NOON + 2, NOON + 10, NOON + 20, NOON + 30]


@pytest.mark.parametrize(
    ("policy", "spent", "wait"),
    [
        (Pacing(messages_per_minute=60, burst=1), Spent(0.0, NOON, 20_000, 1), 1.0),
        (Pacing(messages_per_minute=60, burst=1), Spent(0.25, NOON, 20_000, 1), 0.75),
        (Pacing(messages_per_day=2), Spent(5.0, NOON, 20_000, 2), DAY_SECONDS / 2),
        (Pacing(messages_per_day=2), Spent(5.0, NOON, 20_000, 1), 0.0),
        (Pacing(messages_per_day=2), Spent(5.0, NOON - DAY_SECONDS, 19_999, 2), 0.0),
        (Pacing(messages_per_minute=60, messages_per_day=2), Spent(0.0, NOON, 20_000, 2), DAY_SECONDS / 2),
        (Pacing(messages_per_minute=60, burst=1), Spent(0.0, NOON + 999, 20_000, 1), 1.0),
    ],
    ids=[
        "a token a second",
        "part of a token",
        "the day is full",
        "one left today",
        "a new day",
        "the longer wait counts",
        "clock set back",
    ],
)
def test_the_wait_is_the_time_until_there_is_room(policy: Pacing, spent: Spent, wait: float) -> None:
    assert take(policy, spent, NOON)[1] == pytest.approx(wait)


@given(policies, st.lists(st.floats(0, 600), max_size=60))
def test_never_more_than_burst_and_rate_and_the_days_cap(policy: Pacing, gaps: list[float]) -> None:
    times = [NOON]
    for gap in gaps:
        times.append(times[-1] + gap)
    taken = sends(policy, times)
    if policy.messages_per_minute:
        for first in range(len(taken)):
            for last in range(first, len(taken)):
                allowed = policy.burst + (taken[last] - taken[first]) * policy.messages_per_minute / 60
                assert last - first + 1 <= allowed + 1e-6
    if policy.messages_per_day:
        for day in {now // DAY_SECONDS for now in taken}:
            assert sum(now // DAY_SECONDS == day for now in taken) <= policy.messages_per_day


@given(policies, st.floats(0, 1e6), st.floats(0, 1))
def test_who_waits_as_told_finds_room(policy: Pacing, later: float, jitter: float) -> None:
    spent: Spent | None = None
    now = NOON + later
    for _ in range(3):
        spent, wait = take(policy, spent, now)
        if wait:
            assert take(policy, spent, now + told(wait, jitter) + 1e-6)[1] == 0


@given(st.floats(0, DAY_SECONDS), st.floats(0, 1))
def test_the_wait_that_is_told_is_spread_but_never_shorter(wait: float, jitter: float) -> None:
    assert wait <= told(wait, jitter) <= wait + min(wait * 0.2, MAX_SPREAD_SECONDS) + 1


def test_the_budget_survives_a_restart() -> None:
    journal = Journal(":memory:")
    policy = Pacing(messages_per_minute=60, burst=2, messages_per_day=100)
    before = Pacer(policy, journal.budget, now=lambda: NOON, jitter=lambda: 0.0)
    assert [before.wait(), before.take(), before.take(), before.take()] == [0, 0, 0, 1]
    after = Pacer(policy, journal.budget, now=lambda: NOON + 0.5, jitter=lambda: 0.0)
    assert after.take() == 1
    assert journal.budget.spent() == Spent(0.0, NOON, 20_000, 2)


def test_a_session_without_limits_asks_nobody() -> None:
    class NoMemory:
        def spent(self) -> Spent | None:
            raise AssertionError

        def keep_spent(self, spent: Spent) -> None:
            raise AssertionError(spent)

    pacer = Pacer(Pacing(), NoMemory())
    assert [pacer.take() for _ in range(50)] == [0] * 50
