"""Every kind of message that a contact can send, as the backend, `GET messages` and `GET chats` of a real pod show it."""

from typing import Any

import pytest
from pod_support import CONTACT, OWNER, World, eventually

pytestmark = pytest.mark.integration
CHAT = f"{CONTACT}@s.whatsapp.net"
PICTURE = {"imageMessage": {"caption": "la factura", "mimetype": "image/jpeg"}}
QUOTED = {"stanzaId": "3EB0", "participant": CHAT, "quotedMessage": {"conversation": "¿viene?"}}
KINDS: list[tuple[dict[str, Any], str, str, str]] = [  # message, kind, text in the journal, text for the backend
    ({"conversation": "Hola"}, "text", "Hola", "Hola"),
    ({"extendedTextMessage": {"text": "sí", "contextInfo": QUOTED}}, "text", "sí", "sí"),
    ({"ephemeralMessage": {"message": {"extendedTextMessage": {"text": "efímero"}}}}, "text", "efímero", "efímero"),
    (PICTURE, "image", "la factura", "[Imagen recibida]"),
    ({"imageMessage": {"mimetype": "image/jpeg"}}, "image", "[Imagen recibida]", "[Imagen recibida]"),
    ({"viewOnceMessage": {"message": PICTURE}}, "image", "la factura", "[Imagen recibida]"),
    ({"viewOnceMessageV2": {"message": PICTURE}}, "image", "la factura", "[Imagen recibida]"),
    ({"ephemeralMessage": {"message": {"viewOnceMessageV2": {"message": PICTURE}}}}, "image", "la factura", "[Imagen recibida]"),
    ({"videoMessage": {"caption": "el video"}}, "video", "el video", "[Video recibido]"),
    ({"audioMessage": {"ptt": True}}, "audio", "[Audio recibido]", "[Audio recibido]"),
    (
        {"documentWithCaptionMessage": {"message": {"documentMessage": {"fileName": "x.pdf", "caption": "el contrato"}}}},
        "document",
        "el contrato",
        "[Documento recibido]",
    ),
    ({"buttonsResponseMessage": {"selectedDisplayText": "Sí", "selectedButtonId": "1"}}, "text", "Sí", "Sí"),
    ({"listResponseMessage": {"title": "Uno"}}, "text", "Uno", "Uno"),
    ({"stickerMessage": {"isAnimated": True}}, "unknown", "[Mensaje no soportado]", "[Mensaje no soportado]"),
    ({"locationMessage": {"degreesLatitude": 4.6, "degreesLongitude": -74}}, "unknown", "[Mensaje no soportado]", "[Mensaje no soportado]"),
    ({"pollCreationMessageV3": {"name": "¿Cuándo?"}}, "unknown", "[Mensaje no soportado]", "[Mensaje no soportado]"),
    ({"reactionMessage": {"text": "👍"}}, "unknown", "[Mensaje no soportado]", "[Mensaje no soportado]"),
]
NO_NEWS: list[dict[str, Any]] = [
    {"protocolMessage": {"type": "REVOKE", "key": {"id": "3EB0"}}},
    {"editedMessage": {"message": {"protocolMessage": {"type": "MESSAGE_EDIT", "editedMessage": {"conversation": "otro"}}}}},
]


async def test_each_kind_has_its_text_and_the_contracts_word_in_order(world: World) -> None:
    await world.pair()
    for message, *_ in KINDS:
        await world.control("incoming_message", CONTACT, OWNER, message)
    for message in NO_NEWS:
        await world.control("incoming_message", CONTACT, OWNER, message)
    await world.control("incoming", CONTACT, OWNER, "fin")
    await eventually(lambda: world.backend.messages and world.backend.messages[-1]["message"] == "fin", "the last message")
    told = [(message["messageType"], message["message"]) for message in world.backend.messages[:-1]]
    assert told == [(kind, to_backend) for _, kind, _, to_backend in KINDS]

    listed = await world.pod.get(f"/v1/chats/{CHAT}/messages")
    assert [(message["type"], message["text"]) for message in listed[:-1]] == [(kind, text) for _, kind, text, _ in KINDS]
    assert {message["sender"] for message in listed} == {CHAT}
    chats = await world.pod.get("/v1/chats")
    assert [(chat["id"], chat["name"], chat["unreadCount"], chat["lastMessage"]["text"]) for chat in chats] == [
        (CHAT, "Carlos", len(KINDS) + 1, "fin")
    ]


async def test_a_message_that_whatsapp_sends_again_is_delivered_once(world: World) -> None:
    await world.pair()
    for text in ("uno", "uno otra vez"):
        await world.control("incoming_message", CONTACT, OWNER, {"conversation": text}, id_="3EB0SAME")
    await world.control("incoming", CONTACT, OWNER, "fin")
    await eventually(lambda: world.backend.messages and world.backend.messages[-1]["message"] == "fin", "the last message")
    assert [message["message"] for message in world.backend.messages] == ["uno", "fin"]
