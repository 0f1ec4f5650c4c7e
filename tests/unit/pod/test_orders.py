"""What callers ask to be sent: what is refused, by which field, and what tells two requests apart."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasession_contract.podwire import ErrorCode, Media, MediaKind, SendRequest
from wasession_pod.orders import MAX_TEXT, SendError, checked, fingerprint

pytestmark = pytest.mark.unit
TO = "573009999999"
IMAGE = Media(MediaKind.IMAGE, base64=b"x")


@pytest.mark.parametrize(
    "request_",
    [
        SendRequest(TO, "Hola"),
        SendRequest(f"+{TO}", "x" * MAX_TEXT, reply_to="3EB0"),
        SendRequest(TO, media=IMAGE),
        SendRequest(TO, media=Media(MediaKind.VOICE, url="https://files.example/a.ogg")),
        SendRequest(TO, media=Media(MediaKind.DOCUMENT, base64=b"x" * 10, filename="informe anual.pdf", caption="mira")),
    ],
)
def test_what_is_whole_is_taken_and_addressed(request_: SendRequest) -> None:
    assert checked(request_, 10) == msgspec.structs.replace(request_, to=f"{TO}@s.whatsapp.net")


@pytest.mark.parametrize(
    ("request_", "code", "named"),
    [
        (SendRequest("nobody", "x"), ErrorCode.BAD_REQUEST, "to: 'nobody'"),
        (SendRequest(TO), ErrorCode.BAD_REQUEST, "text: must not be empty"),
        (SendRequest(TO, " \n"), ErrorCode.BAD_REQUEST, "text: must not be empty"),
        (SendRequest(TO, "x" * (MAX_TEXT + 1)), ErrorCode.BAD_REQUEST, "text: 65537 characters"),
        (SendRequest(TO, "x", media=IMAGE), ErrorCode.BAD_REQUEST, "text, media"),
        (SendRequest(TO, "x", reply_to="x" * 129), ErrorCode.BAD_REQUEST, "replyTo"),
        (SendRequest(TO, media=Media(MediaKind.IMAGE)), ErrorCode.BAD_REQUEST, "media: give url or base64"),
        (SendRequest(TO, media=Media(MediaKind.IMAGE, url="x", base64=b"x")), ErrorCode.BAD_REQUEST, "media: give url or base64"),
        (SendRequest(TO, media=Media(MediaKind.IMAGE, base64=b"")), ErrorCode.BAD_REQUEST, "media.base64: must not be empty"),
        (SendRequest(TO, media=Media(MediaKind.IMAGE, base64=b"x" * 11)), ErrorCode.MEDIA_TOO_LARGE, "11 bytes; .* at most 10"),
        (SendRequest(TO, media=Media(MediaKind.VOICE, base64=b"x", caption="x")), ErrorCode.BAD_REQUEST, "media.caption: voice"),
        (SendRequest(TO, media=Media(MediaKind.IMAGE, base64=b"x", caption="")), ErrorCode.BAD_REQUEST, "media.caption: must not"),
        (SendRequest(TO, media=Media(MediaKind.IMAGE, base64=b"x", caption="x" * 65_537)), ErrorCode.BAD_REQUEST, "media.caption: 65537"),
        (SendRequest(TO, media=Media(MediaKind.DOCUMENT, base64=b"x", filename="")), ErrorCode.BAD_REQUEST, "media.filename"),
        (SendRequest(TO, media=Media(MediaKind.DOCUMENT, base64=b"x", filename="../x")), ErrorCode.BAD_REQUEST, "media.filename"),
        (SendRequest(TO, media=Media(MediaKind.DOCUMENT, base64=b"x", filename="x\n")), ErrorCode.BAD_REQUEST, "media.filename"),
        (SendRequest(TO, media=Media(MediaKind.DOCUMENT, base64=b"x", filename="x" * 256)), ErrorCode.BAD_REQUEST, "media.filename"),
    ],
)
def test_what_is_not_whole_is_refused_and_the_field_named(request_: SendRequest, code: ErrorCode, named: str) -> None:
    with pytest.raises(SendError, match=named) as refused:
        checked(request_, 10)
    assert refused.value.code is code


texts = st.none() | st.text(max_size=5)
media = st.builds(Media, st.sampled_from(MediaKind), texts, st.none() | st.binary(min_size=1, max_size=5), texts, texts, texts)
requests = st.builds(SendRequest, st.text(max_size=5), texts, st.none() | media, texts)


@given(requests, requests)
def test_two_requests_have_one_fingerprint_only_if_they_are_the_same(one: SendRequest, other: SendRequest) -> None:
    assert (fingerprint(one) == fingerprint(other)) is (one == other)


def test_another_file_is_another_message() -> None:
    one = SendRequest(TO, media=Media(MediaKind.IMAGE, base64=b"one", caption="x"))
    other = SendRequest(TO, media=Media(MediaKind.IMAGE, base64=b"other", caption="x"))
    assert fingerprint(one) != fingerprint(other)
