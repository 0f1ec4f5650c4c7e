"""API server and backend of all pods, in a process of their own so that what they cost is not counted.

Prints a JSON line with its port, and then one for each report and message: `{"name", "event", "at", ...}`, `at` on the machine's
monotonic clock.
"""

import asyncio
import json
import sys
import time

from aiohttp import web


def tell(**fields: object) -> None:
    sys.stdout.write(json.dumps(fields) + "\n")
    sys.stdout.flush()


async def report(request: web.Request) -> web.Response:
    session = json.loads(await request.read())["status"]["session"]
    qr = (session.get("qr") or {}).get("code")
    number = session.get("number")
    tell(name=request.match_info["name"], event="report", at=time.monotonic(), state=session["state"], qr=qr, number=number)
    return web.json_response({})


async def backend(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for frame in socket:
        tell(name=request.query["phone"], event="received", at=time.monotonic(), text=json.loads(frame.data)["message"])
    return socket


async def serve() -> None:
    app = web.Application()
    app.router.add_patch("/apis/wasession.dev/v1alpha1/namespaces/bench/whatsappsessions/{name}/status", report)
    app.router.add_get("/ws", backend)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    tell(port=runner.addresses[0][1])
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(serve())
