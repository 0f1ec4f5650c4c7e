"""A session's own proxy: the way to WhatsApp for it alone, with a password that nobody gets to see."""

import base64
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pod_support import CONTACT, OWNER, World

from waemulator.testing import EmulatorProcess
from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import SessionState

pytestmark = pytest.mark.integration
USER, PASSWORD, QUOTED = "ana", "s3cr@t", "s3cr%40t"
PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(100)


@pytest.fixture
def emulator(tmp_path: Path) -> Iterator[EmulatorProcess]:
    """An emulated WhatsApp whose proxies ask for a password."""
    with EmulatorProcess(tmp_path / "emulator", "--proxy-credentials", f"{USER}:{PASSWORD}") as process:
        yield process


def through(world: World, scheme: str, password: str) -> World:
    """The pod's only way is a proxy of its own."""
    port = world.emulator.proxy_port if scheme == "http" else world.emulator.socks_port
    del world.pod.environment["HTTPS_PROXY"]
    world.pod.environment[Env.PROXY_URL] = f"{scheme}://{USER}:{password}@127.0.0.1:{port}"
    return world


def assert_hidden(world: World, *further: Any) -> None:  # noqa: ANN401  whatever is shown to somebody
    shown = f"{world.pod.log} {world.status.patches} {further}"
    assert not [secret for secret in (PASSWORD, QUOTED, "wr0ng") if secret in shown]


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_session_speaks_and_sends_files_through_its_own_proxy(make_world: Callable[..., World], scheme: str) -> None:
    world = through(make_world(), scheme, QUOTED)
    assert (await world.pair()).number == OWNER
    media = {"kind": "image", "base64": base64.b64encode(PICTURE).decode(), "mimetype": "image/png"}
    status, answer = await world.pod.post("/v1/messages", {"to": CONTACT, "media": media})
    assert (status, set(answer)) == (200, {"id", "timestamp"})
    assert await world.control("log", kind="https"), "the file was uploaded at the host for media"
    assert_hidden(world, answer)


@pytest.mark.parametrize(
    ("scheme", "password", "port"), [("http", QUOTED, 9), ("socks5", QUOTED, 9), ("http", "wr0ng", 0), ("socks5", "wr0ng", 0)]
)
async def test_a_proxy_that_is_away_or_refuses_is_named_without_its_password(
    make_world: Callable[..., World], scheme: str, password: str, port: int
) -> None:
    world = through(make_world(), scheme, password)
    if port:
        world.pod.environment[Env.PROXY_URL] = f"{scheme}://{USER}:{password}@127.0.0.1:{port}"
    await world.pod.start()
    waiting = await world.pod.session_where(lambda report: report.reconnect_attempts >= 2, "a second attempt")
    assert waiting.state is SessionState.RECONNECTING
    assert waiting.last_disconnect
    assert waiting.last_disconnect.code == 408
    assert waiting.last_disconnect.message.startswith("through the proxy 127.0.0.1:")
    assert_hidden(world, waiting)
