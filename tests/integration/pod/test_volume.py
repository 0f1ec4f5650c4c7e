"""A volume that is full or read-only: the session stops, keeps its credentials, and goes on by itself when the volume works."""

import asyncio
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from disconnect_rows import linked_devices
from pod_support import CONTACT, OWNER, World, eventually

from wasession_contract.v1alpha1 import SessionState

pytestmark = pytest.mark.integration
SIZE = "12m"  # neonize's database is 1 MB after the pairing, and its write-ahead log 4 MB at most


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A small file system of its own at the pod's data directory."""
    directory = tmp_path / "data"
    directory.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "wasession-test", str(directory)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip(f"needs the right to mount a tmpfs: {mounted.stderr.decode()}")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def fill(directory: Path) -> Path:
    """A file that takes all the room that is left."""
    filler = directory / "somebody-elses-file"
    with filler.open("wb", buffering=0) as file:
        for size in (1 << 16, 1 << 12, 1):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue
    assert os.statvfs(directory).f_bavail == 0
    return filler


def contents(directory: Path) -> dict[str, bytes]:
    """Every file."""
    return {file.name: file.read_bytes() for file in directory.iterdir()}


async def test_a_full_volume_stops_the_session_until_there_is_room(volume: Path, make_world: Callable[..., World]) -> None:
    world = make_world()
    await world.pair()
    devices = linked_devices(world)
    filler = await asyncio.to_thread(fill, volume)
    await world.control("incoming", CONTACT, OWNER, "x" * 60_000)
    failed = await world.pod.reaches(SessionState.FAILED)
    assert "full" in (failed.message or "")
    assert failed.number == OWNER
    assert devices == linked_devices(world)

    filler.unlink()
    await world.pod.reaches(SessionState.CONNECTED)
    await eventually(lambda: world.backend.messages, "the message that came while the volume was full")
    assert len(await world.control("log", kind="register")) == 1, "no second QR code"


async def test_a_read_only_volume_is_said_and_left_as_soon_as_it_can_be_written(volume: Path, make_world: Callable[..., World]) -> None:
    world = make_world()
    await world.pair()
    await world.pod.kill()
    before = contents(volume)
    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,ro", str(volume)], check=True)
    await world.pod.start()
    failed = await world.pod.reaches(SessionState.FAILED)
    assert "read" in (failed.message or "")
    assert contents(volume) == before

    await asyncio.to_thread(subprocess.run, ["mount", "-o", "remount,rw", str(volume)], check=True)
    await world.pod.reaches(SessionState.CONNECTED)
    assert len(await world.control("log", kind="register")) == 1, "no second QR code"
