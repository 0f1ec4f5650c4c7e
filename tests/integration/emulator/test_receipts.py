"""Who has, read and played what, and who is typing: receipts both ways, and what the client shows of itself."""

from collections.abc import Callable

import pytest

from waemulator.client import Record
from waemulator.neonize_process import NeonizeProcess
from waemulator.testing import EmulatorProcess

Pair = Callable[[str, str], NeonizeProcess]
pytestmark = pytest.mark.integration
OWNER, ALICE = "491701234567", "4915550001111"


def test_a_contact_has_reads_and_plays_what_the_client_sent(emulator: EmulatorProcess, pair: Pair) -> None:
    emulator.control.user(ALICE, "Alice")
    client = pair("one", OWNER)
    ids = []
    for text in ("one", "two"):
        client.command("send", to=ALICE, text=text)
        got = client.wait_for("Receipt")["data"]
        assert got["Type"] == "DELIVERED"
        ids += got["MessageIDs"]
    assert ids == [one["id"] for one in emulator.control.log(kind="message")]
    for kind in ("read", "played", "delivered"):
        emulator.control.receipt(ALICE, OWNER, *ids, kind=kind)
        assert client.wait_for("Receipt")["data"]["Type"] == kind.upper()
    emulator.control.receipt(ALICE, OWNER, *ids, lid=False)
    got = client.wait_for("Receipt")["data"]
    assert got["MessageIDs"] == ids
    assert got["MessageSource"]["Chat"]["User"] == ALICE


def test_the_client_marks_messages_as_read_and_shows_what_it_does(emulator: EmulatorProcess, pair: Pair) -> None:
    alice = emulator.control.user(ALICE, "Alice")
    client = pair("one", OWNER)
    ids = [emulator.control.incoming(ALICE, OWNER, text) for text in ("one", "two")]
    client.wait_for("message", where=lambda one: one["id"] == ids[-1])
    assert client.do("mark_read", chat=alice["jid"], sender=alice["jid"], ids=ids)["event"] == "done"
    emulator.control.wait_for(lambda one: one["kind"] == "receipt" and one["type"] == "read" and one["ids"] == ids)

    for state, media in (("COMPOSING", "TEXT"), ("COMPOSING", "AUDIO"), ("PAUSED", "TEXT")):
        assert client.do("show_activity", to=alice["lid"], state=state, media=media)["event"] == "done"

    def shown(state: str) -> Callable[[Record], bool]:
        return lambda one: one["kind"] == "chatstate" and one["state"] == state

    states = [emulator.control.wait_for(shown(state)) for state in ("composing", "recording", "paused")]
    assert {(one["number"], one["to"], one["to_number"]) for one in states} == {(OWNER, alice["lid"], ALICE)}


def test_the_client_says_that_it_is_online(emulator: EmulatorProcess, pair: Pair) -> None:
    client = pair("one", OWNER)
    emulator.control.wait_for(lambda one: one["kind"] == "iq" and one["xmlns"] == "w:sync:app:state")
    for _ in range(50):  # it needs its push name first, which it stores some milliseconds after it has the patch
        if client.do("show_presence", state="AVAILABLE")["event"] == "done":
            break
    shown = emulator.control.wait_for(lambda one: one["kind"] == "presence")
    assert (shown["number"], shown["state"], shown["name"]) == (OWNER, "available", "Owner one")
