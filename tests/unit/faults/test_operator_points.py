"""The checker of `make faults-operator` sees what it is for: hand-made histories, each with one promise broken."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "integration" / "operator"))  # test folders are no packages
from apiproxy import Request
from operatorpoints.history import Change
from operatorpoints.normal import difference
from operatorpoints.oracles import pods_made, violations
from operatorpoints.points import FAULTS, KILLS, REFUSALS, Extent, Point, points
from operatorpoints.tally import Tally

pytestmark = pytest.mark.unit
SESSION_PATH = "/apis/wasession.dev/v1alpha1/namespaces/n/whatsappsessions/a"
PODS_PATH = "/api/v1/namespaces/n/pods"


def change(plural: str, kind: str, version: int, uid: str, **meta: Any) -> Change:  # noqa: ANN401  JSON
    spec = meta.pop("spec", {})
    return Change(plural, kind, {"metadata": {"name": "a", "uid": uid, "resourceVersion": str(version)} | meta, "spec": spec})


def pod(kind: str, version: int, uid: str) -> Change:
    return change("pods", kind, version, uid, labels={"wasession.dev/session": "a"})


def claim(kind: str, version: int, owner: str | None = "s-1", **meta: Any) -> Change:  # noqa: ANN401  JSON
    owners = [{"uid": owner, "controller": True}] if owner else []
    return change("persistentvolumeclaims", kind, version, "c-1", ownerReferences=owners, **meta)


def session(kind: str, version: int, policy: str = "Delete", **meta: Any) -> Change:  # noqa: ANN401  JSON
    return change("whatsappsessions", kind, version, "s-1", spec={"storage": {"reclaimPolicy": policy}}, **meta)


def write(method: str, path: str, body: object, status: int = 200) -> Request:
    request = Request(method, path, {}, json.dumps(body).encode(), write=1)
    request.status = status
    return request


FINALIZER = write("PATCH", SESSION_PATH, {"metadata": {"uid": "s-1", "finalizers": ["wasession.dev/logout"]}})
CREATE = write("POST", PODS_PATH, {"metadata": {"name": "a-session", "ownerReferences": [{"uid": "s-1"}]}}, 201)
DELETE = write("DELETE", f"{PODS_PATH}/a-session", {"preconditions": {"uid": "p-1"}})
GOING = {"deletionTimestamp": "2026-01-01T00:00:00Z"}


def test_a_life_as_it_should_be_is_not_complained_of() -> None:
    changes = [
        session("ADDED", 1),
        claim("ADDED", 2),
        pod("ADDED", 3, "p-1"),
        pod("DELETED", 4, "p-1"),
        pod("ADDED", 5, "p-2"),
        session("MODIFIED", 6, **GOING),
        claim("MODIFIED", 7, **GOING),
        claim("DELETED", 8),
    ]
    assert violations(changes, [FINALIZER, CREATE, DELETE], "all is well") == []
    assert pods_made(changes) == {"a": 2}


@pytest.mark.parametrize(
    ("changes", "log", "words", "complaint"),
    [
        ([pod("ADDED", 1, "p-1"), pod("ADDED", 2, "p-2")], [], "", "two pods of session a"),
        ([pod("DELETED", 3, "p-1"), pod("ADDED", 1, "p-1"), pod("ADDED", 2, "p-2")], [], "", "two pods of session a"),
        ([session("ADDED", 1), claim("DELETED", 2)], [], "", "while its session lived"),
        ([claim("MODIFIED", 2, **GOING), session("MODIFIED", 3, **GOING)], [], "", "while its session lived"),
        ([session("MODIFIED", 1, "Retain", **GOING), claim("DELETED", 2)], [], "", "though its session retains it"),
        ([claim("DELETED", 2, owner=None)], [], "", "which nobody owns"),
        ([], [write("DELETE", f"{PODS_PATH}/a-session", {})], "", "names no uid"),
        ([], [write("PATCH", SESSION_PATH, {"spec": {}})], "", "writes a spec"),
        ([], [CREATE, FINALIZER], "", "before the finalizer"),
        ([], [], "Traceback (most recent call last)", "Traceback"),
    ],
)
def test_what_is_broken_is_seen(changes: list[Change], log: list[Request], words: str, complaint: str) -> None:
    (found,) = violations(changes, log, words)
    assert complaint in found


def test_a_difference_names_the_place_and_both_values() -> None:
    assert difference({"a": {"b": 1}, "c": 2}, {"a": {"b": 3}}) == ["a.b: expected 1, is 3", "c: expected 2, is None"]
    assert difference({"a": [1]}, {"a": [1]}) == []


def test_each_write_is_killed_at_twice_and_refused_once_and_each_event_lost_once() -> None:
    extent = Extent(writes=5, events={"pods": 2, "whatsappsessions": 3}, rests=(0, 1, 3))
    found = list(points("create", extent, extent, all_refusals=False))
    assert {(one.fault, one.number) for one in found if one.fault in KILLS} == {
        (fault, number) for fault in KILLS for number in range(1, 6)
    }
    refused = [one for one in found if one.fault in REFUSALS]
    assert sorted(one.number for one in refused) == [1, 2, 3, 4, 5]
    assert len({one.fault for one in refused}) == 5
    assert sum(one.fault.startswith("drop") for one in found) == 5
    assert [(one.step, one.number) for one in found if one.fault == "past-lists"] == [(1, 0), (3, 0), (3, 1), (3, 2)]
    assert len(list(points("create", extent, extent, all_refusals=True))) == 5 * 7 + 5 + 5 + 8


@pytest.mark.parametrize("text", ["create/kill-after/3", "roll-out/past-all/2.1"])
def test_a_point_is_read_as_it_is_written(text: str) -> None:
    assert str(Point.read(text)) == text


def test_an_unknown_fault_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ValueError, match="there is no fault 'kill'; there are kill-before"):
        Point.read("create/kill/1")


def test_the_tally_counts_what_was_tried_held_and_failed_and_leaves_out_what_was_not_reached() -> None:
    tally = Tally()
    tally.add(Point("create", "kill-after", 1), fired=True, broken=())
    tally.add(Point("create", "drop-pod", 1), fired=True, broken=("two pods",))
    tally.add(Point("create", "kill-after", 9), fired=False, broken=())
    assert tally.rows() == [("create", "kill-after", 1, 1, 0), ("create", "drop-pod", 1, 0, 1)]
    assert tally.failed_points() == ["create/drop-pod/1"]
    assert "1 points not reached" in tally.table()
    assert {row["metric"]: (row["ours"], row["met"]) for row in tally.results()[:2]} == {
        "points tried": (2, False),
        "points failed": (1, False),
    }
    assert len(tally.results()) == 2 + len(FAULTS)
