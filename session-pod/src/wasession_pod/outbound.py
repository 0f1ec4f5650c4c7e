"""What we send, as neonize takes it, and what its refusals mean: the opposite of `inbound`.

Surprising: neonize has builders for media, but they want PIL, ffmpeg and libmagic, which a pod cannot afford, so the
messages are put together here. A file goes to WhatsApp's media hosts first, encrypted under a key that only the message
holds; the upload is not the message, so what fails there was not sent.
"""

import time
from collections.abc import Callable
from typing import Any

from wasession_contract.podwire import Activity, MediaKind
from wasession_pod import lean, media
from wasession_pod.engine import File, Outgoing, Quoted, Refusal, Text

with lean.imports():
    from neonize.proto.Neonize_pb2 import JID
    from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import (
        AudioMessage,
        ContextInfo,
        DocumentMessage,
        ExtendedTextMessage,
        ImageMessage,
        Message,
        VideoMessage,
    )
    from neonize.utils.enum import ChatPresence, ChatPresenceMedia, MediaType

Upload = Callable[[bytes, MediaType], Any]

_TYPES = {
    MediaKind.IMAGE: MediaType.MediaImage,
    MediaKind.VIDEO: MediaType.MediaVideo,
    MediaKind.AUDIO: MediaType.MediaAudio,
    MediaKind.VOICE: MediaType.MediaAudio,
    MediaKind.DOCUMENT: MediaType.MediaDocument,
}

ACTIVITIES = {
    Activity.COMPOSING: (ChatPresence.CHAT_PRESENCE_COMPOSING, ChatPresenceMedia.CHAT_PRESENCE_MEDIA_TEXT),
    Activity.RECORDING: (ChatPresence.CHAT_PRESENCE_COMPOSING, ChatPresenceMedia.CHAT_PRESENCE_MEDIA_AUDIO),
    Activity.PAUSED: (ChatPresence.CHAT_PRESENCE_PAUSED, ChatPresenceMedia.CHAT_PRESENCE_MEDIA_TEXT),
}
_SEND_ERRORS = (  # whatsmeow's words, lower case; the first that fits counts
    ("no lid found", Refusal.NO_SUCH_RECIPIENT),
    ("timed out waiting for message send response", Refusal.UNKNOWN),
    ("websocket disconnected before", Refusal.UNKNOWN),
    ("websocket not connected", Refusal.NOT_CONNECTED),
    ("client is nil", Refusal.NOT_CONNECTED),
    ("not logged in", Refusal.NOT_CONNECTED),
)


def address(jid: str) -> JID:
    """A JID as neonize takes it."""
    user, _, server = jid.partition("@")
    return JID(User=user, Server=server, Device=0, RawAgent=0, Integrator=0, IsEmpty=False)


def refusal(words: str) -> Refusal:
    """What whatsmeow's words of a failed send say of the message."""
    return next((refusal for part, refusal in _SEND_ERRORS if part in words.lower()), Refusal.REFUSED)


def message(outgoing: Outgoing, upload: Upload) -> Message:
    """The protobuf of `outgoing`; `upload` is called for a file, and what it raises is raised."""
    if isinstance(outgoing, Text):
        return _text(outgoing)
    return _BUILDERS[outgoing.kind](outgoing, _common(outgoing, upload(outgoing.data, _TYPES[outgoing.kind])))


def _text(outgoing: Text) -> Message:
    """Plain text as `conversation`: as extended text, neonize would make a mention of an `@` in it."""
    if outgoing.quoted is None:
        return Message(conversation=outgoing.text)
    return Message(extendedTextMessage=ExtendedTextMessage(text=outgoing.text, contextInfo=_context(outgoing.quoted)))


def _context(quoted: Quoted) -> ContextInfo:
    return ContextInfo(stanzaID=quoted.id, participant=quoted.sender, quotedMessage=Message(conversation=quoted.text))


def _common(file: File, uploaded: Any) -> dict[str, Any]:  # noqa: ANN401  protobuf
    """The fields that all kinds of media share."""
    fields: dict[str, Any] = {
        "URL": uploaded.url,
        "directPath": uploaded.DirectPath,
        "mediaKey": uploaded.MediaKey,
        "mediaKeyTimestamp": int(time.time()),
        "fileSHA256": uploaded.FileSHA256,
        "fileEncSHA256": uploaded.FileEncSHA256,
        "fileLength": uploaded.FileLength,
        "mimetype": file.mimetype,
    }
    return fields | ({"contextInfo": _context(file.quoted)} if file.quoted else {})


def _image(file: File, common: dict[str, Any]) -> Message:
    size = media.dimensions(file.data)
    shown = {"width": size[0], "height": size[1]} if size else {}
    return Message(imageMessage=ImageMessage(caption=file.caption or None, **common, **shown))


def _video(file: File, common: dict[str, Any]) -> Message:
    return Message(videoMessage=VideoMessage(caption=file.caption or None, **common))


def _audio(file: File, common: dict[str, Any]) -> Message:
    seconds = media.voice_seconds(file.data) or None
    return Message(audioMessage=AudioMessage(PTT=file.kind is MediaKind.VOICE, seconds=seconds, **common))


def _document(file: File, common: dict[str, Any]) -> Message:
    name = file.filename or None
    return Message(documentMessage=DocumentMessage(fileName=name, title=name, caption=file.caption or None, **common))


_BUILDERS: dict[MediaKind, Callable[[File, dict[str, Any]], Message]] = {
    MediaKind.IMAGE: _image,
    MediaKind.VIDEO: _video,
    MediaKind.AUDIO: _audio,
    MediaKind.VOICE: _audio,
    MediaKind.DOCUMENT: _document,
}
