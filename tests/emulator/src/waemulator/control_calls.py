"""What a test can do through the control API: play phones and contacts, and cause trouble."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

from waemulator import envelope, faults, pairing, trouble
from waemulator.accounts import Account
from waemulator.bodies import Body, field
from waemulator.context import Context
from waemulator.delivery import RECEIPTS, send_message, send_receipt
from waemulator.errors import bad_request
from waemulator.media import INFO
from waemulator.proto import messages

MAX_TEXT = 65_536
"""WhatsApp's limit for a text message, in characters."""
Call = Callable[[Context, Body], Awaitable[dict[str, Any]]]


async def _user(context: Context, body: Body) -> dict[str, Any]:
    name, business = body.get("name"), body.get("business")
    for key, value in (("name", name), ("business", business)):
        if value is not None and not isinstance(value, str):
            raise bad_request("bad_field", f"{key} is a str, not {value!r}")
    account, created = context.directory.register(field(body, "number"), name, business)
    return {"number": account.number, "name": account.name, "jid": account.number_jid, "lid": account.lid_jid, "created": created}


async def _scan(context: Context, body: Body) -> dict[str, Any]:
    return {"jid": await pairing.scan(context, field(body, "number"), field(body, "qr"))}


async def _enter_code(context: Context, body: Body) -> dict[str, Any]:
    return {"jid": await pairing.enter_code(context, field(body, "number"), field(body, "code"))}


def _ends(context: Context, body: Body) -> tuple[Account, Account]:
    return context.directory.get(field(body, "from")), context.directory.get(field(body, "to"))


def _sent(context: Context, receiver: Account, id_: str) -> dict[str, Any]:
    devices = receiver.linked()
    return {"id": id_, "devices": len(devices), "connected": sum(device.key in context.online for device in devices)}


async def _deliver(context: Context, body: Body, message: "messages.Message") -> dict[str, Any]:
    """A contact's message to the account: by LID unless told otherwise, under a new id unless given."""
    sender, receiver = _ends(context, body)
    by_lid = field(body, "lid", bool, True)
    id_ = await send_message(context, sender, receiver, message, by_lid=by_lid, id_=field(body, "id", str, "") or None)
    return _sent(context, receiver, id_)


async def _incoming(context: Context, body: Body) -> dict[str, Any]:
    text = field(body, "text")
    if not 1 <= len(text) <= MAX_TEXT:
        raise bad_request("bad_field", f"text has 1 to {MAX_TEXT} characters, not {len(text)}")
    return await _deliver(context, body, messages.Message(conversation=text))


async def _incoming_message(context: Context, body: Body) -> dict[str, Any]:
    return await _deliver(context, body, envelope.from_json(field(body, "message", dict)))


async def _incoming_media(context: Context, body: Body) -> dict[str, Any]:
    kind = field(body, "kind")
    if kind not in INFO:
        raise bad_request("bad_field", f"kind is one of {', '.join(INFO)}, not {kind!r}")
    try:
        data = base64.b64decode(field(body, "data"), validate=True)
    except binascii.Error as error:
        raise bad_request("bad_field", f"data is no base64: {error}") from error
    mimetype, caption, filename = field(body, "mimetype"), field(body, "caption", str, ""), field(body, "filename", str, "")
    return await _deliver(context, body, context.media.message(data, kind=kind, mimetype=mimetype, caption=caption, filename=filename))


async def _receipt(context: Context, body: Body) -> dict[str, Any]:
    sender, receiver = _ends(context, body)
    kind, ids = field(body, "type"), field(body, "ids", list)
    if kind not in RECEIPTS:
        raise bad_request("bad_field", f"type is one of {', '.join(RECEIPTS)}, not {kind!r}")
    if not ids or not all(isinstance(one, str) and one for one in ids):
        raise bad_request("bad_field", f"ids is a list of at least one message id, not {ids!r}"[:200])
    send_receipt(context, sender, receiver, ids, kind, by_lid=field(body, "lid", bool, True))
    return _sent(context, receiver, ids[0])


async def _fault(context: Context, body: Body) -> dict[str, Any]:
    return await trouble.cause(context, faults.parse(body))


CALLS: dict[str, Call] = {
    "/user": _user,
    "/scan": _scan,
    "/enter_code": _enter_code,
    "/incoming": _incoming,
    "/incoming_message": _incoming_message,
    "/incoming_media": _incoming_media,
    "/receipt": _receipt,
    "/fault": _fault,
}
"""The POST calls."""
