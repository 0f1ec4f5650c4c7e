"""History sync: chats with their names and flags, their newest messages, and phone numbers rather than LIDs."""

import importlib.util
import sys
from types import ModuleType

import pytest

from wasession_pod.engine import ChatInfo, Received
from wasession_pod.history import MAX_CHATS, MAX_MESSAGES_PER_CHAT, history

_spec = importlib.util.find_spec("neonize")
assert _spec
_package = sys.modules["neonize"] = ModuleType("neonize")  # the messages alone: the package itself would start Go and a process
_package.__path__ = list(_spec.submodule_search_locations or ())
from neonize.proto.waCommon.WACommon_pb2 import MessageKey  # noqa: E402
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import (  # noqa: E402
    FutureProofMessage,
    ImageMessage,
    Message,
    ProtocolMessage,
)
from neonize.proto.waHistorySync.WAWebProtobufsHistorySync_pb2 import (  # noqa: E402
    Conversation,
    HistorySync,
    HistorySyncMsg,
    PhoneNumberToLIDMapping,
    Pushname,
)
from neonize.proto.waWeb.WAWebProtobufsWeb_pb2 import WebMessageInfo  # noqa: E402

del sys.modules["neonize"]
pytestmark = pytest.mark.unit
OWN, CONTACT, GROUP = "573001234567@s.whatsapp.net", "573009999999@s.whatsapp.net", "120363000000000000@g.us"


def past(
    number: int, *, chat: str = CONTACT, participant: str = "", from_me: bool = False, message: Message | None = None
) -> HistorySyncMsg:
    key = MessageKey(remoteJID=chat, fromMe=from_me, ID=f"id-{number}", participant=participant)
    what = message or Message(conversation=f"text {number}")
    return HistorySyncMsg(message=WebMessageInfo(key=key, message=what, messageTimestamp=number, pushName="Carlos"), msgOrderID=number)


def conversation(chat: str = CONTACT, *messages: HistorySyncMsg, **fields: object) -> Conversation:
    return Conversation(ID=chat, messages=messages, **fields)


def sync(*conversations: Conversation, **fields: object) -> HistorySync:
    return HistorySync(syncType=HistorySync.INITIAL_BOOTSTRAP, conversations=conversations, **fields)


def test_chats_come_with_what_the_phone_says_of_them() -> None:
    told = history(
        sync(
            conversation(CONTACT, name="Carlos Pérez", unreadCount=3, pinned=1700000000, archived=True, conversationTimestamp=2),
            conversation(GROUP, name="Vecinos", conversationTimestamp=1),
        ),
        OWN,
    )
    assert told
    assert told.chats == (
        ChatInfo(CONTACT, "Carlos Pérez", unread_count=3, pinned=True, archived=True),
        ChatInfo(GROUP, "Vecinos", unread_count=0, pinned=False, archived=False),
    )


def test_messages_come_oldest_first_with_their_senders() -> None:
    own = past(2, from_me=True)
    theirs = past(1, message=Message(ephemeralMessage=FutureProofMessage(message=Message(imageMessage=ImageMessage(caption="la factura")))))
    grouped = past(3, chat=GROUP, participant="573008888888:7@s.whatsapp.net")
    told = history(sync(conversation(CONTACT, own, theirs), conversation(GROUP, grouped)), OWN)
    assert told
    assert told.messages == (
        Received("id-1", CONTACT, CONTACT, from_me=False, text="la factura", type="image", has_media=True, timestamp=1, push_name="Carlos"),
        Received("id-2", CONTACT, OWN, from_me=True, text="text 2", type="text", has_media=False, timestamp=2, push_name="Carlos"),
        Received(
            "id-3",
            GROUP,
            "573008888888@s.whatsapp.net",
            from_me=False,
            text="text 3",
            type="text",
            has_media=False,
            timestamp=3,
            push_name="Carlos",
        ),
    )


@pytest.mark.parametrize(
    "told",
    [
        sync(conversation("100@lid", past(1), pnJID=CONTACT)),
        sync(conversation("100@lid", past(1)), phoneNumberToLidMappings=[PhoneNumberToLIDMapping(lidJID="100@lid", pnJID=CONTACT)]),
        sync(conversation("573009999999@c.us", past(1))),
    ],
)
def test_a_phone_number_is_preferred_over_a_lid(told: HistorySync) -> None:
    news = history(told, OWN)
    assert news
    assert (news.chats[0].id, news.messages[0].chat, news.messages[0].sender) == (CONTACT, CONTACT, CONTACT)


def test_members_of_groups_are_known_by_number_too() -> None:
    told = sync(
        conversation(GROUP, past(1, chat=GROUP, participant="100@lid")),
        phoneNumberToLidMappings=[PhoneNumberToLIDMapping(lidJID="100@lid", pnJID=CONTACT)],
    )
    news = history(told, OWN)
    assert news
    assert news.messages[0].sender == CONTACT


def test_push_names_name_chats() -> None:
    told = HistorySync(syncType=HistorySync.PUSH_NAME, pushnames=[Pushname(ID=CONTACT, pushname="Carlos"), Pushname(ID=OWN)])
    news = history(told, OWN)
    assert news
    assert news.chats == (ChatInfo(CONTACT, "Carlos"),)


def test_what_is_no_chat_or_no_message_is_left_out() -> None:
    edit = Message(protocolMessage=ProtocolMessage(type=ProtocolMessage.REVOKE))
    told = sync(
        conversation("status@broadcast", past(1)), conversation("1@newsletter", past(1)), conversation(CONTACT, past(1, message=edit))
    )
    news = history(told, OWN)
    assert news
    assert ([chat.id for chat in news.chats], news.messages) == ([CONTACT], ())
    assert history(sync(), OWN) is None


def test_the_newest_chats_and_messages_within_the_bounds_are_taken() -> None:
    many = [past(number) for number in range(MAX_MESSAGES_PER_CHAT + 5)]
    busy = conversation(CONTACT, *reversed(many), conversationTimestamp=5000)
    others = [conversation(f"5730011{number:05}@s.whatsapp.net", conversationTimestamp=number) for number in range(MAX_CHATS)]
    news = history(sync(*others, busy), OWN)
    assert news
    assert [message.id for message in news.messages] == [f"id-{number}" for number in range(5, MAX_MESSAGES_PER_CHAT + 5)]
    assert (len(news.chats), news.chats[0].id) == (MAX_CHATS, CONTACT)
    assert "573001100000@s.whatsapp.net" not in {chat.id for chat in news.chats}
