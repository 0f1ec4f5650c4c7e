"""Linking a new device: the QR code (or the typed code) from the phone's side, and the signed device identity (ADV)."""

import asyncio
import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass
from http import HTTPStatus

from waemulator.accounts import Account, Device, DeviceKey
from waemulator.connection import ANSWER_SECONDS, GONE, CodeLink, Connection
from waemulator.context import Context
from waemulator.errors import ControlError, ProtocolViolationError, bad_request
from waemulator.keys import DJB, KEY_BYTES, verify
from waemulator.paircode import PhoneLink, WrongCodeError, normalize
from waemulator.proto import messages
from waemulator.wire import SERVER, Node, child, content, node, now, parse_jid, random_id

MIN_QR_FIELDS, MAX_QR_FIELDS = 4, 5
REFERENCE_BYTES = 60
ACCOUNT_SIGNATURE, DEVICE_SIGNATURE = b"\x06\x00", b"\x06\x01"


@dataclass(frozen=True)
class QrCode:
    """What a QR code holds."""

    reference: str
    noise_key: bytes
    identity: bytes
    adv_secret: bytes


def parse_qr(text: str) -> QrCode:
    """The content of a QR code: `REF,noise,identity,advSecret[,clientType]`, mostly behind `https://wa.me/settings/linked_devices#`.

    Raises:
        ControlError: it is no such code.
    """
    fields = text.strip().rsplit("#", 1)[-1].split(",")
    shape = "a linking code is REFERENCE,KEY,KEY,SECRET with 32-byte keys in base64"
    if not MIN_QR_FIELDS <= len(fields) <= MAX_QR_FIELDS:
        raise bad_request("bad_qr", f"not a linking code: {text[:60]!r} has {len(fields)} fields; {shape}")
    keys = []
    for name, value in zip(("noise key", "identity key", "ADV secret"), fields[1:4], strict=True):
        try:
            key = base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise bad_request("bad_qr", f"not a linking code: its {name} {value[:60]!r} is no base64; {shape}") from error
        if len(key) != KEY_BYTES:
            raise bad_request("bad_qr", f"not a linking code: its {name} has {len(key)} bytes; {shape}")
        keys.append(key)
    return QrCode(fields[0], *keys)


async def show_codes(connection: Connection) -> None:
    """Gives a client that is not linked the references for its QR codes."""
    context = connection.context
    connection.references = [
        f"2@{base64.b64encode(secrets.token_bytes(REFERENCE_BYTES)).decode()}" for _ in range(context.references_per_connection)
    ]
    context.references.update(dict.fromkeys(connection.references, connection))
    references = [node("ref", one.encode()) for one in connection.references]
    question = node("iq", [node("pair-device", references)], from_=SERVER, type="set", id=random_id(), xmlns="md")
    await connection.ask(question)


def withdraw_codes(connection: Connection) -> None:
    """The connection's QR codes are no longer good."""
    for reference in connection.references:
        connection.context.references.pop(reference, None)
    connection.references = []


async def scan(context: Context, number: str, text: str) -> str:
    """What the account's phone does when its camera sees the QR code. Returns the new device's JID.

    Raises:
        ControlError: no such account, no linking code, an expired one, or the client refused.
    """
    account = context.directory.get(number)
    code = parse_qr(text)
    connection = context.references.get(code.reference)
    if connection is None or connection.gone.is_set():
        raise ControlError(
            HTTPStatus.GONE, "qr_expired", f"the QR code {code.reference[:12]}... has expired or was used: scan the current one"
        )
    registration = connection.payload.devicePairingData
    if connection.noise.client_static != code.noise_key or registration.eIdent != code.identity:
        raise bad_request("bad_qr", f"the keys in the QR code {code.reference[:12]}... are not those of the client that shows it")
    context.logbook.add("qr_scanned", account.number)
    return await _pair(connection, account, code.identity, code.adv_secret)


async def _pair(connection: Connection, account: Account, identity: bytes, adv_secret: bytes) -> str:
    """Signs the client's identity, hears its counter-signature, links the device and ends the stream so that it logs in."""
    context, key = connection.context, DeviceKey(account.number, account.next_device)
    registration = connection.payload.devicePairingData
    if not verify(identity, DJB + registration.eSkeyVal, registration.eSkeySig):
        raise ControlError(HTTPStatus.CONFLICT, "bad_client", "the client's signed prekey has a wrong signature")
    withdraw_codes(connection)
    details = messages.ADVDeviceIdentity(rawId=secrets.randbelow(1 << 31), timestamp=now(), keyIndex=key.id).SerializeToString()
    try:
        answer = await connection.ask(_pair_success(account, key, _signed_identity(account, details, identity, adv_secret)))
        _check_counter_signature(account, details, identity, answer)
    except (TimeoutError, ProtocolViolationError, *GONE) as error:
        reason = str(error) or "it did not answer"
        raise ControlError(HTTPStatus.CONFLICT, "client_refused", f"the client did not finish the pairing: {reason}") from error
    signed_prekey = (int.from_bytes(registration.eSkeyId, "big"), registration.eSkeyVal, registration.eSkeySig)
    registration_id = int.from_bytes(registration.eRegid, "big")
    context.directory.link(account, Device(key, connection.noise.client_static, identity, registration_id, signed_prekey))
    context.logbook.add("paired", account.number, device=key.id, jid=account.device_number_jid(key.id))
    connection.spawn(connection.end_stream(Node("stream:error", {"code": "515"})))
    return account.device_number_jid(key.id)


def _signed_identity(account: Account, details: bytes, identity: bytes, adv_secret: bytes) -> bytes:
    signed = messages.ADVSignedDeviceIdentity(
        details=details,
        accountSignatureKey=account.phone.keys.identity.public,
        accountSignature=account.phone.keys.identity.sign(ACCOUNT_SIGNATURE + details + identity),
    ).SerializeToString()
    tag = hmac.new(adv_secret, signed, hashlib.sha256).digest()
    return bytes(messages.ADVSignedDeviceIdentityHMAC(details=signed, hmac=tag).SerializeToString())


def _pair_success(account: Account, key: DeviceKey, identity: bytes) -> Node:
    business = [node("biz", name=account.business)] if account.business else []
    inner = [
        node("device-identity", identity),
        *business,
        node("platform", name="smba" if account.business else "android"),
        node("device", jid=account.device_number_jid(key.id), lid=account.device_lid_jid(key.id)),
    ]
    return node("iq", [node("pair-success", inner)], from_=SERVER, type="set", id=random_id(), t=now())


def _check_counter_signature(account: Account, details: bytes, identity: bytes, answer: Node) -> None:
    if child(answer, "pair-device-sign", "device-identity") is None:
        raise ProtocolViolationError("it answered with an error")
    signed = messages.ADVSignedDeviceIdentity.FromString(content(answer, "pair-device-sign", "device-identity"))
    signed_bytes = DEVICE_SIGNATURE + details + identity + account.phone.keys.identity.public
    if not verify(identity, signed_bytes, signed.deviceSignature):
        raise ProtocolViolationError("its device signature is wrong")


async def enter_code(context: Context, number: str, code: str) -> str:
    """The user types the code that the client shows into the phone of this number. Returns the new device's JID.

    Raises:
        ControlError: no such account, no client waits for it, the code is wrong, or the client refused.
    """
    account = context.directory.get(number)
    bare = normalize(code)
    waiting = [one for one in context.connections if one.link is not None and one.link.number == account.number]
    if not waiting:
        message = f"no client is waiting for a pairing code of {account.number}: let it ask for one first"
        raise ControlError(HTTPStatus.CONFLICT, "no_pairing_code", message)
    connection = waiting[-1]
    link = connection.link
    assert link is not None  # chosen for it
    link.phone = PhoneLink(account.phone.keys.identity, bare, link.wrapped)
    link.result = asyncio.get_running_loop().create_future()
    await connection.send(_primary_hello(account, link, link.phone))
    try:
        identity, adv_secret = await asyncio.wait_for(link.result, ANSWER_SECONDS)
    except WrongCodeError as error:
        raise ControlError(HTTPStatus.UNPROCESSABLE_ENTITY, "wrong_code", f"{code!r} is not the code that the client shows") from error
    except (TimeoutError, ProtocolViolationError, *GONE) as error:
        reason = str(error) or "it did not answer"
        raise ControlError(HTTPStatus.CONFLICT, "client_refused", f"the client did not finish the pairing: {reason}") from error
    return await _pair(connection, account, identity, adv_secret)


def _primary_hello(account: Account, link: CodeLink, phone: PhoneLink) -> Node:
    inner = [
        node("link_code_pairing_wrapped_primary_ephemeral_pub", phone.wrapped),
        node("primary_identity_pub", account.phone.keys.identity.public),
        node("link_code_pairing_ref", link.reference),
    ]
    registration = node("link_code_companion_reg", inner, stage="primary_hello")
    return node("notification", [registration], from_=SERVER, type="link_code_companion_reg", id=random_id(), t=now())


def code_hello(connection: Connection, request: Node) -> Node:
    """The client wants to be linked by code; returns the answer's content."""
    number = parse_jid(request.attrs["jid"]).user
    wrapped = content(request, "link_code_pairing_wrapped_companion_ephemeral_pub")
    connection.link = CodeLink(number, secrets.token_bytes(16), wrapped)
    connection.context.logbook.add("pairing_code_shown", number)
    return node("link_code_companion_reg", [node("link_code_pairing_ref", connection.link.reference)])


def code_finish(connection: Connection, request: Node) -> None:
    """The client's key bundle after the phone's hello: shows whether the code was right."""
    link = connection.link
    if link is None or link.phone is None or link.result is None or link.result.done():
        raise ProtocolViolationError("a companion_finish that nobody waits for")
    try:
        link.result.set_result(link.phone.finish(content(request, "link_code_pairing_wrapped_key_bundle")))
    except (WrongCodeError, ProtocolViolationError) as error:
        link.result.set_exception(error)
