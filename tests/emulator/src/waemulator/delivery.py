"""Messages of fake phones to linked devices."""

import secrets

from waemulator.accounts import Account, Device
from waemulator.context import Context
from waemulator.mailbox import Outgoing
from waemulator.prekeys import take_bundle
from waemulator.proto import messages
from waemulator.wire import Node, node, now


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


async def send_message(context: Context, sender: Account, receiver: Account, message: "messages.Message", *, by_lid: bool) -> str:
    """A contact writes to the account; every linked device gets it. Returns the message id."""
    id_ = new_message_id()
    context.mailbox.keep_outgoing(id_, Outgoing(sender.number, receiver.number, message.SerializeToString(), by_lid))
    for device in receiver.linked():
        await send_copy(context, id_, device)
    context.logbook.add("incoming", receiver.number, id=id_, sender=sender.number, devices=len(receiver.linked()))
    return id_


async def send_copy(context: Context, id_: str, device: Device) -> None:
    """Encrypts a kept message for a device and queues it; a message that is no longer kept is left out."""
    kept = context.mailbox.outgoing(id_)
    if kept is None:
        return
    sender, receiver = context.directory.get(kept.sender), context.directory.get(kept.recipient)
    addressing = (
        {"from_": sender.lid_jid, "sender_pn": sender.number_jid, "addressing_mode": "lid"}
        if kept.by_lid
        else {"from_": sender.number_jid, "sender_lid": sender.lid_jid, "addressing_mode": "pn"}
    )
    enc = await encrypt_for(context, sender, receiver, device, messages.Message.FromString(kept.message))
    queue(context, device, node("message", [enc], id=id_, t=now(), type="text", notify=sender.name, **addressing))


async def send_again(context: Context, id_: str, device: Device, one_time: tuple[int, bytes] | None) -> None:
    """A device could not decrypt a message: the sender starts a new session with it and sends the same message again."""
    kept = context.mailbox.outgoing(id_)
    if kept is None:
        return
    sender, receiver = context.directory.get(kept.sender), context.directory.get(kept.recipient)
    address = receiver.device_lid_jid(device.key.id)
    await sender.phone.forget(address)
    await sender.phone.start_session(address, take_bundle(context, device, one_time))
    await send_copy(context, id_, device)


async def send_from_own_phone(context: Context, account: Account, device: Device, message: "messages.Message") -> None:
    """The account's phone tells its own linked device something (category `peer`)."""
    enc = await encrypt_for(context, account, account, device, message)
    stanza = node("message", [enc], id=new_message_id(), t=now(), type="text", category="peer", from_=account.number_jid)
    queue(context, device, stanza)
