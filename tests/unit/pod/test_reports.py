"""Reports: only what changed, coalesced, throttled where it may wait, and never lost while the API server is away."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from wasession_contract.v1alpha1 import BackendReport, BackendState, SessionReport, SessionState
from wasession_pod import reports
from wasession_pod.logs import SessionLog
from wasession_pod.reports import ApiServer, Reporter, ReportError, api_server_url, major, wait_after

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def report(state: SessionState = SessionState.CONNECTED, **changes: Any) -> SessionReport:  # noqa: ANN401  fields
    return SessionReport(**({"pod_uid": "u", "state": state, "reported_at": NOW} | changes))


class FakeServer:
    """Takes reports, or fails as often as the test says."""

    def __init__(self) -> None:
        self.written: list[SessionReport] = []
        self.failures = 0
        self.tries = 0
        self.status: int | None = None

    async def patch(self, report: SessionReport) -> None:
        self.tries += 1
        if self.failures:
            self.failures -= 1
            raise ReportError("away", self.status)
        self.written.append(report)


@pytest.fixture
def server() -> FakeServer:
    return FakeServer()


@pytest.fixture
async def reporter(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Reporter]:
    monkeypatch.setattr(reports, "FIRST_DELAY_SECONDS", 0.001)
    reporter = Reporter(server, SessionLog("cliente1"), minor_seconds=3600)  # type: ignore[arg-type]
    task = asyncio.create_task(reporter.run())
    yield reporter
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def until(check: Any) -> None:  # noqa: ANN401  a lambda
    async with asyncio.timeout(10):
        while not check():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def test_changes_that_come_together_make_one_write_of_the_newest(reporter: Reporter, server: FakeServer) -> None:
    for state in SessionState:
        reporter.update(report(state))
        for _ in range(5):
            await asyncio.sleep(0)  # the reporter gets its turn between them
    await until(lambda: server.written)
    assert [written.state for written in server.written] == [list(SessionState)[-1]]


async def test_what_did_not_change_is_not_written_again(reporter: Reporter, server: FakeServer) -> None:
    reporter.update(report())
    await until(lambda: server.written)
    reporter.update(report(reported_at=NOW + timedelta(seconds=9)))
    reporter.update(report(SessionState.RECONNECTING))
    await until(lambda: len(server.written) == 2)
    assert server.written[1].state is SessionState.RECONNECTING


async def test_activity_and_backlog_alone_wait_but_ride_along(reporter: Reporter, server: FakeServer) -> None:
    reporter.update(report())
    await until(lambda: server.written)
    busy = {"last_activity": NOW, "backend": BackendReport(state=BackendState.DISABLED, backlog=7)}
    reporter.update(report(**busy))
    await asyncio.sleep(reports.COALESCE_SECONDS * 3)  # the time in which a write would have come
    assert len(server.written) == 1
    reporter.update(report(name="María", **busy))
    await until(lambda: len(server.written) == 2)
    assert server.written[1].backend.backlog == 7


async def test_activity_alone_is_written_when_its_time_has_come(server: FakeServer) -> None:
    reporter = Reporter(server, SessionLog("cliente1"), minor_seconds=0.01)  # type: ignore[arg-type]
    task = asyncio.create_task(reporter.run())
    reporter.update(report())
    await until(lambda: server.written)
    reporter.update(report(last_activity=NOW))
    await until(lambda: len(server.written) == 2)
    task.cancel()


async def test_while_the_api_server_is_away_the_newest_report_waits_and_catches_up(reporter: Reporter, server: FakeServer) -> None:
    server.failures = 3
    reporter.update(report(SessionState.RECONNECTING))
    await until(lambda: server.tries)
    reporter.update(report(SessionState.CONNECTED))
    await until(lambda: server.written)
    assert [written.state for written in server.written] == [SessionState.CONNECTED]
    assert server.tries == 4


@pytest.mark.parametrize(
    ("error", "failures", "seconds"),
    [
        (ReportError("away"), 1, 0.5),
        (ReportError("away"), 3, 2),
        (ReportError("away"), 99, 30),
        (ReportError("conflict", 409), 1, 0.5),
        (ReportError("no right", 403), 1, 30),
        (ReportError("gone", 404), 1, 30),
        (ReportError("too many", 429, retry_after=7), 1, 7),
        (ReportError("too many", 429, retry_after=86400), 1, 120),
        (ReportError("too many", 429), 1, 0.5),
    ],
)
def test_each_refusal_has_its_wait(error: ReportError, failures: int, seconds: float) -> None:
    assert wait_after(error, failures, 0.0) == seconds
    assert seconds / 2 <= wait_after(error, failures, 0.999) <= seconds + 1


async def test_what_the_schema_refuses_is_not_tried_again_but_the_next_change_is(reporter: Reporter, server: FakeServer) -> None:
    server.failures, server.status = 1, 422
    reporter.update(report(SessionState.RECONNECTING))
    await until(lambda: server.tries)
    reporter.update(report(SessionState.RECONNECTING, reported_at=NOW + timedelta(1)))
    reporter.update(report(SessionState.CONNECTED))
    await until(lambda: server.written)
    assert ([written.state for written in server.written], server.tries) == ([SessionState.CONNECTED], 2)


async def test_the_api_servers_wish_to_be_left_alone_is_read(tmp_path: Path) -> None:
    async def refuse(_request: web.Request) -> web.Response:
        return web.Response(status=429, headers={"Retry-After": "7"})

    (tmp_path / "token").write_text("first")
    app = web.Application()
    app.router.add_patch("/{path:.*}", refuse)
    async with TestServer(app) as fake:
        api = ApiServer(str(fake.make_url("")).rstrip("/"), "ns", "cliente1", tmp_path)
        with pytest.raises(ReportError) as refused:
            await api.patch(report())
        api.close()
    assert (refused.value.status, refused.value.retry_after) == (429, 7)


def test_what_may_wait_is_not_major() -> None:
    busy = BackendReport(state=BackendState.DISABLED, backlog=3)
    assert major(report()) == major(report(last_activity=NOW, reported_at=NOW + timedelta(1), backend=busy))
    assert major(report()) != major(report(backend=BackendReport(state=BackendState.CONNECTED)))


async def test_the_patch_deletes_by_null_and_reads_the_token_for_every_request(tmp_path: Path) -> None:
    seen: list[tuple[str, str, Any]] = []

    async def take(request: web.Request) -> web.Response:
        seen.append((request.path, request.headers["Authorization"], await request.json()))
        return web.json_response({}, status=403 if "third" in seen[-1][1] else 200)

    app = web.Application()
    app.router.add_patch("/{path:.*}", take)
    async with TestServer(app) as fake:
        api = ApiServer(str(fake.make_url("")).rstrip("/"), "ns", "cliente1", tmp_path)
        for token in ("first", "second"):
            (tmp_path / "token").write_text(f"{token}\n")
            await api.patch(report())
        (tmp_path / "token").write_text("third")
        with pytest.raises(ReportError, match="403"):
            await api.patch(report())
        api.close()
    assert [(path, token) for path, token, _ in seen] == [
        ("/apis/wasession.dev/v1alpha1/namespaces/ns/whatsappsessions/cliente1/status", f"Bearer {token}")
        for token in ("first", "second", "third")
    ]
    session = seen[0][2]["status"]["session"]
    assert set(session) == {field.encode_name for field in msgspec.structs.fields(SessionReport)}
    assert session["qr"] is None


async def test_a_missing_token_is_an_error_in_words(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="token"):
        await ApiServer("http://127.0.0.1:9", "ns", "cliente1", tmp_path).patch(report())


def test_the_api_servers_address_is_the_clusters() -> None:
    assert api_server_url({"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "6443"}) == "https://10.0.0.1:6443"
    assert api_server_url({"KUBERNETES_SERVICE_HOST": "fd00::1"}) == "https://[fd00::1]:443"
    assert api_server_url({}) is None
