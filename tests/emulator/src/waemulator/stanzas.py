"""The life of one client connection: handshake, login, then each stanza to who understands it."""

import logging
from typing import Any

from aiohttp import web

from waemulator import chat, login, pairing, presence, queries
from waemulator.connection import GONE, Connection
from waemulator.context import Context
from waemulator.errors import ProtocolViolationError
from waemulator.faults import Kind
from waemulator.proto import DecodeError, messages
from waemulator.wire import Node

MAX_FRAME_BYTES = 1 << 24
logger = logging.getLogger("waemulator")


async def serve_socket(context: Context, request: web.Request) -> web.StreamResponse:
    """Serves `/ws/chat`."""
    refusal = context.faults.take(Kind.REFUSE_WS, None)
    if refusal is not None:
        context.logbook.add("ws_refused", status=refusal.status)
        context.database.commit()
        return web.Response(status=refusal.status)
    socket = web.WebSocketResponse(max_msg_size=MAX_FRAME_BYTES)
    await socket.prepare(request)
    connection = Connection(context, socket, request)
    context.connections.add(connection)
    context.logbook.add("ws_open", user_agent=request.headers.get("User-Agent"), origin=request.headers.get("Origin"))
    try:
        await _converse(connection)
    except GONE:
        context.logbook.add("client_gone", connection.number)
    except ProtocolViolationError as error:
        context.logbook.add("protocol_violation", connection.number, error=str(error))
        connection.abort()
    except Exception as error:
        context.logbook.add("server_error", connection.number, error=repr(error))
        logger.exception("a connection failed")
    finally:
        _forget(context, connection, socket)
    return socket


def _forget(context: Context, connection: Connection, socket: web.WebSocketResponse) -> None:
    context.connections.discard(connection)
    pairing.withdraw_codes(connection)
    device = connection.device
    if device is not None and context.online.get(device.key) is connection:
        del context.online[device.key]
    connection.ended()
    context.logbook.add("ws_close", connection.number, device=device.key.id if device else None, code=socket.close_code)
    context.database.commit()


async def _converse(connection: Connection) -> None:
    frames = connection.frames()
    async for hello in frames:
        await connection.send_frame(connection.noise.server_hello(hello))
        break
    async for finish in frames:
        connection.payload = _client_payload(connection.noise.client_finish(finish))
        connection.spawn(login.authenticate(connection))
        break
    async for frame in frames:
        stanza = connection.receive(frame)
        if not connection.frozen:
            await _dispatch(connection, stanza)


def _client_payload(data: bytes) -> Any:  # noqa: ANN401  a protobuf message
    try:
        return messages.ClientPayload.FromString(data)
    except DecodeError as error:
        raise ProtocolViolationError("the handshake's payload is no ClientPayload") from error


async def _dispatch(connection: Connection, stanza: Node) -> None:
    """Questions and messages run beside the reading, since they may take long; the rest at once and in order."""
    match stanza.tag:
        case "iq" if stanza.attrs.get("type") in ("result", "error"):
            connection.answered(stanza)
        case "iq":
            connection.spawn(queries.on_iq(connection, stanza))
        case "message":
            connection.spawn(chat.on_message(connection, stanza))
        case "receipt":
            await chat.on_receipt(connection, stanza)
        case "ack":
            chat.on_ack(connection, stanza)
        case "chatstate":
            presence.on_chatstate(connection, stanza)
        case "presence":
            presence.on_presence(connection, stanza)
        case _:
            connection.context.logbook.add("stanza", connection.number, tag=stanza.tag, attrs=stanza.attrs)
