"""What is read out of whatsmeow's events: kind, text, receipts, and the phone number rather than the LID."""

import importlib.util
import sys
from types import ModuleType

import pytest

from wasession_pod.engine import ChatInfo, History, Receipt
from wasession_pod.inbound import MAX_DEPTH, backend_text, group_news, joined_group, receipt, received

_spec = importlib.util.find_spec("neonize")
assert _spec
_package = sys.modules["neonize"] = ModuleType("neonize")  # the messages alone: the package itself would start Go and a process
_package.__path__ = list(_spec.submodule_search_locations or ())
from neonize.proto.Neonize_pb2 import JID, GroupInfo, GroupInfoEvent, GroupName, JoinedGroup  # noqa: E402
from neonize.proto.Neonize_pb2 import Message as Event  # noqa: E402
from neonize.proto.Neonize_pb2 import Receipt as ReceiptEvent  # noqa: E402
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import (  # noqa: E402
    AlbumMessage,
    AudioMessage,
    ButtonsResponseMessage,
    ContextInfo,
    DeviceSentMessage,
    DocumentMessage,
    ExtendedTextMessage,
    FutureProofMessage,
    ImageMessage,
    InteractiveResponseMessage,
    ListResponseMessage,
    LocationMessage,
    Message,
    MessageContextInfo,
    PollCreationMessage,
    ProtocolMessage,
    ReactionMessage,
    SenderKeyDistributionMessage,
    StickerMessage,
    TemplateButtonReplyMessage,
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


def wrapped(message: Message, *wrappers: str) -> Message:
    """`message` in wrappers, the last one outermost."""
    for name in wrappers:
        message = Message(**{name: FutureProofMessage(message=message)})
    return message


REPLY = Message(extendedTextMessage=ExtendedTextMessage(text="Hola", contextInfo=ContextInfo(stanzaID="3EB1", quotedMessage=TEXT)))
LIST_ROW = ListResponseMessage.SingleSelectReply(selectedRowID="row-1")
PICTURE = Message(imageMessage=ImageMessage(caption="la factura"))
EDIT = Message(protocolMessage=ProtocolMessage(type=ProtocolMessage.MESSAGE_EDIT, editedMessage=TEXT))


@pytest.mark.parametrize(
    ("message", "type_", "text", "to_backend"),
    [
        (TEXT, "text", "Hola", "Hola"),
        (REPLY, "text", "Hola", "Hola"),
        (Message(conversation="Hola", messageContextInfo=MessageContextInfo(messageSecret=b"x")), "text", "Hola", "Hola"),
        (Message(buttonsResponseMessage=ButtonsResponseMessage(selectedDisplayText="Sí", selectedButtonID="1")), "text", "Sí", "Sí"),
        (Message(buttonsResponseMessage=ButtonsResponseMessage(selectedButtonID="1")), "text", "1", "1"),
        (Message(templateButtonReplyMessage=TemplateButtonReplyMessage(selectedDisplayText="Sí")), "text", "Sí", "Sí"),
        (Message(listResponseMessage=ListResponseMessage(title="Uno", singleSelectReply=LIST_ROW)), "text", "Uno", "Uno"),
        (Message(listResponseMessage=ListResponseMessage(singleSelectReply=LIST_ROW)), "text", "row-1", "row-1"),
        (
            Message(interactiveResponseMessage=InteractiveResponseMessage(body=InteractiveResponseMessage.Body(text="Sí"))),
            "text",
            "Sí",
            "Sí",
        ),
        (Message(audioMessage=AudioMessage(seconds=1)), "audio", "[Audio recibido]", "[Audio recibido]"),
        (Message(audioMessage=AudioMessage(PTT=True)), "audio", "[Audio recibido]", "[Audio recibido]"),
        (Message(imageMessage=ImageMessage(width=1)), "image", "[Imagen recibida]", "[Imagen recibida]"),
        (PICTURE, "image", "la factura", "[Imagen recibida]"),
        (Message(videoMessage=VideoMessage(seconds=1)), "video", "[Video recibido]", "[Video recibido]"),
        (Message(videoMessage=VideoMessage(caption="el video")), "video", "el video", "[Video recibido]"),
        (Message(ptvMessage=VideoMessage(seconds=1)), "video", "[Video recibido]", "[Video recibido]"),
        (Message(documentMessage=DocumentMessage(fileName="x")), "document", "[Documento recibido]", "[Documento recibido]"),
        (
            wrapped(Message(documentMessage=DocumentMessage(caption="el contrato")), "documentWithCaptionMessage"),
            "document",
            "el contrato",
            "[Documento recibido]",
        ),
        (wrapped(TEXT, "ephemeralMessage"), "text", "Hola", "Hola"),
        (wrapped(PICTURE, "viewOnceMessage"), "image", "la factura", "[Imagen recibida]"),
        (wrapped(PICTURE, "viewOnceMessageV2"), "image", "la factura", "[Imagen recibida]"),
        (wrapped(PICTURE, "viewOnceMessageV2Extension"), "image", "la factura", "[Imagen recibida]"),
        (wrapped(PICTURE, "viewOnceMessageV2", "ephemeralMessage"), "image", "la factura", "[Imagen recibida]"),
        (wrapped(PICTURE, "associatedChildMessage"), "image", "la factura", "[Imagen recibida]"),
        (wrapped(TEXT, "editedMessage"), "text", "Hola", "Hola"),
        (Message(deviceSentMessage=DeviceSentMessage(message=TEXT)), "text", "Hola", "Hola"),
        *[
            (unknown, "unknown", "[Mensaje no soportado]", "[Mensaje no soportado]")
            for unknown in (
                Message(stickerMessage=StickerMessage(isAnimated=True)),
                Message(reactionMessage=ReactionMessage(text="👍")),
                Message(pollCreationMessageV3=PollCreationMessage(name="¿Cuándo?")),
                Message(locationMessage=LocationMessage(degreesLatitude=4.6)),
                Message(buttonsResponseMessage=ButtonsResponseMessage(contextInfo=ContextInfo(stanzaID="3EB1"))),
            )
        ],
    ],
)
def test_each_kind_has_its_text_and_the_contracts_word(message: Message, type_: str, text: str, to_backend: str) -> None:
    got = received(event(message, chat=NUMBER, sender=NUMBER))
    assert got
    assert (got.type, got.text, got.has_media) == (type_, text, type_ in {"audio", "image", "video", "document"})
    assert backend_text(got) == to_backend


@pytest.mark.parametrize(
    "message",
    [
        Message(),
        Message(protocolMessage=ProtocolMessage(type=ProtocolMessage.APP_STATE_SYNC_KEY_SHARE)),
        Message(protocolMessage=ProtocolMessage(type=ProtocolMessage.REVOKE)),
        EDIT,
        wrapped(EDIT, "editedMessage"),
        Message(senderKeyDistributionMessage=SenderKeyDistributionMessage(groupID="g")),
        Message(albumMessage=AlbumMessage(expectedImageCount=3)),
        Message(conversation=""),
        wrapped(Message(), "ephemeralMessage"),
        wrapped(TEXT, *["ephemeralMessage"] * MAX_DEPTH),
    ],
)
def test_housekeeping_and_empty_messages_are_none(message: Message) -> None:
    assert received(event(message, chat=NUMBER, sender=NUMBER)) is None


@pytest.mark.parametrize(
    ("user", "server"), [("status", "broadcast"), ("120363", "newsletter"), ("867051314767696", "bot"), ("", "s.whatsapp.net@x")]
)
def test_what_people_and_newsletters_publish_is_no_chat(user: str, server: str) -> None:
    assert received(event(TEXT, chat=jid(user, server), sender=NUMBER, IsGroup=server == "broadcast")) is None


def test_a_message_to_a_broadcast_list_belongs_to_its_senders_chat() -> None:
    got = received(event(TEXT, chat=jid("1700000000", "broadcast"), sender=LID, SenderAlt=NUMBER, IsGroup=True))
    assert got
    assert (got.chat, got.sender) == ("573009999999@s.whatsapp.net", "573009999999@s.whatsapp.net")
    assert received(event(TEXT, chat=jid("1700000000", "broadcast"), sender=jid("573001234567"), IsFromMe=True)) is None


def receipt_event(kind: int, *, chat: JID = NUMBER, ids: tuple[str, ...] = ("3EB0", "3EB1"), **source: object) -> ReceiptEvent:
    made = ReceiptEvent(MessageIDs=ids, Timestamp=1700000000, Type=kind)
    made.MessageSource.CopyFrom(event(TEXT, chat=chat, sender=chat, **source).Info.MessageSource)
    return made


R = ReceiptEvent
READ_HERE = History((ChatInfo("573009999999@s.whatsapp.net", unread_count=0),), ())


@pytest.mark.parametrize(
    ("made", "news"),
    [
        (receipt_event(R.DELIVERED), Receipt("573009999999@s.whatsapp.net", ("3EB0", "3EB1"), "delivered", 1700000000)),
        (receipt_event(R.READ), Receipt("573009999999@s.whatsapp.net", ("3EB0", "3EB1"), "read", 1700000000)),
        (receipt_event(R.PLAYED), Receipt("573009999999@s.whatsapp.net", ("3EB0", "3EB1"), "played", 1700000000)),
        (
            receipt_event(R.READ, chat=LID, SenderAlt=NUMBER, ids=("3EB0",)),
            Receipt("573009999999@s.whatsapp.net", ("3EB0",), "read", 1700000000),
        ),
        (receipt_event(R.READ_SELF, chat=LID, RecipientAlt=NUMBER, IsFromMe=True), READ_HERE),
        (receipt_event(R.READ, RecipientAlt=LID, IsFromMe=True), READ_HERE),
        (receipt_event(R.DELIVERED, IsFromMe=True), None),
        (receipt_event(R.SENDER, IsFromMe=True), None),
        (receipt_event(R.RETRY), None),
        (receipt_event(R.SERVER_ERROR), None),
        (receipt_event(R.READ, ids=()), None),
        (receipt_event(R.READ, chat=jid("status", "broadcast")), None),
    ],
)
def test_receipts_move_our_messages_or_empty_the_unread_count(made: ReceiptEvent, news: object) -> None:
    assert receipt(made) == news


def test_groups_tell_their_names() -> None:
    group = jid("120363", "g.us")
    joined = JoinedGroup(GroupInfo=GroupInfo(JID=group, GroupName=GroupName(Name="Vecinos")))
    assert joined_group(joined) == History((ChatInfo("120363@g.us", name="Vecinos", unread_count=0),), ())
    assert group_news(GroupInfoEvent(JID=group, Name=GroupName(Name="Vecinos 2"))) == History(
        (ChatInfo("120363@g.us", name="Vecinos 2"),), ()
    )
    assert group_news(GroupInfoEvent(JID=group)) is None


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
