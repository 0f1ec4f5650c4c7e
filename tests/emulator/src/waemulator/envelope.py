"""What a message stanza's outside tells of the message inside, and what a phone shows of that message. Pure.

Surprising: one message may be wrapped several times (ephemeral, view once, with a caption, edited); its kind is that of the innermost.
"""

from typing import Any

from waemulator.errors import bad_request
from waemulator.proto import json_format, messages

WRAPPERS = (
    "deviceSentMessage", "ephemeralMessage", "viewOnceMessage", "viewOnceMessageV2", "viewOnceMessageV2Extension",
    "documentWithCaptionMessage", "lottieStickerMessage", "editedMessage",
)  # fmt: skip
"""Fields that hold a whole message of their own."""
TYPES = {
    "reactionMessage": "reaction",
    "encReactionMessage": "reaction",
    "pollCreationMessage": "poll",
    "pollCreationMessageV2": "poll",
    "pollCreationMessageV3": "poll",
    "pollUpdateMessage": "poll",
}
"""The stanza's `type` for fields whose type is neither text nor media, as whatsmeow's getTypeFromMessage has it."""
MEDIA_TYPES = {
    "imageMessage": "image",
    "stickerMessage": "sticker",
    "documentMessage": "document",
    "audioMessage": "audio",
    "videoMessage": "video",
    "contactMessage": "vcard",
    "contactsArrayMessage": "contact_array",
    "listMessage": "list",
    "listResponseMessage": "list_response",
    "buttonsResponseMessage": "buttons_response",
    "orderMessage": "order",
    "productMessage": "product",
    "interactiveResponseMessage": "native_flow_response",
}
"""The `mediatype` of an `<enc>`, as whatsmeow's getMediaTypeFromMessage has it; such a message's stanza has the type `media`."""
EDIT, REVOKE = "1", "7"
"""The stanza's `edit` for a message that changes, or that takes back, an earlier one of the same sender."""


def from_json(body: dict[str, Any]) -> "messages.Message":
    """The message in protobuf's JSON form: `{"imageMessage": {"caption": "a cat"}}`, bytes in base64, enums by name.

    Raises:
        ControlError: it is none, or it is empty.
    """
    try:
        message = json_format.ParseDict(body, messages.Message())
    except json_format.ParseError as error:
        raise bad_request("bad_message", f"message is no WhatsApp message in protobuf's JSON form: {error}") from error
    if not message.ListFields():
        raise bad_request("bad_message", 'message is empty; give at least one field, as in {"conversation": "hello"}')
    return message


def unwrap(message: "messages.Message") -> "messages.Message":
    """The innermost message."""
    while True:
        wrapper = next((name for name in WRAPPERS if message.HasField(name)), None)
        if wrapper is None:
            return message
        message = getattr(message, wrapper).message


def stanza_type(message: "messages.Message") -> str:
    """The `type` of the message's stanza."""
    fields = _fields(unwrap(message))
    special = next((TYPES[name] for name in fields if name in TYPES), None)
    return special or ("media" if media_type(message) else "text")


def media_type(message: "messages.Message") -> str | None:
    """The `mediatype` of the message's `<enc>`, or None."""
    return next((MEDIA_TYPES[name] for name in _fields(unwrap(message)) if name in MEDIA_TYPES), None)


def edit_mark(message: "messages.Message") -> str | None:
    """The `edit` of the message's stanza, or None."""
    inner = unwrap(message)
    if inner.HasField("reactionMessage"):
        return None if inner.reactionMessage.text else REVOKE
    if not inner.HasField("protocolMessage"):
        return None
    kinds = messages.Message.ProtocolMessage
    return {kinds.REVOKE: REVOKE, kinds.MESSAGE_EDIT: EDIT}.get(inner.protocolMessage.type)


def shown_text(message: "messages.Message") -> str:
    """The text that a phone shows for a text message; a caption stands with its media."""
    inner = unwrap(message)
    return str(inner.conversation or inner.extendedTextMessage.text)


def reply_to(message: "messages.Message") -> str | None:
    """The id of the message that this one quotes, or None."""
    for field, value in unwrap(message).ListFields():
        if field.message_type is not None and "contextInfo" in field.message_type.fields_by_name:
            return str(value.contextInfo.stanzaId) or None
    return None


def _fields(message: "messages.Message") -> list[str]:
    return [field.name for field, _ in message.ListFields()]
