"""The client's questions (`iq`): a table from what they ask to who answers. What is not in the table gets an empty result."""

from collections.abc import Awaitable, Callable

from waemulator import appstate, history, pairing, prekeys, usync
from waemulator.connection import Connection
from waemulator.delivery import send_from_own_phone
from waemulator.errors import ProtocolViolationError
from waemulator.media import HOST
from waemulator.receiving import identity_of
from waemulator.wire import SERVER, Node, child, children, node, now

PUSH_NAME_COLLECTION = "critical_block"

Answer = Callable[[Connection, Node], Awaitable[None]]


async def reply(connection: Connection, question: Node, content: list[Node] | None = None) -> None:
    """Answers a question."""
    await connection.send(node("iq", content, from_=question.attrs.get("to") or SERVER, type="result", id=question.attrs["id"], t=now()))


async def refuse(connection: Connection, question: Node, code: str, text: str) -> None:
    """Answers a question with an error."""
    error = node("error", code=code, text=text)
    await connection.send(node("iq", [error], from_=SERVER, type="error", id=question.attrs["id"], t=now()))


async def _count_prekeys(connection: Connection, question: Node) -> None:
    _, device = identity_of(connection)
    await reply(connection, question, [node("count", value=prekeys.count(connection.context, device.key))])


async def _digest(connection: Connection, question: Node) -> None:
    _, device = identity_of(connection)
    await reply(connection, question, [prekeys.digest(connection.context, device)])


async def _rotate(connection: Connection, question: Node) -> None:
    _, device = identity_of(connection)
    prekeys.rotate(connection.context, device, question)
    await reply(connection, question)


async def _upload_prekeys(connection: Connection, question: Node) -> None:
    _, device = identity_of(connection)
    prekeys.upload(connection.context, device, question)
    await reply(connection, question)


async def _bundles(connection: Connection, question: Node) -> None:
    await reply(connection, question, [await prekeys.bundles(connection.context, question)])


async def _passive(connection: Connection, question: Node) -> None:
    """`active` ends the login. The phone then hands a new device the app state key, by which it learns its push name, and the past."""
    await reply(connection, question)
    account, device = identity_of(connection)
    if child(question, "active") is not None and not device.key_shared:
        device.key_shared = True
        connection.context.directory.save_device(device)
        share = appstate.key_share(key_id=account.app_state_key_id, key=account.app_state_key)
        await send_from_own_phone(connection.context, account, device, share)
        await history.hand_over(connection.context, account, device)


async def _app_state(connection: Connection, question: Node) -> None:
    account, _ = identity_of(connection)
    collections = []
    for asked in children(child(question, "sync"), "collection"):
        name, version = asked.attrs["name"], asked.attrs.get("version", "0")
        patches = None
        if name == PUSH_NAME_COLLECTION and version == "0":
            patch = appstate.push_name_patch(name, key_id=account.app_state_key_id, key=account.app_state_key, name=account.name)
            patches, version = [node("patches", [node("patch", patch)])], str(appstate.PATCH_VERSION)
        collections.append(node("collection", patches, name=name, version=version))
    await reply(connection, question, [node("sync", collections)])


async def _usync(connection: Connection, question: Node) -> None:
    await reply(connection, question, [usync.answer(connection.context, question)])


async def _unlink(connection: Connection, question: Node) -> None:
    """The client logs out."""
    account, device = identity_of(connection)
    request = child(question, "remove-companion-device")
    device.removed = True
    connection.context.directory.save_device(device)
    connection.context.mailbox.drop(device.key)
    reason = request.attrs.get("reason") if request else None
    connection.context.logbook.add("unlinked_by_client", account.number, device=device.key.id, reason=reason)
    await reply(connection, question)


async def _link_code(connection: Connection, question: Node) -> None:
    request = child(question, "link_code_companion_reg")
    if request is None:
        raise ProtocolViolationError("a link code query without its content")
    if request.attrs.get("stage") == "companion_hello":
        await reply(connection, question, [pairing.code_hello(connection, request)])
        return
    await reply(connection, question)
    pairing.code_finish(connection, request)


async def _media_hosts(connection: Connection, question: Node) -> None:
    hosts = node("media_conn", [node("host", hostname=HOST)], auth="emulated", ttl=300, auth_ttl=3600, max_buckets=12)
    await reply(connection, question, [hosts])


async def _groups(connection: Connection, question: Node) -> None:
    account, _ = identity_of(connection)
    await reply(connection, question, [node("groups", [group.describe() for group in connection.context.groups.of(account)])])


async def _group(connection: Connection, question: Node) -> None:
    account, _ = identity_of(connection)
    group = connection.context.groups.find(question.attrs["to"])
    if group is None:
        await refuse(connection, question, "404", "item-not-found")
    elif account not in group.members:
        await refuse(connection, question, "403", "forbidden")
    else:
        await reply(connection, question, [group.describe()])


async def _no_blocklist(connection: Connection, question: Node) -> None:
    await reply(connection, question, [node("list", [])])


async def _no_picture(connection: Connection, question: Node) -> None:
    await refuse(connection, question, "404", "item-not-found")


async def _empty(connection: Connection, question: Node) -> None:
    await reply(connection, question)


ANSWERS: dict[tuple[str, str, str | None], Answer] = {
    ("encrypt", "get", "count"): _count_prekeys,
    ("encrypt", "get", "digest"): _digest,
    ("encrypt", "get", "key"): _bundles,
    ("encrypt", "set", "rotate"): _rotate,
    ("encrypt", "set", "registration"): _upload_prekeys,
    ("passive", "set", "active"): _passive,
    ("passive", "set", "passive"): _passive,
    ("w:sync:app:state", "set", "sync"): _app_state,
    ("usync", "get", "usync"): _usync,
    ("md", "set", "remove-companion-device"): _unlink,
    ("md", "set", "link_code_companion_reg"): _link_code,
    ("w:m", "set", "media_conn"): _media_hosts,
    ("w:g2", "get", "participating"): _groups,
    ("w:g2", "get", "query"): _group,
    ("blocklist", "get", None): _no_blocklist,
    ("w:profile:picture", "get", "picture"): _no_picture,
}
"""By xmlns, type and the first child's tag."""


async def on_iq(connection: Connection, stanza: Node) -> None:
    """Answers a question of the client."""
    namespace, kind = stanza.attrs.get("xmlns", ""), stanza.attrs.get("type", "")
    inner = children(stanza)
    first = inner[0].tag if inner else None
    if namespace != "w:p":  # the client's keep-alive
        connection.context.logbook.add("iq", connection.number, xmlns=namespace, type=kind, child=first)
    await ANSWERS.get((namespace, kind, first), _empty)(connection, stanza)
