"""Messages of every kind, as protobuf in JSON, from a contact to the real client."""

from collections.abc import Iterator
from typing import Any

import pytest

from waemulator.neonize_process import NeonizeProcess
from waemulator.testing import EmulatorProcess

pytestmark = pytest.mark.integration
OWNER, ALICE = "491701234567", "4915550001111"
KEY = {"remoteJid": f"{ALICE}@s.whatsapp.net", "fromMe": True, "id": "3EB0EARLIER"}
EDIT = {"type": "MESSAGE_EDIT", "key": KEY, "editedMessage": {"conversation": "corrected"}}
BUTTON = {"buttonId": "1", "buttonText": {"displayText": "yes"}, "type": "RESPONSE"}
REPLY = {"text": "I agree", "contextInfo": {"stanzaId": "3EB0EARLIER", "quotedMessage": {"conversation": "earlier"}}}
KINDS: dict[str, tuple[dict[str, Any], str, str]] = {
    "text": ({"conversation": "hello"}, "text", "conversation"),
    "image with caption": ({"imageMessage": {"caption": "a cat", "mimetype": "image/png"}}, "media", "imageMessage"),
    "voice note": ({"audioMessage": {"ptt": True, "seconds": 3}}, "media", "audioMessage"),
    "reply": ({"extendedTextMessage": REPLY}, "text", "extendedTextMessage"),
    "ephemeral": ({"ephemeralMessage": {"message": {"conversation": "gone soon"}}}, "text", "conversation"),
    "view once": ({"viewOnceMessage": {"message": {"imageMessage": {"caption": "once"}}}}, "media", "imageMessage"),
    "view once, second version": ({"viewOnceMessageV2": {"message": {"videoMessage": {"caption": "once"}}}}, "media", "videoMessage"),
    "document with caption": (
        {"documentWithCaptionMessage": {"message": {"documentMessage": {"caption": "the bill", "fileName": "a.pdf"}}}},
        "media", "documentMessage",
    ),
    "edit in a wrapper": ({"editedMessage": {"message": {"protocolMessage": EDIT}}}, "text", "protocolMessage"),
    "edit": ({"protocolMessage": EDIT}, "text", "protocolMessage"),
    "revocation": ({"protocolMessage": {"type": "REVOKE", "key": KEY}}, "text", "protocolMessage"),
    "reaction": ({"reactionMessage": {"key": KEY, "text": "👍"}}, "reaction", "reactionMessage"),
    "sticker": ({"stickerMessage": {"mimetype": "image/webp"}}, "media", "stickerMessage"),
    "location": ({"locationMessage": {"degreesLatitude": 4.6, "degreesLongitude": -74.1, "name": "Bogotá"}}, "text", "locationMessage"),
    "contact": ({"contactMessage": {"displayName": "Bob", "vcard": "BEGIN:VCARD\nEND:VCARD"}}, "media", "contactMessage"),
    "poll": ({"pollCreationMessageV3": {"name": "Tea?", "options": [{"optionName": "yes"}]}}, "poll", "pollCreationMessageV3"),
    "buttons": ({"buttonsMessage": {"contentText": "choose", "buttons": [BUTTON]}}, "text", "buttonsMessage"),
    "pressed button": ({"buttonsResponseMessage": {"selectedButtonId": "1"}}, "media", "buttonsResponseMessage"),
}  # fmt: skip
WRAPPED = {
    "ephemeral": ["IsEphemeral"],
    "view once": ["IsViewOnce"],
    "view once, second version": ["IsViewOnce", "IsViewOnceV2"],
    "document with caption": ["IsDocumentWithCaption"],
    "edit in a wrapper": ["IsEdit"],
}


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("emulator")) as process:
        yield process


@pytest.fixture(scope="module")
def client(emulator: EmulatorProcess, tmp_path_factory: pytest.TempPathFactory) -> Iterator[NeonizeProcess]:
    emulator.control.user(OWNER, "Owner")
    emulator.control.user(ALICE, "Alice")
    process = NeonizeProcess(emulator, tmp_path_factory.mktemp("client") / "one.db")
    emulator.control.scan(OWNER, process.wait_for("qr")["qr"])
    process.wait_for("Connected")
    yield process
    process.kill()


def values(message: object) -> list[str]:
    """The values anywhere in a message; the client writes some field names in another case (`ID`)."""
    if isinstance(message, dict):
        return sorted(value for one in message.values() for value in values(one))
    return sorted(value for one in message for value in values(one)) if isinstance(message, list) else [str(message)]


@pytest.mark.parametrize("kind", KINDS)
def test_the_client_gets_a_message_of_each_kind(emulator: EmulatorProcess, client: NeonizeProcess, kind: str) -> None:
    message, type_, field = KINDS[kind]
    id_ = emulator.control.incoming_message(ALICE, OWNER, message)
    got = client.wait_for("message", where=lambda one: one["id"] == id_)
    assert (got["type"], got["wrapped"]) == (type_, WRAPPED.get(kind, []))
    assert field in got["message"]
    assert values(got["message"][field]) == values(message)


@pytest.mark.parametrize("lid", [True, False])
def test_the_client_hears_what_its_user_wrote_on_the_phone(emulator: EmulatorProcess, client: NeonizeProcess, lid: bool) -> None:  # noqa: FBT001
    id_ = emulator.control.written_on_phone(OWNER, ALICE, "written on the phone", lid=lid)
    got = client.wait_for("message", where=lambda one: one["id"] == id_)
    assert (got["text"], got["from_me"]) == ("written on the phone", True)
    assert got["chat"] == emulator.control.user(ALICE)["lid" if lid else "jid"]


def test_a_message_of_the_same_id_is_delivered_twice(emulator: EmulatorProcess, client: NeonizeProcess) -> None:
    for text in ("first", "again"):
        assert emulator.control.incoming_message(ALICE, OWNER, {"conversation": text}, id_="3EB0TWICE", lid=False) == "3EB0TWICE"
        assert client.wait_for("message", where=lambda one: one["id"] == "3EB0TWICE")["text"] == text
