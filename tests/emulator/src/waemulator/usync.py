"""The user directory query: is this number on WhatsApp, what is its LID, which devices does it have."""

from waemulator.accounts import Account
from waemulator.context import Context
from waemulator.wire import Node, child, children, node, text


def answer(context: Context, request: Node) -> Node:
    """The `<usync>` of an answer. A number without an account has no LID in it, which the client reports as not on WhatsApp."""
    asked = {one.tag for one in children(child(request, "usync", "query"))}
    users = [_user(context, asked, one) for one in children(child(request, "usync", "list"))]
    usync = child(request, "usync")
    return node("usync", [node("result"), node("list", users)], sid=usync.attrs.get("sid") if usync else None, mode="query")


def _user(context: Context, asked: set[str], item: Node) -> Node:
    phone = text(child(item, "contact"))
    jid = item.attrs.get("jid") or f"{(phone or '').lstrip('+').split('@')[0]}@s.whatsapp.net"
    account = context.directory.find(jid)
    if account is None:
        return node("user", [node("contact", type="out")] if "contact" in asked else None, jid=jid)
    parts = []
    if "contact" in asked:
        parts.append(node("contact", phone.encode() if phone else None, type="in"))
    if "lid" in asked:
        parts.append(node("lid", val=account.lid_jid))
    if "devices" in asked:
        parts.append(_devices(account))
    return node("user", parts, jid=jid)


def _devices(account: Account) -> Node:
    phone = node("device", id=0)
    linked = [Node("device", {"id": str(one.key.id), "key-index": str(one.key.id)}) for one in account.linked()]
    return node("devices", [node("device-list", [phone, *linked])])
