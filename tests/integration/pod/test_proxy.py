"""A session's own proxy: the way to WhatsApp for it alone, with a password that nobody gets to see."""

from collections.abc import Callable

import pytest
from pod_support import CONTACT, OWNER, World

from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import SessionState

pytestmark = pytest.mark.integration
PASSWORD = "s3cr%40t"
NO_PROXY_IN_ENVIRONMENT = "HTTPS_PROXY"


async def test_a_session_with_a_proxy_of_its_own_needs_none_in_the_environment(make_world: Callable[..., World]) -> None:
    world = make_world()
    del world.pod.environment[NO_PROXY_IN_ENVIRONMENT]
    port = world.emulator.proxy_port
    world.pod.environment[Env.PROXY_URL] = f"http://ana:{PASSWORD}@127.0.0.1:{port}"
    assert (await world.pair()).number == OWNER
    status, _ = await world.pod.post("/v1/messages", {"to": CONTACT, "text": "Hola"})
    assert status == 200
    assert {record["verdict"] for record in await world.control("log", kind="proxy")} == {"connected"}
    for secret in (PASSWORD, "s3cr@t"):
        assert secret not in world.pod.log


@pytest.mark.parametrize("scheme", ["http", "socks5"])
async def test_a_proxy_that_is_away_is_named_without_its_password(make_world: Callable[..., World], scheme: str) -> None:
    world = make_world({Env.PROXY_URL: f"{scheme}://ana:{PASSWORD}@127.0.0.1:9"})
    await world.pod.start()
    waiting = await world.pod.session_where(lambda report: report.reconnect_attempts >= 2, "a second attempt")
    assert waiting.state is SessionState.RECONNECTING
    assert waiting.last_disconnect
    assert waiting.last_disconnect.code == 408
    assert waiting.last_disconnect.message.startswith("through the proxy 127.0.0.1:9: ")
    shown = f"{world.pod.log} {waiting} {world.status.patches}"
    for secret in (PASSWORD, "s3cr@t"):
        assert secret not in shown
