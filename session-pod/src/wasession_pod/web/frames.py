"""What a WebSocket brings. Apart from `websocket`, so that who reads frames does not import wsproto before there is a socket."""

from typing import NamedTuple


class Text(NamedTuple):
    """A whole text message."""

    text: str


class Binary(NamedTuple):
    """A binary message was left unread; `size` of its last part in bytes."""

    size: int


class Ponged(NamedTuple):
    """The answer to a ping, with its payload."""

    payload: bytes


Frame = Text | Binary | Ponged
