"""Stanzas: building, walking and printing WhatsApp's binary XML.

Surprising: the server names itself with the JID `@s.whatsapp.net` (empty user). The bare token `s.whatsapp.net` decodes as a string
and the client ignores the stanza.
"""

import secrets
import time
from dataclasses import dataclass

from pyaileys.wabinary import decode_binary_node, encode_binary_node
from pyaileys.wabinary.jid import jid_decode
from pyaileys.wabinary.types import BinaryNode as Node

from waemulator.errors import ProtocolViolationError

SERVER = "@s.whatsapp.net"
SHOWN_CHILDREN = 6

__all__ = [
    "SERVER",
    "Jid",
    "Node",
    "child",
    "children",
    "content",
    "decode",
    "encode",
    "node",
    "now",
    "parse_jid",
    "random_id",
    "show",
    "text",
]


@dataclass(frozen=True)
class Jid:
    """A WhatsApp address: `user` is a phone number or a LID, `device` 0 is the phone itself."""

    user: str
    server: str
    device: int


def parse_jid(jid: str) -> Jid:
    """The parts of a JID such as `491700000000:3@s.whatsapp.net`.

    Raises:
        ProtocolViolationError: it is none.
    """
    try:
        full = jid_decode(jid)
    except ValueError as error:
        raise ProtocolViolationError(f"not a JID: {jid!r}") from error
    if full is None:
        raise ProtocolViolationError(f"not a JID: {jid!r}")
    return Jid(full.user, str(full.server), full.device or 0)


def node(tag: str, content: list[Node] | bytes | None = None, /, **attrs: object) -> Node:
    """A stanza; a trailing underscore of an attribute's name is cut (`from_`, `class_`), a value of None leaves it out."""
    return Node(tag, {key.rstrip("_"): str(value) for key, value in attrs.items() if value is not None}, content)


def children(parent: Node | None, tag: str | None = None) -> list[Node]:
    """The child stanzas, all or those of one tag."""
    inner = parent.content if parent is not None and isinstance(parent.content, list) else []
    return [one for one in inner if tag is None or one.tag == tag]


def child(parent: Node | None, *path: str) -> Node | None:
    """The first descendant along the path of tags, or None."""
    for tag in path:
        parent = next(iter(children(parent, tag)), None)
    return parent


def content(parent: Node | None, *path: str) -> bytes:
    """The bytes inside the descendant along the path.

    Raises:
        ProtocolViolationError: there are none.
    """
    found = child(parent, *path) if path else parent
    if found is None or not isinstance(found.content, bytes):
        raise ProtocolViolationError(f"<{'/'.join((parent.tag if parent else '?', *path))}> without bytes")
    return found.content


def text(parent: Node | None) -> str | None:
    """The content of a stanza as text, or None."""
    if parent is None or isinstance(parent.content, list):
        return None
    return parent.content.decode() if isinstance(parent.content, bytes) else parent.content


def show(stanza: Node) -> str:
    """The stanza as XML for a log line; bytes are shown by their count."""
    attrs = "".join(f" {key}={value!r}" for key, value in stanza.attrs.items())
    match stanza.content:
        case None:
            return f"<{stanza.tag}{attrs}/>"
        case list() as inner:
            more = f"...{len(inner)} children" if len(inner) > SHOWN_CHILDREN else ""
            return f"<{stanza.tag}{attrs}>{''.join(show(one) for one in inner[:SHOWN_CHILDREN])}{more}</{stanza.tag}>"
        case str() as string:
            return f"<{stanza.tag}{attrs}>{string}</{stanza.tag}>"
        case data:
            return f"<{stanza.tag}{attrs}>[{len(data)}B]</{stanza.tag}>"


def encode(stanza: Node) -> bytes:
    """The stanza in WhatsApp's binary form."""
    return bytes(encode_binary_node(stanza))


def decode(data: bytes) -> Node:
    """The stanza of these bytes (deflated or not)."""
    return decode_binary_node(data)


def random_id() -> str:
    """An id for an iq of the server."""
    return secrets.token_hex(4)


def now() -> int:
    """Unix time in seconds, for a `t` attribute."""
    return int(time.time())
