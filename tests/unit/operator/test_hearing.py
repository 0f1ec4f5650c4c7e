"""Whether a watch still hears, told by lists; the clock is the test's."""

import pytest

from wasession_operator.hearing import DEAF_AFTER, LATE_AFTER, Hearing, Kind

pytestmark = pytest.mark.unit
HERE = "default"
HOURS = 8 * 3600.0


class Listening:
    """One watch of pods, and lists of it at moments that the test chooses."""

    def __init__(self) -> None:
        self.hearing = Hearing(by_namespace=True)
        self.now = 0.0

    def list(self, version: int, news: dict[str, int] | None = None, gone: tuple[str, ...] = (), *, after: float = 600) -> int:
        self.now += after
        return self.hearing.listed(Kind.PODS, HERE, self.now, highest=version, news=news or {}, gone=gone)

    def tell(self, uid: str, version: int, *, gone: bool = False, kind: Kind = Kind.PODS, namespace: str = HERE) -> None:
        self.hearing.heard(kind, namespace, uid, version, gone=gone)


@pytest.fixture
def watch() -> Listening:
    """It was listed first, and then told what there was."""
    watch = Listening()
    watch.list(10, {"a": 10})
    watch.tell("a", 10)
    return watch


def test_a_quiet_cluster_makes_no_watch_deaf(watch: Listening) -> None:
    for _ in range(50):
        watch.list(10, after=HOURS)
        assert watch.hearing.deaf() == []
        assert not watch.hearing.doubtful


def test_a_watch_that_tells_late_is_not_deaf(watch: Listening) -> None:
    watch.list(11, {"b": 11})
    assert watch.hearing.doubtful
    watch.tell("b", 11)
    assert not watch.hearing.doubtful
    assert watch.list(11, after=DEAF_AFTER) == 0
    assert watch.hearing.deaf() == []


def test_a_watch_that_never_tells_what_lists_show_is_deaf(watch: Listening) -> None:
    watch.list(11, {"b": 11})
    watch.list(12, {"c": 12}, after=DEAF_AFTER - 1)
    assert watch.hearing.deaf() == []
    watch.list(12, after=1)
    assert watch.hearing.deaf() == ["pods in default"]


def test_without_another_list_nothing_is_proved(watch: Listening) -> None:
    """The API server is away: no list succeeds."""
    watch.list(11, {"b": 11})
    watch.now += HOURS
    assert watch.hearing.deaf() == []


def test_a_watch_that_tells_anything_newer_hears(watch: Listening) -> None:
    watch.list(11, {"b": 11})
    watch.tell("c", 12)
    watch.list(12, after=DEAF_AFTER)
    assert watch.hearing.deaf() == []


def test_what_an_older_event_tells_proves_nothing(watch: Listening) -> None:
    watch.list(12, {"b": 12})
    watch.tell("a", 11)
    watch.list(12, after=DEAF_AFTER)
    assert watch.hearing.deaf() == ["pods in default"]


def test_a_deaf_watch_that_tells_again_is_well(watch: Listening) -> None:
    watch.list(11, {"b": 11})
    watch.list(11, after=DEAF_AFTER)
    watch.tell("b", 11)
    assert watch.hearing.deaf() == []


@pytest.mark.parametrize(("kind", "namespace"), [(Kind.CLAIMS, HERE), (Kind.PODS, "elsewhere")])
def test_each_watch_hears_for_itself(watch: Listening, kind: Kind, namespace: str) -> None:
    watch.list(11, {"b": 11})
    watch.tell("b", 12, kind=kind, namespace=namespace)
    watch.list(11, after=DEAF_AFTER)
    assert watch.hearing.deaf() == ["pods in default"]


def test_one_watch_of_the_whole_cluster_hears_for_all_namespaces() -> None:
    hearing = Hearing(by_namespace=False)
    for moment, highest in ((0, 10), (600, 11), (600 + DEAF_AFTER, 11)):
        hearing.listed(Kind.PODS, None, moment, highest=highest, news={})
        hearing.heard(Kind.PODS, "anywhere", "a", 10)
    assert hearing.deaf() == ["pods"]
    hearing.heard(Kind.PODS, "elsewhere", "b", 11)
    assert hearing.deaf() == []


def test_an_event_that_never_came_is_counted_once(watch: Listening) -> None:
    watch.list(12, {"b": 11})
    watch.tell("c", 12)
    assert watch.list(12, after=LATE_AFTER - 1) == 0
    assert watch.list(12, after=1) == 1
    assert watch.list(12) == 0
    assert watch.hearing.missed == {Kind.SESSIONS: 0, Kind.PODS: 1, Kind.CLAIMS: 0}


def test_an_end_that_was_never_told_is_counted(watch: Listening) -> None:
    watch.list(10, gone=("a",))
    watch.tell("a", 10)
    assert watch.list(10) == 1


def test_an_end_that_was_told_late_is_not_counted(watch: Listening) -> None:
    watch.list(10, gone=("a",))
    watch.tell("a", 11, gone=True)
    assert watch.list(10) == 0


def test_nothing_in_the_first_list_is_missed() -> None:
    watch = Listening()
    watch.list(10, {"a": 10, "b": 9})
    assert watch.list(10) == 0


def test_events_out_of_order_do_not_make_a_watch_fall_behind(watch: Listening) -> None:
    """Events of different objects come in no order."""
    watch.list(12, {"b": 12})
    watch.tell("b", 12)
    watch.tell("a", 11)
    watch.list(12, after=DEAF_AFTER)
    assert watch.hearing.deaf() == []
    assert not watch.hearing.doubtful
