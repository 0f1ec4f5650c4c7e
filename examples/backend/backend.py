"""The smallest backend: answers every WhatsApp message with its own text, and lists what it got.

A session opens one WebSocket to `/ws?phone=<its number>` and sends `{"phone", "message", "botNumber", "messageType"}` for
each message; whatever `{"to", "message"}` comes back on the socket is sent on WhatsApp. `GET /messages` is for tests and the curious.
"""

import json
from collections import deque

from aiohttp import WSMsgType, web

PORT = 8080
KEPT = 1000  # messages that GET /messages shows
messages: deque[dict[str, str]] = deque(maxlen=KEPT)


def echo(received: dict[str, str]) -> dict[str, str]:
    """What to send back for one message of a session."""
    return {"to": received["phone"], "message": f"Eco: {received['message']}"}


async def socket(request: web.Request) -> web.WebSocketResponse:
    """One session's socket, open as long as it is connected to WhatsApp."""
    bot = request.query.get("phone", "")
    ws = web.WebSocketResponse(heartbeat=30)
    await ws.prepare(request)
    print(f"[{bot}] conectado", flush=True)
    async for frame in ws:
        if frame.type is WSMsgType.TEXT:
            received = json.loads(frame.data)
            messages.append(received)
            await ws.send_json(echo(received))
    print(f"[{bot}] desconectado", flush=True)
    return ws


async def listing(_: web.Request) -> web.Response:
    """What came in, oldest first."""
    return web.json_response({"total": len(messages), "messages": list(messages)})


app = web.Application()
app.add_routes([web.get("/ws", socket), web.get("/messages", listing)])

if __name__ == "__main__":
    web.run_app(app, port=PORT, print=None)
