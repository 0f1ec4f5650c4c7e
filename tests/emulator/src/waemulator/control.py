"""The control API: plain HTTP and JSON, by which a test plays the phones, the contacts, and the trouble.

Every error is JSON `{code, message}`; the message names the value and the mend.
"""

import base64
import binascii
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from waemulator import faults, pairing, trouble
from waemulator.accounts import Account
from waemulator.context import Context
from waemulator.delivery import send_message
from waemulator.errors import ControlError, bad_request
from waemulator.media import INFO
from waemulator.proto import messages

MAX_BODY_BYTES = 1 << 27
MAX_TEXT = 65_536
"""WhatsApp's limit for a text message, in characters."""
Body = Mapping[str, Any]
Call = Callable[[Context, Body], Awaitable[dict[str, Any]]]
logger = logging.getLogger("waemulator.control")


def field(body: Body, name: str, kind: type = str, default: Any = None) -> Any:  # noqa: ANN401  a JSON value
    """A field of a request's body; without a default it is required.

    Raises:
        ControlError: it is missing or of another type.
    """
    value = body.get(name, default)
    if value is None:
        raise bad_request("missing_field", f"the body needs {name!r} ({kind.__name__})")
    if not isinstance(value, kind):
        raise bad_request("bad_field", f"{name} is a {kind.__name__}, not {value!r}"[:200])
    return value


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


async def _incoming(context: Context, body: Body) -> dict[str, Any]:
    sender, receiver = _ends(context, body)
    text = field(body, "text")
    if not 1 <= len(text) <= MAX_TEXT:
        raise bad_request("bad_field", f"text has 1 to {MAX_TEXT} characters, not {len(text)}")
    message = messages.Message(conversation=text)
    return _sent(context, receiver, await send_message(context, sender, receiver, message, by_lid=field(body, "lid", bool, True)))


async def _incoming_media(context: Context, body: Body) -> dict[str, Any]:
    sender, receiver = _ends(context, body)
    kind = field(body, "kind")
    if kind not in INFO:
        raise bad_request("bad_field", f"kind is one of {', '.join(INFO)}, not {kind!r}")
    try:
        data = base64.b64decode(field(body, "data"), validate=True)
    except binascii.Error as error:
        raise bad_request("bad_field", f"data is no base64: {error}") from error
    message = context.media.message(
        data,
        kind=kind,
        mimetype=field(body, "mimetype"),
        caption=field(body, "caption", str, ""),
        filename=field(body, "filename", str, ""),
    )
    return _sent(context, receiver, await send_message(context, sender, receiver, message, by_lid=field(body, "lid", bool, True)))


async def _fault(context: Context, body: Body) -> dict[str, Any]:
    return await trouble.cause(context, faults.parse(body))


CALLS: dict[str, Call] = {
    "/user": _user,
    "/scan": _scan,
    "/enter_code": _enter_code,
    "/incoming": _incoming,
    "/incoming_media": _incoming_media,
    "/fault": _fault,
}
"""The POST calls."""


def _integer(request: web.Request, name: str) -> int:
    value = request.query.get(name, "0")
    if not (value.isascii() and value.isdigit()):
        raise bad_request("bad_field", f"{name} is a number from 0 on, not {value!r}")
    return int(value)


def _read_log(context: Context, request: web.Request) -> dict[str, Any]:
    kind, number = request.query.get("kind"), request.query.get("number")
    records = context.logbook.since(_integer(request, "since"), kind=kind, number=number)
    return {"records": records, "next": context.logbook.next}


def _read_devices(context: Context, request: web.Request) -> dict[str, Any]:
    number = request.query.get("number")
    if number is None:
        raise bad_request("missing_field", "the query needs number, as in /devices?number=4915550001111")
    account = context.directory.get(number)
    return {
        "number": account.number,
        "devices": [
            {
                "id": device.key.id,
                "jid": account.device_number_jid(device.key.id),
                "connected": device.key in context.online,
                "removed": device.removed,
                "logins": device.logins,
                "waiting": len(context.mailbox.after(device.key, 0)),
            }
            for device in account.devices.values()
        ],
    }


def _read_health(context: Context, _: web.Request) -> dict[str, Any]:
    return {"ok": True, "accounts": len(context.directory.accounts()), "connections": len(context.connections)}


READS: dict[str, Callable[[Context, web.Request], dict[str, Any]]] = {
    "/log": _read_log,
    "/devices": _read_devices,
    "/healthz": _read_health,
}
"""The GET calls."""


async def _body(request: web.Request) -> Body:
    raw = await request.read()
    try:
        body = json.loads(raw)
    except ValueError as error:
        raise bad_request("bad_json", f"the body is no JSON: {error}") from error
    if not isinstance(body, dict):
        raise bad_request("bad_json", f"the body is a JSON object, not {raw[:40].decode(errors='replace')!r}")
    return body


def _answer(status: HTTPStatus, content: Mapping[str, Any]) -> web.Response:
    return web.Response(status=status, text=json.dumps(content, ensure_ascii=False), content_type="application/json")


def _no_such_call(request: web.Request) -> ControlError:
    known = ", ".join([*(f"POST {path}" for path in CALLS), *(f"GET {path}" for path in READS)])
    status = HTTPStatus.METHOD_NOT_ALLOWED if request.path in CALLS | READS else HTTPStatus.NOT_FOUND
    return ControlError(status, "no_such_call", f"there is no {request.method} {request.path}; the calls are {known}")


async def _handle(context: Context, request: web.Request) -> dict[str, Any]:
    if request.method == "POST" and request.path in CALLS:
        return await CALLS[request.path](context, await _body(request))
    if request.method in ("GET", "HEAD") and request.path in READS:
        return READS[request.path](context, request)
    raise _no_such_call(request)


def application(context: Context) -> web.Application:
    """The web application of the control listener."""

    async def serve(request: web.Request) -> web.Response:
        try:
            content = await _handle(context, request)
            context.database.commit()
            return _answer(HTTPStatus.OK, content)
        except ControlError as error:
            context.database.commit()
            return _answer(error.status, {"code": error.code, "message": error.message})
        except web.HTTPException as error:
            return _answer(HTTPStatus(error.status), {"code": "refused", "message": error.reason})
        except Exception:
            logger.exception("%s %s failed", request.method, request.path)
            return _answer(HTTPStatus.INTERNAL_SERVER_ERROR, {"code": "internal", "message": "the emulator failed; its log says how"})

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", "/{path:.*}", serve)
    return app
