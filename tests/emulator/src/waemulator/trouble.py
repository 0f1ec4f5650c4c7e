"""Acts the faults out on the connections that they hit."""

from waemulator.accounts import Account, Device
from waemulator.connection import Connection
from waemulator.context import Context
from waemulator.faults import Fault, Kind
from waemulator.wire import Node, node

GRACE_SECONDS = 0.3


async def cause(context: Context, fault: Fault) -> dict[str, object]:
    """Lets a fault happen, or sets or clears a standing one. Returns how many open connections it hits, and whose.

    Raises:
        ControlError: it is aimed at a number that has no account.
    """
    account = context.directory.get(fault.number) if fault.number is not None else None
    hit = [one for one in context.connections if account is None or one.account is account]
    answer: dict[str, object] = {"kind": str(fault.kind), "connections": len(hit)}
    context.logbook.add("fault", fault.number, fault=str(fault.kind), on=fault.on, connections=len(hit))
    if fault.kind is Kind.CLEAR:
        answer["cleared"] = context.faults.clear(fault.of, fault.number)
    elif fault.standing:
        context.faults.put(fault)
    elif fault.kind is Kind.LOSE_SESSIONS:
        answer["sessions"] = sum(one.phone.lose_sessions() for one in _aimed(context, account))
    else:
        for connection in hit:
            await _strike(connection, fault)
        if fault.kind is Kind.UNLINK:
            answer["unlinked"] = [_unlink(context, device) for one in _aimed(context, account) for device in one.linked()]
    for connection in hit:  # what waited for a thaw
        connection.spawn(connection.deliver())
    return answer


def _aimed(context: Context, account: Account | None) -> list[Account]:
    return [account] if account is not None else context.directory.accounts()


async def _strike(connection: Connection, fault: Fault) -> None:
    match fault.kind:
        case Kind.DROP:
            connection.abort()
        case Kind.CLOSE:
            await connection.close()
        case Kind.RAW_FAILURE:
            await connection.send(Node("failure", dict(fault.attrs or {})))
        case Kind.STREAM_ERROR:
            conflict = [node("conflict", type=fault.conflict)] if fault.conflict else None
            await _final(connection, Node("stream:error", dict(fault.attrs or {}), conflict), close=fault.close)
        case Kind.UNLINK if connection.device is not None:
            removed = [node("conflict", type="device_removed")]
            await _final(connection, Node("stream:error", {"code": "401"}, removed), close=True)
        case _:
            pass


async def _final(connection: Connection, stanza: Node, *, close: bool) -> None:
    if close:
        # A 515 makes the client log in again by itself, and it must hang up first (see Connection.end_stream).
        await connection.end_stream(stanza, **({} if stanza.attrs.get("code") == "515" else {"grace": GRACE_SECONDS}))
    else:
        await connection.send(stanza)


def _unlink(context: Context, device: Device) -> str:
    """The user removes a linked device on the phone."""
    device.removed = True
    context.directory.save_device(device)
    context.mailbox.drop(device.key)
    context.logbook.add("unlinked_by_phone", device.key.number, device=device.key.id)
    return f"{device.key.number}:{device.key.id}"
