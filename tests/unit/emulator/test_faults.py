from typing import Any

import pytest

from waemulator.errors import ControlError
from waemulator.faults import Fault, Kind, StandingFaults, parse

pytestmark = pytest.mark.unit
ONE, OTHER = "491700000001", "491700000002"


def freeze(**fields: object) -> Fault:
    return parse({"kind": "freeze", **fields})


def test_a_fault_with_a_number_hits_that_account_alone() -> None:
    faults = StandingFaults()
    faults.put(freeze(number=ONE))
    assert faults.hits(Kind.FREEZE, ONE)
    assert not faults.hits(Kind.FREEZE, OTHER)
    assert not faults.hits(Kind.FREEZE, None)
    assert not faults.hits(Kind.HOLD_ACKS, ONE)


def test_a_fault_without_a_number_hits_all() -> None:
    faults = StandingFaults()
    faults.put(freeze())
    assert all(faults.hits(Kind.FREEZE, number) for number in (ONE, OTHER, None))


def test_an_accounts_own_fault_goes_before_one_for_all() -> None:
    faults = StandingFaults()
    faults.put(parse({"kind": "refuse_login", "attrs": {"reason": "503"}}))
    faults.put(parse({"kind": "refuse_login", "attrs": {"reason": 401}, "number": f"+{ONE}"}))
    own, others = faults.hits(Kind.REFUSE_LOGIN, ONE), faults.hits(Kind.REFUSE_LOGIN, OTHER)
    assert own is not None
    assert own.attrs == {"reason": "401"}
    assert others is not None
    assert others.attrs == {"reason": "503"}


def test_a_counted_fault_ends_after_so_many_times() -> None:
    faults = StandingFaults()
    faults.put(freeze(times=2))
    assert [bool(faults.take(Kind.FREEZE, number)) for number in (ONE, OTHER, ONE)] == [True, True, False]


def test_a_standing_fault_ends_when_it_is_put_off_or_cleared() -> None:
    faults = StandingFaults()
    for number in (ONE, OTHER, None):
        faults.put(freeze(number=number) if number else freeze())
    faults.put(parse({"kind": "hold_acks", "number": ONE}))
    faults.put(freeze(number=OTHER, on=False))
    faults.put(freeze(on=False))
    assert faults.hits(Kind.FREEZE, OTHER) is None
    assert faults.clear(Kind.FREEZE) == 1
    assert faults.hits(Kind.HOLD_ACKS, ONE)
    assert faults.clear(number=OTHER) == 0
    assert faults.clear() == 1
    assert faults.hits(Kind.HOLD_ACKS, ONE) is None


@pytest.mark.parametrize(
    ("body", "code", "named"),
    [
        ({"kind": "explode"}, "unknown_kind", "'explode'; the kinds are drop, close, stream_error,"),
        ({}, "unknown_kind", "None; the kinds are"),
        ({"kind": "clear", "of": "everything"}, "unknown_kind", "the of 'everything'"),
        ({"kind": "drop", "nummer": "1"}, "unknown_field", "no field 'nummer'"),
        ({"kind": "drop", "number": 491700000001}, "bad_number", "not 491700000001"),
        ({"kind": "drop", "number": "abc"}, "bad_number", "'abc'"),
        ({"kind": "refuse_ws", "number": ONE}, "not_aimable", "use drop_login"),
        ({"kind": "refuse_ws", "status": 200}, "bad_field", "not 200"),
        ({"kind": "refuse_ws", "status": True}, "bad_field", "not True"),
        ({"kind": "refuse_login"}, "missing_field", '{"reason": "503"}'),
        ({"kind": "refuse_login", "attrs": ["503"]}, "bad_field", "['503']"),
        ({"kind": "refuse_login", "attrs": {"reason": None}}, "bad_field", "attrs is an object of strings"),
        ({"kind": "raw_failure"}, "missing_field", "raw_failure needs attrs"),
        ({"kind": "stream_error"}, "missing_field", "stream_error needs"),
        ({"kind": "refuse_message", "code": 0}, "bad_field", "463 or 479, not 0"),
        ({"kind": "freeze", "times": 0}, "bad_field", "times is 1 or more, not 0"),
        ({"kind": "freeze", "on": "no"}, "bad_field", "on is a bool, not 'no'"),
    ],
)
def test_a_request_that_makes_no_sense_is_refused_and_named(body: dict[str, Any], code: str, named: str) -> None:
    with pytest.raises(ControlError) as refused:
        parse(body)
    assert (refused.value.status, refused.value.code) == (400, code)
    assert named in refused.value.message


def test_every_kind_can_be_asked_for() -> None:
    needed = {"attrs": {"reason": "503"}}
    assert {parse({"kind": str(kind), **needed}).kind for kind in Kind} == set(Kind)
