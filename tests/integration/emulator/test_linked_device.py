"""The real client against the emulator: its whole life, by what each side sees."""

from collections.abc import Callable

import pytest

from waemulator.neonize_process import NeonizeProcess
from waemulator.testing import EmulatorProcess

Start = Callable[[str], NeonizeProcess]
Pair = Callable[[str, str], NeonizeProcess]
pytestmark = pytest.mark.integration
OWNER, ALICE, BOB = "491701234567", "4915550001111", "33600000001"


def sends(client: NeonizeProcess, emulator: EmulatorProcess, text: str, to: str = ALICE) -> None:
    since = emulator.control.mark()
    sent = client.do("send", to=to, text=text)
    assert sent["event"] == "done", sent
    record = emulator.control.wait_for(lambda one: one["kind"] == "message" and one["id"] == sent["id"], since=since)
    assert record["decrypted"]["contact"]["text"] == text
    assert record["decrypted"]["own_phone"]["text"] == text


def receives(client: NeonizeProcess, emulator: EmulatorProcess, text: str, sender: str = ALICE, number: str = OWNER) -> None:
    id_ = emulator.control.incoming(sender, number, text)
    message = client.wait_for("message", where=lambda one: one["id"] == id_)
    assert message["text"] == text
    emulator.control.wait_for(lambda one: one["kind"] == "receipt" and id_ in one["ids"])


def test_a_device_is_linked_sends_receives_reconnects_restarts_and_is_unlinked(
    emulator: EmulatorProcess, pair: Pair, start_client: Start
) -> None:
    emulator.control.user(ALICE, "Alice")
    client = pair("one", OWNER)
    sends(client, emulator, "hello äöü 😀")
    receives(client, emulator, "good day")

    emulator.control.fault("drop", OWNER)
    client.wait_for("Connected")
    sends(client, emulator, "after the drop")
    receives(client, emulator, "after the drop too")

    client.kill()
    client = start_client("one")
    client.wait_for("Connected")
    assert client.count("qr") == 0
    sends(client, emulator, "after the restart")
    receives(client, emulator, "after the restart too")

    emulator.control.fault("unlink", OWNER)
    client.wait_for("LoggedOut")
    assert [one["removed"] for one in emulator.control.devices(OWNER)] == [True]
