"""The lock that calls of the client share and its end has alone."""

import threading

import pytest

from wasession_pod.clientlock import ClientLock

pytestmark = pytest.mark.unit


def test_calls_share_it() -> None:
    lock = ClientLock()
    with lock.shared(0) as first, lock.shared(0) as second:
        assert first
        assert second


def test_no_call_gets_in_while_the_client_ends() -> None:
    lock = ClientLock()
    with lock.alone(0), lock.shared(0.01) as mine:
        assert not mine
    with lock.shared(0) as mine:
        assert mine


def test_the_end_waits_for_calls_that_are_under_way() -> None:
    lock, inside, go = ClientLock(), threading.Event(), threading.Event()
    order: list[str] = []

    def call() -> None:
        with lock.shared(0):
            inside.set()
            go.wait(10)
            order.append("call")

    thread = threading.Thread(target=call)
    thread.start()
    inside.wait(10)
    threading.Timer(0.05, go.set).start()
    with lock.alone(10):
        order.append("end")
    thread.join(10)
    assert order == ["call", "end"]


def test_the_end_does_not_wait_for_ever_for_a_call_that_hangs() -> None:
    lock = ClientLock()
    with lock.shared(0), lock.alone(0.01), lock.shared(0.01) as mine:
        assert not mine
