"""The pod's settings from its environment (`podwire.Env`).

Surprising: a bad value raises nothing. It becomes `problem`, which names the variable, the value and the mend, and the
pod then serves and reports Failed: a crash loop would say nothing of use.
"""

import re
from collections.abc import Callable, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

import msgspec

from wasession_contract.podwire import DATA_DIR, PORT, Env, WebhookSetting
from wasession_contract.v1alpha1 import Pacing, PairingMethod, Reconnect

_T = TypeVar("_T")
DEFAULT_DEVICE_NAME = "DocuBot"  # the original's BOT_NAME
_url = re.compile(r"https?://[^\s/?#]+[^\s?#]*\Z")
_sha256 = re.compile(r"[0-9a-f]{64}\Z")
_proxy = re.compile(r"(?:http|https|socks5)://(?:[^\s/@]+@)?[^\s/@:]+:[0-9]{1,5}/?\Z")
_phone = re.compile(r"[1-9][0-9]{6,14}\Z")  # whatsmeow takes no fewer digits, E.164 has no more
_log_formats = {"text": False, "json": True}
_truths = {"0": False, "false": False, "1": True, "true": True}


class Webhook(msgspec.Struct, frozen=True):
    """One webhook; `secret` None: its deliveries are not signed."""

    url: str
    events: tuple[str, ...]
    secret: str | None = None


class Retention(msgspec.Struct, frozen=True):
    """What the journal keeps; `max_pending` is for the backend, and as many for each webhook."""

    max_messages: int = 20_000
    max_pending: int = 10_000
    max_age_days: int = 30


class MediaPolicy(msgspec.Struct, frozen=True):
    """What media is sent; `allowed_networks`: CIDRs from which it is fetched although they are private.

    A file is in memory up to six times on its way (base64, as it is, encrypted, each in two languages): 16 MiB took 100 MB
    when measured, 64 MiB took 420. Whoever allows more gives the pod more memory.
    """

    max_bytes: int = 16 << 20
    allowed_networks: tuple[str, ...] = ()


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """All that a pod is told.

    `backend_url` None: no backend; `pairing_phone` None: by QR code; `problem`: the first bad value, in words.
    """

    name: str
    namespace: str
    session_id: str
    pod_uid: str
    token_sha256: str
    device_name: str = DEFAULT_DEVICE_NAME
    backend_url: str | None = None
    reconnect: Reconnect = Reconnect()
    pacing: Pacing = Pacing()
    pairing_phone: str | None = None
    proxy_url: str | None = None
    webhooks: tuple[Webhook, ...] = ()
    retention: Retention = Retention()
    media: MediaPolicy = MediaPolicy()
    report_minor_seconds: int = 60
    log_json: bool = False
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

    def number(self, key: Env, minimum: int, default: int) -> int:
        """A whole number, `minimum` or more."""
        return self.read(key, _at_least(minimum), default, f"use a whole number, {minimum} or more")

    def read_secret(self, key: Env, parse: Callable[[str], _T], mend: str) -> _T | None:
        """As `read`, for a value that a problem must not show."""
        raw = self._environ.get(key, "").strip()
        try:
            return parse(raw) if raw else None
        except ValueError:
            self.problem = self.problem or f"{key} ({len(raw)} characters, from a Secret) is not usable: {mend}"
            return None

    def require_secret(self, name: str) -> str:
        """A value that must not be empty and that a problem must not show."""
        value = self._environ.get(name, "")
        if not value:
            self.problem = self.problem or f"{name} is empty: the webhook's secretRef names a key without content"
        return value


def load(environ: Mapping[str, str], *, data_dir: Path = Path(DATA_DIR), port: int = PORT) -> Settings:
    """Read the settings. What is bad is left at its default, and the first of it is named in `problem`."""
    reader = _Reader(environ)
    name = reader.require(Env.NAME, str, "the session object's name")
    settings = Settings(
        name=name,
        namespace=reader.require(Env.NAMESPACE, str, "the session object's namespace"),
        session_id=reader.read(Env.SESSION_ID, str, name, ""),
        pod_uid=reader.require(Env.POD_UID, str, "the pod's uid, by the downward API"),
        token_sha256=reader.require(Env.TOKEN_SHA256, _matching(_sha256), "64 hex digits, the SHA-256 of the bearer token"),
        device_name=reader.read(Env.DEVICE_NAME, str, DEFAULT_DEVICE_NAME, ""),
        backend_url=reader.read(Env.BACKEND_URL, _matching(_url), None, "use http://HOST[:PORT][/PATH] or https://..., without a query"),
        reconnect=_reconnect(reader),
        pacing=_pacing(reader),
        pairing_phone=_pairing_phone(reader),
        proxy_url=reader.read_secret(Env.PROXY_URL, _matching(_proxy), "use http://[USER:PASSWORD@]HOST:PORT or socks5://..."),
        webhooks=_webhooks(reader),
        retention=_retention(reader),
        media=_media(reader),
        report_minor_seconds=reader.number(Env.REPORT_MINOR_SECONDS, 1, 60),
        log_json=reader.read(Env.LOG_FORMAT, lambda raw: _log_formats[raw.lower()], False, "use text or json"),
        log_message_text=reader.read(Env.LOG_MESSAGE_TEXT, lambda raw: _truths[raw.lower()], False, "use true or false"),
        data_dir=data_dir,
        port=port,
    )
    return msgspec.structs.replace(settings, problem=reader.problem)


def _reconnect(reader: _Reader) -> Reconnect:
    defaults = Reconnect()
    return Reconnect(
        max_attempts=reader.number(Env.RECONNECT_MAX_ATTEMPTS, 0, defaults.max_attempts),
        initial_delay_seconds=reader.number(Env.RECONNECT_INITIAL_DELAY_SECONDS, 1, defaults.initial_delay_seconds),
        max_delay_seconds=reader.number(Env.RECONNECT_MAX_DELAY_SECONDS, 1, defaults.max_delay_seconds),
    )


def _pacing(reader: _Reader) -> Pacing:
    defaults = Pacing()
    return Pacing(
        messages_per_minute=reader.number(Env.PACING_MESSAGES_PER_MINUTE, 0, defaults.messages_per_minute),
        burst=reader.number(Env.PACING_BURST, 1, defaults.burst),
        messages_per_day=reader.number(Env.PACING_MESSAGES_PER_DAY, 0, defaults.messages_per_day),
    )


def _pairing_phone(reader: _Reader) -> str | None:
    method = reader.read(Env.PAIRING_METHOD, PairingMethod, PairingMethod.QR, "use QR or Code")
    if method is PairingMethod.QR:
        return None
    return reader.require(Env.PAIRING_PHONE_NUMBER, _matching(_phone), "method Code needs digits with the country code") or None


def _webhooks(reader: _Reader) -> tuple[Webhook, ...]:
    def secret(index: int) -> str:
        return reader.require_secret(f"{Env.WEBHOOK_SECRET}{index}")

    none: tuple[WebhookSetting, ...] = ()
    told = reader.read(Env.WEBHOOKS, _webhook_settings, none, "a JSON list of webhooks")
    return tuple(Webhook(one.url, one.events, secret(index) if one.signed else None) for index, one in enumerate(told))


def _webhook_settings(raw: str) -> tuple[WebhookSetting, ...]:
    return msgspec.json.decode(raw, type=tuple[WebhookSetting, ...])


def _retention(reader: _Reader) -> Retention:
    defaults = Retention()
    return Retention(
        max_messages=reader.number(Env.JOURNAL_MAX_MESSAGES, 1, defaults.max_messages),
        max_pending=reader.number(Env.JOURNAL_MAX_PENDING, 1, defaults.max_pending),
        max_age_days=reader.number(Env.JOURNAL_MAX_AGE_DAYS, 1, defaults.max_age_days),
    )


def _media(reader: _Reader) -> MediaPolicy:
    defaults = MediaPolicy()
    return MediaPolicy(
        max_bytes=reader.number(Env.MEDIA_MAX_BYTES, 1, defaults.max_bytes),
        allowed_networks=reader.read(Env.MEDIA_ALLOWED_NETWORKS, _networks, (), "use CIDRs, separated by commas, such as 10.1.0.0/16"),
    )


def _networks(raw: str) -> tuple[str, ...]:
    return tuple(str(ip_network(part.strip())) for part in raw.split(","))


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
