"""The real client behind proxies that want to know who it is."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from waemulator.neonize_process import NeonizeProcess
from waemulator.testing import EmulatorProcess

pytestmark = pytest.mark.integration
OWNER = "491701234567"


@pytest.fixture(scope="module")
def emulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorProcess]:
    with EmulatorProcess(tmp_path_factory.mktemp("emulator"), "--proxy-credentials", "alice:s3cret") as process:
        process.control.user(OWNER, "Owner")
        yield process


@pytest.mark.parametrize("protocol", ["http", "socks5"])
def test_the_client_is_linked_through_a_proxy_with_user_and_password(emulator: EmulatorProcess, tmp_path: Path, protocol: str) -> None:
    port = {"http": emulator.proxy_port, "socks5": emulator.socks_port}[protocol]
    mark = emulator.control.mark()
    client = NeonizeProcess(emulator, tmp_path / "one.db", HTTPS_PROXY=f"{protocol}://alice:s3cret@127.0.0.1:{port}")
    try:
        emulator.control.scan(OWNER, client.wait_for("qr")["qr"])
        client.wait_for("Connected")
    finally:
        client.kill()
    connected = emulator.control.log(mark, kind="proxy_connect")
    assert {(one["protocol"], one["user"], one["host"]) for one in connected} == {(protocol, "alice", "web.whatsapp.com")}


@pytest.mark.parametrize("protocol", ["http", "socks5"])
def test_a_wrong_password_does_not_get_through(emulator: EmulatorProcess, tmp_path: Path, protocol: str) -> None:
    port = {"http": emulator.proxy_port, "socks5": emulator.socks_port}[protocol]
    mark = emulator.control.mark()
    client = NeonizeProcess(emulator, tmp_path / "one.db", HTTPS_PROXY=f"{protocol}://alice:wrong@127.0.0.1:{port}")
    try:
        client.wait_for("connect_failed")
    finally:
        client.kill()
    refused = emulator.control.log(mark, kind="proxy")
    assert {(one["protocol"], one["user"], one["verdict"]) for one in refused} == {(protocol, "alice", "credentials")}
