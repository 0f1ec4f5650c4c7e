"""Pairing by a code that the owner types into the phone: asked for by the session's spec, or by a call."""

from collections.abc import Callable

import pytest
from pod_support import OWNER, World, eventually

from waemulator.client import ControlApiError
from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import SessionState

pytestmark = pytest.mark.integration
BY_CODE = {Env.PAIRING_METHOD: "Code", Env.PAIRING_PHONE_NUMBER: OWNER}


async def test_a_session_that_pairs_by_code_shows_a_code_and_no_qr_code(make_world: Callable[..., World]) -> None:
    world = make_world(BY_CODE)
    await world.control("user", OWNER, "María Dueña")
    await world.pod.start()
    waiting = await world.pod.reaches(SessionState.AWAITING_SCAN)
    assert waiting.pairing_code
    assert waiting.qr is None
    left = (waiting.pairing_code.expires_at - waiting.reported_at).total_seconds()
    assert 100 < left <= 160
    await eventually(lambda: world.status.report and world.status.report.pairing_code, "the code in the object's status")

    wrong = "1111-1111" if waiting.pairing_code.code != "1111-1111" else "2222-2222"
    with pytest.raises(ControlApiError, match="wrong_code"):
        await world.control("enter_code", OWNER, wrong)
    assert await world.pod.reaches(SessionState.AWAITING_SCAN), "a slip of the owner's finger ends nothing"
    await world.control("enter_code", OWNER, waiting.pairing_code.code)
    connected = await world.pod.reaches(SessionState.CONNECTED)
    assert (connected.number, connected.pairing_code) == (OWNER, None)
    assert not [report for report in world.status.reports if report.qr]
    assert waiting.pairing_code.code not in world.pod.log


async def test_a_code_on_demand_stands_beside_the_qr_code(world: World) -> None:
    await world.control("user", OWNER, "María Dueña")
    await world.pod.start()
    await world.pod.reaches(SessionState.AWAITING_SCAN)
    status, answer = await world.pod.post("/v1/pairing-code", {"phone": f"+{OWNER}"})
    assert (status, set(answer)) == (200, {"code", "expiresAt"})
    both = await world.pod.session()
    assert both
    assert both.qr
    assert both.pairing_code
    assert both.pairing_code.code == answer["code"]
    await world.control("enter_code", OWNER, answer["code"])
    await world.pod.reaches(SessionState.CONNECTED)
    status, error = await world.pod.post("/v1/pairing-code", {"phone": OWNER})
    assert (status, error["code"]) == (409, "already_paired")


async def test_a_phone_number_that_is_none_is_refused(world: World) -> None:
    await world.pod.start()
    await world.pod.reaches(SessionState.AWAITING_SCAN)
    status, error = await world.pod.post("/v1/pairing-code", {"phone": "0049"})
    assert (status, error["code"]) == (400, "bad_request")
    assert error["message"].startswith("phone: '0049'")
