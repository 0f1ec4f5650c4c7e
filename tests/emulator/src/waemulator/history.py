"""An account's past, which its phone hands a newly linked device: chats with messages, and the push names of its contacts.

It goes as WhatsApp's does: sealed blobs on the media host, and for each a message of the phone that points to it. The first
(`INITIAL_BOOTSTRAP`) has every chat with its newest message, the second (`RECENT`) the chats with the messages before, the third the names.
"""

import secrets
import zlib
from typing import Any

from waemulator import envelope
from waemulator.accounts import Account, Device
from waemulator.bodies import Body, field
from waemulator.context import Context
from waemulator.delivery import new_message_id, send_from_own_phone
from waemulator.errors import bad_request
from waemulator.groups import Group
from waemulator.media import HISTORY, sealed_file
from waemulator.proto import messages
from waemulator.wire import now

CHAT_FIELDS = frozenset({"with", "group", "name", "unread", "pinned", "archived", "lid", "messages"})
MESSAGE_FIELDS = frozenset({"id", "text", "message", "from_me", "timestamp", "sender"})
SYNC_TYPE = b"\x08\x00"
"""The field `syncType` with its value 0, INITIAL_BOOTSTRAP, which pyaileys leaves out and the client requires; a later one overrides it."""
NEWEST = 1
"""How many messages of a chat come with the first part."""


def keep(context: Context, account: Account, chats: list[Body]) -> int:
    """Replaces the account's past; devices that are linked from now on get it. Returns how many messages it has.

    Raises:
        ControlError: a chat or message is not of the form that the README tells, or names an account or a group that is not there.
    """
    parts = _parts(context, account, [_conversation(context, account, chat) for chat in chats])
    context.database.change("DELETE FROM history WHERE number = ?", account.number)
    rows = [(account.number, place, SYNC_TYPE + part.SerializeToString()) for place, part in enumerate(parts)]
    context.database.change_many("INSERT INTO history VALUES (?, ?, ?)", rows)
    return sum(len(one.messages) for part in parts for one in part.conversations)


async def hand_over(context: Context, account: Account, device: Device) -> None:
    """The phone uploads the account's past and tells a newly linked device where it is."""
    for row in context.database.rows("SELECT part FROM history WHERE number = ? ORDER BY place", account.number):
        part = messages.HistorySync.FromString(row["part"])
        message = messages.Message()
        message.protocolMessage.type = messages.Message.ProtocolMessage.HISTORY_SYNC_NOTIFICATION
        notification = message.protocolMessage.historySyncNotification
        notification.syncType, notification.chunkOrder, notification.progress = part.syncType, part.chunkOrder, part.progress
        sealed_file(context.media, notification, zlib.compress(row["part"]), HISTORY)
        await send_from_own_phone(context, account, device, message)
        context.logbook.add(
            "history_sent", account.number, device=device.key.id, type=messages.HistorySync.HistorySyncType.Name(part.syncType)
        )


def _parts(context: Context, account: Account, conversations: list[Any]) -> list[Any]:
    kinds = messages.HistorySync
    parts = [kinds(syncType=kinds.INITIAL_BOOTSTRAP, chunkOrder=1, progress=50), kinds(syncType=kinds.RECENT, chunkOrder=2, progress=100)]
    for conversation in conversations:
        for part, some in zip(parts, (conversation.messages[:NEWEST], conversation.messages[NEWEST:]), strict=True):
            if some or part is parts[0]:
                copy = part.conversations.add()
                copy.CopyFrom(conversation)
                del copy.messages[:]
                copy.messages.extend(some)
    names = kinds(syncType=kinds.PUSH_NAME, chunkOrder=1, progress=100)
    for contact in context.directory.accounts():
        if contact is not account:
            names.pushnames.add(id=contact.number_jid, pushname=contact.name)
            parts[0].phoneNumberToLidMappings.add(pnJid=contact.number_jid, lidJid=contact.lid_jid)
    return [*parts, names]


def _conversation(context: Context, account: Account, chat: Body) -> Any:  # noqa: ANN401  a protobuf message
    """A chat with its messages, newest first, as WhatsApp sorts them."""
    _only(chat, CHAT_FIELDS, "a chat")
    group = context.groups.get(field(chat, "group")) if "group" in chat else None
    peer = None if group else context.directory.get(field(chat, "with"))
    jid = group.jid if group else (peer.lid_jid if field(chat, "lid", bool, False) else peer.number_jid) if peer else ""
    made = [_message(context, account, one, jid, group) for one in field(chat, "messages", list, [])]
    made.sort(key=lambda one: int(one.messageTimestamp), reverse=True)
    last = made[0].messageTimestamp if made else now()
    conversation = messages.Conversation(
        id=jid,
        name=field(chat, "name", str, group.subject if group else peer.name if peer else ""),
        unreadCount=field(chat, "unread", int, 0),
        archived=field(chat, "archived", bool, False),
        pinned=last if field(chat, "pinned", bool, False) else 0,
        conversationTimestamp=last,
        lastMsgTimestamp=last,
    )
    if peer is not None:
        conversation.pnJid, conversation.lidJid = peer.number_jid, peer.lid_jid
    for order, one in enumerate(made):
        conversation.messages.add(message=one, msgOrderId=len(made) - order)
    return conversation


def _message(context: Context, account: Account, body: Body, chat: str, group: Group | None) -> Any:  # noqa: ANN401  a protobuf message
    _only(body, MESSAGE_FIELDS, "a message of a chat")
    from_me = field(body, "from_me", bool, False)
    info = messages.WebMessageInfo(messageTimestamp=field(body, "timestamp", int))
    info.key.remoteJid, info.key.fromMe, info.key.id = chat, from_me, field(body, "id", str, new_message_id())
    text = field(body, "text", str, "")
    info.message.CopyFrom(messages.Message(conversation=text) if text else envelope.from_json(field(body, "message", dict)))
    if group is not None:
        sender = account if from_me else context.directory.get(field(body, "sender"))
        info.key.participant = info.participant = group.member_jid(sender)
        info.pushName = sender.name
    info.message.messageContextInfo.messageSecret = secrets.token_bytes(32)
    return info


def _only(body: object, fields: frozenset[str], what: str) -> None:
    if not isinstance(body, dict):
        raise bad_request("bad_field", f"{what} is an object, not {body!r}"[:200])
    unknown = sorted(set(body) - fields)
    if unknown:
        raise bad_request("unknown_field", f"{what} has no field {unknown[0]!r}; its fields are {', '.join(sorted(fields))}")
