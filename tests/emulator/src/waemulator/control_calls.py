"""What a test can do through the control API: play phones and contacts, and cause trouble."""

import base64
import binascii
from collections.abc import Awaitable, Callable
from typing import Any

from waemulator import envelope, faults, history, pairing, trouble
from waemulator.accounts import Account
from waemulator.bodies import Body, field
from waemulator.context import Context
from waemulator.delivery import RECEIPTS, send_message, send_receipt
from waemulator.errors import bad_request
from waemulator.group_delivery import make_group, require_member, send_group_receipt, send_to_group
from waemulator.groups import Group
from waemulator.media import INFO
from waemulator.proto import messages

MAX_TEXT = 65_536
"""WhatsApp's limit for a text message, in characters."""
MIN_MEMBERS = 2
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
    """A contact's message to the account or to a group of both: by LID unless told otherwise, under a new id unless given."""
    sender, receiver = _ends(context, body)
    id_, group = field(body, "id", str, "") or None, _group_of(context, body)
    if group is not None:
        require_member(group, receiver)
        return _sent(context, receiver, await send_to_group(context, sender, group, message, id_))
    by_lid, echo = field(body, "lid", bool, True), field(body, "echo", bool, False)
    id_ = await send_message(context, sender, receiver, message, by_lid=by_lid, id_=id_, echo=echo)
    return _sent(context, receiver, id_)


def _group_of(context: Context, body: Body) -> Group | None:
    jid = field(body, "group", str, "")
    return context.groups.get(jid) if jid else None


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
    group = _group_of(context, body)
    if group is not None:
        send_group_receipt(context, sender, receiver, group, ids, kind=kind)
    else:
        send_receipt(context, sender, receiver, ids, kind, by_lid=field(body, "lid", bool, True))
    return _sent(context, receiver, ids[0])


async def _group(context: Context, body: Body) -> dict[str, Any]:
    numbers = field(body, "members", list)
    if len(numbers) < MIN_MEMBERS or not all(isinstance(one, str) for one in numbers):
        raise bad_request("bad_field", f"members is a list of at least {MIN_MEMBERS} numbers, not {numbers!r}"[:200])
    members = list({one.number: one for one in map(context.directory.get, numbers)}.values())
    jid = field(body, "id", str, "") or None
    group = make_group(context, jid, field(body, "subject"), members, by_lid=field(body, "lid", bool, True))
    return {"id": group.jid, "subject": group.subject, "members": [one.number for one in group.members]}


async def _history(context: Context, body: Body) -> dict[str, Any]:
    account = context.directory.get(field(body, "number"))
    chats = field(body, "chats", list)
    return {"chats": len(chats), "messages": history.keep(context, account, chats)}


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
    "/group": _group,
    "/history": _history,
    "/fault": _fault,
}
"""The POST calls."""
