"""Prekeys: what linked devices upload, and the bundles that start Signal sessions (`xmlns="encrypt"`)."""

import hashlib

from pyaileys.signal.repository import PreKeyBundle, PreKeyBundleKey

from waemulator.accounts import Device, DeviceKey
from waemulator.context import Context
from waemulator.errors import ProtocolViolationError
from waemulator.keys import DJB, verify
from waemulator.signalpeer import bundle_node
from waemulator.wire import Node, child, children, content, node, parse_jid


def read_prekey(stanza: Node) -> tuple[int, bytes]:
    """Id and public key of a `<key>`."""
    return int.from_bytes(content(stanza, "id"), "big"), content(stanza, "value")


def read_signed_prekey(stanza: Node, identity: bytes) -> tuple[int, bytes, bytes]:
    """Id, public key and signature of an `<skey>`.

    Raises:
        ProtocolViolationError: the signature is not the identity's.
    """
    id_, public = read_prekey(stanza)
    signature = content(stanza, "signature")
    if not verify(identity, DJB + public, signature):
        raise ProtocolViolationError("the signed prekey's signature is wrong")
    return id_, public, signature


def _required(stanza: Node, *path: str) -> Node:
    found = child(stanza, *path)
    if found is None:
        raise ProtocolViolationError(f"<{stanza.tag}> without <{'/'.join(path)}>")
    return found


def count(context: Context, device: DeviceKey) -> int:
    """How many one-time prekeys of the device are left."""
    row = context.database.row("SELECT COUNT(*) AS n FROM device_prekey WHERE number = ? AND device = ?", device.number, device.id)
    return int(row["n"]) if row else 0


def upload(context: Context, device: Device, request: Node) -> None:
    """The device uploads its identity, signed prekey and one-time prekeys."""
    device.identity = content(request, "identity")
    device.registration_id = int.from_bytes(content(request, "registration"), "big")
    device.signed_prekey = read_signed_prekey(_required(request, "skey"), device.identity)
    context.directory.save_device(device)
    add(context, device.key, [read_prekey(one) for one in children(child(request, "list"))])
    context.logbook.add("prekeys_uploaded", device.key.number, count=count(context, device.key))


def add(context: Context, device: DeviceKey, prekeys: list[tuple[int, bytes]]) -> None:
    """Keeps one-time prekeys (id, public key) of the device."""
    rows = [(device.number, device.id, id_, public) for id_, public in prekeys]
    context.database.change_many("INSERT OR REPLACE INTO device_prekey VALUES (?, ?, ?, ?)", rows)


def rotate(context: Context, device: Device, request: Node) -> None:
    """The device replaces its signed prekey."""
    device.signed_prekey = read_signed_prekey(_required(request, "rotate", "skey"), device.identity)
    context.directory.save_device(device)


def renew_from_retry(context: Context, device: Device, keys: Node) -> tuple[int, bytes] | None:
    """The device sent fresh keys with its request to send a message again: keeps them and returns the one-time prekey to use."""
    device.identity = content(keys, "identity")
    device.signed_prekey = read_signed_prekey(_required(keys, "skey"), device.identity)
    context.directory.save_device(device)
    one_time = child(keys, "key")
    if one_time is None:
        return None
    id_, public = read_prekey(one_time)
    _use_up(context, device.key, id_)
    return id_, public


def digest(context: Context, device: Device) -> Node:
    """What the server has of the device's keys."""
    rows = context.database.rows(
        "SELECT id, public FROM device_prekey WHERE number = ? AND device = ? ORDER BY id", device.key.number, device.key.id
    )
    id_, public, signature = device.signed_prekey
    keys = device.identity + public + signature + b"".join(row["public"] for row in rows)
    return node(
        "digest",
        [
            node("registration", device.registration_id.to_bytes(4, "big")),
            node("type", DJB),
            node("identity", device.identity),
            node("skey", [node("id", id_.to_bytes(3, "big")), node("value", public), node("signature", signature)]),
            node("list", [node("id", row["id"].to_bytes(3, "big")) for row in rows]),
            node("hash", hashlib.sha1(keys, usedforsecurity=False).digest()),
        ],
    )


def _take(context: Context, device: DeviceKey) -> tuple[int, bytes] | None:
    """The device's lowest one-time prekey, which is then used up."""
    query = "SELECT id, public FROM device_prekey WHERE number = ? AND device = ? ORDER BY id LIMIT 1"
    row = context.database.row(query, device.number, device.id)
    if row is None:
        return None
    _use_up(context, device, row["id"])
    return row["id"], row["public"]


def _use_up(context: Context, device: DeviceKey, id_: int) -> None:
    delete = "DELETE FROM device_prekey WHERE number = ? AND device = ? AND id = ?"
    context.database.change(delete, device.number, device.id, id_)


def take_bundle(context: Context, device: Device, one_time: tuple[int, bytes] | None = None) -> PreKeyBundle:
    """A linked device's bundle for a fake phone that starts a session with it, by the given one-time prekey or the next uploaded one."""
    id_, public, signature = device.signed_prekey
    one_time = one_time or _take(context, device.key)
    return PreKeyBundle(
        registration_id=device.registration_id,
        identity_key=DJB + device.identity,
        signed_pre_key=PreKeyBundleKey(id_, DJB + public, signature),
        pre_key=PreKeyBundleKey(one_time[0], DJB + one_time[1]) if one_time else None,
    )


async def bundles(context: Context, request: Node) -> Node:
    """The answer to a query for bundles of phones and of linked devices."""
    users = []
    for asked in children(child(request, "key")):
        jid = asked.attrs["jid"]
        parts = parse_jid(jid)
        account = context.directory.find(parts)
        device = account.devices.get(parts.device) if account else None
        if account is not None and parts.device == 0:
            users.append(await account.phone.bundle(jid))
        elif device is not None and not device.removed:
            users.append(
                bundle_node(
                    jid,
                    registration_id=device.registration_id,
                    identity=device.identity,
                    signed_prekey=device.signed_prekey,
                    prekey=_take(context, device.key),
                )
            )
        else:
            users.append(node("user", [node("error", code="404", text="item-not-found")], jid=jid))
    return node("list", users)
