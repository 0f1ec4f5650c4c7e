"""History sync with the real client: a newly linked device gets the account's past from the phone."""

from collections.abc import Callable
from typing import Any

import pytest

from waemulator.client import ControlApiError
from waemulator.neonize_process import NeonizeProcess
from waemulator.testing import EmulatorProcess

Pair = Callable[[str, str], NeonizeProcess]
pytestmark = pytest.mark.integration
OWNER, ALICE, BOB = "491701234567", "4915550001111", "4915550002222"


def test_a_new_device_gets_chats_messages_and_names_of_the_past_and_only_once(
    emulator: EmulatorProcess, pair: Pair, start_client: Callable[[str], NeonizeProcess]
) -> None:
    for number, name in ((ALICE, "Alice"), (BOB, "Bob"), (OWNER, "Owner")):
        emulator.control.user(number, name)
    group = emulator.control.group("Neighbours", ALICE, BOB, OWNER)
    with_alice = [
        {"id": "OLD", "text": "oldest", "timestamp": 1_700_000_000},
        {"id": "NEW", "message": {"imageMessage": {"caption": "newest"}}, "timestamp": 1_700_000_300},
        {"id": "MINE", "text": "mine", "timestamp": 1_700_000_100, "from_me": True},
    ]
    in_group = [{"id": "G", "text": "in the group", "timestamp": 1_700_000_200, "sender": BOB}]
    kept = emulator.control.history(
        OWNER,
        {"with": ALICE, "unread": 2, "pinned": True, "messages": with_alice},
        {"group": group, "archived": True, "messages": in_group},
        {"with": BOB, "name": "Bobby"},
    )
    assert kept == {"chats": 3, "messages": 4}

    client = pair("one", OWNER)
    parts: list[dict[str, Any]] = [client.wait_for("HistorySync")["data"]["Data"] for _ in range(3)]
    assert [one["syncType"] for one in parts] == ["INITIAL_BOOTSTRAP", "RECENT", "PUSH_NAME"]
    bootstrap, recent, names = parts
    chats = {one["ID"]: one for one in bootstrap["conversations"]}
    alice = chats[f"{ALICE}@s.whatsapp.net"]
    assert (alice["name"], alice["unreadCount"], alice["pinned"], ids(alice)) == ("Alice", 2, 1_700_000_300, ["NEW"])
    assert (chats[group]["name"], chats[group]["archived"], ids(chats[group])) == ("Neighbours", True, ["G"])
    assert chats[f"{BOB}@s.whatsapp.net"]["name"] == "Bobby"
    assert [ids(one) for one in recent["conversations"]] == [["MINE", "OLD"]]
    assert {one["ID"]: one["pushname"] for one in names["pushnames"]} == {
        f"{ALICE}@s.whatsapp.net": "Alice",
        f"{BOB}@s.whatsapp.net": "Bob",
    }
    for _ in parts:
        emulator.control.wait_for(lambda one: one["kind"] == "receipt" and one["type"] == "hist_sync")
    assert [one["type"] for one in emulator.control.log(kind="history_sent")] == ["INITIAL_BOOTSTRAP", "RECENT", "PUSH_NAME"]

    client.kill()
    client = start_client("one")
    emulator.control.incoming(ALICE, OWNER, "after the restart")
    client.wait_for("message")
    assert client.count("HistorySync") == 0


def ids(chat: dict[str, Any]) -> list[str]:
    return [one["message"]["key"]["ID"] for one in chat["messages"]]


@pytest.mark.parametrize(
    ("chat", "named"),
    [
        ({"with": "4915559999999"}, "4915559999999"),
        ({"group": "1@g.us"}, "1@g.us"),
        ({"name": "nobody"}, "'with'"),
        ({"with": OWNER, "colour": "red"}, "'colour'"),
        ({"with": OWNER, "messages": [{"text": "x"}]}, "'timestamp'"),
        ({"with": OWNER, "messages": [{"timestamp": 1}]}, "'message'"),
        ({"with": OWNER, "messages": ["x"]}, "'x'"),
    ],
)
def test_a_past_that_makes_no_sense_is_refused(emulator: EmulatorProcess, chat: dict[str, Any], named: str) -> None:
    emulator.control.user(OWNER)
    with pytest.raises(ControlApiError, match=named):
        emulator.control.history(OWNER, chat)
