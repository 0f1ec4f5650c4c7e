"""A real session pod as a process, with real neonize, against the emulator; API server and backend are small fakes."""

import os
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from waemulator.testing import EmulatorProcess
from wasession_contract.podwire import Env, token_sha256

sys.path.insert(0, str(Path(__file__).parent))  # test folders are no packages
from pod_support import TOKEN, FakeApiServer, FakeBackend, PodProcess, World, served


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
            given = {
                Env.NAME: "cliente1",
                Env.NAMESPACE: "default",
                Env.SESSION_ID: "cliente1",
                Env.UID: "uid-1",
                Env.POD_UID: "pod-uid-1",
                Env.TOKEN_SHA256: token_sha256(TOKEN),
                Env.BACKEND_URL: backend_url,
            }
            inherited = {key: value for key, value in os.environ.items() if "PROXY" not in key.upper()}
            pod = PodProcess(tmp_path, inherited | emulator.client_env() | given | (environment or {}), status_url)
            pods.append(pod)
            return World(emulator, status, backend, pod)

        yield make
        for pod in pods:
            await pod.close()


@pytest.fixture
async def world(make_world: Callable[..., World]) -> World:
    """The world around a pod with the usual settings."""
    return make_world()
