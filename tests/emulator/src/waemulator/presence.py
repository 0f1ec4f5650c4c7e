"""What the client shows of itself: that it is online, and that it types, records, or stopped."""

from waemulator.connection import Connection
from waemulator.wire import Node, children

RECORDING = "audio"
"""The `media` of a `<composing>` that is no typing but the recording of a voice note."""


def on_chatstate(connection: Connection, stanza: Node) -> None:
    """Records as `chatstate` what the chat with `to` is shown: `composing`, `recording` or `paused`."""
    for state in children(stanza):
        shown = "recording" if state.attrs.get("media") == RECORDING else state.tag
        _record(connection, stanza, state=shown)


def on_presence(connection: Connection, stanza: Node) -> None:
    """Records as `presence` that the client is `available` or `unavailable`, or asks to `subscribe` to a contact's presence."""
    _record(connection, stanza, state=stanza.attrs.get("type", "available"), name=stanza.attrs.get("name"))


def _record(connection: Connection, stanza: Node, **fields: str | None) -> None:
    to, device = stanza.attrs.get("to"), connection.device
    peer = connection.context.directory.find(to) if to else None
    connection.context.logbook.add(
        stanza.tag, connection.number, device=device.key.id if device else None, to=to, to_number=peer.number if peer else None, **fields
    )
