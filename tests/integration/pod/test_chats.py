"""Chats and messages of a real pod: out of the phone's history, out of live traffic, and out of groups."""

import time
from collections.abc import Callable
from typing import Any

import pytest
from pod_support import CONTACT, OWNER, World, eventually

from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import SessionState

pytestmark = pytest.mark.integration
CHAT, OWN = f"{CONTACT}@s.whatsapp.net", f"{OWNER}@s.whatsapp.net"
OTHER = "573008888888"


async def past(world: World) -> str:
    """Gives the account a past with a contact, a group and another contact; returns the group's JID."""
    for number, name in ((OWNER, "María Dueña"), (CONTACT, "Carlos"), (OTHER, "Ana")):
        await world.control("user", number, name)
    group: str = await world.control("group", "Vecinos", CONTACT, OTHER, OWNER)
    now = int(time.time()) - 1000
    with_contact = [
        {"id": "P1", "text": "primero", "timestamp": now},
        {"id": "P2", "text": "segundo", "timestamp": now + 1, "from_me": True},
        {"id": "P3", "message": {"imageMessage": {"caption": "tercero"}}, "timestamp": now + 2},
        {"id": "P0", "text": "hace un año", "timestamp": now - 365 * 24 * 3600},
    ]
    in_group = [{"id": "G1", "text": "en el grupo", "timestamp": now + 3, "sender": OTHER}]
    await world.control(
        "history",
        OWNER,
        {"with": CONTACT, "name": "Carlos Pérez", "unread": 2, "pinned": True, "messages": with_contact},
        {"group": group, "archived": True, "messages": in_group},
        {"with": OTHER},
    )
    return group


async def texts(world: World, chat: str) -> list[tuple[str, str, str]]:
    return [(m["id"], m["sender"], m["text"]) for m in await world.pod.get(f"/v1/chats/{chat}/messages")]


async def test_the_phones_past_is_listed_and_told_to_nobody(world: World) -> None:
    group = await past(world)
    await world.pair()

    async def has_all() -> bool:
        return len(await texts(world, CHAT)) == 3 and len(await texts(world, group)) == 1

    await eventually(has_all, "the history of both chats")
    assert await texts(world, CHAT) == [("P1", CHAT, "primero"), ("P2", OWN, "segundo"), ("P3", CHAT, "tercero")]
    assert await texts(world, group) == [("G1", f"{OTHER}@s.whatsapp.net", "en el grupo")]
    chats: dict[str, Any] = {chat["id"]: chat for chat in await world.pod.get("/v1/chats")}
    assert list(chats) == [group, CHAT, f"{OTHER}@s.whatsapp.net"]
    assert [chats[group][key] for key in ("name", "isGroup", "unreadCount", "archived")] == ["Vecinos", True, 0, True]
    assert [chats[CHAT][key] for key in ("name", "isGroup", "unreadCount", "pinned")] == ["Carlos Pérez", False, 2, True]
    assert chats[CHAT]["lastMessage"]["text"] == "tercero"
    assert (chats[f"{OTHER}@s.whatsapp.net"]["name"], chats[f"{OTHER}@s.whatsapp.net"]["lastMessage"]) == ("Ana", None)

    await world.control("incoming", CONTACT, OWNER, "en vivo")
    await eventually(lambda: world.backend.messages, "the live message at the backend")
    assert [message["message"] for message in world.backend.messages] == ["en vivo"]
    assert (await texts(world, CHAT))[-1][2] == "en vivo"
    await world.pod.kill()
    await world.pod.start()
    await world.pod.reaches(SessionState.CONNECTED)
    assert {chat["id"]: chat["unreadCount"] for chat in await world.pod.get("/v1/chats")}[CHAT] == 3


async def test_groups_are_known_by_their_names_and_members_by_their_numbers(world: World) -> None:
    await world.control("user", OTHER, "Ana")
    await world.pair()
    group = await world.control("group", "Vecinos", CONTACT, OTHER, OWNER)

    async def names() -> list[str]:
        return [chat["name"] for chat in await world.pod.get("/v1/chats")]

    async def is_named(name: str) -> bool:
        return await names() == [name]

    await eventually(lambda: is_named("Vecinos"), "the new group")
    await world.control("group", "Vecinos 2", CONTACT, OTHER, OWNER, id_=group)
    await eventually(lambda: is_named("Vecinos 2"), "the group's new name")
    id_ = await world.control("incoming", OTHER, OWNER, "hola a todos", group=group)
    await eventually(lambda: world.backend.messages, "the group's message at the backend")
    assert world.backend.messages == [{"phone": group, "message": "hola a todos", "botNumber": OWNER, "messageType": "text"}]
    assert await texts(world, group) == [(id_, f"{OTHER}@s.whatsapp.net", "hola a todos")]


async def test_the_journal_keeps_no_more_than_it_is_told(make_world: Callable[..., World]) -> None:
    world = make_world({Env.JOURNAL_MAX_MESSAGES: "2"})
    await past(world)
    await world.pair()

    async def has_newest() -> bool:
        return [text for *_, text in await texts(world, CHAT)] == ["tercero"]

    await eventually(has_newest, "the newest two of all chats: the other is in the group")
