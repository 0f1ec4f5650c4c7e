"""Curve25519 key pairs with Signal's signatures (XEdDSA)."""

import os
from dataclasses import dataclass
from typing import Self

from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from pyaileys.crypto.curve25519_signature import curve25519_sign, curve25519_verify

KEY_BYTES = 32
DJB = b"\x05"
"""Signal writes a public key with this type byte in front."""


@dataclass(frozen=True)
class KeyPair:
    """A Curve25519 key pair; both halves are 32 raw bytes."""

    private: bytes
    public: bytes

    @classmethod
    def generate(cls) -> Self:
        """A new random pair."""
        return cls.from_private(os.urandom(KEY_BYTES))

    @classmethod
    def from_private(cls, private: bytes) -> Self:
        """The pair of this private key."""
        key = X25519PrivateKey.from_private_bytes(private)
        return cls(key.private_bytes_raw(), key.public_key().public_bytes_raw())

    def agree(self, public: bytes) -> bytes:
        """The Diffie-Hellman secret with the other side's public key."""
        return X25519PrivateKey.from_private_bytes(self.private).exchange(X25519PublicKey.from_public_bytes(public))

    def sign(self, message: bytes) -> bytes:
        """A 64-byte signature, other ones each time."""
        return bytes(curve25519_sign(self.private, message))


def verify(public: bytes, message: bytes, signature: bytes) -> bool:
    """Whether the holder of the public key signed the message."""
    return bool(curve25519_verify(public, message, signature))
