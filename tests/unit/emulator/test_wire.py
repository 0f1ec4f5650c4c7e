import pytest

from waemulator import wire
from waemulator.errors import ProtocolViolationError
from waemulator.wire import Jid, Node, node

pytestmark = pytest.mark.unit


def test_a_stanza_comes_back_as_it_was() -> None:
    stanza = node("iq", [node("ref", b"\x00\x01"), node("empty")], from_=wire.SERVER, type="set", id="1", gone=None)
    back = wire.decode(wire.encode(stanza))
    assert back.attrs == {"from": "@s.whatsapp.net", "type": "set", "id": "1"}
    assert wire.content(back, "ref") == b"\x00\x01"
    assert [one.tag for one in wire.children(back)] == ["ref", "empty"]


def test_a_descendant_is_found_by_its_path() -> None:
    stanza = node("a", [node("b", [node("c", b"x")]), node("b")])
    assert wire.content(stanza, "b", "c") == b"x"
    assert wire.child(stanza, "b", "d") is None
    assert wire.child(None, "b") is None
    assert len(wire.children(stanza, "b")) == 2
    assert wire.children(None) == []
    with pytest.raises(ProtocolViolationError, match="<a/b/d> without bytes"):
        wire.content(stanza, "b", "d")


@pytest.mark.parametrize(
    ("text", "jid"),
    [
        ("491700000000:3@s.whatsapp.net", Jid("491700000000", "s.whatsapp.net", 3)),
        ("100000000000001@lid", Jid("100000000000001", "lid", 0)),
    ],
)
def test_a_jid_has_user_server_and_device(text: str, jid: Jid) -> None:
    assert wire.parse_jid(text) == jid


@pytest.mark.parametrize("text", ["", "491700000000", "1:x@lid"])
def test_what_is_no_jid_is_named(text: str) -> None:
    with pytest.raises(ProtocolViolationError, match="not a JID"):
        wire.parse_jid(text)


def test_a_stanza_is_shown_without_its_bytes() -> None:
    shown = wire.show(node("message", [node("enc", b"secret", v="2"), Node("body", {}, "text"), *[node("x")] * 9], id="1"))
    assert shown.startswith("<message id='1'><enc v='2'>[6B]</enc><body>text</body><x/>")
    assert shown.endswith("...11 children</message>")
