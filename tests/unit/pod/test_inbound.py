"""What is read out of whatsmeow's messages: kind, text, and the phone number rather than the LID."""

import importlib.util
import sys
from types import ModuleType

import pytest

from wasession_pod.inbound import received

_spec = importlib.util.find_spec("neonize")
assert _spec
_package = sys.modules["neonize"] = ModuleType("neonize")  # the messages alone: the package itself would start Go and a process
_package.__path__ = list(_spec.submodule_search_locations or ())
from neonize.proto.Neonize_pb2 import JID  # noqa: E402
from neonize.proto.Neonize_pb2 import Message as Event  # noqa: E402
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import (  # noqa: E402
    AudioMessage,
    DocumentMessage,
    ExtendedTextMessage,
    ImageMessage,
    Message,
    MessageContextInfo,
    ProtocolMessage,
    SenderKeyDistributionMessage,
    StickerMessage,
    VideoMessage,
)

del sys.modules["neonize"]
pytestmark = pytest.mark.unit


def jid(user: str, server: str = "s.whatsapp.net", device: int = 0) -> JID:
    return JID(User=user, Server=server, Device=device, RawAgent=0, Integrator=0, IsEmpty=False)


def event(message: Message, *, chat: JID, sender: JID, **source: object) -> Event:
    made = Event(Message=message)
    made.Info.ID, made.Info.Timestamp, made.Info.Pushname = "3EB0", 1700000000, "Carlos"
    made.Info.MessageSource.Chat.CopyFrom(chat)
    made.Info.MessageSource.Sender.CopyFrom(sender)
    for name, value in source.items():
        field = getattr(made.Info.MessageSource, name)
        field.CopyFrom(value) if isinstance(value, JID) else setattr(made.Info.MessageSource, name, value)
    return made


TEXT = Message(conversation="Hola")
NUMBER, LID = jid("573009999999", device=3), jid("100000000000001", "lid")


@pytest.mark.parametrize(
    ("message", "type_", "text", "media"),
    [
        (TEXT, "text", "Hola", False),
        (Message(extendedTextMessage=ExtendedTextMessage(text="Hola")), "text", "Hola", False),
        (Message(audioMessage=AudioMessage(seconds=1)), "audio", "[Audio recibido]", True),
        (Message(imageMessage=ImageMessage(caption="x")), "image", "[Imagen recibida]", True),
        (Message(videoMessage=VideoMessage(seconds=1)), "video", "[Video recibido]", True),
        (Message(ptvMessage=VideoMessage(seconds=1)), "video", "[Video recibido]", True),
        (Message(documentMessage=DocumentMessage(fileName="x")), "document", "[Documento recibido]", True),
        (Message(stickerMessage=StickerMessage(isAnimated=True)), "unknown", "[Mensaje no soportado]", False),
        (Message(conversation="Hola", messageContextInfo=MessageContextInfo(messageSecret=b"x")), "text", "Hola", False),
    ],
)
def test_each_kind_has_the_contracts_word(message: Message, type_: str, text: str, media: bool) -> None:  # noqa: FBT001
    got = received(event(message, chat=NUMBER, sender=NUMBER))
    assert got
    assert (got.type, got.text, got.has_media) == (type_, text, media)


@pytest.mark.parametrize(
    "message",
    [
        Message(),
        Message(protocolMessage=ProtocolMessage(type=ProtocolMessage.APP_STATE_SYNC_KEY_SHARE)),
        Message(senderKeyDistributionMessage=SenderKeyDistributionMessage(groupID="g")),
        Message(conversation=""),
    ],
)
def test_housekeeping_and_empty_messages_are_none(message: Message) -> None:
    assert received(event(message, chat=NUMBER, sender=NUMBER)) is None


def test_a_phone_number_is_preferred_over_a_lid_and_no_device_is_shown() -> None:
    by_lid = received(event(TEXT, chat=LID, sender=LID, SenderAlt=NUMBER))
    by_number = received(event(TEXT, chat=NUMBER, sender=NUMBER, SenderAlt=LID))
    assert by_lid
    assert by_number
    for got in (by_lid, by_number):
        assert (got.chat, got.sender) == ("573009999999@s.whatsapp.net", "573009999999@s.whatsapp.net")


def test_a_lid_without_a_number_stays_a_lid() -> None:
    got = received(event(TEXT, chat=LID, sender=LID))
    assert got
    assert (got.chat, got.sender) == ("100000000000001@lid", "100000000000001@lid")


def test_a_group_keeps_its_jid_and_names_the_sender() -> None:
    got = received(event(TEXT, chat=jid("120363", "g.us"), sender=LID, SenderAlt=NUMBER, IsGroup=True))
    assert got
    assert (got.chat, got.sender) == ("120363@g.us", "573009999999@s.whatsapp.net")


def test_what_the_owner_wrote_on_the_phone_belongs_to_the_recipients_chat() -> None:
    own = jid("573001234567")
    got = received(event(TEXT, chat=LID, sender=own, RecipientAlt=NUMBER, IsFromMe=True))
    assert got
    assert (got.chat, got.from_me) == ("573009999999@s.whatsapp.net", True)


def test_times_are_seconds() -> None:
    made = event(TEXT, chat=NUMBER, sender=NUMBER)
    made.Info.Timestamp = 1700000000123
    got = received(made)
    assert got
    assert got.timestamp == 1700000000
