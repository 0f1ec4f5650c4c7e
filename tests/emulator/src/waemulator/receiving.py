"""How phones take what the client sends: they decrypt it, describe it for the log, or ask for it again; and what the server answers."""

from typing import Any

from waemulator.accounts import Account, Device
from waemulator.connection import Connection
from waemulator.context import Context
from waemulator.delivery import queue
from waemulator.envelope import reply_to, shown_text, unwrap
from waemulator.errors import ProtocolViolationError
from waemulator.faults import Kind
from waemulator.keys import DJB
from waemulator.signalpeer import UndecryptableError
from waemulator.wire import Node, children, node, now

MAX_RETRIES = 5
"""A real client gives up after 5 requests for the same message."""


def identity_of(connection: Connection) -> tuple[Account, Device]:
    """The account and device of a logged-in connection.

    Raises:
        ProtocolViolationError: it is not logged in.
    """
    if connection.account is None or connection.device is None:
        raise ProtocolViolationError("a stanza of a client that is not logged in")
    return connection.account, connection.device


async def acknowledge(connection: Connection, id_: str, to: str, *, error: int | None = None) -> None:
    """Tells the client that the server has its message, or why not, unless acknowledgements are held."""
    if connection.context.faults.take(Kind.HOLD_ACKS, connection.number):
        connection.context.logbook.add("ack_held", connection.number, id=id_)
        return
    await connection.send(node("ack", class_="message", id=id_, from_=to, error=error, t=now()))


def describe(context: Context, message: Any, enc: Node) -> dict[str, Any]:  # noqa: ANN401  a protobuf message
    """What a phone shows of a message."""
    media = context.media.describe(unwrap(message))
    quoted = reply_to(message)
    return (
        {"enc": enc.attrs["type"], "text": shown_text(message)}
        | {"fields": [field.name for field, _ in message.ListFields()]}
        | ({"media": media} if media else {})
        | ({"reply_to": quoted} if quoted else {})
    )


async def open_sealed(connection: Connection, receiver: Account, enc: Node, id_: str, to: str) -> Any:  # noqa: ANN401  a protobuf message
    """Decrypts as the receiver's phone, which keeps a sender key that is in it.

    When that fails the phone asks the client to send again, at most MAX_RETRIES times, and there is no message.
    """
    account, device = identity_of(connection)
    context = connection.context
    try:
        author = account.device_lid_jid(device.key.id)
        if enc.attrs["type"] == "skmsg":
            return await receiver.phone.decrypt_from_group(to, author, enc)
        message = await receiver.phone.decrypt(author, enc)
        if message.HasField("senderKeyDistributionMessage"):
            await receiver.phone.learn_sender_key(to, author, message.senderKeyDistributionMessage)
    except UndecryptableError as error:
        count = connection.retries[id_, receiver.number] = connection.retries.get((id_, receiver.number), 0) + 1
        context.logbook.add(
            "undecryptable", account.number, device=device.key.id, id=id_, receiver=receiver.number, count=count, error=str(error)
        )
    else:
        return message
    if count <= MAX_RETRIES:
        addressing = _addressing(context, receiver, to)
        context.mailbox.unmark_seen(device.key, seen_id(id_, addressing.get("participant")))
        queue(context, device, await _retry_receipt(receiver, addressing, id_, count))
    return None


def seen_id(id_: str, participant: str | None) -> str:
    """By what a message counts as seen: one that a member of a group asked for again, by the member too."""
    return f"{id_}/{participant}" if participant else id_


def _addressing(context: Context, receiver: Account, to: str) -> dict[str, str]:
    """Who a receipt is from, named as the message named the receiver."""
    group = context.groups.find(to)
    if group is not None:
        return group.addressing(receiver)
    return {"from_": receiver.lid_jid if to.endswith("@lid") else receiver.number_jid}


async def _retry_receipt(receiver: Account, addressing: dict[str, str], id_: str, count: int) -> Node:
    """The phone asks for a message again, addressed as the message was; from the second time on with fresh keys."""
    inner = [
        node("retry", count=count, id=id_, t=now(), v="1"),
        node("registration", receiver.phone.keys.registration_id.to_bytes(4, "big")),
    ]
    if count > 1:
        bundle = await receiver.phone.bundle(receiver.lid_jid)
        keys = [one for one in children(bundle) if one.tag in ("identity", "key", "skey")]
        inner.append(node("keys", [node("type", DJB), *keys]))
    return node("receipt", inner, id=id_, type="retry", t=now(), **addressing)
