"""The smallest backend: answers every WhatsApp message with its own text, and lists what it got.

A session opens one WebSocket to `/ws?phone=<its number>` and sends `{"phone", "message", "botNumber", "messageType"}` for
each message; whatever `{"to", "message"}` comes back on the socket is sent on WhatsApp. `GET /messages` is for tests and the curious.
A session's webhook may point to `POST /webhook`, which shows how to check the signature; `GET /events` lists what came.
"""

import hashlib
import hmac
import json
import os
import time
from collections import deque
from collections.abc import Mapping

from aiohttp import WSMsgType, web

PORT = 8080
KEPT = 1000  # messages that GET /messages shows, and events that GET /events shows
SECRET = os.environ.get("WEBHOOK_SECRET", "")  # the content of the key that the webhook's secretRef names
OLDEST_SECONDS = 300  # a delivery that was recorded and is sent again later is refused
events: deque[dict[str, object]] = deque(maxlen=KEPT)
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


def is_genuine(headers: Mapping[str, str], body: bytes, now: float) -> bool:
    """Whether a webhook's body is signed with our secret, not long ago."""
    timestamp = headers.get("X-Webhook-Timestamp", "")
    if not timestamp.isdigit() or abs(now - int(timestamp) / 1000) > OLDEST_SECONDS:
        return False
    signature = hmac.new(SECRET.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(f"sha256={signature}", headers.get("X-Webhook-Signature", ""))


async def webhook(request: web.Request) -> web.Response:
    """One event. The same `id` may come again, when our answer was lost: it is one event all the same."""
    body = await request.read()
    if SECRET and not is_genuine(request.headers, body, time.time()):
        return web.Response(status=401, text="the signature does not fit\n")
    event = json.loads(body)
    if all(known["id"] != event["id"] for known in events):
        events.append(event)
    return web.Response(status=204)


async def event_listing(_: web.Request) -> web.Response:
    """What came by webhook, oldest first."""
    return web.json_response({"total": len(events), "events": list(events)})


async def listing(_: web.Request) -> web.Response:
    """What came in, oldest first."""
    return web.json_response({"total": len(messages), "messages": list(messages)})


app = web.Application()
app.add_routes([web.get("/ws", socket), web.get("/messages", listing), web.post("/webhook", webhook), web.get("/events", event_listing)])

if __name__ == "__main__":
    web.run_app(app, port=PORT, print=None)
