"""From the handshake's payload to a logged-in device, or to the refusal that the client understands."""

from waemulator import pairing
from waemulator.accounts import Account, Device
from waemulator.connection import Connection
from waemulator.faults import Kind
from waemulator.proto import DecodeError, messages
from waemulator.wire import SERVER, Node, node, now

REFUSAL_GRACE_SECONDS = 0.3
CREATED_BEFORE = 86_400


async def authenticate(connection: Connection) -> None:
    """Logs a linked device in, or shows QR codes to a client that is not linked."""
    payload, logbook = connection.payload, connection.context.logbook
    agent = payload.userAgent.appVersion
    version = f"{agent.primary}.{agent.secondary}.{agent.tertiary}"
    if payload.HasField("username"):
        logbook.add("login", str(payload.username), device=payload.device, version=version)
        await _login(connection)
        return
    try:
        properties = messages.DeviceProps.FromString(payload.devicePairingData.deviceProps)
    except DecodeError:
        properties = messages.DeviceProps()
    logbook.add("register", os=properties.os, platform=properties.platformType, version=version)
    await pairing.show_codes(connection)


async def _login(connection: Connection) -> None:
    context, payload = connection.context, connection.payload
    account = context.directory.find_number(str(payload.username))
    device = account.devices.get(payload.device) if account else None
    if account is None or device is None or device.removed or device.noise_key != connection.noise.client_static:
        context.logbook.add("login_refused", str(payload.username), device=payload.device, reason="401")
        await connection.end_stream(node("failure", reason="401", location="frc"), grace=REFUSAL_GRACE_SECONDS)
        return
    connection.account = account
    if context.faults.take(Kind.DROP_LOGIN, account.number):
        context.logbook.add("login_dropped", account.number, device=device.key.id)
        connection.abort()
        return
    refusal = context.faults.take(Kind.REFUSE_LOGIN, account.number)
    if refusal is not None and refusal.attrs is not None:
        context.logbook.add("login_refused", account.number, device=device.key.id, **refusal.attrs)
        await connection.end_stream(Node("failure", dict(refusal.attrs)), grace=REFUSAL_GRACE_SECONDS)
        return
    await _admit(connection, account, device)


async def _admit(connection: Connection, account: Account, device: Device) -> None:
    """Success, then what came while the device was away, then word that this was all."""
    context = connection.context
    previous = context.online.get(device.key)
    if previous is not None:
        context.logbook.add("replaced", account.number, device=device.key.id)
        replaced = Node("stream:error", {}, [node("conflict", type="replaced")])
        previous.spawn(previous.end_stream(replaced, grace=REFUSAL_GRACE_SECONDS))
    connection.device = device
    context.online[device.key] = connection
    device.logins += 1
    context.directory.save_device(device)
    waiting = [one.stanza.tag for one in context.mailbox.after(device.key, 0)]
    context.logbook.add("logged_in", account.number, device=device.key.id, logins=device.logins, offline=len(waiting))
    success = node(
        "success", t=now(), lid=account.device_lid_jid(device.key.id), creation=now() - CREATED_BEFORE, display_name=account.name
    )
    success.attrs |= {"location": "frc", "group": "ab"}
    await connection.send(success)
    counts = {"message": waiting.count("message"), "receipt": waiting.count("receipt"), "notification": 0, "appdata": 0}
    await connection.send(node("ib", [node("offline_preview", count=len(waiting), **counts)], from_=SERVER))
    await connection.deliver(offline=True)
    await connection.send(node("ib", [node("offline", count=len(waiting))], from_=SERVER))
    connection.ready()
    await connection.deliver()
