"""The facade's settings: the contract's variables under their names, and where the keys are.

Environment first, then a `.env` file in the working directory. Surprising: `API_URL` and `CLEANUP_INTERVAL` are checked
here but act in the operator, which has them as defaults of the installation, so that a change reaches existing sessions.
"""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec
from dotenv import dotenv_values

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
MIN_KEY_BYTES = 16  # 128 bits; below that an HMAC key can be guessed
_YEAR_MS = 31_536_000_000  # the schema's upper bound of idle.timeoutSeconds

_NUMBERS = {  # variable: default (the contract's), least, most (the schema's bounds where there are any)
    "WS_PORT": (3000, 1, 65535),
    "MAX_SESSIONS": (10, 1, 1_000_000),
    "MAX_RECONNECT_ATTEMPTS": (5, 0, 1000),
    "SESSION_TIMEOUT": (1_800_000, 1, _YEAR_MS),
    "CLEANUP_INTERVAL": (300_000, 1, _YEAR_MS),
}
_URL = re.compile(r"(https?://[^\s/?#]+(/[^\s?#]*)?)?\Z")
_NAMESPACE = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?\Z")
MAX_DEVICE_NAME = 64


class SettingError(Exception):
    """A setting cannot be used; the message names the variable, its value and what it takes."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """`session_timeout` and `cleanup_interval` in milliseconds, as in the contract. `bot_name` None: the installation's."""

    internal_key: bytes
    ws_port: int = 3000
    max_sessions: int = 10
    max_reconnect_attempts: int = 5
    session_timeout: int = 1_800_000
    cleanup_interval: int = 300_000
    api_url: str | None = None
    bot_name: str | None = None
    namespace: str = "default"
    api_key: str | None = None

    @property
    def idle_seconds(self) -> int:
        """`session_timeout` as the schema wants it: whole seconds, rounded up."""
        return -(-self.session_timeout // 1000)


def load(directory: Path | None = None, environ: Mapping[str, str] | None = None) -> Settings:
    """Read the settings. Raises SettingError."""
    from_file = {k: v for k, v in dotenv_values((directory or Path.cwd()) / ".env").items() if v is not None}
    values = {**from_file, **(os.environ if environ is None else environ)}
    return Settings(
        internal_key=_internal_key(values),
        api_url=_api_url(values),
        bot_name=_bot_name(values),
        namespace=_namespace(values),
        api_key=_api_key(values),
        **{name.lower(): _number(values, name) for name in _NUMBERS},
    )


def _number(values: Mapping[str, str], name: str) -> int:
    default, least, most = _NUMBERS[name]
    text = values.get(name, "").strip()
    if not text:
        return default
    if not re.fullmatch(r"[0-9]{1,15}", text) or not least <= int(text) <= most:
        raise SettingError(f"{name}={text!r}: must be a whole number from {least} to {most}")
    return int(text)


def _api_url(values: Mapping[str, str]) -> str | None:
    url = values.get("API_URL")
    if url is not None and not _URL.match(url):
        raise SettingError(f"API_URL={url!r}: must be an http:// or https:// URL without query, or empty")
    return url


def _bot_name(values: Mapping[str, str]) -> str | None:
    name = values.get("BOT_NAME", "").strip()
    if len(name) > MAX_DEVICE_NAME:
        raise SettingError(f"BOT_NAME={name!r}: must be at most {MAX_DEVICE_NAME} characters long")
    return name or None


def _namespace(values: Mapping[str, str]) -> str:
    namespace = values.get("WASESSION_NAMESPACE", "").strip()
    if not namespace:
        return NAMESPACE_FILE.read_text().strip() if NAMESPACE_FILE.exists() else "default"
    if not _NAMESPACE.match(namespace):
        raise SettingError(f"WASESSION_NAMESPACE={namespace!r}: is not the name of a namespace")
    return namespace


def _internal_key(values: Mapping[str, str]) -> bytes:
    name = "WASESSION_INTERNAL_KEY_FILE"
    key = _file(name, values.get(name, ""))
    if len(key) < MIN_KEY_BYTES:
        raise SettingError(f"{name}={values[name]!r}: the key in it is {len(key)} bytes long, at least {MIN_KEY_BYTES} are needed")
    return key


def _api_key(values: Mapping[str, str]) -> str | None:
    name = "WASESSION_API_KEY_FILE"
    if path := values.get(name, "").strip():
        try:
            key = _file(name, path).decode()
        except UnicodeDecodeError as error:
            raise SettingError(f"{name}={path!r}: the key in it is not text") from error
        if not key:  # given but empty is a mistake; opening the door because of it would be a worse one
            raise SettingError(f"{name}={path!r}: the file is empty; leave the variable out to serve without a key")
        return key
    return values.get("WASESSION_API_KEY", "").strip() or None


def _file(name: str, path: str) -> bytes:
    if not path:
        raise SettingError(f"{name} is not set: it must name a file with the installation's key")
    try:
        return Path(path).read_bytes().strip()
    except OSError as error:
        raise SettingError(f"{name}={path!r}: cannot be read: {error.strerror}") from error
