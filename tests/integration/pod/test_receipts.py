"""A pod that is killed between the client's decryption and the journal, which is held locked meanwhile so that it is no matter of luck."""

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pod_support import CONTACT, OWNER, World, eventually

from wasession_contract.v1alpha1 import SessionState

pytestmark = pytest.mark.integration
CHAT = f"{CONTACT}@s.whatsapp.net"


@contextlib.contextmanager
def locked(database: Path) -> Iterator[None]:
    """Nobody else can write."""
    with contextlib.closing(sqlite3.connect(database, isolation_level=None)) as db:
        db.execute("BEGIN IMMEDIATE")
        yield


async def receipts(world: World, *ids: str) -> list[Any]:
    return [record["type"] for record in await world.control("log", kind="receipt") if record["id"] in ids]


async def ratchet(world: World) -> list[bytes]:
    """The client's Signal sessions, which change when it has decrypted."""
    with contextlib.closing(sqlite3.connect(f"file:{world.pod.directory}/data/whatsmeow.db?mode=ro", uri=True)) as db:
        return [row[0] for row in db.execute("SELECT session FROM whatsmeow_sessions ORDER BY their_id")]


async def decrypted(world: World, text: str, write: Callable[[], Any]) -> str:
    before = await ratchet(world)
    id_ = await write()

    async def moved_on() -> bool:
        return await ratchet(world) != before

    await eventually(moved_on, f"{text} decrypted")
    return str(id_)


@pytest.fixture
async def linked(world: World) -> World:
    await world.pair()
    await world.control("incoming", CONTACT, OWNER, "antes")
    await eventually(lambda: world.backend.messages, "the message before")
    return world


async def test_a_message_that_was_decrypted_and_not_stored_is_asked_for_again(linked: World) -> None:
    with locked(linked.pod.directory / "data" / "journal.db"):
        id_ = await decrypted(linked, "uno", lambda: linked.control("incoming", CONTACT, OWNER, "uno"))
        assert await receipts(linked, id_) == [], "WhatsApp must not be told yet"
        await linked.pod.kill()
    second = await linked.control("incoming", CONTACT, OWNER, "dos")
    await linked.pod.start()
    await eventually(lambda: len(linked.backend.messages) == 3, "both messages")
    assert {message["message"] for message in linked.backend.messages} == {"antes", "uno", "dos"}
    assert "retry" in await receipts(linked, id_)
    assert "retry" not in await receipts(linked, second), "what came behind it can be decrypted"

    refused = await linked.control("wait_for", lambda record: record["kind"] == "ack" and record["id"] == id_)
    asked = next(record for record in await linked.control("log", kind="receipt") if record["id"] == id_)
    assert asked["type"] == "retry"
    assert asked["i"] < refused["i"], "a kill between the two must not lose it"

    async def told() -> bool:
        return (await receipts(linked, id_))[-1] == "inactive" and (await receipts(linked, second))[-1:] == ["inactive"]

    await eventually(told, "the receipts")
    assert (await linked.pod.reaches(SessionState.CONNECTED)).backend.backlog == 0
    status, _ = await linked.pod.post("/v1/messages", {"to": CONTACT, "text": "a sus órdenes"})
    assert status == 200
    assert await linked.sent_texts() == ["a sus órdenes"], "the contact can read what is sent over the new session"


async def test_a_backlog_is_decrypted_one_by_one(linked: World) -> None:
    await linked.pod.kill()
    for number in range(150):
        await linked.control("incoming", CONTACT, OWNER, f"{number}")
    await linked.pod.start()
    await eventually(lambda: len(linked.backend.messages) == 151, "the backlog")
    assert [message["message"] for message in linked.backend.messages] == ["antes", *map(str, range(150))]
    assert linked.pod.process
    threads = len(os.listdir(f"/proc/{linked.pod.process.pid}/task"))  # noqa: PTH208  it asks the kernel, not a disk
    assert threads < 50, "each receipt that is held keeps a thread: 14 when measured, 117 when all were decrypted ahead of the journal"


async def test_nothing_of_the_stanzas_is_in_the_log(linked: World) -> None:
    for part in ("<receipt", "<message", "<iq", "Decrypting"):
        assert part not in linked.pod.log
