"""The start-up spread."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasession_operator.startup import Starts
from wasession_operator.views import Key

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def keys(count: int) -> list[Key]:
    return [Key("default", f"s{number}") for number in range(count)]


def waits(starts: Starts, count: int, now: datetime = NOW) -> list[float]:
    given = [starts.not_before(key, now) for key in keys(count)]
    return [(at - now).total_seconds() if at else 0 for at in given]


@pytest.mark.parametrize(
    ("per_second", "expected"),
    [
        (0, [0, 0, 0, 0, 0]),
        (2, [0, 0, 0.5, 1, 1.5]),
        (1, [0, 1, 2, 3, 4]),
        (0.01, [0, 100, 200, 300, 400]),
    ],
)
def test_a_burst_starts_at_once_and_the_rest_one_after_the_other(per_second: float, expected: list[float]) -> None:
    assert waits(Starts(per_second), 5) == expected


def test_looking_again_does_not_send_a_session_to_the_end_of_the_queue() -> None:
    starts = Starts(1)
    first = [starts.not_before(key, NOW) for key in keys(5)]
    assert [starts.not_before(key, NOW) for key in reversed(keys(5))] == first[::-1]
    assert starts.not_before(keys(5)[4], NOW + timedelta(seconds=4)) is None


def test_who_starts_again_after_a_while_finds_a_full_bucket() -> None:
    starts = Starts(2)
    waits(starts, 5)
    for key in keys(5):
        starts.forget(key)
    assert waits(starts, 3, NOW + timedelta(minutes=1)) == [0, 0, 0.5]


@given(per_second=st.sampled_from([0.5, 1, 3, 20]), moments=st.lists(st.floats(0, 60), min_size=1, max_size=60))
def test_no_second_has_more_starts_than_twice_the_rate(per_second: float, moments: list[float]) -> None:
    starts, began = Starts(per_second), []
    for number, second in enumerate(sorted(moments)):
        now = NOW + timedelta(seconds=second)
        began.append(starts.not_before(Key("default", f"s{number}"), now) or now)
    for moment in began:
        within = [one for one in began if moment <= one < moment + timedelta(seconds=1)]
        assert len(within) <= 2 * max(1, per_second)
