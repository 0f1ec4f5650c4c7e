"""Accounts (each a fake phone with a number) and the devices linked to them."""

import hashlib
import secrets
from dataclasses import dataclass, field
from http import HTTPStatus

from waemulator.database import Database
from waemulator.errors import ControlError, bad_request
from waemulator.keys import KeyPair
from waemulator.signalpeer import PhoneKeys, SignalPeer
from waemulator.wire import Jid, parse_jid

MIN_DIGITS, MAX_DIGITS = 5, 15
"""E.164 allows at most 15 digits; the shortest numbers in use have about 5."""
LID_BASE = 10**14
GROUP_SERVER = "g.us"
"""The server part of a group's JID."""


@dataclass(frozen=True)
class DeviceKey:
    """Names one linked device: the account's number and the device id (from 1; 0 is the phone)."""

    number: str
    id: int


@dataclass
class Device:
    """A linked device: the client under test, as the server knows it. Write back with `Directory.save_device`."""

    key: DeviceKey
    noise_key: bytes
    identity: bytes
    registration_id: int
    signed_prekey: tuple[int, bytes, bytes]
    """Id, public key, signature."""
    removed: bool = False
    key_shared: bool = False
    """Whether the phone has already handed it the app state key."""
    logins: int = 0


@dataclass
class Account:
    """A WhatsApp account: one that links devices, or just a contact. Its phone has Signal keys of its own."""

    number: str
    lid: str
    name: str
    business: str | None
    next_device: int
    app_state_key_id: bytes
    app_state_key: bytes
    phone: SignalPeer
    devices: dict[int, Device] = field(default_factory=dict)

    @property
    def number_jid(self) -> str:
        """The account by its phone number."""
        return f"{self.number}@s.whatsapp.net"

    @property
    def lid_jid(self) -> str:
        """The account by its LID, the identity that hides the number."""
        return f"{self.lid}@lid"

    def device_number_jid(self, device: int) -> str:
        """A linked device by the account's number."""
        return f"{self.number}:{device}@s.whatsapp.net"

    def device_lid_jid(self, device: int) -> str:
        """A linked device by the account's LID."""
        return f"{self.lid}:{device}@lid"

    def linked(self) -> list[Device]:
        """The devices that are still linked."""
        return [device for device in self.devices.values() if not device.removed]


def normalize_number(number: str) -> str:
    """The digits of a phone number such as `+49 170 1234567`.

    Raises:
        ControlError: it is none.
    """
    digits = number.replace("+", "", 1).replace(" ", "").replace("-", "")
    if not (digits.isascii() and digits.isdigit() and MIN_DIGITS <= len(digits) <= MAX_DIGITS):
        raise bad_request(
            "bad_number", f"not a phone number: {number[:40]!r}; give {MIN_DIGITS} to {MAX_DIGITS} digits with the country code"
        )
    return digits


class Directory:
    """All accounts, in memory and written through to the database."""

    def __init__(self, database: Database, *, auto_users: bool = False) -> None:
        self._database = database
        self._auto_users = auto_users
        self._by_number: dict[str, Account] = {}
        self._by_lid: dict[str, Account] = {}
        for row in database.rows("SELECT * FROM account"):
            keys = PhoneKeys(KeyPair.from_private(row["identity"]), KeyPair.from_private(row["signed_prekey"]), row["registration_id"])
            phone = SignalPeer(database, row["number"], keys, next_prekey=row["next_prekey"])
            self._remember(
                Account(
                    row["number"],
                    row["lid"],
                    row["name"],
                    row["business"],
                    row["next_device"],
                    row["app_state_key_id"],
                    row["app_state_key"],
                    phone,
                )
            )
        for row in database.rows("SELECT * FROM device ORDER BY number, id"):
            prekey = (row["signed_prekey_id"], row["signed_prekey"], row["signed_prekey_signature"])
            key = DeviceKey(row["number"], row["id"])
            self._by_number[key.number].devices[key.id] = Device(
                key, row["noise_key"], row["identity"], row["registration_id"], prekey,
                removed=bool(row["removed"]), key_shared=bool(row["key_shared"]), logins=row["logins"],
            )  # fmt: skip

    def _remember(self, account: Account) -> None:
        self._by_number[account.number] = account
        self._by_lid[account.lid] = account

    def accounts(self) -> list[Account]:
        """All accounts."""
        return list(self._by_number.values())

    def register(self, number: str, name: str | None = None, business: str | None = None) -> tuple[Account, bool]:
        """The account of this number, made if there is none, and whether it was made. A name given is the new name.

        Raises:
            ControlError: it is no phone number.
        """
        number = normalize_number(number)
        account = self._by_number.get(number)
        if account is not None:
            account.name = name or account.name
            account.business = business or account.business
            self._database.change("UPDATE account SET name = ?, business = ? WHERE number = ?", account.name, account.business, number)
            return account, False
        lid = str(LID_BASE + int(hashlib.sha256(number.encode()).hexdigest()[:10], 16))
        keys = PhoneKeys(KeyPair.generate(), KeyPair.generate(), secrets.randbelow(16_380) + 1)
        key_id, key = b"\0\x01" + secrets.token_bytes(4), secrets.token_bytes(32)
        name = name or f"User {number[-4:]}"
        self._database.change(
            "INSERT INTO account VALUES (?, ?, ?, ?, 1, ?, ?, ?, 1, ?, ?)",
            number, lid, name, business, keys.identity.private, keys.signed_prekey.private, keys.registration_id, key_id, key,
        )  # fmt: skip
        account = Account(number, lid, name, business, 1, key_id, key, SignalPeer(self._database, number, keys, next_prekey=1))
        self._remember(account)
        return account, True

    def get(self, number: str) -> Account:
        """The account that a caller of the control API names.

        Raises:
            ControlError: there is none.
        """
        number = normalize_number(number)
        account = self.find_number(number)
        if account is None:
            raise ControlError(HTTPStatus.NOT_FOUND, "unknown_number", f"no account has the number {number}: make it with POST /user")
        return account

    def find_number(self, number: str) -> Account | None:
        """The account of this number (digits), or None; made when accounts are made on demand."""
        if self._auto_users and number not in self._by_number:
            try:
                return self.register(number)[0]
            except ControlError:
                return None
        return self._by_number.get(number)

    def find(self, jid: str | Jid) -> Account | None:
        """The account behind a JID by number or by LID, or None; a group is none."""
        parts = parse_jid(jid) if isinstance(jid, str) else jid
        if parts.server == GROUP_SERVER:
            return None
        return self._by_lid.get(parts.user) if parts.server == "lid" else self.find_number(parts.user)

    def device(self, key: DeviceKey) -> Device | None:
        """The linked (or formerly linked) device of this key."""
        account = self._by_number.get(key.number)
        return account.devices.get(key.id) if account else None

    def link(self, account: Account, device: Device) -> None:
        """Adds a newly paired device under the account's next device id."""
        account.devices[device.key.id] = device
        account.next_device = device.key.id + 1
        self._database.change("UPDATE account SET next_device = ? WHERE number = ?", account.next_device, account.number)
        self.save_device(device)

    def save_device(self, device: Device) -> None:
        """Writes the device back."""
        self._database.change(
            "INSERT OR REPLACE INTO device VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            device.key.number, device.key.id, device.noise_key, device.identity, device.registration_id, *device.signed_prekey,
            device.removed, device.key_shared, device.logins,
        )  # fmt: skip
