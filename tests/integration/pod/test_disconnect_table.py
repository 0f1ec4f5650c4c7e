"""The disconnect table, every row played against the emulated WhatsApp with a real pod process."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from disconnect_rows import ROWS, Row, clear, linked_devices, scanned_but
from pod_support import CONTACT, World, eventually

from waemulator.testing import EmulatorProcess
from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import SessionReport, SessionState

pytestmark = pytest.mark.integration
FAST = {Env.RECONNECT_MAX_DELAY_SECONDS: "1"}
SILENCE_ENDS_WITHIN = timedelta(seconds=60)


async def connections(world: World, since: int) -> int:
    """How many connections the pod opened, or was refused."""
    return sum(record["kind"] in {"ws_open", "ws_refused"} for record in await world.control("log", since))


async def reported(world: World, since: int, fits: Callable[[SessionReport], bool], what: str, deadline: float) -> SessionReport:
    """The first report of the object's status that fits."""

    def look() -> SessionReport | None:
        return next((report for report in world.status.reports[since:] if fits(report)), None)

    try:
        found: SessionReport = await eventually(look, what, deadline)
    except AssertionError as error:
        raise AssertionError(f"{error}; reports {world.status.reports[since:]}; log:\n{world.pod.log}") from None
    return found


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
async def test_a_row_of_the_table(make_world: Callable[..., World], row: Row, record_property: Callable[[str, object], None]) -> None:
    world = make_world(FAST | row.environment)
    if row.paired:
        await world.pair()
        await eventually(lambda: world.status.report and world.status.report.name, "the report with the name")
    devices = linked_devices(world) if row.paired else []
    before, mark = len(world.status.patches), await world.control("mark")
    began, began_at = time.monotonic(), datetime.now(UTC)
    await row.act(world)

    def is_there(report: SessionReport) -> bool:
        code = report.last_disconnect.code if report.last_disconnect else None
        return (report.state, code, report.reconnect_attempts) == (row.state, row.code, row.attempts)

    there = await reported(world, before, is_there, f"{row.state} with code {row.code}", row.deadline)
    assert there.last_disconnect is None or there.last_disconnect.at - began_at < SILENCE_ENDS_WITHIN
    if row.message:
        assert there.last_disconnect
        assert there.last_disconnect.message == row.message
    if row.attempts < 3:  # a WhatsApp that is away counts nothing
        least, most = row.tries
        assert least <= await connections(world, mark) <= most

    if row.lift:
        began = time.monotonic()
        await row.lift(world)
    if row.restarted:
        await stays_down(world, row, there)
    else:
        end = await world.pod.reaches(row.end)
        record_property("seconds_to_recover", round(time.monotonic() - began, 2))
        assert end.reconnect_attempts == 0
    registered = len(await world.control("log", mark, kind="register"))
    scans = 1 - row.paired
    assert registered == (scans if row.kept else 1), "a new QR code, and only where the credentials are worthless"
    if row.kept:
        assert linked_devices(world) == (devices or linked_devices(world))
        assert linked_devices(world)


async def stays_down(world: World, row: Row, there: SessionReport) -> None:
    """It rests, says why, serves, and connects no more until it is restarted."""
    assert there.message
    tried = await world.control("mark")
    status, error = await world.pod.post("/v1/messages", {"to": CONTACT, "text": "Hola"})
    assert (status, error["code"]) == (503, "not_connected")
    assert row.state in error["message"]
    assert (await world.pod.session()).state is row.end  # type: ignore[union-attr]  # it serves
    assert await connections(world, tried) == 0
    await world.pod.kill()
    await world.pod.start()
    assert row.restarted
    await world.pod.reaches(row.restarted)


async def test_a_used_up_set_of_qr_codes_gives_a_new_one(make_world: Callable[..., World], tmp_path: Path) -> None:
    with EmulatorProcess(tmp_path / "stingy", "--references", "1") as emulator:
        world = make_world(emulator.client_env())
        world.emulator = emulator
        await world.pod.start()
        first = await world.pod.reaches(SessionState.AWAITING_SCAN)
        second = await world.pod.session_where(lambda report: report.qr not in {None, first.qr}, "another QR code")
        assert (second.reconnect_attempts, second.last_disconnect) == (0, None)
        assert len(await world.control("log", kind="register")) == 2


async def test_a_scan_without_a_login_is_tried_anew_with_the_same_credentials(world: World) -> None:
    await scanned_but("freeze")(world)
    await world.pod.reaches(SessionState.CONNECTING)

    def started_anew() -> bool:
        return "🔄 [cliente1] Iniciando de nuevo" in world.pod.log

    await eventually(started_anew, "the end of a login that stays silent", 75)
    await clear(world)
    assert (await world.pod.session_where(lambda report: report.state is SessionState.CONNECTED, "connected", 75)).number
    assert len(await world.control("log", kind="register")) == 1, "no second QR code"


def test_the_page_has_every_row() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "disconnects.md").read_text()
    lines = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in page.replace("` until", " until").splitlines()]
    rows = {cells[0]: cells[1:] for cells in lines if len(cells) == 6}
    for row in ROWS:
        state, code, credentials, end, _ = rows[row.name]
        assert (state, code) == (row.state, str(row.code or ""))
        assert credentials == ("kept" if row.kept else "wiped")
        assert end == (f"{row.end} until a restart" if row.restarted else row.end)
