"""A real session pod as a process, with real neonize, against the emulator; API server and backend are small fakes."""

import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from waemulator.testing import EmulatorProcess
from wasession_contract.podwire import Env

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages
from pod_support import FakeApiServer, FakeBackend, PodProcess, World, pod_environment, served


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """An emulated WhatsApp of the test's own."""
    process = EmulatorProcess(tmp_path / "emulator")
    process.start()
    try:
        yield process
    finally:
        process.stop()


@pytest.fixture
async def make_world(tmp_path: Path, emulator: EmulatorProcess) -> AsyncIterator[Callable[..., World]]:
    """Makes the world around a pod that is not started yet; further environment as arguments."""
    status, backend = FakeApiServer(), FakeBackend()
    pods: list[PodProcess] = []
    async with served(status.handle) as status_url, served(backend.handle) as backend_url:

        def make(environment: dict[Env, str] | None = None) -> World:
            pod = PodProcess(tmp_path, pod_environment(emulator, backend_url) | (environment or {}), status_url)
            pods.append(pod)
            return World(emulator, status, backend, pod)

        yield make
        for pod in pods:
            await pod.close()


@pytest.fixture
async def world(make_world: Callable[..., World]) -> World:
    """The world around a pod with the usual settings."""
    return make_world()
