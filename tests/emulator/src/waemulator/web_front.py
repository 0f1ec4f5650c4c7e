"""What WhatsApp's hosts serve over TLS: the chat's WebSocket, and the upload and download of media."""

import json

from aiohttp import web

from waemulator.context import Context
from waemulator.stanzas import serve_socket

MAX_UPLOAD_BYTES = 1 << 28


def application(context: Context) -> web.Application:
    """The web application behind the TLS listener."""

    async def chat(request: web.Request) -> web.StreamResponse:
        return await serve_socket(context, request)

    async def media(request: web.Request) -> web.Response:
        body = await request.read()
        context.logbook.add("https", host=request.host, method=request.method, path=request.path, size=len(body))
        if request.method == "POST":
            path = context.media.put(body)
            context.database.commit()
            answer = {"url": f"https://{request.host}{path}", "direct_path": f"{path}?ccb=11-4", "handle": "h"}
            return web.Response(text=json.dumps(answer), content_type="application/json")
        if request.method == "DELETE":  # of a part of the history that the client has taken
            return web.Response()
        blob = context.media.get(request.path)
        return web.Response(status=404) if blob is None else web.Response(body=blob)

    app = web.Application(client_max_size=MAX_UPLOAD_BYTES)
    app.router.add_get("/ws/chat", chat)
    app.router.add_route("*", "/{path:.*}", media)
    return app
