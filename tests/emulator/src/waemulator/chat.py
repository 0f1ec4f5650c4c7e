"""Message stanzas of linked devices: decrypted as the receivers' phones would, acknowledged, receipted, or asked for again."""

from typing import Any

from waemulator.accounts import GROUP_SERVER, Account, DeviceKey
from waemulator.connection import Connection
from waemulator.context import Context
from waemulator.delivery import queue, send_again
from waemulator.faults import Kind
from waemulator.group_chat import on_group_message
from waemulator.prekeys import renew_from_retry
from waemulator.receiving import acknowledge, describe, identity_of, open_sealed, seen_id
from waemulator.wire import Jid, Node, child, children, node, now, parse_jid


async def on_message(connection: Connection, stanza: Node) -> None:
    """A message of the client.

    One that was accepted before is acknowledged again and goes no further: the client sends again after a reconnect, with the same id
    and ciphertext.
    """
    context = connection.context
    account, device = identity_of(connection)
    id_, to = stanza.attrs["id"], stanza.attrs["to"]
    seen = seen_id(id_, stanza.attrs.get("participant"))
    if context.mailbox.seen(device.key, seen):
        context.logbook.add("message_resent", account.number, device=device.key.id, id=id_)
        await acknowledge(connection, id_, to)
        return
    refusal = context.faults.take(Kind.REFUSE_MESSAGE, account.number)
    if refusal is not None:
        context.logbook.add("message_refused", account.number, device=device.key.id, id=id_, to=to, code=refusal.code)
        await acknowledge(connection, id_, to, error=refusal.code)
        return
    context.mailbox.mark_seen(device.key, seen)
    if child(stanza, "participants") is not None and parse_jid(to).server == GROUP_SERVER:
        await on_group_message(connection, stanza)
    elif child(stanza, "participants") is not None:
        await _fan_out(connection, stanza)
    elif stanza.attrs.get("category") == "peer":
        await _peer_message(connection, stanza)
    else:
        await _repeated_message(connection, stanza)


async def _fan_out(connection: Connection, stanza: Node) -> None:
    """A message with one ciphertext for each device of the receiver and of the sender's own account."""
    context = connection.context
    account, device = identity_of(connection)
    id_, to = stanza.attrs["id"], stanza.attrs["to"]
    peer = context.directory.find(to)
    copies: dict[str, dict[str, Any]] = {}
    for part in children(child(stanza, "participants"), "to"):
        target, enc = parse_jid(part.attrs["jid"]), child(part, "enc")
        receiver = context.directory.find(target)
        if receiver is None or enc is None:
            continue
        if target.device:
            _forward(connection, stanza, receiver=receiver, target=target, enc=enc)
            continue
        message = await open_sealed(connection, receiver, enc, id_, to)
        if message is not None:
            own = receiver is account
            copies["own_phone" if own else "contact"] = describe(context, message.deviceSentMessage.message if own else message, enc) | (
                {"for": message.deviceSentMessage.destinationJid} if own else {}
            )
    shown = copies.get("contact") or copies.get("own_phone") or {}
    context.logbook.add(
        "message", account.number, device=device.key.id, id=id_, to=to, to_number=peer.number if peer else None,
        text=shown.get("text"), decrypted=copies,
    )  # fmt: skip
    await acknowledge(connection, id_, to)
    if peer is not None and peer is not account and "contact" in copies:
        queue(context, device, node("receipt", from_=to, id=id_, t=now()))


def _forward(connection: Connection, stanza: Node, *, receiver: Account, target: Jid, enc: Node) -> None:
    """Passes a ciphertext on to another linked device, of the receiver or of the sender's own account."""
    account, device = identity_of(connection)
    linked = receiver.devices.get(target.device)
    if linked is None or linked.removed or linked is device:
        return
    attrs = {"id": stanza.attrs["id"], "t": now(), "type": "text", "notify": account.name, "addressing_mode": "lid"}
    attrs |= {"from_": account.device_lid_jid(device.key.id), "sender_pn": account.device_number_jid(device.key.id)}
    if receiver is account:
        attrs["recipient"] = stanza.attrs["to"]
    queue(connection.context, linked, node("message", [enc], **attrs))


async def _peer_message(connection: Connection, stanza: Node) -> None:
    """A message to the account's own phone, such as a request for history."""
    context = connection.context
    account, device = identity_of(connection)
    enc = child(stanza, "enc")
    if enc is not None:
        message = await open_sealed(connection, account, enc, stanza.attrs["id"], stanza.attrs["to"])
        fields = [field.name for field, _ in message.protocolMessage.ListFields()] if message is not None else []
        context.logbook.add("peer_message", account.number, device=device.key.id, id=stanza.attrs["id"], fields=fields)
    await acknowledge(connection, stanza.attrs["id"], stanza.attrs["to"])


async def _repeated_message(connection: Connection, stanza: Node) -> None:
    """A message sent again, to the one device that asked for it."""
    context = connection.context
    account, device = identity_of(connection)
    id_, to, enc = stanza.attrs["id"], stanza.attrs["to"], child(stanza, "enc")
    participant, group = stanza.attrs.get("participant"), context.groups.find(to)
    receiver = context.directory.find(participant or to)
    if receiver is not None and enc is not None:
        message = await open_sealed(connection, receiver, enc, id_, to)
        described = {} if message is None else describe(context, message, enc)
        context.logbook.add(
            "message_retried", account.number, device=device.key.id, id=id_, to_number=receiver.number,
            count=enc.attrs.get("count"), text=described.get("text"),
        )  # fmt: skip
        if described:
            addressing = group.addressing(receiver) if group else {"from_": to}
            queue(context, device, node("receipt", id=id_, t=now(), **addressing))
    await acknowledge(connection, id_, to)


async def on_receipt(connection: Connection, stanza: Node) -> None:
    """The client has received or read messages, or asks for one again."""
    context = connection.context
    _, device = identity_of(connection)
    id_, kind = stanza.attrs["id"], stanza.attrs.get("type")
    more = [one.attrs["id"] for one in children(child(stanza, "list"), "item")]
    to, participant = stanza.attrs.get("to"), stanza.attrs.get("participant")
    context.logbook.add(
        "receipt", connection.number, device=device.key.id, id=id_, ids=[id_, *more], to=to, participant=participant, type=kind
    )
    if kind == "retry":
        await _on_retry(context, device.key, stanza)
    else:
        context.mailbox.complete(device.key, "message", [id_, *more])
    await connection.send(node("ack", class_="receipt", id=id_, type=kind, from_=to, participant=participant, t=now()))


async def _on_retry(context: Context, key: DeviceKey, stanza: Node) -> None:
    device = context.directory.device(key)
    if device is None:
        return
    keys = child(stanza, "keys")
    one_time = renew_from_retry(context, device, keys) if keys is not None and child(keys, "skey") is not None else None
    await send_again(context, stanza.attrs["id"], device, one_time)


def on_ack(connection: Connection, stanza: Node) -> None:
    """The client has a stanza of the server; it will not be sent again."""
    class_, id_ = stanza.attrs.get("class", ""), stanza.attrs.get("id", "")
    if connection.device is not None:  # while it is linked by code it acknowledges notifications before it is logged in
        connection.context.mailbox.acknowledge(connection.device.key, class_, id_)
    connection.context.logbook.add("ack", connection.number, id=id_, of=class_, error=stanza.attrs.get("error"))
