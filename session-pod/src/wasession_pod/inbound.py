"""What of WhatsApp's events concerns us: messages with their chat, sender, kind and text, receipts, groups' names. Pure.

The text of a picture, video or document is its caption, of a reply by button or list what was chosen, and where there is
none the contract's words, such as `[Imagen recibida]`. The journal, webhooks and `GET messages` show that text; the
backend's WebSocket gets the contract's words even for a captioned picture (`backend_text`), because the contract says so
for all that is not text. As in the original, contents without a kind (reactions, polls, stickers, places, contacts)
are `unknown`, and WhatsApp's own housekeeping (key shares, edits, revocations, history notices), which comes as messages
too, is none of our business. Surprising: a chat or sender may come as a LID, WhatsApp's number-less address, with the
phone number beside it; the phone number is preferred, because that is what backends know.
"""

from operator import attrgetter
from typing import Any, NamedTuple

from wasession_pod import jids
from wasession_pod.engine import ChatInfo, History, Receipt, Received

TEXT, AUDIO, IMAGE, VIDEO, DOCUMENT, UNKNOWN = "text", "audio", "image", "video", "document", "unknown"
KINDS = {  # field of the message: its kind, and where its text is, by preference
    "conversation": (TEXT, ()),
    "extendedTextMessage": (TEXT, ("text",)),
    "buttonsResponseMessage": (TEXT, ("selectedDisplayText", "selectedButtonID")),
    "templateButtonReplyMessage": (TEXT, ("selectedDisplayText", "selectedID")),
    "listResponseMessage": (TEXT, ("title", "singleSelectReply.selectedRowID")),
    "interactiveResponseMessage": (TEXT, ("body.text",)),
    "audioMessage": (AUDIO, ()),
    "imageMessage": (IMAGE, ("caption",)),
    "videoMessage": (VIDEO, ("caption",)),
    "ptvMessage": (VIDEO, ("caption",)),
    "documentMessage": (DOCUMENT, ("caption",)),
}
TEXTS = {  # the contract's words for what is not text
    AUDIO: "[Audio recibido]",
    IMAGE: "[Imagen recibida]",
    VIDEO: "[Video recibido]",
    DOCUMENT: "[Documento recibido]",
    UNKNOWN: "[Mensaje no soportado]",
}
MEDIA = frozenset({AUDIO, IMAGE, VIDEO, DOCUMENT})
WRAPPERS = frozenset(  # a message in a message
    {
        "ephemeralMessage",
        "viewOnceMessage",
        "viewOnceMessageV2",
        "viewOnceMessageV2Extension",
        "documentWithCaptionMessage",
        "editedMessage",
        "deviceSentMessage",
        "groupMentionedMessage",
        "associatedChildMessage",
        "botInvokeMessage",
        "lottieStickerMessage",
        "spoilerMessage",
    }
)
MAX_DEPTH = 8  # of wrappers; real ones come three deep
HOUSEKEEPING = frozenset(
    {
        "protocolMessage",
        "senderKeyDistributionMessage",
        "fastRatchetKeySenderKeyDistributionMessage",
        "messageContextInfo",
        "stickerSyncRmrMessage",
        "messageHistoryBundle",
        "messageHistoryNotice",
        "placeholderMessage",
        "albumMessage",  # announces pictures, which follow as messages of their own
    }
)
_DELIVERED, _READ, _READ_SELF, _PLAYED = 1, 4, 5, 6  # neonize's Receipt.ReceiptType
STATUSES = {_DELIVERED: "delivered", _READ: "read", _PLAYED: "played"}


class Content(NamedTuple):
    """What a message holds for people."""

    text: str
    type: str

    @property
    def has_media(self) -> bool:
        """Whether a file belongs to it."""
        return self.type in MEDIA


def backend_text(message: Received) -> str:
    """The message as the contract's WebSocket has it: the words for its kind, or its text."""
    return TEXTS.get(message.type, message.text)


def content(message: Any) -> Content | None:  # noqa: ANN401  WhatsApp's protobuf, known to the engine alone
    """What a `Message` holds; None if that is nothing for people."""
    for _ in range(MAX_DEPTH):
        names = [field.name for field, _ in message.ListFields() if field.name not in HOUSEKEEPING]
        wrapper = next((name for name in names if name in WRAPPERS), None)
        if wrapper is None:
            return _plain(message, names)
        message = getattr(message, wrapper).message
    return None


def _plain(message: Any, names: list[str]) -> Content | None:  # noqa: ANN401  protobuf
    if not names:
        return None
    name = next((name for name in names if name in KINDS), None)
    kind, fields = KINDS[name] if name else (UNKNOWN, ())
    part = getattr(message, name) if name else None
    texts = [part] if isinstance(part, str) else [attrgetter(field)(part) for field in fields]
    text = next((text for text in texts if text), TEXTS.get(kind))
    if text:
        return Content(text, kind)
    return None if name == "conversation" else Content(TEXTS[UNKNOWN], UNKNOWN)  # an empty text comes after every pairing


def received(event: Any) -> Received | None:  # noqa: ANN401  whatsmeow's protobuf, known to the engine alone
    """The message in a `Message` event, None if it holds nothing for people or comes from no chat (status, newsletter)."""
    info, source = event.Info, event.Info.MessageSource
    chat = _chat(source)
    what = content(event.Message) if chat else None
    if not chat or not what:
        return None
    return Received(
        id=info.ID,
        chat=chat,
        sender=prefer_number(source.Sender, source.SenderAlt),
        from_me=source.IsFromMe,
        text=what.text,
        type=what.type,
        has_media=what.has_media,
        timestamp=seconds(info.Timestamp),
        push_name=info.Pushname,
    )


def receipt(event: Any) -> Receipt | History | None:  # noqa: ANN401  protobuf
    """The other side has messages of ours; or the owner read a chat on another device, which empties its unread count."""
    source = event.MessageSource
    chat = _chat(source)
    if not chat:
        return None
    if event.Type == _READ_SELF or (event.Type == _READ and source.IsFromMe):
        return History(chats=(ChatInfo(chat, unread_count=0),), messages=())
    status = STATUSES.get(event.Type)
    if status is None or source.IsFromMe or not event.MessageIDs:
        return None
    return Receipt(chat, tuple(event.MessageIDs), status, seconds(event.Timestamp))


def joined_group(event: Any) -> History:  # noqa: ANN401  protobuf
    """The account came into a group: a chat to show, without messages."""
    group = event.GroupInfo
    return History(chats=(ChatInfo(bare(group.JID), name=group.GroupName.Name or None, unread_count=0),), messages=())


def group_news(event: Any) -> History | None:  # noqa: ANN401  protobuf
    """A group has another name; None: something else changed."""
    return History(chats=(ChatInfo(bare(event.JID), name=event.Name.Name),), messages=()) if event.Name.Name else None


def _chat(source: Any) -> str | None:  # noqa: ANN401  protobuf
    """The chat that a message belongs to, which for one to a broadcast list is the sender's; None: no chat."""
    server = source.Chat.Server
    if server == jids.GROUP_SERVER:
        return bare(source.Chat)
    if server == jids.BROADCAST_SERVER:
        is_private = source.Chat.User != jids.STATUS_USER and not source.IsFromMe and source.Sender.User
        return prefer_number(source.Sender, source.SenderAlt) if is_private else None
    if server not in jids.PERSON_SERVERS:
        return None
    return prefer_number(source.Chat, source.RecipientAlt if source.IsFromMe else source.SenderAlt)


def prefer_number(jid: Any, alternative: Any) -> str:  # noqa: ANN401  protobuf
    """`jid` without its device, or `alternative` if only that one holds a phone number."""
    if jid.Server == jids.LID_SERVER and alternative.Server == jids.USER_SERVER and alternative.User:
        return bare(alternative)
    return bare(jid)


def bare(jid: Any) -> str:  # noqa: ANN401  protobuf
    """`user@server`, without the device."""
    return f"{jid.User}@{jid.Server}"


def seconds(timestamp: int) -> int:
    """Seconds since 1970; some of whatsmeow's times come in milliseconds."""
    return timestamp // 1000 if timestamp > 10**11 else timestamp
