"""The phone's half of linking by an 8-character code that the client shows and the user types."""

import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from waemulator.errors import ProtocolViolationError, bad_request
from waemulator.keys import KeyPair

ALPHABET = frozenset("123456789ABCDEFGHJKLMNPQRSTVWXYZ")
CODE_LENGTH = 8
PBKDF2_ROUNDS = 2 << 16


class WrongCodeError(Exception):
    """The code typed is not the code shown."""


def normalize(code: str) -> str:
    """The code without its dash, in capitals.

    Raises:
        ControlError: it cannot be a pairing code.
    """
    bare = code.replace("-", "").replace(" ", "").upper()
    if len(bare) != CODE_LENGTH or not set(bare) <= ALPHABET:
        raise bad_request(
            "bad_code", f"not a pairing code: {code!r}; it has 8 characters of {''.join(sorted(ALPHABET))}, such as ABCD-EFGH"
        )
    return bare


def _ctr(code: str, salt: bytes, iv: bytes, data: bytes) -> bytes:
    key = hashlib.pbkdf2_hmac("sha256", code.encode(), salt, PBKDF2_ROUNDS, 32)
    cipher = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return cipher.update(data) + cipher.finalize()


def _hkdf(secret: bytes, salt: bytes | None, info: bytes) -> bytes:
    return HKDF(hashes.SHA256(), 32, salt, info).derive(secret)


class PhoneLink:
    """The phone while it links one device by code.

    Attributes:
        wrapped: the phone's ephemeral key, sealed with the code, for the client.
    """

    def __init__(self, identity: KeyPair, code: str, wrapped_companion: bytes) -> None:
        self._identity, self._ephemeral = identity, KeyPair.generate()
        self._companion = _ctr(code, wrapped_companion[:32], wrapped_companion[32:48], wrapped_companion[48:80])
        salt, iv = os.urandom(32), os.urandom(16)
        self.wrapped = salt + iv + _ctr(code, salt, iv, self._ephemeral.public)

    def finish(self, wrapped_bundle: bytes) -> tuple[bytes, bytes]:
        """The client's identity key and the ADV secret, from the key bundle that the client sent.

        Raises:
            WrongCodeError: the two sides used different codes.
            ProtocolViolationError: the bundle names another phone.
        """
        try:
            shared = self._ephemeral.agree(self._companion)
            key = _hkdf(shared, wrapped_bundle[:32], b"link_code_pairing_key_bundle_encryption_key")
            plain = AESGCM(key).decrypt(wrapped_bundle[32:44], wrapped_bundle[44:], None)
        except (InvalidTag, ValueError) as error:
            raise WrongCodeError from error
        companion, primary, random = plain[:32], plain[32:64], plain[64:96]
        if primary != self._identity.public:
            raise ProtocolViolationError("the key bundle names another phone's identity")
        return companion, _hkdf(shared + self._identity.agree(companion) + random, None, b"adv_secret")
