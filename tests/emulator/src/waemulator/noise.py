"""The responder's side of Noise_XX_25519_AESGCM_SHA256, the way WhatsApp speaks it.

Surprising: the empty payload of the first message is not mixed into the hash, which every stock Noise library does.
The nonce is 8 zero bytes and a 4-byte big-endian counter.
"""

import hashlib

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from waemulator.errors import ProtocolViolationError
from waemulator.keys import KeyPair
from waemulator.proto import DecodeError, messages

PATTERN = b"Noise_XX_25519_AESGCM_SHA256\0\0\0\0"
HEADER = b"WA\x06\x03"
"""Sent once by the client before its first frame: magic, protocol version 6, dictionary version 3."""


def _nonce(counter: int) -> bytes:
    return bytes(8) + counter.to_bytes(4, "big")


def _hkdf(salt: bytes, secret: bytes) -> tuple[bytes, bytes]:
    out = HKDF(hashes.SHA256(), 64, salt, b"").derive(secret)
    return out[:32], out[32:]


class _Cipher:
    """One direction of the open channel."""

    def __init__(self, key: bytes) -> None:
        self._aead = AESGCM(key)
        self._counter = 0

    def next_nonce(self) -> bytes:
        self._counter += 1
        return _nonce(self._counter - 1)

    def seal(self, plain: bytes) -> bytes:
        return self._aead.encrypt(self.next_nonce(), plain, b"")

    def open(self, sealed: bytes) -> bytes:
        return self._aead.decrypt(self.next_nonce(), sealed, b"")


class Responder:
    """The server's end of one connection: `server_hello`, then `client_finish`, then `seal` and `open`.

    Attributes:
        client_static: the client's long-lived Noise key; empty before `client_finish`.
    """

    def __init__(self, static: KeyPair, certificate_chain: bytes) -> None:
        self._static = static
        self._chain = certificate_chain
        self._ephemeral = KeyPair.generate()
        self._hash = self._salt = self._key = PATTERN
        self._counter = 0
        self._mix_hash(HEADER)
        self._receive: _Cipher | None = None
        self._send: _Cipher | None = None
        self.client_static = b""

    def server_hello(self, client_hello: bytes) -> bytes:
        """The answer to the client's first message.

        Raises:
            ProtocolViolationError: it is no client hello.
        """
        theirs = self._parse(client_hello).clientHello.ephemeral
        try:
            self._mix_hash(theirs)
            self._mix_hash(self._ephemeral.public)
            self._mix_key(self._ephemeral.agree(theirs))
            static = self._encrypt(self._static.public)
            self._mix_key(self._static.agree(theirs))
        except ValueError as error:
            raise ProtocolViolationError(f"the client hello's key is bad: {error}") from error
        out = messages.HandshakeMessage()
        out.serverHello.ephemeral = self._ephemeral.public
        out.serverHello.static = static
        out.serverHello.payload = self._encrypt(self._chain)
        return bytes(out.SerializeToString())

    def client_finish(self, frame: bytes) -> bytes:
        """Opens the client's second message and returns its payload, a serialized `ClientPayload`.

        Raises:
            ProtocolViolationError: it is not sealed with the keys of this handshake.
        """
        finish = self._parse(frame).clientFinish
        try:
            self.client_static = self._decrypt(finish.static)
            self._mix_key(self._ephemeral.agree(self.client_static))
            payload = self._decrypt(finish.payload)
        except (InvalidTag, ValueError) as error:
            raise ProtocolViolationError("the client finish does not fit the handshake") from error
        receive, send = _hkdf(self._salt, b"")
        self._receive, self._send = _Cipher(receive), _Cipher(send)
        return payload

    def seal(self, plain: bytes) -> bytes:
        """Encrypts the next frame to the client."""
        if self._send is None:
            raise ProtocolViolationError("the handshake is not finished")
        return self._send.seal(plain)

    def open(self, sealed: bytes) -> bytes:
        """Decrypts the next frame of the client.

        Raises:
            ProtocolViolationError: it is not that.
        """
        if self._receive is None:
            raise ProtocolViolationError("the handshake is not finished")
        try:
            return self._receive.open(sealed)
        except InvalidTag as error:
            raise ProtocolViolationError("a frame that does not decrypt") from error

    @staticmethod
    def _parse(data: bytes) -> "messages.HandshakeMessage":
        try:
            return messages.HandshakeMessage.FromString(data)
        except DecodeError as error:
            raise ProtocolViolationError("not a handshake message") from error

    def _mix_hash(self, data: bytes) -> None:
        self._hash = hashlib.sha256(self._hash + data).digest()

    def _mix_key(self, secret: bytes) -> None:
        self._salt, self._key = _hkdf(self._salt, secret)
        self._counter = 0

    def _encrypt(self, plain: bytes) -> bytes:
        sealed = AESGCM(self._key).encrypt(_nonce(self._counter), plain, self._hash)
        self._counter += 1
        self._mix_hash(sealed)
        return sealed

    def _decrypt(self, sealed: bytes) -> bytes:
        plain = AESGCM(self._key).decrypt(_nonce(self._counter), sealed, self._hash)
        self._counter += 1
        self._mix_hash(sealed)
        return plain
