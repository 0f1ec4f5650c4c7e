from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wasession_operator.store import SessionView, Store
from wasession_operator.views import Key

if TYPE_CHECKING:
    from conftest import Build

pytestmark = pytest.mark.unit


def test_an_older_version_never_replaces_a_newer_one(build: Build) -> None:
    pods = Store().pods
    assert pods.put(build.pod(version=5, ready=True))
    assert not pods.put(build.pod(version=4, ready=False))
    assert pods.get(Key("default", "cliente1")).ready


def test_a_version_that_says_nothing_new_wakes_nobody(build: Build) -> None:
    store = Store()
    assert store.pods.put(build.pod(version=1))
    assert not store.pods.put(build.pod(version=2))
    assert store.pods.put(build.pod(version=3, ready=False))
    assert store.sessions.put(SessionView.of(build.session()))
    assert not store.sessions.put(SessionView.of(build.session(resource_version="2")))
    assert store.sessions.put(SessionView.of(build.session(resource_version="3", generation=2)))


def test_the_end_of_a_former_object_does_not_remove_the_present_one(build: Build) -> None:
    pods = Store().pods
    pods.put(build.pod(uid="new", version=9))
    assert not pods.remove(Key("default", "cliente1"), "old")
    assert pods.remove(Key("default", "cliente1"), "new")


def test_a_list_removes_what_is_gone_and_keeps_what_came_after_it(build: Build) -> None:
    pods = Store().pods
    gone, late, elsewhere, known = (Key(*key) for key in (("default", "gone"), ("default", "late"), ("other", "x"), ("default", "known")))
    for key, version in ((gone, 1), (late, 20), (elsewhere, 1), (known, 1)):
        pods.put(build.pod(key=key, version=version))
    new, lost = pods.replace([build.pod(key=known, version=1)], 10, ["default"])
    assert (new, [view.key for view in lost]) == ([], [gone])
    assert {view.key for view in pods} == {late, elsewhere, known}


def test_a_list_with_another_object_of_the_same_name_tells_the_former_ones_end(build: Build) -> None:
    store = Store()
    store.pods.put(build.pod(version=1))
    listed = build.pod(uid="p-2", version=5)
    new, gone = store.pods.replace([listed], 6, ())
    assert [view.uid for view in new] == ["p-2"]
    assert [view.uid for view in gone] == ["p-1"]
    assert store.pods.get(listed.key) == listed
