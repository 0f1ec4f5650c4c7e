import pytest

from wasession_pod.jids import recipient

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    ("text", "jid"),
    [
        ("573001234567", "573001234567@s.whatsapp.net"),
        (" +573001234567 ", "573001234567@s.whatsapp.net"),
        ("573001234567@s.whatsapp.net", "573001234567@s.whatsapp.net"),
        ("573001234567@c.us", "573001234567@s.whatsapp.net"),
        ("100099773986130@lid", "100099773986130@lid"),
        ("120363000000000000@g.us", "120363000000000000@g.us"),
        ("573001234567-1500000000@g.us", "573001234567-1500000000@g.us"),
    ],
)
def test_a_number_or_a_jid_is_a_recipient(text: str, jid: str) -> None:
    assert recipient(text) == jid


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1234",
        "1" * 16,
        "57 300 1234567",
        "573001234567:3@s.whatsapp.net",
        "x@s.whatsapp.net",
        "573001234567@evil",
        "٥٧٣٠٠١٢٣٤٥٦٧",
        "1@g.us",
    ],
)
def test_anything_else_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="is no recipient: use digits"):
        recipient(text)
