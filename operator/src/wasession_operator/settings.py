"""The operator's settings, from environment variables.

`BOT_NAME`, `API_URL`, `MAX_SESSIONS` and `CLEANUP_INTERVAL` (milliseconds) are named as in the REST contract. A bad value
is a `SettingError` with one line that names the variable, the value and the mend.
"""

import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

import msgspec
import yaml

from wasession_operator.errors import SettingError
from wasession_operator.hearing import DEAF_AFTER
from wasession_operator.resources import Template, TemplateError
from wasession_operator.rollout import Share

MIN_KEY_BYTES = 16
MAX_PORT = 65535
MAX_STARTS = 10_000  # a second; more is no limit
_namespace = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
_int_or_percent = re.compile(r"(?P<number>\d{1,10})(?P<percent>%?)\Z")
_Number = TypeVar("_Number", int, float)
_Choice = TypeVar("_Choice", bound=StrEnum)


class LogFormat(StrEnum):
    """How log lines look."""

    JSON = "json"
    TEXT = "text"


class LogLevel(StrEnum):
    """From which level on lines are logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the installation sets. Durations are in seconds."""

    namespaces: tuple[str, ...] = ()
    """Namespaces whose sessions are served; none: the whole cluster."""
    internal_key: bytes
    """From it the token of each session's pod is derived."""
    template: Template
    """The chart's PodTemplateSpec."""
    device_name: str = "DocuBot"
    """Name in the phone's list of linked devices, for sessions whose spec has none."""
    backend_url: str = ""
    """Backend of sessions whose spec has none; empty: none."""
    max_sessions: int = 0
    """Sessions that are admitted at the same time; 0: no limit."""
    cleanup_interval: float = 300
    """Seconds between two looks at a session that may have become idle."""
    rollout_max_unavailable: Share = Share(10, percent=True)
    """Sessions that may be away at the same time while a changed pod template reaches them."""
    rollout_progress_deadline: float = 600
    """Seconds that a replaced session has to come back; as a Deployment's `progressDeadlineSeconds`."""
    startup_per_second: float = 20
    """Pods of paired sessions that are created in a second; 0: no limit."""
    resync_interval: float = 600
    """Seconds between two full lists, which cover lost watch events; jitter of a fifth comes on top."""
    deaf_after: float = DEAF_AFTER
    """Seconds for which a watch may stay behind the lists before the liveness probe fails."""
    workers: int = 16
    """Sessions that are worked on at the same time."""
    probe_port: int = 8081
    """Port of the liveness endpoint `/healthz`."""
    metrics_port: int = 9090
    """Port of the Prometheus metrics; 0: none."""
    log_format: LogFormat = LogFormat.JSON
    log_level: LogLevel = LogLevel.INFO


def load(environ: Mapping[str, str]) -> Settings:
    """Read the settings from `environ`. Raises SettingError."""
    return Settings(
        namespaces=_namespaces(environ.get("WASESSION_NAMESPACES", "")),
        internal_key=_key(environ, "WASESSION_INTERNAL_KEY_FILE"),
        template=_template(environ, "WASESSION_POD_TEMPLATE"),
        device_name=environ.get("BOT_NAME") or "DocuBot",
        backend_url=_url(environ, "API_URL"),
        max_sessions=_number(environ, "MAX_SESSIONS", int, default=0, lowest=0),
        cleanup_interval=_number(environ, "CLEANUP_INTERVAL", int, default=300_000, lowest=100) / 1000,
        rollout_max_unavailable=_share(environ, "WASESSION_ROLLOUT_MAX_UNAVAILABLE", "10%"),
        rollout_progress_deadline=_number(environ, "WASESSION_ROLLOUT_PROGRESS_DEADLINE_SECONDS", float, default=600.0, lowest=1),
        startup_per_second=_number(environ, "WASESSION_STARTUP_SESSIONS_PER_SECOND", float, default=20.0, lowest=0, highest=MAX_STARTS),
        resync_interval=_number(environ, "WASESSION_RESYNC_SECONDS", float, default=600.0, lowest=0.1),
        deaf_after=_number(environ, "WASESSION_DEAF_AFTER_SECONDS", float, default=DEAF_AFTER, lowest=0.1),
        workers=_number(environ, "WASESSION_WORKERS", int, default=16, lowest=1),
        probe_port=_number(environ, "WASESSION_PROBE_PORT", int, default=8081, lowest=1, highest=MAX_PORT),
        metrics_port=_number(environ, "WASESSION_METRICS_PORT", int, default=9090, lowest=0, highest=MAX_PORT),
        log_format=_choice(environ, "WASESSION_LOG_FORMAT", LogFormat.JSON),
        log_level=_choice(environ, "WASESSION_LOG_LEVEL", LogLevel.INFO),
    )


def _namespaces(text: str) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",") if part.strip()))
    if names == ("*",):
        return ()
    for name in names:
        if not _namespace.match(name):
            raise SettingError(
                f"WASESSION_NAMESPACES={text!r}: {name!r} is no namespace; give names separated by commas, or nothing for the whole cluster"
            )
    return names


def _file(environ: Mapping[str, str], variable: str) -> bytes:
    path = environ.get(variable, "")
    if not path:
        raise SettingError(f"{variable} is not set: give the path of the file")
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise SettingError(f"{variable}={path!r}: cannot be read: {error.strerror}") from error


def _key(environ: Mapping[str, str], variable: str) -> bytes:
    key = _file(environ, variable).strip()
    if len(key) < MIN_KEY_BYTES:
        raise SettingError(f"{variable}: the key has {len(key)} bytes; it needs at least {MIN_KEY_BYTES} random ones")
    return key


def _template(environ: Mapping[str, str], variable: str) -> Template:
    raw = _file(environ, variable)
    try:
        return Template.read(yaml.safe_load(raw))
    except (yaml.YAMLError, TemplateError) as error:
        raise SettingError(f"{variable}={environ[variable]!r}: no usable PodTemplateSpec: {' '.join(str(error).split())}") from error


def _url(environ: Mapping[str, str], variable: str) -> str:
    url = environ.get(variable, "")
    if url and not re.match(r"https?://[^\s/?#]+(/[^\s?#]*)?\Z", url):
        raise SettingError(f"{variable}={url!r}: give a base URL such as http://api:8080, or nothing for no backend")
    return url


def _number(
    environ: Mapping[str, str],
    variable: str,
    kind: Callable[[str], _Number],
    *,
    default: _Number,
    lowest: float,
    highest: float = 2**31,
) -> _Number:
    text = environ.get(variable, "").strip()
    if not text:
        return default
    try:
        value = kind(text)
    except ValueError:
        value = None
    if value is None or not lowest <= value <= highest:
        raise SettingError(f"{variable}={text!r}: give a number from {lowest:g} to {highest:g}")
    return value


def _share(environ: Mapping[str, str], variable: str, default: str) -> Share:
    """Kubernetes' IntOrString."""
    text = environ.get(variable, "").strip() or default
    found = _int_or_percent.match(text)
    number = int(found["number"]) if found else 0
    percent = bool(found and found["percent"])
    if not 1 <= number <= (100 if percent else 2**31):
        raise SettingError(f"{variable}={text!r}: give a number of sessions from 1, or a share from 1% to 100%")
    return Share(number, percent=percent)


def _choice(environ: Mapping[str, str], variable: str, default: _Choice) -> _Choice:
    text = environ.get(variable, "").strip()
    if not text:
        return default
    try:
        return type(default)(text)
    except ValueError:
        raise SettingError(f"{variable}={text!r}: give {' or '.join(type(default))}") from None
