from pathlib import Path

import pytest

from wasession_operator import settings
from wasession_operator.errors import SettingError
from wasession_operator.rollout import Share
from wasession_operator.settings import LogFormat

pytestmark = pytest.mark.unit


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "key").write_text("0123456789abcdef0123456789abcdef\n")
    template = Path(__file__).parent / "data" / "pod-template.yaml"
    return {"WASESSION_INTERNAL_KEY_FILE": str(tmp_path / "key"), "WASESSION_POD_TEMPLATE": str(template)}


def test_defaults(environ: dict[str, str]) -> None:
    loaded = settings.load(environ)
    assert (loaded.namespaces, loaded.device_name, loaded.backend_url, loaded.max_sessions) == ((), "DocuBot", "", 0)
    assert (loaded.cleanup_interval, loaded.internal_key, loaded.log_format) == (300, b"0123456789abcdef0123456789abcdef", LogFormat.JSON)


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("", Share(10, percent=True)),
        ("1", Share(1)),
        ("25", Share(25)),
        ("1%", Share(1, percent=True)),
        (" 100% ", Share(100, percent=True)),
    ],
)
def test_max_unavailable_is_a_number_or_a_share(environ: dict[str, str], text: str, share: Share) -> None:
    assert settings.load(environ | {"WASESSION_ROLLOUT_MAX_UNAVAILABLE": text}).rollout_max_unavailable == share


def test_the_rollouts_other_settings(environ: dict[str, str]) -> None:
    loaded = settings.load(environ)
    assert (loaded.rollout_progress_deadline, loaded.startup_per_second) == (600, 20)
    chosen = {"WASESSION_ROLLOUT_PROGRESS_DEADLINE_SECONDS": "30", "WASESSION_STARTUP_SESSIONS_PER_SECOND": "0.5"}
    loaded = settings.load(environ | chosen)
    assert (loaded.rollout_progress_deadline, loaded.startup_per_second) == (30, 0.5)


def test_values(environ: dict[str, str]) -> None:
    chosen = {"WASESSION_NAMESPACES": "a, b,a", "MAX_SESSIONS": "10", "CLEANUP_INTERVAL": "1500", "WASESSION_LOG_FORMAT": "text"}
    loaded = settings.load(environ | chosen)
    assert (loaded.namespaces, loaded.max_sessions, loaded.cleanup_interval, loaded.log_format) == (("a", "b"), 10, 1.5, LogFormat.TEXT)
    assert settings.load(environ | {"WASESSION_NAMESPACES": "*"}).namespaces == ()


@pytest.mark.parametrize(
    ("variable", "value", "words"),
    [
        ("WASESSION_NAMESPACES", "good,Bad_One", "'Bad_One' is no namespace"),
        ("WASESSION_INTERNAL_KEY_FILE", "", "is not set"),
        ("WASESSION_INTERNAL_KEY_FILE", "/nowhere/key", "cannot be read"),
        ("WASESSION_POD_TEMPLATE", "/nowhere/template", "cannot be read"),
        ("MAX_SESSIONS", "many", "MAX_SESSIONS='many': give a number from 0"),
        ("MAX_SESSIONS", "-1", "give a number from 0"),
        ("CLEANUP_INTERVAL", "0", "give a number from 100"),
        ("WASESSION_RESYNC_SECONDS", "nan", "give a number from 0.1"),
        ("WASESSION_METRICS_PORT", "70000", "to 65535"),
        ("WASESSION_ROLLOUT_MAX_UNAVAILABLE", "0", "'0': give a number of sessions from 1, or a share from 1% to 100%"),
        ("WASESSION_ROLLOUT_MAX_UNAVAILABLE", "0%", "from 1% to 100%"),
        ("WASESSION_ROLLOUT_MAX_UNAVAILABLE", "101%", "from 1% to 100%"),
        ("WASESSION_ROLLOUT_MAX_UNAVAILABLE", "few", "from 1% to 100%"),
        ("WASESSION_ROLLOUT_PROGRESS_DEADLINE_SECONDS", "0", "give a number from 1"),
        ("WASESSION_STARTUP_SESSIONS_PER_SECOND", "-1", "give a number from 0"),
        ("WASESSION_LOG_FORMAT", "xml", "give json or text"),
        ("WASESSION_LOG_LEVEL", "INFO", "give debug or info or warning or error"),
        ("API_URL", "ftp://api", "API_URL='ftp://api': give a base URL"),
    ],
)
def test_a_bad_value_is_one_clear_line(environ: dict[str, str], variable: str, value: str, words: str) -> None:
    with pytest.raises(SettingError) as raised:
        settings.load(environ | {variable: value})
    assert variable in str(raised.value)
    assert words in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("text", ["a: [", "[]", "spec: {}", "\x00"])
def test_an_unusable_template_is_one_clear_line(environ: dict[str, str], tmp_path: Path, text: str) -> None:
    (tmp_path / "template").write_text(text)
    with pytest.raises(SettingError, match="no usable PodTemplateSpec") as raised:
        settings.load(environ | {"WASESSION_POD_TEMPLATE": str(tmp_path / "template")})
    assert "\n" not in str(raised.value)


def test_a_short_key_is_refused_without_being_shown(environ: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "key").write_text("secret")
    with pytest.raises(SettingError, match="has 6 bytes") as raised:
        settings.load(environ)
    assert "secret" not in str(raised.value)
