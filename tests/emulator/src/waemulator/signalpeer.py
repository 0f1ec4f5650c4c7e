"""A fake phone's half of Signal: X3DH and double ratchet with real keys (pyaileys), kept in the database.

Surprising: sessions that were replaced are kept too, as a real device keeps them, because a client that lost its side starts a new
session while messages of the old one are still on the way.
"""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from cryptography.exceptions import InvalidTag
from pyaileys.auth.creds import AuthenticationCreds, SignedKeyPair
from pyaileys.auth.creds import KeyPair as CredsKeyPair
from pyaileys.auth.state import AuthenticationState
from pyaileys.signal.repository import PreKeyBundle, SignalError, SignalRepository

from waemulator.database import Database
from waemulator.keys import DJB, KEY_BYTES, KeyPair
from waemulator.proto import DecodeError, messages
from waemulator.wire import Node, content, node

SIGNED_PREKEY_ID = 1
ARCHIVED_SESSIONS = 5
MAX_PADDING = 16
SHARED = "sender-key-shared"
"""The type of key under which the store keeps who was given the phone's sender key."""


class UndecryptableError(Exception):
    """A ciphertext fits none of the phone's sessions."""


@dataclass(frozen=True)
class PhoneKeys:
    """The long-lived keys of a phone."""

    identity: KeyPair
    signed_prekey: KeyPair
    registration_id: int


class PhoneKeyStore:
    """The key store that pyaileys asks for sessions, identities and one-time prekeys of one phone."""

    def __init__(self, database: Database, number: str) -> None:
        self._database = database
        self._number = number

    async def get(self, key_type: str, ids: list[str]) -> dict[str, Any]:
        """The values that are there, by id."""
        found: dict[str, Any] = {}
        for id_ in ids:
            row = self._database.row("SELECT value FROM phone_key WHERE number = ? AND type = ? AND id = ?", self._number, key_type, id_)
            if row is not None:
                value: bytes = row["value"]
                found[id_] = {"public": value[:KEY_BYTES], "private": value[KEY_BYTES:]} if key_type == "pre-key" else value
        return found

    async def set(self, data: Mapping[str, Mapping[str, Any | None]]) -> None:
        """Writes values by type and id; None deletes."""
        for key_type, items in data.items():
            for id_, value in items.items():
                if value is None:
                    self._database.change("DELETE FROM phone_key WHERE number = ? AND type = ? AND id = ?", self._number, key_type, id_)
                    continue
                blob = value["public"] + value["private"] if key_type == "pre-key" else bytes(value)
                self._database.change("INSERT OR REPLACE INTO phone_key VALUES (?, ?, ?, ?)", self._number, key_type, id_, blob)

    async def clear(self) -> None:
        """Forgets everything."""
        self._database.change("DELETE FROM phone_key WHERE number = ?", self._number)


def pad(plain: bytes) -> bytes:
    """WhatsApp's padding: 1 to 15 bytes, each the count."""
    count = secrets.randbelow(MAX_PADDING - 1) + 1
    return plain + bytes([count]) * count


def unpad(padded: bytes) -> bytes:
    """Takes WhatsApp's padding off.

    Raises:
        ValueError: the padding is wrong.
    """
    count = padded[-1] if padded else 0
    if not 1 <= count <= MAX_PADDING or not padded.endswith(bytes([count]) * count):
        raise ValueError("bad WhatsApp padding")
    return padded[:-count]


class SignalPeer:
    """One phone: encrypts to linked devices, decrypts what they send, hands out prekeys."""

    def __init__(self, database: Database, number: str, keys: PhoneKeys, *, next_prekey: int) -> None:
        self.keys = keys
        self._database = database
        self._number = number
        self._next_prekey = next_prekey
        self._store = PhoneKeyStore(database, number)

    @cached_property
    def _signature(self) -> bytes:
        return self.keys.identity.sign(DJB + self.keys.signed_prekey.public)

    @cached_property
    def _repository(self) -> SignalRepository:
        def pair(keys: KeyPair) -> CredsKeyPair:
            return CredsKeyPair(public=keys.public, private=keys.private)

        unused = pair(self.keys.identity)  # a phone has no Noise key and pairs by no ephemeral key
        creds = AuthenticationCreds(
            noise_key=unused,
            pairing_ephemeral_key_pair=unused,
            signed_identity_key=pair(self.keys.identity),
            signed_pre_key=SignedKeyPair(pair(self.keys.signed_prekey), self._signature, SIGNED_PREKEY_ID),
            registration_id=self.keys.registration_id,
            adv_secret_key="",
        )
        return SignalRepository(AuthenticationState(creds, self._store))

    async def bundle(self, jid: str) -> Node:
        """The `<user>` of an answer to a prekey query, with a fresh one-time prekey."""
        prekey, id_ = KeyPair.generate(), self._next_prekey
        self._next_prekey += 1
        self._database.change("UPDATE account SET next_prekey = ? WHERE number = ?", self._next_prekey, self._number)
        await self._store.set({"pre-key": {str(id_): {"public": prekey.public, "private": prekey.private}}})
        return bundle_node(
            jid,
            registration_id=self.keys.registration_id,
            identity=self.keys.identity.public,
            signed_prekey=(SIGNED_PREKEY_ID, self.keys.signed_prekey.public, self._signature),
            prekey=(id_, prekey.public),
        )

    async def has_session(self, jid: str) -> bool:
        """Whether a message to this device needs no prekey bundle."""
        return await self._repository.validate_session(jid)

    async def start_session(self, jid: str, bundle: PreKeyBundle) -> None:
        """Starts a session with a device by its bundle."""
        await self._repository.inject_outgoing_session(jid, bundle)

    async def encrypt(self, jid: str, message: "messages.Message") -> Node:
        """The `<enc>` of a message for a device with which there is a session."""
        kind, sealed = await self._repository.encrypt_message(jid, data=pad(message.SerializeToString()))
        return node("enc", sealed, v="2", type=kind)

    async def decrypt(self, jid: str, enc: Node) -> "messages.Message":
        """The message in an `<enc>` of this device, by the current session or one that it replaced.

        Raises:
            UndecryptableError: no session fits.
        """
        address = str(self._repository.jid_to_address(jid))
        before = await self._session(address)
        failure: Exception | None = None
        for session in (None, *self._archived(address)):
            if session is not None:
                await self._store.set({"session": {address: session}})
            try:
                plain = await self._repository.decrypt_message(jid, message_type=enc.attrs["type"], ciphertext=content(enc))
                message = messages.Message.FromString(unpad(plain))
            except (SignalError, ValueError, InvalidTag, DecodeError) as error:
                failure = failure or error
                continue
            await self._archive_if_replaced(address, before)
            return message
        await self._store.set({"session": {address: before}})
        raise UndecryptableError(str(failure)) from failure

    async def encrypt_for_group(self, group: str, own_jid: str, message: "messages.Message") -> tuple[Node, bytes]:
        """The `<enc>` of a message for all of a group, and the sender key that its readers need."""
        padded = pad(message.SerializeToString())
        sealed, sender_key = await self._repository.encrypt_group_message(group_jid=group, me_jid=own_jid, data=padded)
        return node("enc", sealed, v="2", type="skmsg"), sender_key

    async def must_give_sender_key(self, group: str, jid: str) -> bool:
        """Whether this device still has to be given the phone's sender key of the group; asking counts as giving."""
        id_ = f"{group} {self._repository.jid_to_address(jid)}"
        given = await self._store.get(SHARED, [id_])
        await self._store.set({SHARED: {id_: b"given"}})
        return not given

    async def learn_sender_key(self, group: str, author: str, distribution: Any) -> None:  # noqa: ANN401  a protobuf message
        """Keeps a member's sender key, by which that device's messages to the group are read."""
        await self._repository.process_sender_key_distribution_message(
            group_jid=group, author_jid=author, distribution_bytes=distribution.axolotlSenderKeyDistributionMessage
        )

    async def decrypt_from_group(self, group: str, author: str, enc: Node) -> "messages.Message":
        """The message in an `<enc>` that a member's device sealed for the group.

        Raises:
            UndecryptableError: the device's sender key is not known, or does not fit.
        """
        try:
            plain = await self._repository.decrypt_group_message(group_jid=group, author_jid=author, ciphertext=content(enc))
            return messages.Message.FromString(unpad(plain))
        except (SignalError, ValueError, InvalidTag, DecodeError) as error:
            raise UndecryptableError(str(error)) from error

    async def forget_group(self, group: str, jid: str) -> None:
        """The next message to the group brings this device the sender key again."""
        await self._store.set({SHARED: {f"{group} {self._repository.jid_to_address(jid)}": None}})

    async def forget(self, jid: str) -> None:
        """Ends the session with one device, so that the next message starts a new one."""
        address = str(self._repository.jid_to_address(jid))
        before = await self._session(address)
        await self._store.set({"session": {address: None}})
        await self._archive_if_replaced(address, before)

    def lose_sessions(self) -> int:
        """Loses all sessions, as a phone that was set up anew does; returns how many."""
        self._database.change("DELETE FROM phone_session_archive WHERE number = ?", self._number)
        self._database.change("DELETE FROM phone_key WHERE number = ? AND type IN ('sender-key', ?)", self._number, SHARED)
        return self._database.change("DELETE FROM phone_key WHERE number = ? AND type = 'session'", self._number)

    async def _session(self, address: str) -> bytes | None:
        value: bytes | None = (await self._store.get("session", [address])).get(address)
        return value

    def _archived(self, address: str) -> list[bytes]:
        query = "SELECT session FROM phone_session_archive WHERE number = ? AND address = ? ORDER BY seq DESC LIMIT ?"
        return [row["session"] for row in self._database.rows(query, self._number, address, ARCHIVED_SESSIONS)]

    async def _archive_if_replaced(self, address: str, before: bytes | None) -> None:
        after = await self._session(address)
        if before is not None and (after is None or _base_key(before) != _base_key(after)):
            insert = "INSERT INTO phone_session_archive (number, address, session) VALUES (?, ?, ?)"
            self._database.change(insert, self._number, address, before)


def _base_key(session: bytes) -> bytes:
    return bytes(messages.RecordStructure.FromString(session).currentSession.aliceBaseKey)


def bundle_node(
    jid: str, *, registration_id: int, identity: bytes, signed_prekey: tuple[int, bytes, bytes], prekey: tuple[int, bytes] | None
) -> Node:
    """A prekey bundle as the server hands it out; ids are 3 bytes on the wire."""
    inner = [
        node("registration", registration_id.to_bytes(4, "big")),
        node("type", DJB),
        node("identity", identity),
        node(
            "skey", [node("id", signed_prekey[0].to_bytes(3, "big")), node("value", signed_prekey[1]), node("signature", signed_prekey[2])]
        ),
    ]
    if prekey is not None:
        inner.insert(3, node("key", [node("id", prekey[0].to_bytes(3, "big")), node("value", prekey[1])]))
    return node("user", inner, jid=jid)
