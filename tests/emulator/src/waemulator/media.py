"""Media blobs as WhatsApp's hosts store them: AES-256-CBC and a truncated HMAC, keys derived from the message's media key."""

import hashlib
import hmac
import os
import secrets
from dataclasses import dataclass
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pyaileys.crypto.aes import aes_decrypt_cbc_pkcs7, aes_encrypt_cbc_pkcs7

from waemulator.database import Database
from waemulator.proto import messages

HOST = "mmg.whatsapp.net"
INFO = {
    "image": b"WhatsApp Image Keys",
    "video": b"WhatsApp Video Keys",
    "audio": b"WhatsApp Audio Keys",
    "document": b"WhatsApp Document Keys",
    "sticker": b"WhatsApp Image Keys",
}
HISTORY = b"WhatsApp History Keys"
"""What the keys of a part of an account's history are derived with."""
SHOWN = frozenset({"fileName", "height", "ptt", "seconds", "width"})
"""What a phone shows of a file beside its content, for the kinds that have it."""
MAC_BYTES = 10
KEPT_BLOBS = 500


class BadMediaError(Exception):
    """A blob that does not fit the message that points to it."""


@dataclass(frozen=True)
class _Keys:
    iv: bytes
    cipher: bytes
    mac: bytes

    @classmethod
    def derive(cls, media_key: bytes, info: bytes) -> "_Keys":
        key = HKDF(hashes.SHA256(), 112, None, info).derive(media_key)
        return cls(key[:16], key[16:48], key[48:80])

    def tag(self, sealed: bytes) -> bytes:
        return hmac.new(self.mac, self.iv + sealed, hashlib.sha256).digest()[:MAC_BYTES]


def seal(data: bytes, info: bytes) -> tuple[bytes, bytes]:
    """A new media key and the blob to upload; `info` is what the keys are derived with, by the kind of media."""
    media_key = os.urandom(32)
    keys = _Keys.derive(media_key, info)
    sealed = aes_encrypt_cbc_pkcs7(data, key=keys.cipher, iv=keys.iv)
    return media_key, sealed + keys.tag(sealed)


def unseal(blob: bytes, media_key: bytes, info: bytes) -> bytes:
    """The content of a blob.

    Raises:
        BadMediaError: it was changed, or it is of another key.
    """
    keys = _Keys.derive(media_key, info)
    sealed, tag = blob[:-MAC_BYTES], blob[-MAC_BYTES:]
    if not hmac.compare_digest(keys.tag(sealed), tag):
        raise BadMediaError("the blob's MAC is wrong")
    return bytes(aes_decrypt_cbc_pkcs7(sealed, key=keys.cipher, iv=keys.iv))


class MediaStore:
    """The blobs on the media host, by path; the oldest go when there are too many."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put(self, blob: bytes) -> str:
        """Keeps a blob and returns its path."""
        path = "/v/" + secrets.token_hex(12)
        self._database.change("INSERT INTO media VALUES (?, ?)", path, blob)
        prune = "DELETE FROM media WHERE rowid <= (SELECT MAX(rowid) FROM media) - ?"
        self._database.change(prune, KEPT_BLOBS)
        return path

    def get(self, path: str) -> bytes | None:
        """The blob at a path (what follows a `?` does not count), or None."""
        row = self._database.row("SELECT data FROM media WHERE path = ?", path.partition("?")[0])
        return None if row is None else bytes(row["data"])

    def message(self, data: bytes, *, kind: str, mimetype: str, caption: str, filename: str) -> "messages.Message":
        """Uploads the data as a contact's phone would and returns the message that points to it."""
        message = messages.Message()
        part = getattr(message, f"{kind}Message")
        path = sealed_file(self, part, data, INFO[kind])
        part.url, part.mimetype = f"https://{HOST}{path}", mimetype
        for name, value in (("caption", caption), ("fileName", filename)):
            if value and name in part.DESCRIPTOR.fields_by_name:
                setattr(part, name, value)
        return message

    def describe(self, message: "messages.Message") -> dict[str, object] | None:
        """What a phone makes of a media message: kind, caption, size, and whether the content fits the message. None if it is no media."""
        for kind, info in INFO.items():
            if not message.HasField(f"{kind}Message"):
                continue
            part = getattr(message, f"{kind}Message")
            out: dict[str, object] = {"kind": kind, "mimetype": part.mimetype, "caption": getattr(part, "caption", "")}
            out |= {field.name: value for field, value in part.ListFields() if field.name in SHOWN}
            blob = self.get(part.directPath)
            try:
                data = unseal(blob or b"", part.mediaKey, info)
            except (BadMediaError, ValueError) as error:
                return out | {"size": 0, "sha256_ok": False, "error": str(error)}
            digest = hashlib.sha256(data)
            return out | {"size": len(data), "sha256": digest.hexdigest(), "sha256_ok": digest.digest() == part.fileSha256}
        return None


def sealed_file(store: MediaStore, part: Any, data: bytes, info: bytes) -> str:  # noqa: ANN401  a protobuf message
    """Uploads the data, sealed, lets a part of a message point to it, and returns the path."""
    media_key, blob = seal(data, info)
    path = store.put(blob)
    part.directPath, part.mediaKey, part.fileLength = f"{path}?ccb=11-4", media_key, len(data)
    part.fileSha256, part.fileEncSha256 = hashlib.sha256(data).digest(), hashlib.sha256(blob).digest()
    return path
