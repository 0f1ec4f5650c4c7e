"""The settings of the contract: names, defaults, `.env`, and one clear line for each that cannot be used."""

from pathlib import Path

import pytest

from wasession_api import memory
from wasession_api.settings import SettingError, load

pytestmark = pytest.mark.unit


@pytest.fixture
def key(tmp_path: Path) -> dict[str, str]:
    file = tmp_path / "key"
    file.write_text("0123456789abcdef\n")
    return {"WASESSION_INTERNAL_KEY_FILE": str(file)}


def test_defaults_are_the_contracts(tmp_path: Path, key: dict[str, str]) -> None:
    found = load(tmp_path, key)
    assert (found.ws_port, found.max_sessions, found.max_reconnect_attempts) == (3000, 10, 5)
    assert (found.session_timeout, found.cleanup_interval, found.idle_seconds) == (1_800_000, 300_000, 1800)
    assert (found.api_url, found.bot_name, found.api_key) == (None, None, None)
    assert found.internal_key == b"0123456789abcdef"


def test_a_dotenv_file_is_read_and_the_environment_comes_first(tmp_path: Path, key: dict[str, str]) -> None:
    (tmp_path / ".env").write_text('WS_PORT=3001\nMAX_SESSIONS=20\nBOT_NAME="Mi Tienda"\n')
    found = load(tmp_path, {**key, "MAX_SESSIONS": "30"})
    assert (found.ws_port, found.max_sessions, found.bot_name) == (3001, 30, "Mi Tienda")


def test_an_api_key_comes_from_a_file_or_the_environment(tmp_path: Path, key: dict[str, str]) -> None:
    file = tmp_path / "api-key"
    file.write_text("secret\n")
    assert load(tmp_path, {**key, "WASESSION_API_KEY_FILE": str(file), "WASESSION_API_KEY": "other"}).api_key == "secret"
    assert load(tmp_path, {**key, "WASESSION_API_KEY": "other"}).api_key == "other"
    assert load(tmp_path, {**key, "WASESSION_API_KEY": "", "WASESSION_API_KEY_FILE": ""}).api_key is None


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("WS_PORT", "0"),
        ("WS_PORT", "70000"),
        ("WS_PORT", "http"),
        ("MAX_SESSIONS", "0"),
        ("MAX_SESSIONS", "-1"),
        ("MAX_SESSIONS", "1e3"),
        ("MAX_RECONNECT_ATTEMPTS", "1001"),
        ("SESSION_TIMEOUT", "0"),
        ("SESSION_TIMEOUT", "30m"),
        ("CLEANUP_INTERVAL", "1.5"),
        ("API_URL", "ftp://x"),
        ("API_URL", "http://x/?a=1"),
        ("BOT_NAME", "x" * 65),
        ("WASESSION_NAMESPACE", "No_Such"),
        ("WASESSION_API_KEY_FILE", "/nowhere/key"),
        ("WASESSION_INTERNAL_KEY_FILE", ""),
        ("WASESSION_INTERNAL_KEY_FILE", "/nowhere/key"),
    ],
)
def test_a_bad_value_is_named_with_its_variable(tmp_path: Path, key: dict[str, str], name: str, value: str) -> None:
    with pytest.raises(SettingError) as refused:
        load(tmp_path, {**key, name: value})
    message = str(refused.value)
    assert message.startswith(name)
    assert value in message
    assert "\n" not in message


def test_an_empty_or_short_key_is_refused(tmp_path: Path, key: dict[str, str]) -> None:
    empty = tmp_path / "empty"
    empty.write_text(" \n")
    with pytest.raises(SettingError, match="the file is empty"):
        load(tmp_path, {**key, "WASESSION_API_KEY_FILE": str(empty)})
    with pytest.raises(SettingError, match="0 bytes long"):
        load(tmp_path, {"WASESSION_INTERNAL_KEY_FILE": str(empty)})


def test_an_internal_key_may_be_raw_bytes_and_an_api_key_must_be_text(tmp_path: Path, key: dict[str, str]) -> None:
    raw = tmp_path / "raw"
    raw.write_bytes(b"\xff" * 32)
    assert load(tmp_path, {"WASESSION_INTERNAL_KEY_FILE": str(raw)}).internal_key == b"\xff" * 32
    with pytest.raises(SettingError, match="is not text"):
        load(tmp_path, {**key, "WASESSION_API_KEY_FILE": str(raw)})


def test_memory_is_read_in_bytes_from_the_kernels_text() -> None:
    text = "Name:\tpython\nVmRSS:\t  100 kB\nVmData:\t  90 kB\nRssAnon:\t 60 kB\nRssFile:\t 40 kB\nRssShmem:\t 0 kB\n"
    found = memory.parse(text)
    assert (found.rss, found.heap_total, found.heap_used, found.external, found.array_buffers) == (102400, 92160, 61440, 40960, 0)
