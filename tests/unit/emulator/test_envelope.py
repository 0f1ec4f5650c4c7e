from typing import Any

import pytest

from waemulator.envelope import EDIT, REVOKE, edit_mark, from_json, media_type, reply_to, shown_text, stanza_type, unwrap
from waemulator.errors import ControlError

pytestmark = pytest.mark.unit
CAPTION = {"imageMessage": {"caption": "a cat", "contextInfo": {"stanzaId": "QUOTED"}}}


def wrapped(message: dict[str, Any], *wrappers: str) -> dict[str, Any]:
    for wrapper in reversed(wrappers):
        message = {wrapper: {"message": message}}
    return message


@pytest.mark.parametrize("wrappers", [(), ("ephemeralMessage",), ("ephemeralMessage", "viewOnceMessageV2"), ("editedMessage",)])
def test_a_message_is_what_its_innermost_message_is(wrappers: tuple[str, ...]) -> None:
    message = from_json(wrapped(CAPTION, *wrappers))
    assert unwrap(message).imageMessage.caption == "a cat"
    assert (stanza_type(message), media_type(message), reply_to(message)) == ("media", "image", "QUOTED")
    assert shown_text(from_json(wrapped({"extendedTextMessage": {"text": "hello"}}, *wrappers))) == "hello"


@pytest.mark.parametrize(
    ("message", "type_", "edit"),
    [
        ({"conversation": "x"}, "text", None),
        ({"reactionMessage": {"text": "👍"}}, "reaction", None),
        ({"reactionMessage": {"text": ""}}, "reaction", REVOKE),
        ({"pollUpdateMessage": {}}, "poll", None),
        ({"locationMessage": {}}, "text", None),
        ({"protocolMessage": {"type": "REVOKE"}}, "text", REVOKE),
        ({"protocolMessage": {"type": "MESSAGE_EDIT"}}, "text", EDIT),
        ({"editedMessage": {"message": {"protocolMessage": {"type": "MESSAGE_EDIT"}}}}, "text", EDIT),
        ({"protocolMessage": {"type": "EPHEMERAL_SETTING"}}, "text", None),
    ],
)
def test_the_stanza_tells_the_kind(message: dict[str, Any], type_: str, edit: str | None) -> None:
    assert (stanza_type(from_json(message)), edit_mark(from_json(message))) == (type_, edit)


def test_a_text_quotes_nothing_unless_it_says_so() -> None:
    assert reply_to(from_json({"conversation": "x"})) is None
    assert reply_to(from_json({"extendedTextMessage": {"text": "x"}})) is None
    assert reply_to(from_json({"extendedTextMessage": {"text": "x", "contextInfo": {"stanzaId": "A"}}})) == "A"


@pytest.mark.parametrize("body", [{}, {"unknownMessage": {}}, {"conversation": 5}, {"imageMessage": {"height": "tall"}}])
def test_what_is_no_message_is_refused(body: dict[str, Any]) -> None:
    with pytest.raises(ControlError, match="message is") as refused:
        from_json(body)
    assert refused.value.code == "bad_message"
