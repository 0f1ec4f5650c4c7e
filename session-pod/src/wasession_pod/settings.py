"""The pod's settings from its environment (`podwire.Env`).

Surprising: a bad value raises nothing. It becomes `problem`, which names the variable, the value and the mend, and the
pod then serves and reports Failed: a crash loop would say nothing of use.
"""

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from wasession_contract.podwire import DATA_DIR, PORT, Env
from wasession_contract.v1alpha1 import PairingMethod, Reconnect

_T = TypeVar("_T")
DEFAULT_DEVICE_NAME = "DocuBot"  # the original's BOT_NAME
_url = re.compile(r"https?://[^\s/?#]+[^\s?#]*\Z")
_sha256 = re.compile(r"[0-9a-f]{64}\Z")
_truths = {"0": False, "false": False, "1": True, "true": True}


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that a pod is told. `backend_url` None: no backend. `problem`: the first bad value, in words."""

    name: str
    namespace: str
    session_id: str
    pod_uid: str
    token_sha256: str
    device_name: str = DEFAULT_DEVICE_NAME
    backend_url: str | None = None
    reconnect: Reconnect = Reconnect()
    log_message_text: bool = False
    data_dir: Path = Path(DATA_DIR)
    port: int = PORT
    problem: str | None = None


class _Reader:
    """Reads one variable after the other and remembers the first problem."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self.problem: str | None = None

    def read(self, key: Env, parse: Callable[[str], _T], default: _T, mend: str) -> _T:
        """The parsed value of `key`; unset or blank, and what `parse` refuses by ValueError or KeyError: the default."""
        raw = self._environ.get(key, "").strip()
        if not raw:
            return default
        try:
            return parse(raw)
        except (ValueError, KeyError):
            self.problem = self.problem or f"{key}={raw[:100]!r}: {mend}"
            return default

    def require(self, key: Env, parse: Callable[[str], str], mend: str) -> str:
        """As `read`, but unset is a problem too."""
        if not self._environ.get(key, "").strip():
            self.problem = self.problem or f"{key} is not set: {mend}"
        return self.read(key, parse, "", mend)


def load(environ: Mapping[str, str], *, data_dir: Path = Path(DATA_DIR), port: int = PORT) -> Settings:
    """Read the settings. What is bad is left at its default, and the first of it is named in `problem`."""
    reader = _Reader(environ)
    defaults = Reconnect()
    name = reader.require(Env.NAME, str, "the session object's name")
    reconnect = Reconnect(
        max_attempts=reader.read(Env.RECONNECT_MAX_ATTEMPTS, _at_least(0), defaults.max_attempts, "use a whole number, 0 or more"),
        initial_delay_seconds=reader.read(
            Env.RECONNECT_INITIAL_DELAY_SECONDS, _at_least(1), defaults.initial_delay_seconds, "use whole seconds, 1 or more"
        ),
        max_delay_seconds=reader.read(
            Env.RECONNECT_MAX_DELAY_SECONDS, _at_least(1), defaults.max_delay_seconds, "use whole seconds, 1 or more"
        ),
    )
    settings = Settings(
        name=name,
        namespace=reader.require(Env.NAMESPACE, str, "the session object's namespace"),
        session_id=reader.read(Env.SESSION_ID, str, name, ""),
        pod_uid=reader.require(Env.POD_UID, str, "the pod's uid, by the downward API"),
        token_sha256=reader.require(Env.TOKEN_SHA256, _matching(_sha256), "64 hex digits, the SHA-256 of the bearer token"),
        device_name=reader.read(Env.DEVICE_NAME, str, DEFAULT_DEVICE_NAME, ""),
        backend_url=reader.read(Env.BACKEND_URL, _matching(_url), None, "use http://HOST[:PORT][/PATH] or https://..., without a query"),
        reconnect=reconnect,
        log_message_text=reader.read(Env.LOG_MESSAGE_TEXT, lambda raw: _truths[raw.lower()], False, "use true or false"),
        data_dir=data_dir,
        port=port,
    )
    method = reader.read(Env.PAIRING_METHOD, PairingMethod, PairingMethod.QR, "use QR or Code")
    if method is PairingMethod.CODE:
        reader.problem = (
            reader.problem or f"{Env.PAIRING_METHOD}={method}: this version pairs by QR code only; set spec.pairing.method to QR"
        )
    return msgspec.structs.replace(settings, problem=reader.problem)


def _at_least(minimum: int) -> Callable[[str], int]:
    def parse(raw: str) -> int:
        if (value := int(raw)) < minimum:
            raise ValueError(raw)
        return value

    return parse


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(raw: str) -> str:
        if not pattern.match(raw):
            raise ValueError(raw)
        return raw

    return parse
