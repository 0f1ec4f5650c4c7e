"""What of a WhatsApp message concerns us: chat, sender, kind and text, out of whatsmeow's event. Pure.

Surprising: a chat or sender may come as a LID, WhatsApp's number-less address, with the phone number beside it; the
phone number is preferred, because that is what backends know. WhatsApp's own housekeeping (key shares, receipts of
edits, sender keys) comes as messages without content and is none of our business.
"""

from typing import Any

from wasession_pod import jids
from wasession_pod.engine import Received

TEXT, AUDIO, IMAGE, VIDEO, DOCUMENT, UNKNOWN = "text", "audio", "image", "video", "document", "unknown"
KINDS = {
    "conversation": TEXT,
    "extendedTextMessage": TEXT,
    "audioMessage": AUDIO,
    "imageMessage": IMAGE,
    "videoMessage": VIDEO,
    "ptvMessage": VIDEO,
    "documentMessage": DOCUMENT,
}
TEXTS = {  # the contract's words for what is not text
    AUDIO: "[Audio recibido]",
    IMAGE: "[Imagen recibida]",
    VIDEO: "[Video recibido]",
    DOCUMENT: "[Documento recibido]",
    UNKNOWN: "[Mensaje no soportado]",
}
HOUSEKEEPING = frozenset(
    {"protocolMessage", "senderKeyDistributionMessage", "messageContextInfo", "fastRatchetKeySenderKeyDistributionMessage"}
)


def received(event: Any) -> Received | None:  # noqa: ANN401  whatsmeow's protobuf, known to the engine alone
    """The message in a `Message` event, None if it holds nothing for people."""
    contents = [field.name for field, _ in event.Message.ListFields() if field.name not in HOUSEKEEPING]
    if not contents:
        return None
    kind = next((KINDS[name] for name in contents if name in KINDS), UNKNOWN)
    text = event.Message.conversation or event.Message.extendedTextMessage.text if kind == TEXT else TEXTS[kind]
    if not text:
        return None
    info, source = event.Info, event.Info.MessageSource
    other = source.RecipientAlt if source.IsFromMe else source.SenderAlt
    return Received(
        id=info.ID,
        chat=bare(source.Chat) if source.IsGroup else prefer_number(source.Chat, other),
        sender=prefer_number(source.Sender, source.SenderAlt),
        from_me=source.IsFromMe,
        text=text,
        type=kind,
        has_media=kind in {AUDIO, IMAGE, VIDEO, DOCUMENT},
        timestamp=seconds(info.Timestamp),
        push_name=info.Pushname,
    )


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
