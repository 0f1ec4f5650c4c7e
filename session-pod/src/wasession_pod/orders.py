"""What callers ask to be sent, checked before anything is done about it. Pure.

Surprising: `fingerprint` is of the whole request, the file's bytes included, because an Idempotency-Key that comes with
another file is another message, even if its caption is the same.
"""

import hashlib
import re

import msgspec

from wasession_contract.podwire import ErrorCode, Media, MediaKind, SendRequest
from wasession_pod import jids

MAX_TEXT = 65_536  # WhatsApp's own limit of a text message; captions are held to the same
MAX_NAME = 255
MAX_ID = 128  # WhatsApp's own are 16 to 32 characters
CAPTIONED = frozenset({MediaKind.IMAGE, MediaKind.VIDEO, MediaKind.DOCUMENT})
_name = re.compile(rf"[^\x00-\x1f\x7f/\\]{{1,{MAX_NAME}}}\Z")


class SendError(Exception):
    """The request is refused, or was not acknowledged; `code` and the words go to the caller, `retry_after` in seconds."""

    def __init__(self, code: ErrorCode, message: str, *, retry_after: int | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


def checked(request: SendRequest, max_bytes: int) -> SendRequest:
    """`request` with a JID in `to`; a file may have `max_bytes`. Raises SendError, naming the field."""
    try:
        to = jids.recipient(request.to)
    except ValueError as error:
        raise _bad(f"to: {error}") from None
    if request.text is not None and request.media is not None:
        raise _bad("text, media: give one of the two; the text beside a file is media.caption")
    if request.media is not None:
        _check_media(request.media, max_bytes)
    else:
        _check_text("text", request.text or "")
    if request.reply_to is not None and not 0 < len(request.reply_to) <= MAX_ID:
        raise _bad(f"replyTo: use the id of a message, 1 to {MAX_ID} characters")
    return msgspec.structs.replace(request, to=to)


def fingerprint(request: SendRequest) -> str:
    """What tells one request from another, as hex."""
    file = request.media.base64 if request.media else None
    media = msgspec.structs.replace(request.media, base64=None) if request.media else None
    rest = msgspec.json.encode(msgspec.structs.replace(request, media=media))
    return hashlib.sha256(hashlib.sha256(file or b"").digest() + rest).hexdigest()


def _check_text(field: str, text: str) -> None:
    if not text.strip():
        raise _bad(f"{field}: must not be empty")
    if len(text) > MAX_TEXT:
        raise _bad(f"{field}: {len(text)} characters; WhatsApp takes {MAX_TEXT}")


def _check_media(media: Media, max_bytes: int) -> None:
    if (media.url is None) is (media.base64 is None):
        raise _bad("media: give url or base64, one of the two")
    if media.base64 is not None and not media.base64:
        raise _bad("media.base64: must not be empty")
    if media.base64 is not None and len(media.base64) > max_bytes:
        raise SendError(ErrorCode.MEDIA_TOO_LARGE, f"media.base64: {len(media.base64)} bytes; this installation sends at most {max_bytes}")
    if media.filename is not None and not _name.match(media.filename):
        raise _bad(f"media.filename: use 1 to {MAX_NAME} characters without slashes and control characters")
    if media.caption is not None:
        if media.kind not in CAPTIONED:
            raise _bad(f"media.caption: {media.kind} has none in WhatsApp; send a text after it")
        _check_text("media.caption", media.caption)


def _bad(message: str) -> SendError:
    return SendError(ErrorCode.BAD_REQUEST, message)
