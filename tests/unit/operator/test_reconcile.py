import pytest

from wasession_operator.reconcile import pod_back_off

pytestmark = pytest.mark.unit


def test_pods_that_end_again_and_again_are_replaced_more_and_more_slowly() -> None:
    assert [pod_back_off(finished) for finished in range(1, 9)] == [0, 10, 20, 40, 80, 160, 300, 300]
