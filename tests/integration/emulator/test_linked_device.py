"""The real client against the emulator: the life of a linked device, by what each side sees."""

from collections.abc import Callable

import pytest

from waemulator.client import ControlApiError
from waemulator.neonize_process import NeonizeProcess
from waemulator.testing import EmulatorProcess

Start = Callable[[str], NeonizeProcess]
Pair = Callable[[str, str], NeonizeProcess]
pytestmark = pytest.mark.integration
OWNER, OTHER, ALICE, NOBODY = "491701234567", "573001234567", "4915550001111", "4915559999999"
PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de0000000c49444154789c63606060000000040001f61738550000000049454e44ae426082"
)


def sends(client: NeonizeProcess, emulator: EmulatorProcess, text: str, to: str = ALICE) -> str:
    """The client sends, and what the phones of both ends decrypt is what it sent."""
    sent = client.do("send", to=to, text=text)
    assert sent["event"] == "done", sent
    records = [one for one in emulator.control.log(kind="message") if one["id"] == sent["id"]]
    assert [one["decrypted"]["contact"]["text"] for one in records] == [text]
    assert [one["decrypted"]["own_phone"]["text"] for one in records] == [text]
    return str(sent["id"])


def receives(client: NeonizeProcess, emulator: EmulatorProcess, text: str, *, number: str = OWNER, lid: bool = True) -> None:
    """A contact writes, the client decrypts it and says that it has it."""
    id_ = emulator.control.incoming(ALICE, number, text, lid=lid)
    message = client.wait_for("message", where=lambda one: one["id"] == id_)
    assert (message["text"], message["push_name"]) == (text, "Alice")
    emulator.control.wait_for(lambda one: one["kind"] == "receipt" and id_ in one["ids"])


@pytest.fixture
def alice(emulator: EmulatorProcess) -> None:
    emulator.control.user(ALICE, "Alice")


@pytest.mark.usefixtures("alice")
def test_a_device_is_linked_sends_receives_reconnects_restarts_and_is_unlinked(
    emulator: EmulatorProcess, pair: Pair, start_client: Start
) -> None:
    client = pair("one", OWNER)
    sends(client, emulator, "hello äöü 😀")
    receives(client, emulator, "by LID")
    receives(client, emulator, "by number", lid=False)

    emulator.control.fault("drop", OWNER)
    client.wait_for("Connected")
    sends(client, emulator, "after the drop")
    receives(client, emulator, "after the drop")

    client.kill()
    client = start_client("one")
    client.wait_for("Connected")
    assert client.count("qr") == 0
    sends(client, emulator, "after the restart")
    receives(client, emulator, "after the restart")

    emulator.control.fault("unlink", OWNER)
    client.wait_for("LoggedOut")
    assert [one["removed"] for one in emulator.control.devices(OWNER)] == [True]


def test_the_push_name_comes_by_app_state_sync(emulator: EmulatorProcess, pair: Pair) -> None:
    client = pair("one", OWNER)
    emulator.control.wait_for(lambda one: one["kind"] == "iq" and one["xmlns"] == "w:sync:app:state")
    for _ in range(50):  # the client stores it some milliseconds after it has the patch; each question is answered by its next state
        own = client.do("me")
        if own["push_name"]:
            break
    assert own["push_name"] == "Owner one"
    assert own["jid"] == f"{OWNER}:1@s.whatsapp.net"


@pytest.mark.usefixtures("alice")
def test_the_emulator_is_killed_and_started_again_and_the_client_goes_on_without_a_qr_code(
    emulator: EmulatorProcess, pair: Pair, start_client: Start
) -> None:
    client = pair("one", OWNER)
    sends(client, emulator, "before the kill")
    receives(client, emulator, "before the kill")
    emulator.kill()
    client.wait_for("Disconnected")
    emulator.start()
    client.wait_for("Connected")
    sends(client, emulator, "after the kill")
    receives(client, emulator, "after the kill")

    emulator.kill()
    client.kill()
    emulator.start()
    client = start_client("one")
    client.wait_for("Connected")
    sends(client, emulator, "after both were killed")
    receives(client, emulator, "after both were killed")
    assert client.count("qr") == 0
    kinds = [one["kind"] for one in emulator.control.log()]
    assert kinds.count("paired") == 1
    assert kinds.count("undecryptable") == 0
    assert kinds.count("started") == 3


@pytest.mark.usefixtures("alice")
def test_messages_wait_for_a_device_that_is_away_also_over_a_kill_of_the_emulator(
    emulator: EmulatorProcess, pair: Pair, start_client: Start
) -> None:
    client = pair("one", OWNER)
    client.kill()
    ids = [emulator.control.incoming(ALICE, OWNER, f"message {i}") for i in range(5)]
    emulator.kill()
    emulator.start()
    client = start_client("one")
    assert [client.wait_for("message")["id"] for _ in ids] == ids
    emulator.control.wait_for(lambda one: one["kind"] == "receipt" and ids[-1] in one["ids"])
    assert [one["waiting"] for one in emulator.control.devices(OWNER)] == [0]


@pytest.mark.usefixtures("alice")
def test_a_fault_aimed_at_one_account_leaves_the_other_alone(emulator: EmulatorProcess, pair: Pair) -> None:
    hit, spared = pair("hit", OWNER), pair("spared", OTHER)
    emulator.control.fault("refuse_login", OWNER, attrs={"reason": "503"})
    emulator.control.fault("drop", OWNER)
    hit.wait_for("Disconnected")
    emulator.control.wait_for(lambda one: one["kind"] == "login_refused")
    sends(spared, emulator, "nothing happened here")
    receives(spared, emulator, "indeed", number=OTHER)
    assert spared.count("Connected") == 1
    assert spared.count("Disconnected") == 0
    emulator.control.fault("drop", OTHER)
    spared.wait_for("Connected")
    assert {one["number"] for one in emulator.control.log(kind="login_refused")} == {OWNER}

    emulator.control.fault("clear", OWNER)
    hit.wait_for("Connected")
    sends(hit, emulator, "back again")
    emulator.control.fault("unlink", OTHER)
    spared.wait_for("LoggedOut")
    receives(hit, emulator, "still linked")


@pytest.mark.usefixtures("alice")
def test_a_message_without_acknowledgement_is_sent_again_after_a_drop_and_counts_once(emulator: EmulatorProcess, pair: Pair) -> None:
    client = pair("one", OWNER)
    emulator.control.fault("hold_acks", OWNER, times=1)
    client.command("send", to=ALICE, text="once")
    emulator.control.wait_for(lambda one: one["kind"] == "ack_held")
    emulator.control.fault("drop", OWNER)
    done = client.wait_for("done", "failed", where=lambda one: one["operation"] == "send")
    assert done["event"] == "done"
    assert [one["id"] for one in emulator.control.log(kind="message")] == [done["id"]]
    assert [one["id"] for one in emulator.control.log(kind="message_resent")] == [done["id"]]


@pytest.mark.usefixtures("alice")
def test_a_message_that_whatsapp_refuses_reaches_nobody(emulator: EmulatorProcess, pair: Pair) -> None:
    client = pair("one", OWNER)
    for code in (463, 479):
        emulator.control.fault("refuse_message", OWNER, times=1, code=code)
        refused = client.do("send", to=ALICE, text="refused")
        assert refused["event"] == "failed"
        assert str(code) in refused["error"]
    assert [one["code"] for one in emulator.control.log(kind="message_refused")] == [463, 479]
    assert emulator.control.log(kind="message") == []
    sends(client, emulator, "accepted")


@pytest.mark.usefixtures("alice")
def test_a_frozen_account_hears_nothing_until_it_is_thawed(emulator: EmulatorProcess, pair: Pair) -> None:
    frozen, other = pair("frozen", OWNER), pair("other", OTHER)
    emulator.control.fault("freeze", OWNER)
    id_ = emulator.control.incoming(ALICE, OWNER, "held")
    receives(other, emulator, "not held", number=OTHER)
    assert frozen.count("message") == 0
    assert emulator.control.devices(OWNER)[0]["waiting"] == 1
    emulator.control.fault("freeze", OWNER, on=False)
    assert frozen.wait_for("message")["id"] == id_


def test_a_number_without_an_account_is_not_on_whatsapp(emulator: EmulatorProcess, pair: Pair) -> None:
    client = pair("one", OWNER)
    failed = client.do("send", to=NOBODY, text="hello?")
    assert failed["event"] == "failed"
    assert "no LID found" in failed["error"]
    emulator.control.user(NOBODY)
    assert client.do("send", to=NOBODY, text="hello!")["event"] == "done"


@pytest.mark.usefixtures("alice")
def test_a_device_is_linked_by_a_typed_code(emulator: EmulatorProcess, start_client: Start) -> None:
    emulator.control.user(OWNER, "Owner")
    client = start_client("one")
    client.wait_for("qr")
    with pytest.raises(ControlApiError, match="no client is waiting for a pairing code of 491701234567") as none:
        emulator.control.enter_code(OWNER, "ABCD-EFGH")
    assert none.value.status == 409
    code = client.do("pair_phone", number=OWNER)["code"]
    wrong = "AAAA-AAAA" if code != "AAAA-AAAA" else "BBBB-BBBB"
    with pytest.raises(ControlApiError, match=f"{wrong}' is not the code") as refused:
        emulator.control.enter_code(OWNER, wrong)
    assert refused.value.status == 422
    emulator.control.enter_code(OWNER, code)
    client.wait_for("Connected")
    receives(client, emulator, "linked by code")


@pytest.mark.usefixtures("alice")
def test_media_goes_both_ways(emulator: EmulatorProcess, pair: Pair) -> None:
    client = pair("one", OWNER)
    picture = client.database.with_suffix(".png")
    picture.write_bytes(PNG)
    sent = client.do("send_image", to=ALICE, path=str(picture), caption="a pixel")
    assert sent["event"] == "done", sent
    (record,) = emulator.control.log(kind="message")
    media = record["decrypted"]["contact"]["media"]
    assert (media["kind"], media["caption"], media["sha256_ok"]) == ("image", "a pixel", True)
    emulator.control.incoming_media(ALICE, OWNER, PNG, caption="back")
    assert client.wait_for("message")["media"] == PNG.hex()
    assert {one["target"] for one in emulator.control.log(kind="proxy")} == {"web.whatsapp.com:443", "mmg.whatsapp.net:443"}


def test_a_qr_code_is_good_once_and_only_while_it_is_shown(emulator: EmulatorProcess, start_client: Start) -> None:
    emulator.control.user(OWNER)
    client = start_client("one")
    code = client.wait_for("qr")["qr"]
    emulator.control.scan(OWNER, code)
    client.wait_for("Connected")
    with pytest.raises(ControlApiError, match="has expired or was used") as used:
        emulator.control.scan(OWNER, code)
    assert (used.value.status, used.value.code) == (410, "qr_expired")

    other = start_client("two")
    code = other.wait_for("qr")["qr"]
    other.kill()
    emulator.control.wait_for(lambda one: one["kind"] == "ws_close" and "number" not in one, since=0)
    with pytest.raises(ControlApiError, match="has expired or was used"):
        emulator.control.scan(OWNER, code)


def test_the_client_logs_out(emulator: EmulatorProcess, pair: Pair) -> None:
    client = pair("one", OWNER)
    assert client.do("logout")["event"] == "done"
    emulator.control.wait_for(lambda one: one["kind"] == "unlinked_by_client" and one["number"] == OWNER)
    assert emulator.control.devices(OWNER)[0]["removed"] is True


def test_two_linked_accounts_write_to_each_other(pair: Pair) -> None:
    one, two = pair("one", OWNER), pair("two", OTHER)
    sent = one.do("send", to=OTHER, text="from one to two")
    got = two.wait_for("message")
    assert (got["id"], got["text"]) == (sent["id"], "from one to two")
    sent = two.do("send", to=OWNER, text="and back")
    got = one.wait_for("message")
    assert (got["id"], got["text"]) == (sent["id"], "and back")


@pytest.mark.usefixtures("alice")
def test_a_phone_that_lost_its_sessions_asks_for_the_message_again(emulator: EmulatorProcess, pair: Pair) -> None:
    client = pair("one", OWNER)
    receives(client, emulator, "so that there is a session")
    sends(client, emulator, "readable")
    emulator.control.fault("lose_sessions", ALICE)
    sent = client.do("send", to=ALICE, text="unreadable at first")
    again = emulator.control.wait_for(lambda one: one["kind"] == "message_retried" and one["text"])
    assert (again["id"], again["text"]) == (sent["id"], "unreadable at first")
    sends(client, emulator, "readable again")


def test_questions_that_the_emulator_only_knows_an_empty_answer_to_do_not_fail(pair: Pair) -> None:
    client = pair("one", OWNER)
    assert client.do("joined_groups")["groups"] == {}
    assert client.do("get_blocklist")["event"] == "done"
