"""The keys that make a client believe it talks to WhatsApp: a TLS authority and leaf, and the Noise certificate chain.

`create` writes them once into a directory, so that clients can be configured before the server starts. The client
trusts `ca.pem` by SSL_CERT_FILE, and the Noise root by the key swap of `preload/sitecustomize.py`.
"""

import datetime as dt
import json
import os
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from waemulator.errors import StateError
from waemulator.keys import KeyPair
from waemulator.proto import messages
from waemulator.wire import now

HOSTS = ("web.whatsapp.com", "*.whatsapp.com", "*.whatsapp.net", "*.cdn.whatsapp.net")
CA_FILE, TLS_FILE, NOISE_FILE = "ca.pem", "tls.pem", "noise.json"
FILES = (CA_FILE, TLS_FILE, NOISE_FILE)
DAY = 86_400
VALID_DAYS = 3650
INTERMEDIATE_SERIAL, LEAF_SERIAL = 1, 2


@dataclass(frozen=True)
class Pki:
    """The keys of one emulator and where its files are."""

    directory: Path
    root: KeyPair
    intermediate: KeyPair
    static: KeyPair

    @property
    def ca_file(self) -> Path:
        """The TLS authority's certificate (PEM)."""
        return self.directory / CA_FILE

    @property
    def tls_file(self) -> Path:
        """The server's key and certificate (PEM)."""
        return self.directory / TLS_FILE

    def noise_chain(self) -> bytes:
        """The serialized certificate chain that the Noise handshake carries, valid from yesterday on.

        The client checks both signatures, the serials, the leaf's key and both windows of time.
        """
        details = messages.CertChain.NoiseCertificate.Details
        window = {"notBefore": now() - DAY, "notAfter": now() + VALID_DAYS * DAY}
        middle = details(serial=INTERMEDIATE_SERIAL, issuerSerial=0, key=self.intermediate.public, **window).SerializeToString()
        leaf = details(serial=LEAF_SERIAL, issuerSerial=INTERMEDIATE_SERIAL, key=self.static.public, **window).SerializeToString()
        chain = messages.CertChain()
        chain.intermediate.details, chain.intermediate.signature = middle, self.root.sign(middle)
        chain.leaf.details, chain.leaf.signature = leaf, self.intermediate.sign(leaf)
        return bytes(chain.SerializeToString())


def create(directory: Path) -> Pki:
    """Writes the files that are not there yet and returns what is there; a second call changes nothing.

    The last file is written last and each is renamed into place, so a kill in between leaves no half of a set.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if not all((directory / name).exists() for name in FILES):
        ca, tls = _tls_certificates()
        noise = {name: KeyPair.generate().private.hex() for name in ("root", "intermediate", "static")}
        _write(directory / CA_FILE, ca)
        _write(directory / TLS_FILE, tls)
        _write(directory / NOISE_FILE, json.dumps(noise).encode())
    return load(directory)


def load(directory: Path) -> Pki:
    """The keys in the directory.

    Raises:
        StateError: they are not there, or not readable.
    """
    missing = [name for name in FILES if not (directory / name).exists()]
    if missing:
        raise StateError(f"{directory} has no {', '.join(missing)}: make them with `python -m waemulator init --state {directory}`")
    try:
        keys = json.loads((directory / NOISE_FILE).read_text())
        return Pki(directory, *(KeyPair.from_private(bytes.fromhex(keys[name])) for name in ("root", "intermediate", "static")))
    except (OSError, ValueError, KeyError) as error:
        raise StateError(f"{directory / NOISE_FILE} is not readable as Noise keys ({error}): delete it and run init again") from error


def _write(path: Path, data: bytes) -> None:
    draft = path.with_name(path.name + ".new")
    draft.touch(mode=0o600)
    draft.write_bytes(data)
    os.replace(draft, path)  # noqa: PTH105  the atomic rename, by its usual name


def _pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _tls_certificates() -> tuple[bytes, bytes]:
    """The authority's certificate, and the server's key and certificate."""
    start = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    ca_key, leaf_key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    ca_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "waemulator test authority")])

    def builder(name: x509.Name, public: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(ca_name)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(start)
            .not_valid_after(start + dt.timedelta(days=VALID_DAYS))
        )

    usage = x509.KeyUsage(
        digital_signature=False, content_commitment=False, key_encipherment=False, data_encipherment=False, key_agreement=False,
        key_cert_sign=True, crl_sign=True, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    ca = (
        builder(ca_name, ca_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    leaf = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOSTS[0])]), leaf_key.public_key())
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key()), critical=False)
        .sign(ca_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    return ca.public_bytes(pem), _pem(leaf_key) + leaf.public_bytes(pem)
