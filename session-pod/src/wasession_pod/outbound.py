"""What we send, as WhatsApp's protobuf: the opposite of `inbound`.

Surprising: neonize has builders for media, but they want PIL, ffmpeg and libmagic, which a pod cannot afford, so the
messages are put together here. A file goes to WhatsApp's media hosts first, encrypted under a key that only the message
holds; the upload is not the message, so what fails there was not sent.
"""

import time
from collections.abc import Callable
from typing import Any

from wasession_contract.podwire import MediaKind
from wasession_pod import lean, media
from wasession_pod.engine import File, Outgoing, Quoted, Text

with lean.imports():
    from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import (
        AudioMessage,
        ContextInfo,
        DocumentMessage,
        ExtendedTextMessage,
        ImageMessage,
        Message,
        VideoMessage,
    )
    from neonize.utils.enum import MediaType

Upload = Callable[[bytes, MediaType], Any]

_TYPES = {
    MediaKind.IMAGE: MediaType.MediaImage,
    MediaKind.VIDEO: MediaType.MediaVideo,
    MediaKind.AUDIO: MediaType.MediaAudio,
    MediaKind.VOICE: MediaType.MediaAudio,
    MediaKind.DOCUMENT: MediaType.MediaDocument,
}


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
