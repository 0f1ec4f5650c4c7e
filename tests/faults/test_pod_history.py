"""A small, fixed part of `make faults-pod`: the lives of seeds that once failed."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from podhistory.checker import check
from podhistory.life import CONTACTS, Life
from podhistory.schedule import draw
from waemulator.testing import EmulatorProcess

pytestmark = pytest.mark.integration
FAILED = {
    88906302: "4 inbound messages lost, with receipts that do not wait for the journal",
    50993100: "a message sent twice, with keys that a kill sets free",
}
"""What each seed found in a pod that had, or was given, the defect. A seed that fails is added here."""


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path / "emulator") as process:
        for number in CONTACTS:
            process.control.user(number, f"Contacto {number[-1]}")
        yield process


@pytest.mark.parametrize("seed", FAILED)
def test_what_was_mended_stays_mended(emulator: EmulatorProcess, tmp_path: Path, seed: int) -> None:
    life = Life(draw(seed), emulator, tmp_path)
    found = check(asyncio.run(life.run()))
    assert found == [], f"replay: make faults-pod SEED={seed}; the pod's log:\n{life.log}"
    assert len(life.kills) == draw(seed).kills
