"""Groups with the real client: what it learns of them, and messages by sender keys both ways."""

from collections.abc import Callable

import pytest

from waemulator.client import ControlApiError
from waemulator.neonize_process import NeonizeProcess
from waemulator.testing import EmulatorProcess

Pair = Callable[[str, str], NeonizeProcess]
pytestmark = pytest.mark.integration
OWNER, ALICE, BOB, OTHER = "491701234567", "4915550001111", "4915550002222", "573001234567"


@pytest.fixture(autouse=True)
def people(emulator: EmulatorProcess) -> None:
    for number, name in ((ALICE, "Alice"), (BOB, "Bob"), (OWNER, "Owner")):
        emulator.control.user(number, name)


@pytest.mark.parametrize("lid", [True, False])
def test_a_group_is_written_to_and_writes(emulator: EmulatorProcess, pair: Pair, lid: bool) -> None:  # noqa: FBT001
    group = emulator.control.group("Neighbours", ALICE, BOB, OWNER, lid=lid)
    client = pair("one", OWNER)
    assert client.do("joined_groups")["groups"] == {group: "Neighbours"}
    info = client.do("group_info", group=group)
    assert (info["subject"], info["members"]) == ("Neighbours", sorted((ALICE, BOB, OWNER)))

    for text in ("hello all", "and again"):
        client.command("send", to=group, text=text)
        receipts = [client.wait_for("Receipt")["data"] for _ in (ALICE, BOB)]
        sent = emulator.control.log(kind="message")[-1]
        assert (sent["group"], sent["text"]) == (group, text)
        assert {number: one["text"] for number, one in sent["decrypted"]["members"].items()} == {ALICE: text, BOB: text}
        assert (sent["decrypted"]["own_phone"]["text"], sent["decrypted"]["own_phone"]["enc"]) == (text, "skmsg")
        assert [one["MessageIDs"] for one in receipts] == [[sent["id"]]] * 2

    for sender, text in ((ALICE, "one"), (BOB, "two"), (ALICE, "three"), (OWNER, "from my phone")):
        id_ = emulator.control.incoming(sender, OWNER, text, group=group)
        got = client.wait_for("message", where=lambda one, id_=id_: one["id"] == id_)
        assert (got["text"], got["chat"], got["is_group"], got["from_me"]) == (text, group, True, sender == OWNER)
        assert sender in {got["sender"].partition("@")[0], got["sender_alt"].partition("@")[0]}
        emulator.control.wait_for(lambda one, id_=id_: one["kind"] == "receipt" and id_ in one["ids"])
    assert [one for one in emulator.control.log(kind="receipt") if one["type"] == "retry"] == []
    assert emulator.control.log(kind="undecryptable") == []


def test_a_reply_in_a_group_and_read_receipts_there(emulator: EmulatorProcess, pair: Pair) -> None:
    group = emulator.control.group("Neighbours", ALICE, OWNER)
    client = pair("one", OWNER)
    reply = {"extendedTextMessage": {"text": "yes", "contextInfo": {"stanzaId": "3EB0X", "quotedMessage": {"conversation": "?"}}}}
    id_ = emulator.control.incoming_message(ALICE, OWNER, reply, group=group)
    got = client.wait_for("message")
    assert (got["id"], got["text"]) == (id_, "yes")
    assert client.do("mark_read", chat=group, sender=got["sender"], ids=[id_])["event"] == "done"
    read = emulator.control.wait_for(lambda one: one["kind"] == "receipt" and one["type"] == "read")
    assert (read["to"], read["participant"], read["ids"]) == (group, got["sender"], [id_])

    client.command("send", to=group, text="hello")
    sent = client.wait_for("Receipt")["data"]["MessageIDs"]
    emulator.control.receipt(ALICE, OWNER, *sent, group=group)
    seen = client.wait_for("Receipt")["data"]
    assert (seen["Type"], seen["MessageIDs"], seen["MessageSource"]["IsGroup"]) == ("READ", sent, True)


def test_the_client_hears_of_a_new_group_of_its_new_name_and_of_its_members(emulator: EmulatorProcess, pair: Pair) -> None:
    client = pair("one", OWNER)
    group = emulator.control.group("Before", ALICE, OWNER)
    client.wait_for("JoinedGroup")
    assert emulator.control.group("After", ALICE, OWNER, id_=group) == group
    assert client.wait_for("GroupInfoEvent")["data"]["Name"]["Name"] == "After"
    client.do("send", to=group, text="to Alice")
    emulator.control.group("After", ALICE, OWNER, BOB, id_=group)
    client.wait_for("GroupInfoEvent")
    client.do("send", to=group, text="to Bob too")
    assert [sorted(one["decrypted"]["members"]) for one in emulator.control.log(kind="message")] == [[ALICE], sorted([ALICE, BOB])]
    emulator.control.group("After", ALICE, BOB, id_=group)
    client.wait_for("GroupInfoEvent")
    assert "not" in client.do("group_info", group=group)["error"]


def test_a_member_that_lost_its_keys_asks_for_the_message_again(emulator: EmulatorProcess, pair: Pair) -> None:
    group = emulator.control.group("Neighbours", ALICE, BOB, OWNER)
    client = pair("one", OWNER)
    for text in ("readable", "unreadable at first for Alice"):
        id_ = client.do("send", to=group, text=text)["id"]
        emulator.control.fault("lose_sessions", ALICE)
    again = emulator.control.wait_for(lambda one: one["kind"] == "message_retried" and one["text"])
    assert (again["id"], again["to_number"], again["text"]) == (id_, ALICE, "unreadable at first for Alice")
    client.do("send", to=group, text="readable again")
    assert set(emulator.control.log(kind="message")[-1]["decrypted"]["members"]) == {ALICE, BOB}
    emulator.control.incoming(ALICE, OWNER, "by a new sender key", group=group)
    assert client.wait_for("message")["text"] == "by a new sender key"


def test_two_linked_members_write_to_each_other_also_after_a_kill_of_the_emulator(emulator: EmulatorProcess, pair: Pair) -> None:
    one, two = pair("one", OWNER), pair("two", OTHER)
    group = emulator.control.group("Both", OWNER, OTHER)
    one.wait_for("JoinedGroup")
    assert one.do("send", to=group, text="from one")["event"] == "done"
    assert two.wait_for("message")["text"] == "from one"
    emulator.kill()
    emulator.start()
    for client in (one, two):
        client.wait_for("Connected")
    assert two.do("send", to=group, text="and back")["event"] == "done"
    got = one.wait_for("message")
    assert (got["text"], got["chat"]) == ("and back", group)


def test_who_is_not_in_a_group_cannot_write_to_it(emulator: EmulatorProcess, pair: Pair) -> None:
    group = emulator.control.group("Others", ALICE, BOB)
    with pytest.raises(ControlApiError, match=f"{OWNER} is not in {group}") as refused:
        emulator.control.incoming(ALICE, OWNER, "hello", group=group)
    assert (refused.value.status, refused.value.code) == (400, "no_member")
    client = pair("one", OWNER)
    assert client.do("send", to=group, text="hello")["event"] == "failed"
    assert client.do("joined_groups")["groups"] == {}
