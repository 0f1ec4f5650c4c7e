"""For what the kubelet shall replace the operator, and for what not."""

import pytest

from wasession_operator.health import LONGEST_WORK, Signs, ailments

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "signs",
    [
        Signs(),
        Signs(longest_work=LONGEST_WORK),
        Signs(resync_age=1800, resync_interval=600),
        Signs(resync_age=179, resync_interval=0.5),
    ],
    ids=["fresh", "long work", "three resyncs late", "a short interval"],
)
def test_it_is_well(signs: Signs) -> None:
    assert list(ailments(signs)) == []


@pytest.mark.parametrize(
    ("signs", "said"),
    [
        (Signs(workers_ended=("worker 3",)), "the task 'worker 3' has ended"),
        (Signs(longest_work=LONGEST_WORK + 1), "one session is worked on for 901 s"),
        (Signs(resync_age=1801, resync_interval=600), "no attempt to list everything came to an end for 1801 s; one is due every 600 s"),
        (Signs(resync_age=181, resync_interval=0.5), "no attempt to list everything came to an end for 181 s"),
        (Signs(deaf_watches=("pods in default",)), "the watch of pods in default is deaf"),
    ],
)
def test_it_is_not_well_and_says_why(signs: Signs, said: str) -> None:
    [line] = ailments(signs)
    assert line.startswith(said)
