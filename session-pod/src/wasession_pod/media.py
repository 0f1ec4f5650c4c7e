"""What a file is: its mimetype, an image's size, a voice note's length, each out of the first bytes. Pure.

Why not PIL, ffmpeg and libmagic, as neonize does it: a pod pays for what it imports, and WhatsApp needs no more than
this. Surprising: a container such as MP4 or OGG does not say whether it holds sound or pictures, so the kind that the
caller named decides between `audio/mp4` and `video/mp4`.
"""

import re
from pathlib import PurePosixPath

from wasession_contract.podwire import MediaKind

VOICE = "audio/ogg; codecs=opus"  # the one format that every WhatsApp client plays as a voice note
UNKNOWN = "application/octet-stream"
OPUS_RATE = 48_000  # RFC 7845, section 4: granule positions count samples of 48 kHz
_FAMILIES = {MediaKind.IMAGE: "image", MediaKind.VIDEO: "video", MediaKind.AUDIO: "audio", MediaKind.VOICE: "audio"}
_name = r"[a-z0-9][a-z0-9!#$&^_.+-]{0,80}"  # RFC 6838, section 4.2
_mimetype = re.compile(rf"{_name}/{_name}(?:\s*;\s*{_name}=[\x21-\x3a\x3c-\x7e]{{1,80}})*\Z", re.IGNORECASE)

_SIGNATURES = (  # where, what stands there, what it is; the first that fits counts
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF8", "image/gif"),
    (8, b"WEBP", "image/webp"),
    (0, b"BM", "image/bmp"),
    (8, b"WAVE", "audio/wav"),
    (8, b"AVI ", "video/x-msvideo"),
    (4, b"ftypM4A", "audio/mp4"),
    (4, b"ftypqt", "video/quicktime"),
    (4, b"ftyp3g", "video/3gpp"),
    (4, b"ftyphei", "image/heic"),
    (4, b"ftypmif1", "image/heic"),
    (4, b"ftypavif", "image/avif"),
    (4, b"ftyp", "video/mp4"),
    (0, b"\x1aE\xdf\xa3", "video/webm"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"\xff\xfb", "audio/mpeg"),
    (0, b"\xff\xf3", "audio/mpeg"),
    (0, b"\xff\xf2", "audio/mpeg"),
    (0, b"\xff\xf1", "audio/aac"),
    (0, b"\xff\xf9", "audio/aac"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"fLaC", "audio/flac"),
    (0, b"%PDF-", "application/pdf"),
    (0, b"PK\x03\x04", "application/zip"),
    (0, b"\x1f\x8b", "application/gzip"),
)
_CONTAINERS = frozenset({"mp4", "webm", "ogg", "3gpp", "quicktime"})
_OFFICE = "application/vnd.openxmlformats-officedocument"
_ENDINGS = {  # what people send as documents; the name says more than the bytes, which are a ZIP or plain text
    ".pdf": "application/pdf",
    ".docx": f"{_OFFICE}.wordprocessingml.document",
    ".xlsx": f"{_OFFICE}.spreadsheetml.sheet",
    ".pptx": f"{_OFFICE}.presentationml.presentation",
    ".doc": "application/msword",
    ".xls": "application/vnd.ms-excel",
    ".ppt": "application/vnd.ms-powerpoint",
    ".odt": "application/vnd.oasis.opendocument.text",
    ".ods": "application/vnd.oasis.opendocument.spreadsheet",
    ".txt": "text/plain",
    ".csv": "text/csv",
    ".html": "text/html",
    ".xml": "application/xml",
    ".json": "application/json",
    ".zip": "application/zip",
    ".apk": "application/vnd.android.package-archive",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
    ".mp3": "audio/mpeg",
    ".mp4": "video/mp4",
}


class BadMediaError(ValueError):
    """The file is not what the caller says; the message names the field and the mend."""


def mimetype(kind: MediaKind, data: bytes, given: str | None, filename: str | None) -> str:
    """The mimetype to send `data` with: as `given`, else found. Raises BadMediaError where it does not fit `kind`."""
    if given is not None and not _mimetype.match(given):
        raise BadMediaError(f"media.mimetype: {given[:100]!r} is none; use one such as image/jpeg")
    named = _ENDINGS.get(PurePosixPath(filename or "").suffix.lower())
    if kind is MediaKind.DOCUMENT:
        return given or named or sniffed(data) or UNKNOWN
    if kind is MediaKind.VOICE:
        if not data.startswith(b"OggS"):
            raise BadMediaError("media: a voice note is OGG with Opus; send other sound with kind audio")
        return VOICE
    family = _FAMILIES[kind]
    found = (given or _as(family, sniffed(data)) or _as(family, named) or "").lower()
    if not found:
        raise BadMediaError("media.mimetype: cannot be found out from the file; give it")
    if not found.startswith(f"{family}/"):
        raise BadMediaError(f"media: kind {kind} with a file of type {found}; use a fitting kind, or document")
    return found


def sniffed(data: bytes) -> str | None:
    """What the first bytes say, None if nothing known."""
    return next((name for at, signature, name in _SIGNATURES if data[at : at + len(signature)] == signature), None)


def _as(family: str, found: str | None) -> str | None:
    """`video/mp4` as `audio/mp4` where sound is meant."""
    subtype = (found or "").partition("/")[2]
    return f"{family}/{subtype}" if subtype in _CONTAINERS and family in {"audio", "video"} else found


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Width and height in pixels of a PNG, JPEG, GIF or WebP file, None if the header does not say."""
    match sniffed(data):
        case "image/png" if len(data) >= 24:  # noqa: PLR2004  signature, and IHDR up to the height
            return _big(data, 16, 4), _big(data, 20, 4)
        case "image/gif" if len(data) >= 10:  # noqa: PLR2004  signature and logical screen
            return _little(data, 6, 2), _little(data, 8, 2)
        case "image/jpeg":
            return _jpeg(data)
        case "image/webp" if len(data) >= 30:  # noqa: PLR2004  the longest of the three headers
            return _webp(data)
        case _:
            return None


def voice_seconds(data: bytes) -> int:
    """How long an OGG Opus file plays: the last page's granule position; 0 if it does not say."""
    last = data.rfind(b"OggS")
    if data[28:36] != b"OpusHead" or last < 0 or len(data) < last + 14:
        return 0
    samples = _little(data, last + 6, 8) - _little(data, 38, 2)  # without the pre-skip
    return round(samples / OPUS_RATE) if 0 < samples < 24 * 3600 * OPUS_RATE else 0


def _jpeg(data: bytes) -> tuple[int, int] | None:
    """Walk the segments up to the frame header (SOF0 to SOF15, without DHT, JPG and DAC)."""
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:  # noqa: PLR2004  every marker begins so
        marker = data[at + 1]
        if marker in range(0xC0, 0xD0) and marker not in {0xC4, 0xC8, 0xCC}:
            return _big(data, at + 7, 2), _big(data, at + 5, 2)
        at += 1 if marker == 0xFF else 2 + _big(data, at + 2, 2)  # noqa: PLR2004  a fill byte
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    match data[12:16]:
        case b"VP8X":
            return _little(data, 24, 3) + 1, _little(data, 27, 3) + 1
        case b"VP8L":
            bits = _little(data, 21, 4)
            return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        case b"VP8 ":
            return _little(data, 26, 2) & 0x3FFF, _little(data, 28, 2) & 0x3FFF
        case _:
            return None


def _big(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "big")


def _little(data: bytes, at: int, size: int) -> int:
    return int.from_bytes(data[at : at + size], "little")
