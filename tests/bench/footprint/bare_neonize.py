"""The anchor: what a script of neonize's own README needs to show a QR code, send and receive. It imports nothing of ours.

Prints JSON lines `{"event", "at", ...}`, `at` on the machine's monotonic clock; reads `{"to", "text"}` lines to send. Argument: the
database file.
"""

import json
import os
import sys
import threading
import time

OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)  # neonize prints the QR code there

from neonize import events  # noqa: E402
from neonize.client import NewClient  # noqa: E402
from neonize.utils.jid import build_jid  # noqa: E402


def tell(event: str, **fields: object) -> None:
    OUT.write(json.dumps({"event": event, "at": time.monotonic(), **fields}) + "\n")


client = NewClient(sys.argv[1], uuid="bare")
client.qr(lambda _client, data: tell("qr", qr=data.decode()))
client.event(events.ConnectedEv)(lambda _client, _event: tell("connected"))


@client.event(events.MessageEv)
def on_message(_client: NewClient, message: events.MessageEv) -> None:
    if text := message.Message.conversation or message.Message.extendedTextMessage.text:
        tell("received", text=text)


threading.Thread(target=client.connect, daemon=True).start()
for line in sys.stdin:
    command = json.loads(line)
    began = time.monotonic()
    client.send_message(build_jid(command["to"]), command["text"])
    tell("sent", seconds=time.monotonic() - began)
os._exit(0)
