import msgspec
import pytest

from wasession_contract import podwire, v1alpha1

pytestmark = pytest.mark.unit


def test_a_pod_accepts_its_own_token_and_no_other() -> None:
    mine, other = podwire.token(b"key", "uid-1"), podwire.token(b"key", "uid-2")
    expected = podwire.token_sha256(mine)
    assert podwire.is_token(mine, expected)
    assert not podwire.is_token(other, expected)
    assert not podwire.is_token("", expected)
    assert not podwire.is_token(podwire.token(b"another key", "uid-1"), expected)


def test_the_token_cannot_be_had_from_what_the_pod_knows() -> None:
    mine = podwire.token(b"key", "uid-1")
    assert mine not in podwire.token_sha256(mine)
    assert not podwire.is_token(podwire.token_sha256(mine), podwire.token_sha256(mine))


def test_a_send_request_with_an_unknown_field_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError, match="unknown field `number`"):
        msgspec.json.decode(b'{"to": "1", "text": "x", "number": "1"}', type=podwire.SendRequest)


OBJECT = {
    "metadata": {"name": "a", "uid": "u"},
    "status": {
        "pod": {"name": "a-session", "uid": "pod-1"},
        "session": {"podUID": "pod-1", "state": "Connected", "reportedAt": "2026-01-01T00:00:00Z"},
    },
}


def test_a_report_of_the_known_pod_is_believed_and_of_another_is_not() -> None:
    session = v1alpha1.convert(OBJECT)
    assert session.believed_report is not None
    older = v1alpha1.convert({**OBJECT, "status": {**OBJECT["status"], "pod": {"name": "a-session", "uid": "pod-2"}}})
    assert older.believed_report is None


def test_an_object_that_a_newer_part_wrote_can_be_read() -> None:
    session = v1alpha1.convert({**OBJECT, "spec": {"inventedLater": 1}, "status": {**OBJECT["status"], "alsoLater": {}}})
    assert session.session_id == "a"
