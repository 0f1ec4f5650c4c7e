"""The emulator is killed again and again at moments that a seed chooses, while the client sends and receives.

Sending and receiving at once also meets a race of the client itself (it does not lock a Signal session between encrypting and
decrypting: tulir/whatsmeow issue 1095), so phones and client ask each other for messages again; that must end well too.
"""

import random
from collections.abc import Callable

import pytest

from waemulator.neonize_process import NeonizeProcess
from waemulator.testing import EmulatorProcess

pytestmark = pytest.mark.integration
OWNER, ALICE = "491701234567", "4915550001111"
KILLS = 4


def test_what_was_acknowledged_is_on_disk(emulator: EmulatorProcess, pair: Callable[[str, str], NeonizeProcess]) -> None:
    emulator.control.user(ALICE, "Alice")
    client = pair("one", OWNER)
    for text in ("one", "two"):
        sent = client.do("send", to=ALICE, text=text)  # and nothing asks the emulator in between, which would write too
        emulator.kill()
        emulator.start()
        client.wait_for("Connected")
        assert [one["text"] for one in emulator.control.log(kind="message") if one["id"] == sent["id"]] == [text]
    assert emulator.control.log(kind="undecryptable") == []


@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_that_was_told_is_lost_or_counted_twice(
    emulator: EmulatorProcess, pair: Callable[[str, str], NeonizeProcess], seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  a test's dice
    emulator.control.user(ALICE, "Alice")
    client = pair("one", OWNER)
    incoming: list[str] = []
    for round_ in range(KILLS):
        since = emulator.control.mark()
        for i in range(4):
            client.command("send", to=ALICE, text=f"{round_}.{i}")
            incoming.append(emulator.control.incoming(ALICE, OWNER, f"{round_}.{i}"))
        steps = chance.randrange(8)
        emulator.control.wait_for(lambda one, end=since + 4 + steps: one["i"] >= end, since=since)
        emulator.kill()
        emulator.start()
        client.wait_for("Connected")
    client.command("me")
    client.wait_for("done", where=lambda one: one["operation"] == "me")  # commands are worked off in order

    accepted = [one["id"] for one in emulator.control.log(kind="message")]
    sent = [one["id"] for one in client.events if one["event"] == "done" and one["operation"] == "send"]
    assert len(sent) > KILLS
    assert set(sent) <= set(accepted)
    assert len(accepted) == len(set(accepted))
    received = {one["id"] for one in client.events if one["event"] == "message"}
    while not set(incoming) <= received:
        received.add(client.wait_for("message")["id"])
    assert received == set(incoming)
