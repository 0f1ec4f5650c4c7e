"""Mimetypes, sizes and lengths out of a file's first bytes."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasession_contract.podwire import MediaKind
from wasession_pod.media import UNKNOWN, VOICE, BadMediaError, dimensions, mimetype, sniffed, voice_seconds

pytestmark = pytest.mark.unit

PNG = b"\x89PNG\r\n\x1a\n" + struct.pack(">I4sII", 13, b"IHDR", 640, 480) + bytes(5)
GIF = b"GIF89a" + struct.pack("<HH", 320, 200) + bytes(5)
JPEG = b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(10) + b"\xff\xff\xc0\x00\x11\x08" + struct.pack(">HH", 600, 800) + bytes(12)
WEBP_LOSSY = b"RIFF\0\0\0\0WEBPVP8 " + bytes(4) + bytes(3) + b"\x9d\x01\x2a" + struct.pack("<HH", 550, 368)
WEBP_LOSSLESS = b"RIFF\0\0\0\0WEBPVP8L" + bytes(4) + b"\x2f" + struct.pack("<I", (99 << 14) | 199) + bytes(10)
WEBP_EXTENDED = b"RIFF\0\0\0\0WEBPVP8X" + bytes(8) + (1023).to_bytes(3, "little") + (767).to_bytes(3, "little")
MP4 = b"\0\0\0\x18ftypisom" + bytes(16)
MP3 = b"ID3\x04" + bytes(20)
PDF = b"%PDF-1.7\n"
ZIP = b"PK\x03\x04" + bytes(20)


def opus(samples: int, pre_skip: int = 312) -> bytes:
    """An OGG Opus file of two pages: the head, and a last one that ends at `samples`."""
    head = b"OggS\0\x02" + bytes(22) + b"OpusHead\x01\x01" + struct.pack("<H", pre_skip) + bytes(7)
    return head + b"OggS\0\x04" + struct.pack("<q", samples + pre_skip) + bytes(30)


@pytest.mark.parametrize(
    ("kind", "data", "given", "filename", "found"),
    [
        (MediaKind.IMAGE, PNG, None, None, "image/png"),
        (MediaKind.IMAGE, JPEG, None, "photo.png", "image/jpeg"),
        (MediaKind.IMAGE, WEBP_LOSSY, None, None, "image/webp"),
        (MediaKind.IMAGE, b"?", "image/X-Own", None, "image/x-own"),
        (MediaKind.IMAGE, b"?", None, "photo.JPG", "image/jpeg"),
        (MediaKind.VIDEO, MP4, None, None, "video/mp4"),
        (MediaKind.AUDIO, MP4, None, None, "audio/mp4"),
        (MediaKind.AUDIO, MP3, None, None, "audio/mpeg"),
        (MediaKind.AUDIO, opus(48_000), None, None, "audio/ogg"),
        (MediaKind.VIDEO, opus(48_000), None, None, "video/ogg"),
        (MediaKind.VOICE, opus(48_000), None, None, VOICE),
        (MediaKind.VOICE, opus(48_000), "audio/ogg", None, VOICE),
        (MediaKind.DOCUMENT, PDF, None, None, "application/pdf"),
        (MediaKind.DOCUMENT, ZIP, None, "informe.docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (MediaKind.DOCUMENT, ZIP, None, None, "application/zip"),
        (MediaKind.DOCUMENT, b"a;b", None, "datos.csv", "text/csv"),
        (MediaKind.DOCUMENT, b"a;b", "text/csv; charset=utf-8", None, "text/csv; charset=utf-8"),
        (MediaKind.DOCUMENT, b"whatever", None, "x.unheard-of", UNKNOWN),
        (MediaKind.DOCUMENT, PNG, None, None, "image/png"),
    ],
)
def test_the_mimetype_is_as_given_or_found(kind: MediaKind, data: bytes, given: str | None, filename: str | None, found: str) -> None:
    assert mimetype(kind, data, given, filename) == found


@pytest.mark.parametrize(
    ("kind", "data", "given", "named"),
    [
        (MediaKind.IMAGE, PDF, None, "kind image with a file of type application/pdf"),
        (MediaKind.IMAGE, b"whatever", None, "give it"),
        (MediaKind.IMAGE, PNG, "application/pdf", "kind image"),
        (MediaKind.VIDEO, MP3, None, "kind video with a file of type audio/mpeg"),
        (MediaKind.AUDIO, PNG, None, "kind audio"),
        (MediaKind.VOICE, MP3, None, "OGG with Opus"),
        (MediaKind.VOICE, MP3, VOICE, "OGG with Opus"),
        (MediaKind.DOCUMENT, PDF, "nonsense", "media.mimetype: 'nonsense'"),
        (MediaKind.DOCUMENT, PDF, "text/plain\r\nX: y", "media.mimetype"),
        (MediaKind.DOCUMENT, PDF, "", "media.mimetype"),
    ],
)
def test_what_does_not_fit_its_kind_is_refused_and_named(kind: MediaKind, data: bytes, given: str | None, named: str) -> None:
    with pytest.raises(BadMediaError, match=named):
        mimetype(kind, data, given, None)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (PNG, (640, 480)),
        (GIF, (320, 200)),
        (JPEG, (800, 600)),
        (WEBP_LOSSY, (550, 368)),
        (WEBP_LOSSLESS, (200, 100)),
        (WEBP_EXTENDED, (1024, 768)),
        (PDF, None),
        (JPEG[:24], None),
        (b"\xff\xd8\xff\xda\x00\x02", None),
        (b"", None),
    ],
)
def test_the_size_of_an_image_is_in_its_header(data: bytes, size: tuple[int, int] | None) -> None:
    assert dimensions(data) == size


@pytest.mark.parametrize(
    ("data", "seconds"),
    [(opus(48_000 * 7), 7), (opus(48_000 // 4), 0), (MP3, 0), (b"OggS", 0), (opus(-5), 0), (opus(48_000 * 7)[:60], 0)],
)
def test_a_voice_note_says_how_long_it_plays(data: bytes, seconds: int) -> None:
    assert voice_seconds(data) == seconds


@given(
    st.sampled_from([PNG, GIF, JPEG, WEBP_LOSSY, WEBP_LOSSLESS, WEBP_EXTENDED, MP4, opus(99_999)]),
    st.integers(0, 60),
    st.binary(max_size=60),
)
def test_no_broken_file_breaks_the_reader(start: bytes, cut: int, rest: bytes) -> None:
    data = start[:cut] + rest
    sniffed(data)
    size = dimensions(data)
    assert size is None or min(size) >= 0
    assert 0 <= voice_seconds(data) <= 24 * 3600
