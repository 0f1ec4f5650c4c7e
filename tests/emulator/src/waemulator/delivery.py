"""Messages of fake phones to linked devices."""

import secrets

from waemulator.accounts import Account, Device
from waemulator.context import Context
from waemulator.envelope import edit_mark, media_type, stanza_type
from waemulator.mailbox import Outgoing
from waemulator.prekeys import take_bundle
from waemulator.proto import messages
from waemulator.wire import Node, node, now

RECEIPTS = {"delivered": None, "read": "read", "played": "played"}
"""The kinds of receipts of contacts, and the `type` that each has on the wire."""


def new_message_id() -> str:
    """An id in the form that phones use."""
    return "3EB0" + secrets.token_hex(9).upper()


def queue(context: Context, device: Device, stanza: Node) -> None:
    """Queues a stanza for a linked device and sends it if the device is connected."""
    context.mailbox.add(device.key, stanza)
    connection = context.online.get(device.key)
    if connection is not None:
        connection.spawn(connection.deliver())


async def encrypt_for(context: Context, sender: Account, receiver: Account, device: Device, message: "messages.Message") -> Node:
    """The `<enc>` of a fake phone's message for one linked device."""
    address = receiver.device_lid_jid(device.key.id)
    if not await sender.phone.has_session(address):
        await sender.phone.start_session(address, take_bundle(context, device))
    return await sender.phone.encrypt(address, message)


async def send_message(
    context: Context,
    sender: Account,
    receiver: Account,
    message: "messages.Message",
    *,
    by_lid: bool,
    id_: str | None = None,
    echo: bool = False,
) -> str:
    """A contact writes to the account; every linked device gets it. Returns the message id, a new one unless given.

    With `echo` the sender's own linked devices get it too, as what their user wrote on the phone.
    """
    id_ = id_ or new_message_id()
    context.mailbox.keep_outgoing(id_, Outgoing(sender.number, receiver.number, message.SerializeToString(), by_lid))
    for device in receiver.linked() + (sender.linked() if echo else []):
        await send_copy(context, id_, device)
    context.logbook.add("incoming", receiver.number, id=id_, sender=sender.number, devices=len(receiver.linked()))
    return id_


async def send_copy(context: Context, id_: str, device: Device) -> None:
    """Encrypts a kept message for a device and queues it; a message that is no longer kept is left out."""
    kept = context.mailbox.outgoing(id_)
    if kept is None:
        return
    sender, receiver, group = (
        context.directory.get(kept.sender),
        context.directory.get(device.key.number),
        context.groups.find(kept.recipient),
    )
    message = messages.Message.FromString(kept.message)
    if group is not None:
        addressing = group.addressing(sender)
    elif receiver is sender and kept.recipient != sender.number:
        message, addressing = _echo(context, sender, kept)
    elif kept.by_lid:
        addressing = {"from_": sender.lid_jid, "sender_pn": sender.number_jid, "addressing_mode": "lid"}
    else:
        addressing = {"from_": sender.number_jid, "sender_lid": sender.lid_jid, "addressing_mode": "pn"}
    enc = await encrypt_for(context, sender, receiver, device, message)
    queue(context, device, message_stanza(id_, message, sender, [enc], addressing))


def _echo(context: Context, sender: Account, kept: Outgoing) -> tuple["messages.Message", dict[str, str]]:
    """What the phone tells its own linked devices of a message that was written on it, and the attributes of that stanza."""
    chat = context.directory.get(kept.recipient)
    to, other = (chat.lid_jid, chat.number_jid) if kept.by_lid else (chat.number_jid, chat.lid_jid)
    message = messages.Message()
    message.deviceSentMessage.destinationJid = to
    message.deviceSentMessage.message.ParseFromString(kept.message)
    own = {"from_": sender.lid_jid, "addressing_mode": "lid"} if kept.by_lid else {"from_": sender.number_jid, "addressing_mode": "pn"}
    return message, own | {"recipient": to, ("peer_recipient_pn" if kept.by_lid else "peer_recipient_lid"): other}


def message_stanza(id_: str, message: "messages.Message", sender: Account, encs: list[Node], addressing: dict[str, str]) -> Node:
    """The stanza around the ciphertexts of a fake phone's message."""
    media = media_type(message)
    if media:
        encs[-1].attrs["mediatype"] = media
    attrs = {"id": id_, "t": now(), "type": stanza_type(message), "edit": edit_mark(message), "notify": sender.name}
    return node("message", encs, **attrs, **addressing)


def send_receipt(context: Context, sender: Account, receiver: Account, ids: list[str], kind: str, *, by_lid: bool) -> None:
    """A contact has, has read or has played messages of the account; every linked device hears it.

    Args:
        context: the running server.
        sender: the contact.
        receiver: who sent the messages.
        ids: the messages, at least one.
        kind: a key of RECEIPTS.
        by_lid: whether the contact is named by LID or by number.
    """
    items = [node("list", [node("item", id=one) for one in ids[1:]])] if ids[1:] else None
    jid = sender.lid_jid if by_lid else sender.number_jid
    for device in receiver.linked():
        queue(context, device, node("receipt", items, from_=jid, id=ids[0], type=RECEIPTS[kind], t=now()))
    context.logbook.add("contact_receipt", receiver.number, sender=sender.number, ids=ids, type=kind)


async def send_again(context: Context, id_: str, device: Device, one_time: tuple[int, bytes] | None) -> None:
    """A device could not decrypt a message: the sender starts a new session with it and sends the same message again."""
    kept = context.mailbox.outgoing(id_)
    if kept is None:
        return
    sender, receiver = context.directory.get(kept.sender), context.directory.get(device.key.number)
    address = receiver.device_lid_jid(device.key.id)
    await sender.phone.forget_group(kept.recipient, address)
    await sender.phone.forget(address)
    await sender.phone.start_session(address, take_bundle(context, device, one_time))
    await send_copy(context, id_, device)


async def send_from_own_phone(context: Context, account: Account, device: Device, message: "messages.Message") -> None:
    """The account's phone tells its own linked device something (category `peer`)."""
    enc = await encrypt_for(context, account, account, device, message)
    stanza = node("message", [enc], id=new_message_id(), t=now(), type="text", category="peer", from_=account.number_jid)
    queue(context, device, stanza)
