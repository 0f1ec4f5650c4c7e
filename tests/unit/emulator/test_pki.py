from pathlib import Path

import pytest
from cryptography import x509

from waemulator import pki
from waemulator.errors import StateError
from waemulator.keys import verify
from waemulator.proto import messages
from waemulator.wire import now

pytestmark = pytest.mark.unit


def test_a_second_call_changes_nothing(tmp_path: Path) -> None:
    first = pki.create(tmp_path)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(files) == set(pki.FILES)
    assert pki.create(tmp_path) == first
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_a_set_that_was_cut_short_is_made_anew(tmp_path: Path) -> None:
    pki.create(tmp_path)
    (tmp_path / pki.NOISE_FILE).unlink()
    with pytest.raises(StateError, match=r"has no noise\.json: make them with"):
        pki.load(tmp_path)
    assert pki.create(tmp_path) == pki.load(tmp_path)


def test_keys_that_are_not_readable_are_named(tmp_path: Path) -> None:
    pki.create(tmp_path)
    (tmp_path / pki.NOISE_FILE).write_text('{"root": "zz"}')
    with pytest.raises(StateError, match=r"noise\.json is not readable"):
        pki.load(tmp_path)


@pytest.mark.parametrize("host", ["web.whatsapp.com", "mmg.whatsapp.net"])
def test_the_leaf_is_good_for_whatsapps_hosts_under_the_authority(tmp_path: Path, host: str) -> None:
    keys = pki.create(tmp_path)
    authority = x509.load_pem_x509_certificate(keys.ca_file.read_bytes())
    leaf = x509.load_pem_x509_certificates(keys.tls_file.read_bytes())[0]
    names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert any(host == name or (name.startswith("*.") and host.split(".", 1)[1] == name[2:]) for name in names)
    leaf.verify_directly_issued_by(authority)


def test_the_private_keys_are_for_the_owner_alone(tmp_path: Path) -> None:
    keys = pki.create(tmp_path)
    for path in (keys.tls_file, tmp_path / pki.NOISE_FILE):
        assert path.stat().st_mode & 0o077 == 0


def test_the_noise_chain_leads_from_the_root_to_the_static_key(tmp_path: Path) -> None:
    keys = pki.create(tmp_path)
    chain = messages.CertChain.FromString(keys.noise_chain())
    details = messages.CertChain.NoiseCertificate.Details
    middle, leaf = details.FromString(chain.intermediate.details), details.FromString(chain.leaf.details)
    assert verify(keys.root.public, chain.intermediate.details, chain.intermediate.signature)
    assert verify(middle.key, chain.leaf.details, chain.leaf.signature)
    assert leaf.key == keys.static.public
    assert (middle.issuerSerial, leaf.issuerSerial) == (0, middle.serial)
    assert all(one.notBefore <= now() <= one.notAfter for one in (middle, leaf))
