"""What the state directory keeps, by opening it again as after a kill."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pyaileys.signal.repository import PreKeyBundle, PreKeyBundleKey

from waemulator.accounts import Device, DeviceKey, Directory, normalize_number
from waemulator.database import Database
from waemulator.errors import ControlError, StateError
from waemulator.keys import DJB
from waemulator.logbook import Logbook
from waemulator.mailbox import Mailbox
from waemulator.prekeys import read_prekey, read_signed_prekey
from waemulator.proto import messages
from waemulator.signalpeer import SignalPeer, UndecryptableError, pad, unpad
from waemulator.wire import children, content, node

pytestmark = pytest.mark.unit
NUMBER, OTHER = "491700000001", "491700000002"
DEVICE = DeviceKey(NUMBER, 1)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    opened = Database(tmp_path)
    yield opened
    opened.close()


def test_what_was_committed_is_there_after_a_kill_and_what_was_not_is_gone(tmp_path: Path) -> None:
    killed = Database(tmp_path / "a")
    directory = Directory(killed)
    account, _ = directory.register(NUMBER, "Owner")
    directory.link(account, Device(DEVICE, b"noise", b"identity", 7, (1, b"public", b"signature")))
    killed.commit()
    directory.register(OTHER)
    copy = tmp_path / "b"  # the files as the kernel has them at the moment of a kill
    copy.mkdir()
    for path in (tmp_path / "a").iterdir():
        (copy / path.name).write_bytes(path.read_bytes())
    killed.close()

    opened = Database(copy)
    back = Directory(opened)
    assert [one.number for one in back.accounts()] == [NUMBER]
    assert back.get(NUMBER).devices == account.devices
    assert back.get(NUMBER).phone.keys == account.phone.keys
    assert back.get(NUMBER).next_device == 2
    opened.close()


def test_a_directory_belongs_to_one_emulator(tmp_path: Path) -> None:
    first = Database(tmp_path)
    with pytest.raises(StateError, match="another emulator is using"):
        Database(tmp_path)
    first.close()
    Database(tmp_path).close()


def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "emulator.db").write_bytes(b"not a database, but long enough to be looked at" * 40)
    with pytest.raises(StateError, match=r"emulator\.db is not usable"):
        Database(tmp_path)


def test_records_are_numbered_on_after_a_restart_and_can_be_narrowed(tmp_path: Path) -> None:
    database = Database(tmp_path)
    log = Logbook(database)
    log.add("login", NUMBER, device=1)
    log.add("proxy", target="host:443")
    database.close()
    database = Database(tmp_path)
    log = Logbook(database)
    log.add("login", OTHER)
    assert [one["i"] for one in log.since(0)] == [0, 1, 2]
    assert [one["i"] for one in log.since(0, kind="login", number=NUMBER)] == [0]
    assert log.since(0)[0]["device"] == 1
    assert [one["i"] for one in log.since(2)] == [2]
    assert log.since(99) == []
    database.close()


def test_the_log_is_bounded(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waemulator.logbook.KEPT_RECORDS", 10)
    monkeypatch.setattr("waemulator.logbook.PRUNE_EVERY", 5)
    log = Logbook(database)
    for _ in range(100):
        log.add("x")
    assert [one["i"] for one in log.since(0)] == list(range(90, 100))


def test_a_stanza_waits_until_it_is_acknowledged(database: Database) -> None:
    mailbox = Mailbox(database)
    for id_ in ("A", "B", "C"):
        mailbox.add(DEVICE, node("message", [node("enc", b"x")], id=id_))
    mailbox.add(DEVICE, node("receipt", id="A"))
    mailbox.acknowledge(DEVICE, "message", "A")
    waiting = mailbox.after(DEVICE, 0)
    assert [(one.stanza.tag, one.stanza.attrs["id"]) for one in waiting] == [("message", "B"), ("message", "C"), ("receipt", "A")]
    assert [one.seq for one in mailbox.after(DEVICE, waiting[0].seq)] == [one.seq for one in waiting[1:]]
    assert mailbox.after(DeviceKey(OTHER, 1), 0) == []
    mailbox.drop(DEVICE)
    assert mailbox.after(DEVICE, 0) == []


def test_a_message_that_was_asked_for_again_is_not_done_with_by_the_acknowledgement_of_the_first(database: Database) -> None:
    mailbox = Mailbox(database)
    for text in (b"first", b"again"):
        mailbox.add(DEVICE, node("message", [node("enc", text)], id="A"))
    mailbox.acknowledge(DEVICE, "message", "A")
    assert [content(one.stanza, "enc") for one in mailbox.after(DEVICE, 0)] == [b"again"]
    mailbox.add(DEVICE, node("message", [node("enc", b"third")], id="A"))
    mailbox.complete(DEVICE, "message", ["A"])
    assert mailbox.after(DEVICE, 0) == []


def test_a_message_id_is_seen_once_for_each_device(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("waemulator.mailbox.KEPT_SEEN", 3)
    mailbox = Mailbox(database)
    mailbox.mark_seen(DEVICE, "A")
    assert mailbox.seen(DEVICE, "A")
    assert not mailbox.seen(DeviceKey(NUMBER, 2), "A")
    mailbox.unmark_seen(DEVICE, "A")
    assert not mailbox.seen(DEVICE, "A")
    for id_ in "BCDE":
        mailbox.mark_seen(DEVICE, id_)
    assert [mailbox.seen(DEVICE, id_) for id_ in "BCDE"] == [False, True, True, True]


def test_a_name_can_be_changed_and_the_account_stays(database: Database) -> None:
    directory = Directory(database)
    first, created = directory.register(NUMBER, "One")
    again, made_again = directory.register(f"+{NUMBER}", "Two")
    assert (created, made_again) == (True, False)
    assert again is first
    assert Directory(database).get(NUMBER).name == "Two"
    assert directory.find(first.lid_jid) is first
    assert directory.find(first.number_jid) is first


def test_accounts_are_made_on_demand_only_when_asked(database: Database) -> None:
    assert Directory(database).find(f"{OTHER}@s.whatsapp.net") is None
    assert Directory(database, auto_users=True).find(f"{OTHER}@s.whatsapp.net") is not None
    assert Directory(database, auto_users=True).find("not-a-number@s.whatsapp.net") is None


@pytest.mark.parametrize("number", ["+49 170 123-4567", "491701234567"])
def test_a_number_is_written_in_several_ways(number: str) -> None:
    assert normalize_number(number) == "491701234567"


@pytest.mark.parametrize("number", ["", "abc", "1234", "1" * 16, "49170x", "٤٩١٧٠", "../../etc", "$(reboot)", "😀" * 300])
def test_what_is_no_number_is_named(number: str) -> None:
    with pytest.raises(ControlError, match="not a phone number"):
        normalize_number(number)


async def test_two_phones_talk_and_go_on_after_a_restart(tmp_path: Path) -> None:
    database = Database(tmp_path)
    directory = Directory(database)
    for round_ in range(3):
        sender, receiver = directory.register(NUMBER)[0].phone, directory.register(OTHER)[0].phone
        there, back = f"{NUMBER}@lid", f"{OTHER}@lid"
        if round_ == 0:
            await sender.start_session(back, await bundle_of(receiver))
        enc = await sender.encrypt(back, messages.Message(conversation=f"there {round_}"))
        assert (await receiver.decrypt(there, enc)).conversation == f"there {round_}"
        answer = await receiver.encrypt(there, messages.Message(conversation=f"back {round_}"))
        assert (await sender.decrypt(back, answer)).conversation == f"back {round_}"
        with pytest.raises(UndecryptableError):
            await receiver.decrypt(there, enc)
        database.close()
        database = Database(tmp_path)
        directory = Directory(database)
    database.close()


async def bundle_of(phone: SignalPeer) -> PreKeyBundle:
    """What a client makes of the server's answer to a prekey query."""
    answer = await phone.bundle("phone")
    id_, public = read_prekey(children(answer, "key")[0])
    signed_id, signed, signature = read_signed_prekey(children(answer, "skey")[0], content(answer, "identity"))
    return PreKeyBundle(
        int.from_bytes(content(answer, "registration"), "big"),
        DJB + content(answer, "identity"),
        PreKeyBundleKey(signed_id, DJB + signed, signature),
        PreKeyBundleKey(id_, DJB + public),
    )


@pytest.mark.parametrize("plain", [b"", b"x", b"x" * 1000, b"\x05" * 5])
def test_padding_comes_off_again(plain: bytes) -> None:
    assert unpad(pad(plain)) == plain


@pytest.mark.parametrize("padded", [b"", b"\x00", b"x\x02\x01\x02", b"\x11" * 17])
def test_bad_padding_is_refused(padded: bytes) -> None:
    with pytest.raises(ValueError, match="padding"):
        unpad(padded)
