"""The log of a whole life, in both forms, holds nothing that is secret or somebody's own words."""

import json
from collections.abc import Callable

import pytest
from pod_support import CONTACT, OWNER, TOKEN, World, eventually

from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import SessionState

pytestmark = pytest.mark.integration
INBOUND, OUTBOUND = "muy privado", "tambien privado"


@pytest.mark.parametrize("form", ["text", "json"])
async def test_a_life_leaves_no_secret_in_the_log(make_world: Callable[..., World], form: str) -> None:
    world = make_world({Env.LOG_FORMAT: form, Env.RECONNECT_MAX_DELAY_SECONDS: "1"})
    await world.control("user", OWNER, "María Dueña")
    await world.control("user", CONTACT, "Carlos")
    await world.pod.start()
    await world.pod.reaches(SessionState.AWAITING_SCAN)
    _, code = await world.pod.post("/v1/pairing-code", {"phone": OWNER})
    await world.control("enter_code", OWNER, code["code"])
    await world.pod.reaches(SessionState.CONNECTED)
    await world.control("incoming", CONTACT, OWNER, INBOUND)
    await eventually(lambda: "📨" in world.pod.log, "the line of the message")
    assert (await world.pod.post("/v1/messages", {"to": CONTACT, "text": OUTBOUND}))[0] == 200
    await world.control("fault", "drop", OWNER)
    await world.pod.session_where(lambda r: r.state is SessionState.CONNECTED and bool(r.last_disconnect), "connected again")
    await world.control("fault", "unlink", OWNER)
    again = await world.pod.session_where(lambda report: report.qr is not None, "a new QR code")
    assert again.qr
    assert await world.pod.terminate() == 0

    log = world.pod.log
    codes = [report.qr.code for report in world.status.reports if report.qr] + [again.qr.code]
    parts = [part for text in codes for part in text.rpartition("#")[2].split(",")[:4]]
    shown = [secret for secret in [TOKEN, "api-token", INBOUND, OUTBOUND, code["code"], *codes, *parts] if secret in log]
    assert (shown, len(parts) >= 8) == ([], True)
    if form == "json":
        ours = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
        assert {line["session"] for line in ours if "session" in line} == {"cliente1"}
        assert "Conexión WhatsApp establecida" in {line["text"] for line in ours}
        assert all(line["ts"].endswith("Z") and line["level"] for line in ours)
