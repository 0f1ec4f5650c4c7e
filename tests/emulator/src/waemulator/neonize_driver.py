"""The unmodified neonize client in a process: commands as JSON lines on stdin, what happens as JSON lines on stdout.

Run with the emulator's environment and the path of the client's SQLite file. `os._exit` at the end, since a client that is not
linked yet cannot be stopped otherwise.
"""

import importlib
import json
import os
import sys
import threading
from collections.abc import Callable
from typing import Any

# The client prints to file descriptor 1 from Go: our lines get a descriptor of their own.
OUT = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

from neonize import events  # noqa: E402  after the descriptors are sorted out
from neonize.client import NewClient  # noqa: E402
from neonize.proto.waE2E.WAWebProtobufsE2E_pb2 import Message  # noqa: E402
from neonize.utils.enum import ChatPresence, ChatPresenceMedia, Presence, ReceiptType  # noqa: E402
from neonize.utils.jid import Jid2String, build_jid  # noqa: E402

to_json: Any = importlib.import_module("google.protobuf.json_format").MessageToDict


def emit(event: str, **fields: object) -> None:
    OUT.write(json.dumps({"event": event, **fields}, default=str) + "\n")


client = NewClient(sys.argv[1], uuid="driver")


def on_qr(_: NewClient, data: bytes) -> None:
    emit("qr", qr=data.decode())


WRAPPINGS = ("IsEphemeral", "IsViewOnce", "IsViewOnceV2", "IsDocumentWithCaption", "IsEdit")


def on_message(_: NewClient, event: Any) -> None:  # noqa: ANN401  a protobuf message
    info, message = event.Info, event.Message
    source = info.MessageSource
    fields = {field.name for field, _ in message.ListFields()}
    if info.Category == "peer" or fields == {"senderKeyDistributionMessage"}:
        return  # the phone's own business with its linked device, or the key that comes in front of a group's message, by the same id
    data = client.download_any(message) if message.imageMessage.mediaKey else b""
    emit(
        "message", id=info.ID, text=message.conversation or message.extendedTextMessage.text, sender=Jid2String(source.Sender),
        sender_alt=Jid2String(source.SenderAlt), chat=Jid2String(source.Chat), is_group=source.IsGroup, from_me=source.IsFromMe,
        push_name=info.Pushname, media=data.hex(), type=info.Type, message=to_json(message),
        wrapped=[name for name in WRAPPINGS if getattr(event, name)],
    )  # fmt: skip


def plain_event(kind: Any) -> None:  # noqa: ANN401  a protobuf class
    def handle(_: NewClient, event: Any) -> None:  # noqa: ANN401  a protobuf message
        emit(kind.DESCRIPTOR.name, detail=str(event)[:300], data=to_json(event))

    client.event(kind)(handle)


client.qr(on_qr)
client.event(events.MessageEv)(on_message)
for kind in (
    events.ConnectedEv, events.DisconnectedEv, events.LoggedOutEv, events.PairStatusEv, events.StreamReplacedEv, events.TemporaryBanEv,
    events.ReceiptEv, events.ClientOutdatedEv, events.ConnectFailureEv, events.HistorySyncEv, events.JoinedGroupEv, events.GroupInfoEv,
):  # fmt: skip
    plain_event(kind)


def connect() -> None:
    try:
        client.connect()
    except Exception as error:  # noqa: BLE001  whatever it is, the test shall see it
        emit("connect_failed", error=repr(error))
    else:
        emit("connect_returned")


def jid(text: str) -> Any:  # noqa: ANN401  a protobuf message
    return build_jid(*text.split("@"))


def send(to: str, text: str) -> dict[str, object]:
    return {"id": client.send_message(jid(to) if "@" in to else to, Message(conversation=text)).ID}


def me() -> dict[str, object]:
    own = client.get_me()
    return {"jid": Jid2String(own.JID), "lid": Jid2String(own.LID), "push_name": own.PushName}


def send_image(to: str, path: str, caption: str) -> dict[str, object]:
    return {"id": client.send_image(to, path, caption=caption).ID}


def pair_phone(number: str) -> dict[str, object]:
    return {"code": client.PairPhone(number, show_push_notification=True)}


def logout() -> dict[str, object]:
    client.logout()
    return {}


def mark_read(chat: str, sender: str, ids: list[str]) -> dict[str, object]:
    client.mark_read(*ids, chat=jid(chat), sender=jid(sender), receipt=ReceiptType.READ)
    return {}


def show_activity(to: str, state: str, media: str = "TEXT") -> dict[str, object]:
    client.send_chat_presence(jid(to), ChatPresence[f"CHAT_PRESENCE_{state}"], ChatPresenceMedia[f"CHAT_PRESENCE_MEDIA_{media}"])
    return {}


def show_presence(state: str) -> dict[str, object]:
    client.send_presence(Presence[state])
    return {}


def group_info(group: str) -> dict[str, object]:
    info = client.get_group_info(jid(group))
    return {"subject": info.GroupName.Name, "members": sorted(one.PhoneNumber.User for one in info.Participants)}


def joined_groups() -> dict[str, object]:
    return {"groups": {Jid2String(one.JID): one.GroupName.Name for one in client.get_joined_groups()}}


def answer(name: str) -> Callable[[], dict[str, object]]:
    def call() -> dict[str, object]:
        return {"answer": str(getattr(client, name)())}

    return call


OPERATIONS: dict[str, Callable[..., dict[str, object]]] = {
    "send": send,
    "send_image": send_image,
    "me": me,
    "pair_phone": pair_phone,
    "logout": logout,
    "mark_read": mark_read,
    "show_activity": show_activity,
    "show_presence": show_presence,
    "group_info": group_info,
    "joined_groups": joined_groups,
    "get_blocklist": answer("get_blocklist"),
}

threading.Thread(target=connect, daemon=True).start()
for line in sys.stdin:
    command = json.loads(line)
    operation = command.pop("operation")
    try:
        emit("done", operation=operation, **OPERATIONS[operation](**command))
    except Exception as error:  # noqa: BLE001  the test decides what it means
        emit("failed", operation=operation, error=repr(error))
OUT.flush()
os._exit(0)
