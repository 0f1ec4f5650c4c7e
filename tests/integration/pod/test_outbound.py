"""What is sent, as WhatsApp's protobuf; here because importing neonize's classes loads its Go library."""

from types import SimpleNamespace
from typing import Any

import pytest
from neonize_here import outbound

from wasession_contract.podwire import MediaKind
from wasession_pod.engine import File, Quoted, Text

pytestmark = pytest.mark.integration
UPLOADED = SimpleNamespace(
    url="https://mmg.whatsapp.net/v/x", DirectPath="/v/x", MediaKey=b"key", FileSHA256=b"sha", FileEncSHA256=b"enc", FileLength=3
)
QUOTED = Quoted("3EB0", "573009999999@s.whatsapp.net", "¿precio?")


def no_upload(_data: bytes, _kind: object) -> Any:  # noqa: ANN401  protobuf
    raise AssertionError("a text has no file")


def test_a_text_is_a_conversation_so_that_nothing_in_it_is_a_mention() -> None:
    message = outbound.message(Text("Hola @573001234567"), no_upload)
    assert [field.name for field, _ in message.ListFields()] == ["conversation"]
    assert message.conversation == "Hola @573001234567"


def test_an_answer_names_message_sender_and_text() -> None:
    message = outbound.message(Text("20 €", QUOTED), no_upload)
    context = message.extendedTextMessage.contextInfo
    assert message.extendedTextMessage.text == "20 €"
    assert (context.stanzaID, context.participant, context.quotedMessage.conversation) == ("3EB0", QUOTED.sender, "¿precio?")


@pytest.mark.parametrize(
    ("kind", "part", "uploaded_as"),
    [
        (MediaKind.IMAGE, "imageMessage", "MediaImage"),
        (MediaKind.VIDEO, "videoMessage", "MediaVideo"),
        (MediaKind.AUDIO, "audioMessage", "MediaAudio"),
        (MediaKind.VOICE, "audioMessage", "MediaAudio"),
        (MediaKind.DOCUMENT, "documentMessage", "MediaDocument"),
    ],
)
def test_a_file_points_to_its_upload_and_may_be_an_answer(kind: MediaKind, part: str, uploaded_as: str) -> None:
    uploads: list[tuple[bytes, str]] = []

    def upload(data: bytes, media_type: Any) -> Any:  # noqa: ANN401  protobuf
        uploads.append((data, media_type.name))
        return UPLOADED

    message = outbound.message(File(kind, b"abc", "x/y", filename="a.pdf", caption="mira", quoted=QUOTED), upload)
    assert uploads == [(b"abc", uploaded_as)]
    assert [field.name for field, _ in message.ListFields()] == [part]
    file = getattr(message, part)
    assert (file.URL, file.directPath, file.mimetype, file.fileLength) == (UPLOADED.url, "/v/x", "x/y", 3)
    assert (file.mediaKey, file.fileSHA256, file.fileEncSHA256) == (b"key", b"sha", b"enc")
    assert file.contextInfo.stanzaID == "3EB0"
    assert getattr(file, "caption", "mira") == "mira"
    assert getattr(file, "fileName", "a.pdf") == "a.pdf"
    assert getattr(file, "PTT", None) in {None, kind is MediaKind.VOICE}
