"""The shell: what the state machine's effects do to engine, files and process."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from wasession_contract.podwire import SendRequest
from wasession_contract.v1alpha1 import SessionState
from wasession_pod import credentials, machine, volume
from wasession_pod.engine import Account, Connected, Disconnected, Faulted, NotStoredError, QRSetUsedUp, Received

pytestmark = pytest.mark.unit
CONTACT = "573009999999@s.whatsapp.net"
ON_REQUEST = {"log_message_text": True}


def message(number: int, **changes: Any) -> Received:  # noqa: ANN401  fields of Received
    given = {"id": f"m{number}", "chat": CONTACT, "sender": CONTACT, "from_me": False, "text": "x", "type": "text", "has_media": False}
    return Received(**(given | {"timestamp": number} | changes))


async def test_it_connects_at_the_start(shell: Any) -> None:  # noqa: ANN401
    assert shell.engine.calls == ["connect"]


@pytest.mark.parametrize(
    ("setting", "kind", "shown"),
    [({}, "text", "(7 caracteres)"), ({}, "image", "[Imagen recibida]"), (ON_REQUEST, "text", "secreto"), (ON_REQUEST, "image", "secreto")],
)
async def test_what_a_message_says_is_logged_only_on_request(
    make_shell: Callable[..., Awaitable[Any]], caplog: pytest.LogCaptureFixture, setting: dict[str, bool], kind: str, shown: str
) -> None:
    caplog.set_level(logging.INFO, "wasession_pod")
    shell = await make_shell(**setting)
    shell.engine.on_news(message(1, type=kind, text="secreto", has_media=kind == "image"))
    await shell.until(lambda: "📨" in caplog.text)
    assert caplog.messages[-1].endswith(f": {shown}")


async def test_a_bad_setting_is_reported_and_nothing_connects(make_shell: Callable[..., Awaitable[Any]]) -> None:
    shell = await make_shell(problem="WASESSION_X='y': use z")
    report = shell.pod.report()
    assert (report.state, report.message, shell.engine.calls) == (SessionState.FAILED, "WASESSION_X='y': use z", [])


async def test_a_used_up_qr_set_replaces_the_process(shell: Any) -> None:  # noqa: ANN401
    shell.engine.on_event(QRSetUsedUp())
    await shell.until(lambda: shell.fresh_starts)


async def test_a_client_that_lost_the_connection_without_a_word_is_found(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    monkeypatch.setattr(machine, "CHECK_SECONDS", 0.01)
    shell.engine.on_event(Connected(shell.engine.known))
    await shell.until(lambda: "is_connected" in shell.engine.calls)
    assert shell.pod.report().state is SessionState.CONNECTED
    shell.engine.connected = False
    await shell.until(lambda: shell.pod.report().state is SessionState.RECONNECTING)
    assert shell.pod.report().last_disconnect.message == "the client lost the connection without saying so"


async def test_a_volume_that_works_again_replaces_the_process(shell: Any, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ANN401
    monkeypatch.setattr(machine, "HEAL_SECONDS", 0.01)
    fails = [OSError("No space left on device")] * 2

    def probe(_directory: object) -> None:
        if fails:
            raise fails.pop()

    monkeypatch.setattr(volume, "probe", probe)
    shell.engine.on_event(Faulted("the volume is full", heals=True))
    await shell.until(lambda: shell.fresh_starts)
    assert not fails


async def test_unlinked_on_the_phone_stops_wipes_and_replaces_the_process_in_this_order(
    shell: Any,  # noqa: ANN401
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shell.link()
    for suffix in ("-wal", "-shm", "-journal"):
        (shell.data_dir / f"whatsmeow.db{suffix}").touch()
    wiped_when: list[list[str]] = []
    original = credentials.wipe
    monkeypatch.setattr(credentials, "wipe", lambda path: (wiped_when.append(list(shell.engine.calls)), original(path)))
    shell.engine.on_event(Connected(shell.engine.known))
    shell.engine.on_event(Disconnected(401))
    await shell.until(lambda: shell.fresh_starts)
    assert wiped_when == [["connect", "stop"]]
    assert not list(shell.data_dir.glob("whatsmeow.db*"))
    carried = shell.fresh_starts[0].last_disconnect
    assert carried
    assert carried.code == 401


async def test_the_push_name_is_asked_for_until_it_is_known(shell: Any) -> None:  # noqa: ANN401
    nameless = Account(shell.engine.known.number, shell.engine.known.jid)
    shell.engine.on_event(Connected(nameless))
    await shell.until(lambda: shell.pod.report().name == "María")


async def test_a_message_is_in_the_journal_when_the_engine_goes_on(make_shell: Callable[..., Awaitable[Any]]) -> None:
    shell = await make_shell(backend_url="http://127.0.0.1:9")
    await asyncio.to_thread(shell.engine.on_news, message(1))
    assert shell.pod.journal.backlog() == 1
    await asyncio.to_thread(shell.engine.on_news, message(2, from_me=True))
    assert shell.pod.journal.backlog() == 1, "what the account itself wrote is not for the backend"
    await shell.settle()
    assert shell.pod.report().last_activity is not None


async def test_without_a_backend_nothing_waits(shell: Any) -> None:  # noqa: ANN401
    await asyncio.to_thread(shell.engine.on_news, message(1))
    assert shell.pod.journal.backlog() == 0


async def test_a_journal_that_fails_ends_in_failed_with_the_credentials_kept(shell: Any) -> None:  # noqa: ANN401
    shell.link()
    shell.pod.journal.close()
    with pytest.raises(NotStoredError):
        shell.engine.on_news(message(1))
    await shell.until(lambda: shell.pod.report().state is SessionState.FAILED)
    await shell.until(lambda: shell.engine.calls == ["connect", "stop"])
    assert "journal" in shell.pod.report().message
    assert credentials.exist(shell.data_dir)


async def test_a_stopping_pod_finishes_what_is_under_way_and_takes_nothing_new(shell: Any) -> None:  # noqa: ANN401
    shell.engine.on_event(Connected(shell.engine.known))
    await shell.until(lambda: shell.pod.report().state is SessionState.CONNECTED)
    shell.engine.gate.clear()
    under_way = asyncio.create_task(shell.pod.sender.send(SendRequest(CONTACT, "Hola")))
    await shell.until(lambda: shell.engine.sent)
    stopping = asyncio.create_task(shell.pod.stop())
    await shell.settle()
    with pytest.raises(Exception, match="the pod is stopping"):
        await shell.pod.sender.send(SendRequest(CONTACT, "zu spät"))
    shell.engine.gate.set()
    await stopping
    assert (await under_way).id == "id-1"
    assert shell.engine.calls[-1] == "stop"
