"""What can go wrong with the connection, the settings and the volume, played against the emulator."""

import asyncio
from collections.abc import Callable

import pytest
from pod_support import CONTACT, OWNER, World, eventually

from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import SessionState

CLIENTS = 10  # of `whatsapp`, which only a pod imports

pytestmark = pytest.mark.integration


async def test_a_lost_connection_comes_back_and_nothing_is_lost(world: World) -> None:
    before = await world.pair()
    for round_number in range(3):
        mark = await world.control("mark")
        await world.control("fault", "drop", OWNER)
        await world.control("wait_for", lambda record: record["kind"] == "ws_close", since=mark)
        await world.control("incoming", CONTACT, OWNER, f"mensaje {round_number}")
        await world.control("wait_for", lambda record: record["kind"] == "logged_in", since=mark)
        await eventually(lambda n=round_number: len(world.backend.messages) == n + 1, "the message that came meanwhile")
    after = await world.pod.reaches(SessionState.CONNECTED)
    assert [message["message"] for message in world.backend.messages] == ["mensaje 0", "mensaje 1", "mensaje 2"]
    assert after.reconnect_attempts == 0
    assert after.last_disconnect
    assert after.last_disconnect.code == 428
    assert after.connected_since
    assert before.connected_since
    assert after.connected_since > before.connected_since


async def test_many_lost_connections_leave_nothing_open(make_world: Callable[..., World]) -> None:
    """Neonize never closes the database of a client; so many and no more share a process, and the session goes on in the next."""
    world = make_world({Env.RECONNECT_INITIAL_DELAY_SECONDS: "1", Env.RECONNECT_MAX_DELAY_SECONDS: "1"})
    await world.pair()
    open_files = []
    for _ in range(CLIENTS + 4):
        mark = await world.control("mark")
        await world.control("fault", "drop", OWNER)
        await world.control("wait_for", lambda record: record["kind"] == "logged_in", since=mark)
        await world.pod.reaches(SessionState.CONNECTED)
        open_files.append(world.pod.open_files("whatsmeow.db"))
    most = max(open_files)
    assert min(open_files[open_files.index(most) :]) < most / 2, open_files
    assert (await world.pod.reaches(SessionState.CONNECTED)).reconnect_attempts == 0
    status, _ = await world.pod.post("/v1/messages", {"to": CONTACT, "text": "Sigo aquí"})
    assert status == 200


async def test_a_session_replaced_by_another_instance_stays_down(world: World) -> None:
    await world.pair()
    await world.control("fault", "stream_error", OWNER, conflict="replaced")
    replaced = await world.pod.reaches(SessionState.REPLACED)
    assert replaced.last_disconnect
    assert replaced.last_disconnect.code == 440
    status, error = await world.pod.post("/v1/messages", {"to": CONTACT, "text": "Hola"})
    assert (status, error["code"]) == (503, "not_connected")
    assert "Replaced" in error["message"]
    assert (world.pod.directory / "data" / "whatsmeow.db").exists()


@pytest.mark.parametrize(
    ("attrs", "state", "code"),
    [
        ({"reason": "402", "code": "101", "expire": "3600"}, SessionState.BANNED, 402),
        ({"reason": "403"}, SessionState.BANNED, 403),
        ({"reason": "405"}, SessionState.FAILED, 405),
        ({"reason": "406"}, SessionState.BANNED, 406),
        ({"reason": "409"}, SessionState.FAILED, 409),
    ],
)
async def test_a_refused_login_rests_and_says_why(world: World, attrs: dict[str, str], state: SessionState, code: int) -> None:
    await world.pair()
    await world.control("fault", "refuse_login", OWNER, attrs=attrs)
    await world.control("fault", "drop", OWNER)
    resting = await world.pod.reaches(state)
    assert resting.last_disconnect
    assert resting.last_disconnect.code == code
    assert resting.message
    assert (resting.next_attempt_at is not None) is (code == 402)


async def test_a_login_refused_as_logged_out_gives_a_new_qr_code(world: World) -> None:
    await world.pair()
    await world.control("fault", "refuse_login", OWNER, attrs={"reason": "401"})
    await world.control("fault", "drop", OWNER)
    waiting = await world.pod.reaches(SessionState.AWAITING_SCAN)
    assert waiting.last_disconnect
    assert waiting.last_disconnect.code == 401


async def test_the_session_gives_up_after_the_limit_of_attempts(make_world: Callable[..., World]) -> None:
    world = make_world({Env.RECONNECT_MAX_ATTEMPTS: "2", Env.RECONNECT_MAX_DELAY_SECONDS: "1"})
    await world.pair()
    await world.control("fault", "refuse_ws")
    await world.control("fault", "drop", OWNER)
    failed = await world.pod.reaches(SessionState.FAILED)
    assert failed.reconnect_attempts == 2
    assert "2 attempts" in (failed.message or "")
    await world.pod.kill()
    await world.pod.start()
    trying = await world.pod.reaches(SessionState.RECONNECTING)
    assert (trying.number, trying.name) == (OWNER, "María Dueña"), "who is linked is known without a login"
    await world.control("fault", "clear")
    assert (await world.pod.reaches(SessionState.CONNECTED)).number == OWNER


async def test_whatsapp_away_at_the_start_is_waited_for(world: World) -> None:
    await world.control("fault", "refuse_ws")
    await world.pod.start()
    waiting = await world.pod.session_where(lambda report: report.reconnect_attempts >= 2, "a second attempt")
    assert (waiting.state, waiting.number) == (SessionState.RECONNECTING, None)
    await world.control("fault", "clear")
    assert (await world.pod.reaches(SessionState.AWAITING_SCAN)).qr


async def test_a_send_without_an_acknowledgement_is_never_sent_twice(world: World) -> None:
    await world.pair()
    body, key = {"to": CONTACT, "text": "una sola vez"}, {"Idempotency-Key": "pedido-1"}
    await world.control("fault", "hold_acks", OWNER)
    first = asyncio.create_task(world.pod.post("/v1/messages", body, **key))
    await world.control("wait_for", lambda record: record["kind"] == "message")
    assert (await world.pod.post("/v1/messages", body, **key))[0] == 409
    await world.pod.kill()
    with pytest.raises(Exception):  # noqa: B017, PT011  the connection is gone, in whatever way
        await first
    await world.control("fault", "clear")
    await world.pod.start()
    await world.pod.reaches(SessionState.CONNECTED)
    status, error = await world.pod.post("/v1/messages", body, **key)
    assert (status, error["code"]) == (504, "ack_timeout")
    assert await world.sent_texts() == ["una sola vez"]


async def test_an_idempotency_key_gives_the_first_answer_again(world: World) -> None:
    await world.pair()
    body, key = {"to": CONTACT, "text": "Hola"}, {"Idempotency-Key": "pedido-1"}
    first = await world.pod.post("/v1/messages", body, **key)
    assert first[0] == 200
    assert await world.pod.post("/v1/messages", body, **key) == first
    other = await world.pod.post("/v1/messages", body | {"text": "Adiós"}, **key)
    assert (other[0], other[1]["code"]) == (422, "idempotency_key_reused")
    assert await world.sent_texts() == ["Hola"]


async def test_a_number_without_whatsapp_is_refused(world: World) -> None:
    await world.pair()
    status, error = await world.pod.post("/v1/messages", {"to": "570000000000", "text": "Hola"})
    assert (status, error["code"]) == (422, "recipient_not_on_whatsapp")


async def test_a_bad_setting_is_reported_and_the_pod_serves(make_world: Callable[..., World]) -> None:
    world = make_world({Env.RECONNECT_MAX_ATTEMPTS: "many"})
    await world.pod.start()
    failed = await world.pod.reaches(SessionState.FAILED)
    assert "WASESSION_RECONNECT_MAX_ATTEMPTS='many'" in (failed.message or "")
    await eventually(lambda: world.status.report, "the report")
    assert world.status.report
    assert world.status.report.state is SessionState.FAILED
    assert await world.pod.terminate() == 0


@pytest.mark.parametrize("file", ["journal.db", "whatsmeow.db"])
async def test_a_file_that_is_no_database_is_left_alone(world: World, file: str) -> None:
    data = world.pod.directory / "data"
    data.mkdir()
    (data / file).write_text("this is no database, but it may be somebody's")
    await world.pod.start()
    failed = await world.pod.reaches(SessionState.FAILED)
    assert "database" in (failed.message or "")
    assert (data / file).read_text() == "this is no database, but it may be somebody's"


async def test_a_pod_that_waits_for_a_scan_ends_cleanly_at_sigterm(world: World) -> None:
    await world.pod.start()
    await world.pod.reaches(SessionState.AWAITING_SCAN)
    assert await asyncio.wait_for(world.pod.terminate(), 5) == 0
    assert "🛑 [cliente1]" in world.pod.log
