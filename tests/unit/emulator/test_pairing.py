import base64

import pytest

from waemulator.errors import ControlError
from waemulator.paircode import normalize
from waemulator.pairing import parse_qr

pytestmark = pytest.mark.unit
KEYS = [bytes([i]) * 32 for i in (1, 2, 3)]
NOISE, IDENTITY, SECRET = (base64.b64encode(key).decode() for key in KEYS)


@pytest.mark.parametrize(
    "text",
    [
        f"https://wa.me/settings/linked_devices#2@ref,{NOISE},{IDENTITY},{SECRET},1",
        f"2@ref,{NOISE},{IDENTITY},{SECRET}",
        f"  2@ref,{NOISE},{IDENTITY},{SECRET}\n",
    ],
)
def test_a_code_is_read_with_and_without_its_address(text: str) -> None:
    code = parse_qr(text)
    assert code.reference == "2@ref"
    assert [code.noise_key, code.identity, code.adv_secret] == KEYS


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("", "has 1 fields"),
        ("https://example.org/", "'https://example.org/' has 1 fields"),
        (f"2@ref,{NOISE},{IDENTITY}", "has 3 fields"),
        (f"2@ref,{NOISE},{IDENTITY},{SECRET},1,2", "has 6 fields"),
        (f"2@ref,{NOISE},***,{SECRET}", "identity key '***' is no base64"),
        (f"2@ref,{NOISE},{IDENTITY},c2hvcnQ=", "ADV secret has 5 bytes"),
        ("😀" * 300, "has 1 fields"),
    ],
)
def test_what_is_no_code_is_named(text: str, named: str) -> None:
    with pytest.raises(ControlError) as refused:
        parse_qr(text)
    assert (refused.value.status, refused.value.code) == (400, "bad_qr")
    assert named in refused.value.message


def test_a_pairing_code_is_typed_in_several_ways() -> None:
    assert {normalize(text) for text in ("abcd-efgh", "ABCDEFGH", "abcd efgh")} == {"ABCDEFGH"}


@pytest.mark.parametrize("text", ["", "ABCD-EFG", "ABCD-EFGHJ", "ABCD-EFG0", "ÄBCD-EFGH"])
def test_what_is_no_pairing_code_is_named(text: str) -> None:
    with pytest.raises(ControlError, match="not a pairing code"):
        normalize(text)
