"""The emulator and real neonize clients as processes on loopback."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from waemulator.neonize_process import NeonizeProcess
from waemulator.testing import EmulatorProcess


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """A running emulator with an empty state; at the end it must not have failed anywhere."""
    with EmulatorProcess(tmp_path / "emulator") as process:
        yield process
        errors = [one for one in process.control.log() if one["kind"] in ("server_error", "protocol_violation")] if process.pid else []
    assert errors == []


@pytest.fixture
def start_client(emulator: EmulatorProcess, tmp_path: Path) -> Iterator[Callable[[str], NeonizeProcess]]:
    """Starts a client by name; the same name again is the same credentials."""
    running: list[NeonizeProcess] = []

    def start(name: str) -> NeonizeProcess:
        running.append(NeonizeProcess(emulator, tmp_path / f"{name}.db"))
        return running[-1]

    yield start
    for client in running:
        client.kill()


@pytest.fixture
def pair(emulator: EmulatorProcess, start_client: Callable[[str], NeonizeProcess]) -> Callable[[str, str], NeonizeProcess]:
    """Starts a client by name and links it to a number by QR code."""

    def link(name: str, number: str) -> NeonizeProcess:
        emulator.control.user(number, f"Owner {name}")
        client = start_client(name)
        emulator.control.scan(number, client.wait_for("qr")["qr"])
        client.wait_for("Connected")
        return client

    return link
