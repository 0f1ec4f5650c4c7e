"""The control API: plain HTTP and JSON; `control_calls` has what it can do.

Every error is JSON `{code, message}`; the message names the value and the mend.
"""

import json
import logging
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web

from waemulator.bodies import Body
from waemulator.context import Context
from waemulator.control_calls import CALLS
from waemulator.errors import ControlError, bad_request

MAX_BODY_BYTES = 1 << 27
logger = logging.getLogger("waemulator.control")


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
