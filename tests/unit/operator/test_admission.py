from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasession_contract.v1alpha1 import Metadata, WhatsAppSession
from wasession_operator.admission import Admission
from wasession_operator.ids import SessionIds
from wasession_operator.views import Key

if TYPE_CHECKING:
    from conftest import Build

pytestmark = pytest.mark.unit


def _session(build: Build, uid: str, second: int, *, admitted: bool | None = None) -> WhatsAppSession:
    fresh = build.session(name=uid, uid=uid, creation_timestamp=build.now + timedelta(seconds=second))
    if admitted is None:
        return fresh
    return build.with_status(fresh, build.told(build.observed(fresh, admitted=admitted)))


def test_the_first_ones_created_are_admitted(build: Build) -> None:
    admission = Admission(2)
    sessions = {uid: _session(build, uid, second) for uid, second in (("c", 3), ("a", 2), ("b", 1))}
    admission.add(list(sessions.values()))
    assert [uid for uid in "abc" if admission.admits(sessions[uid])] == ["a", "b"]


def test_a_free_place_admits_the_next_at_once(build: Build) -> None:
    admission = Admission(1)
    sessions = [_session(build, uid, second) for uid, second in (("a", 1), ("b", 2), ("c", 3))]
    admission.add(sessions)
    assert admission.remove("a") == [Key("default", "b")]
    assert admission.remove("c") == []
    assert admission.remove("b") == []
    assert len(admission) == 0


def test_a_running_session_keeps_its_place_against_an_older_one_that_came_later(build: Build) -> None:
    admission = Admission(1)
    running, newcomer = _session(build, "z", 0), _session(build, "a", 0)
    admission.add([running])
    admission.add([newcomer])
    assert admission.admits(running)
    again = Admission(1)  # a new operator knows it from the status
    running, newcomer = _session(build, "z", 0, admitted=True), _session(build, "a", 0, admitted=False)
    again.add([newcomer, running])
    assert again.admits(running)
    assert not again.admits(newcomer)


def test_a_lowered_limit_keeps_the_oldest(build: Build) -> None:
    admission = Admission(1)
    old, young = _session(build, "b", 1, admitted=True), _session(build, "a", 2, admitted=True)
    admission.add([young, old])
    assert (admission.admits(old), admission.admits(young)) == (True, False)


def test_no_limit_admits_everybody(build: Build) -> None:
    assert Admission(0).admits(_session(build, "a", 1))


@given(limit=st.integers(1, 4), steps=st.lists(st.tuples(st.booleans(), st.integers(0, 9)), max_size=40))
def test_never_more_than_the_limit_and_no_place_stays_empty(limit: int, steps: list[tuple[bool, int]]) -> None:
    admission, there = Admission(limit), set[str]()
    for comes, number in steps:
        uid = f"s-{number}"
        if comes:
            there.add(uid)
            admission.add([WhatsAppSession(metadata=Metadata(name=uid, uid=uid))])
        else:
            there.discard(uid)
            admission.remove(uid)
        assert len(admission) == min(limit, len(there))


def _with_id(build: Build, name: str, second: int, session_id: str | None = None) -> WhatsAppSession:
    created = build.now + timedelta(seconds=second)
    return build.session(name=name, uid=name, creation_timestamp=created, spec=build.spec(sessionId=session_id))


def test_a_session_id_is_the_oldest_ones_until_that_one_is_gone(build: Build) -> None:
    ids = SessionIds()
    old, young, youngest = (_with_id(build, name, second, "ventas") for name, second in (("c", 1), ("b", 2), ("a", 3)))
    for session in (youngest, old, young, old):
        ids.add(session)
    assert [ids.taken_by(session) for session in (old, young, youngest)] == ["", "c", "c"]
    assert ids.remove("b") == []
    assert ids.remove("c") == [Key("default", "a")]
    assert ids.taken_by(youngest) == ""
    assert ids.remove("a") == []
    assert ids.remove("a") == []


def test_a_name_is_an_id_too_and_other_namespaces_have_their_own(build: Build) -> None:
    ids = SessionIds()
    named, saying = _with_id(build, "ventas", 1), _with_id(build, "second", 2, "ventas")
    elsewhere = build.session(name="ventas", uid="u-2", namespace="other", creation_timestamp=build.now)
    for session in (named, elsewhere, saying):
        ids.add(session)
    assert [ids.taken_by(session) for session in (named, elsewhere, saying)] == ["", "", "ventas"]


def test_who_inherits_an_id_is_told(build: Build) -> None:
    admission = Admission(0)
    admission.add([_with_id(build, "old", 1, "ventas"), _with_id(build, "young", 2, "ventas")])
    assert admission.remove("old") == [Key("default", "young")]
