"""A client's message to a group: its sender key goes to each device of each member, the message itself once for all."""

from typing import Any

from waemulator.accounts import Account, Device
from waemulator.connection import Connection
from waemulator.delivery import queue
from waemulator.groups import Group
from waemulator.receiving import acknowledge, describe, identity_of, open_sealed
from waemulator.wire import Node, child, children, node, now, parse_jid

NO_GROUP, NO_MEMBER = 404, 403
"""The error codes of an acknowledgement that refuses a message to a group, as XMPP has them."""


def refusal(account: Account, group: Group | None) -> int | None:
    """Why the account may not write to this group, as an error code; None if it may."""
    if group is None:
        return NO_GROUP
    return None if account in group.members else NO_MEMBER


async def on_group_message(connection: Connection, stanza: Node) -> None:
    """Decrypts as each member's phone would, passes it on to linked devices, acknowledges, and lets the phones say that they have it."""
    context = connection.context
    account, device = identity_of(connection)
    id_, to = stanza.attrs["id"], stanza.attrs["to"]
    group, sealed = context.groups.find(to), child(stanza, "enc")
    error = refusal(account, group)
    if error is not None or group is None or sealed is None:
        context.logbook.add("message_refused", account.number, device=device.key.id, id=id_, to=to, code=error)
        await acknowledge(connection, id_, to, error=error)
        return
    keys = _keys(connection, stanza, group)
    members: dict[str, dict[str, Any]] = {}
    for member in group.members:
        for device_id, key in keys.get(member.number, {}).items():
            linked = member.devices.get(device_id)
            if linked is not None and not linked.removed and linked is not device:
                _forward(connection, stanza, group, linked, [key, sealed])
        message = await _as_phone(connection, member, keys.get(member.number, {}).get(0), stanza, sealed)
        if message is not None:
            members[member.number] = describe(context, message, sealed)
    own = members.pop(account.number, None)
    shown = next(iter(members.values()), own) or {}
    context.logbook.add(
        "message", account.number, device=device.key.id, id=id_, to=to, to_number=None, group=to, text=shown.get("text"),
        decrypted={"contact": shown, "own_phone": own, "members": members},
    )  # fmt: skip
    await acknowledge(connection, id_, to)
    for member in group.members:
        if member.number in members:
            queue(context, device, node("receipt", id=id_, t=now(), **group.addressing(member)))


def _keys(connection: Connection, stanza: Node, group: Group) -> dict[str, dict[int, Node]]:
    """The sealed sender keys by member and device; 0 is the phone."""
    keys: dict[str, dict[int, Node]] = {}
    for part in children(child(stanza, "participants"), "to"):
        target, key = parse_jid(part.attrs["jid"]), child(part, "enc")
        member = connection.context.directory.find(target)
        if member in group.members and member is not None and key is not None:
            keys.setdefault(member.number, {})[target.device] = key
    return keys


async def _as_phone(connection: Connection, member: Account, key: Node | None, stanza: Node, sealed: Node) -> Any:  # noqa: ANN401
    """The message as a member's phone decrypts it, or None: it then has asked for the message again."""
    id_, to = stanza.attrs["id"], stanza.attrs["to"]
    if key is not None and await open_sealed(connection, member, key, id_, to) is None:
        return None
    return await open_sealed(connection, member, sealed, id_, to)


def _forward(connection: Connection, stanza: Node, group: Group, to: Device, encs: list[Node]) -> None:
    """Passes the message on to a member's linked device."""
    account, device = identity_of(connection)
    attrs = {"id": stanza.attrs["id"], "t": now(), "type": stanza.attrs.get("type", "text"), "notify": account.name}
    queue(connection.context, to, node("message", encs, **attrs, **group.addressing(account, device.key.id)))
