"""Settings from the environment: every bad value is named, with the mend, and none ends the process."""

import pytest

from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import Reconnect
from wasession_pod.settings import load

pytestmark = pytest.mark.unit
GOOD = {
    Env.NAME: "cliente1",
    Env.NAMESPACE: "default",
    Env.SESSION_ID: "Cliente Uno",
    Env.POD_UID: "pod-uid",
    Env.TOKEN_SHA256: "ab" * 32,
    Env.DEVICE_NAME: "Recepción",
    Env.BACKEND_URL: "http://api:8080",
    Env.PAIRING_METHOD: "QR",
    Env.RECONNECT_MAX_ATTEMPTS: "0",
    Env.RECONNECT_INITIAL_DELAY_SECONDS: "2",
    Env.RECONNECT_MAX_DELAY_SECONDS: "60",
}


def test_all_settings_are_read() -> None:
    settings = load(GOOD)
    assert settings.problem is None
    assert (settings.name, settings.namespace, settings.session_id, settings.pod_uid) == ("cliente1", "default", "Cliente Uno", "pod-uid")
    assert (settings.device_name, settings.backend_url) == ("Recepción", "http://api:8080")
    assert settings.reconnect == Reconnect(max_attempts=0, initial_delay_seconds=2, max_delay_seconds=60)


def test_what_is_left_out_has_the_originals_defaults() -> None:
    settings = load({key: GOOD[key] for key in (Env.NAME, Env.NAMESPACE, Env.POD_UID, Env.TOKEN_SHA256)} | {Env.BACKEND_URL: ""})
    assert settings.problem is None
    assert (settings.session_id, settings.device_name, settings.backend_url) == ("cliente1", "DocuBot", None)
    assert settings.reconnect == Reconnect(max_attempts=5, initial_delay_seconds=1, max_delay_seconds=30)
    assert settings.log_message_text is False


@pytest.mark.parametrize(
    ("key", "value", "mend"),
    [
        (Env.BACKEND_URL, "ftp://api", "use http"),
        (Env.BACKEND_URL, "api:8080", "use http"),
        (Env.BACKEND_URL, "http://api/?x=1", "without a query"),
        (Env.RECONNECT_MAX_ATTEMPTS, "-1", "0 or more"),
        (Env.RECONNECT_MAX_ATTEMPTS, "five", "whole number"),
        (Env.RECONNECT_INITIAL_DELAY_SECONDS, "0", "1 or more"),
        (Env.RECONNECT_MAX_DELAY_SECONDS, "1.5", "whole number"),
        (Env.TOKEN_SHA256, "short", "64 hex digits"),
        (Env.PAIRING_METHOD, "NFC", "use QR or Code"),
        (Env.LOG_MESSAGE_TEXT, "perhaps", "true or false"),
    ],
)
def test_a_bad_value_is_named_with_the_mend_and_left_at_its_default(key: Env, value: str, mend: str) -> None:
    settings = load(GOOD | {key: value})
    assert settings.problem
    assert settings.problem.startswith(f"{key}={value!r}: ")
    assert mend in settings.problem
    assert settings.name == "cliente1"


@pytest.mark.parametrize("key", [Env.NAME, Env.NAMESPACE, Env.POD_UID, Env.TOKEN_SHA256])
def test_what_the_operator_must_set_is_missed(key: Env) -> None:
    assert (load({k: v for k, v in GOOD.items() if k is not key}).problem or "").startswith(f"{key} is not set")


def test_pairing_by_code_needs_a_phone_number() -> None:
    assert "digits with the country code" in (load(GOOD | {Env.PAIRING_METHOD: "Code"}).problem or "")


def test_a_secret_is_never_shown_in_a_problem() -> None:
    problem = load(GOOD | {Env.PROXY_URL: "ftp://user:geheim@proxy:21"}).problem or ""
    assert Env.PROXY_URL in problem
    assert "geheim" not in problem


def test_webhooks_come_with_their_secrets() -> None:
    hooks = '[{"url": "http://a", "events": ["message"]}, {"url": "http://b", "events": ["message.ack"], "signed": true}]'
    settings = load(GOOD | {Env.WEBHOOKS: hooks, "WASESSION_WEBHOOK_SECRET_1": "k"})
    assert settings.problem is None
    assert [(one.url, one.secret) for one in settings.webhooks] == [("http://a", None), ("http://b", "k")]
    assert "WASESSION_WEBHOOK_SECRET_1" in (load(GOOD | {Env.WEBHOOKS: hooks}).problem or "")
