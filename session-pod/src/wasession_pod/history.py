"""History sync: the phone's chats and their last messages, out of WhatsApp's protobuf. Pure.

It comes in parts, minutes after the pairing and again later: all chats at first, then older messages, then names.
Surprising: here addresses are strings, those of chats may be LIDs, and the phone numbers stand in a table beside them.
Bounded, because a busy account's past is larger than what the journal keeps.
"""

from collections.abc import Callable, Iterator
from typing import Any

from wasession_pod import inbound, jids
from wasession_pod.engine import ChatInfo, History, Received

MAX_CHATS = 1000
MAX_MESSAGES_PER_CHAT = 50
MAX_NAMES = 5000


def history(sync: Any, own_jid: str) -> History | None:  # noqa: ANN401  WhatsApp's protobuf, known to the engine alone
    """What a `HistorySync` tells; None: nothing that concerns us. `own_jid` becomes the sender of the account's own messages."""
    numbers = {_bare(pair.lidJID): _bare(pair.pnJID) for pair in sync.phoneNumberToLidMappings if pair.pnJID}
    numbers |= {_bare(each.lidJID): _bare(each.pnJID) for each in sync.conversations if each.pnJID and each.lidJID}
    numbers |= {_bare(each.ID): _bare(each.pnJID) for each in sync.conversations if each.pnJID}

    def known(jid: str) -> str:
        return numbers.get(_bare(jid), _bare(jid))

    newest = sorted((each for each in sync.conversations if _is_chat(each.ID)), key=_age, reverse=True)[:MAX_CHATS]
    chats = [_chat_info(each, known(each.ID)) for each in newest]
    chats += [ChatInfo(known(each.ID), name=each.pushname) for each in sync.pushnames[:MAX_NAMES] if each.pushname and _is_chat(each.ID)]
    messages = [message for each in newest for message in _messages(each, known, own_jid)]
    return History(tuple(chats), tuple(messages)) if chats or messages else None


def _age(conversation: Any) -> int:  # noqa: ANN401  protobuf
    return int(conversation.conversationTimestamp or conversation.lastMsgTimestamp)


def _chat_info(conversation: Any, chat: str) -> ChatInfo:  # noqa: ANN401  protobuf
    return ChatInfo(
        id=chat,
        name=conversation.name or conversation.displayName or None,
        unread_count=conversation.unreadCount,
        pinned=bool(conversation.pinned),
        archived=conversation.archived,
    )


def _messages(conversation: Any, known: Callable[[str], str], own_jid: str) -> Iterator[Received]:  # noqa: ANN401  protobuf
    """The newest messages of a conversation, oldest first."""
    ordered = sorted(conversation.messages, key=lambda each: (each.message.messageTimestamp, each.msgOrderID))
    chat = known(conversation.ID)
    for each in ordered[-MAX_MESSAGES_PER_CHAT:]:
        message, key = each.message, each.message.key
        what = inbound.content(message.message)
        if not what or not key.ID:
            continue
        author = key.participant or message.participant or conversation.ID
        yield Received(
            id=key.ID,
            chat=chat,
            sender=own_jid if key.fromMe else known(author),
            from_me=key.fromMe,
            text=what.text,
            type=what.type,
            has_media=what.has_media,
            timestamp=inbound.seconds(message.messageTimestamp),
            push_name=message.pushName,
        )


def _is_chat(jid: str) -> bool:
    return _bare(jid).rpartition("@")[2] in {*jids.PERSON_SERVERS, jids.GROUP_SERVER}


def _bare(jid: str) -> str:
    user, _, server = jid.partition("@")
    return f"{user.partition(':')[0]}@{jids.USER_SERVER if server == 'c.us' else server}"
