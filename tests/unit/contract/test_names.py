import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasession_contract import names

pytestmark = pytest.mark.unit

LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
IDS = st.from_regex(re.compile(names.SESSION_ID_PATTERN.replace("$", r"\Z")), fullmatch=True).filter(names.is_session_id)


@pytest.mark.parametrize("session_id", ["cliente1", "a", "bot-7", "x" * 40])
def test_a_short_label_is_its_own_object_name(session_id: str) -> None:
    assert names.object_name(session_id) == session_id


@pytest.mark.parametrize(
    ("session_id", "name"),
    [
        ("Cliente 1", "cliente-1-2c51b05776"),
        ("ñandú", "nandu-43dbd6bf71"),
        ("foo-1234567890", "foo-1234567890-b8a6864bc6"),
        ("x" * 41, "x" * 29 + "-" + "3ba0a7ff4d"),
    ],
)
def test_another_id_becomes_a_slug_with_a_hash(session_id: str, name: str) -> None:
    assert names.object_name(session_id)[:-10] == name[:-10]
    assert re.fullmatch(r"[0-9a-f]{10}", names.object_name(session_id)[-10:])


@pytest.mark.parametrize(
    "text", ["", " ", "../../x", "a" * 129, "a" * 300, "😀", "$(reboot)", "a/b", "a\n", " a", "a ", "a\x00", "{{x}}", "-"]
)
def test_an_absurd_id_is_refused_with_its_rule(text: str) -> None:
    assert not names.is_session_id(text)
    with pytest.raises(ValueError, match=r"cannot be a session id: use 1 to 128 letters"):
        names.object_name(text)


@given(IDS)
def test_every_name_fits_where_kubernetes_puts_it(session_id: str) -> None:
    name = names.object_name(session_id)
    for derived in (name, names.pod_name(name), names.claim_name(name)):
        assert LABEL.match(derived)
    assert len(name) <= 52


@given(IDS, IDS)
def test_two_ids_never_meet_in_one_name(a: str, b: str) -> None:
    assert (names.object_name(a) == names.object_name(b)) == (a == b)


@given(IDS)
def test_a_name_that_we_made_is_not_the_name_of_the_id_spelled_like_it(session_id: str) -> None:
    name = names.object_name(session_id)
    if name != session_id:
        assert names.object_name(name) != name
