"""Which words mean that the volume fails, and whether it works."""

from pathlib import Path

import pytest

from wasession_pod import volume

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(
    "words",
    [
        "Failed to store session: database or disk is full",
        "attempt to write a readonly database",
        "[Errno 28] No space left on device: '/data/x'",
        "[Errno 30] Read-only file system: '/data/x'",
        "unable to open database file: no such file or directory",
    ],
)
def test_a_volume_that_fails_is_recognized(words: str) -> None:
    assert volume.is_fault(words)


@pytest.mark.parametrize("words", ["file is not a database", "database disk image is malformed", "database is locked", "EOF"])
def test_what_a_person_must_mend_is_no_fault_of_the_volume(words: str) -> None:
    assert not volume.is_fault(words)


def test_a_probe_leaves_nothing_behind(tmp_path: Path) -> None:
    volume.probe(tmp_path)
    assert not list(tmp_path.iterdir())
    with pytest.raises(OSError, match="No such file"):
        volume.probe(tmp_path / "missing")
