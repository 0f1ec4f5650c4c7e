"""What an attempt's outcome means, when the next one is, and what a receiver can check."""

import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wasession_pod import VERSION
from wasession_pod.journal.outbox import MAX_DEAD
from wasession_pod.verdicts import (
    FIRST_DELAY_SECONDS,
    JITTER,
    MAX_ATTEMPTS,
    MAX_DELAY_SECONDS,
    TIMEOUT_SECONDS,
    Dead,
    Delivered,
    Retry,
    Verdict,
    delay_seconds,
    headers,
    judge,
    retry_after_seconds,
    signature,
    wait_seconds,
)

pytestmark = pytest.mark.unit
NOW = 1_700_000_000_000
MIDDLE = 0.5  # jitter that changes nothing


def after(seconds: float) -> int:
    return NOW + round(seconds * 1000)


@pytest.mark.parametrize(
    ("outcome", "attempt", "retry_after", "verdict"),
    [
        (200, 1, None, Delivered()),
        (204, 12, 60, Delivered()),
        (500, 1, None, Retry(after(5), "status 500")),
        (503, 2, None, Retry(after(10), "status 503")),
        (599, 3, None, Retry(after(20), "status 599")),
        (429, 1, None, Retry(after(5), "status 429")),
        (429, 1, 90, Retry(after(90), "status 429")),
        (503, 1, 10**9, Retry(after(3600), "status 503")),
        (503, 1, 1, Retry(after(5), "status 503")),
        (408, 1, None, Retry(after(5), "status 408")),
        (425, 1, None, Retry(after(5), "status 425")),
        ("hook did not answer within 10 s", 11, None, Retry(after(3600), "hook did not answer within 10 s")),
        ("hook did not answer within 10 s", 12, None, Dead("hook did not answer within 10 s, at the last of 12 attempts")),
        (503, 12, 60, Dead("status 503, at the last of 12 attempts")),
        (301, 1, None, Dead("status 301: redirects are not followed; set the webhook's final URL")),
        (400, 1, None, Dead("status 400")),
        (401, 1, 60, Dead("status 401")),
        (404, 1, None, Dead("status 404")),
        (410, 1, None, Dead("status 410")),
        (600, 1, None, Dead("status 600")),
    ],
)
def test_each_outcome_has_its_verdict(outcome: int | str, attempt: int, retry_after: float | None, verdict: Verdict) -> None:
    assert judge(outcome, attempt=attempt, retry_after=retry_after, now=NOW, jitter=MIDDLE) == verdict


def test_all_attempts_take_about_two_and_a_half_hours() -> None:
    assert 2.3 < sum(delay_seconds(attempt, None, MIDDLE) for attempt in range(1, MAX_ATTEMPTS)) / 3600 < 2.7


@given(st.integers(1, 10**6), st.floats(0, 1), st.none() | st.floats(0, 1e12))
def test_a_delay_is_never_shorter_than_the_first_nor_longer_than_the_bound(attempt: int, jitter: float, retry_after: float | None) -> None:
    assert FIRST_DELAY_SECONDS * (1 - JITTER) <= delay_seconds(attempt, retry_after, jitter) <= MAX_DELAY_SECONDS * (1 + JITTER)


@pytest.mark.parametrize(
    ("due", "wait"), [(0, 0), (NOW, 0), (NOW + 1, 0.001), (after(3600 * (1 + JITTER)), 4500), (after(4501), 0), (after(10**8), 0)]
)
def test_a_clock_that_was_put_back_does_not_stop_a_webhook(due: int, wait: float) -> None:
    assert wait_seconds(due, NOW) == wait


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("120", 120.0),
        (" 0 ", 0.0),
        ("9" * 400, 9_999_999_999.0),
        ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0),
        ("Tue, 14 Nov 2000 22:14:20 GMT", 0.0),
        ("soon", None),
        ("-5", None),
        ("²", None),
        ("", None),
    ],
)
def test_retry_after_is_a_number_of_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after_seconds(value, NOW) == seconds


def test_a_signature_is_the_one_that_openssl_computes() -> None:
    # printf '1700000000000.{"a":1}' | openssl dgst -sha256 -hmac 'not so secret'
    assert signature("not so secret", NOW, b'{"a":1}') == "sha256=e4202a725f66787981cf2f8981e55a609d1d2e4552bb9237070ce84d83b79bce"


def test_headers_name_the_event_and_sign_only_with_a_secret() -> None:
    plain = headers("message.ack", b"{}", request_id="r1", now=NOW, secret=None)
    assert plain == {
        "Content-Type": "application/json",
        "User-Agent": f"wasession/{VERSION}",
        "X-Webhook-Event": "message.ack",
        "X-Webhook-Request-Id": "r1",
        "X-Webhook-Timestamp": str(NOW),
    }
    signed = headers("message.ack", b"{}", request_id="r1", now=NOW, secret="s")
    assert signed == plain | {"X-Webhook-Signature": signature("s", NOW, b"{}")}


def test_the_version_is_the_packages() -> None:
    project = tomllib.loads((Path(__file__).parents[3] / "pyproject.toml").read_text())
    assert project["project"]["version"] == VERSION


def test_the_documented_receiver_finds_a_delivery_genuine_and_a_changed_or_old_one_not() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/webhooks.md").read_text()
    documented: dict[str, Any] = {}
    exec(page.partition("```python\n")[2].partition("```")[0], documented)  # noqa: S102  our own page
    is_genuine, body, now = documented["is_genuine"], b'{"a":1}', int(time.time() * 1000)
    sent = headers("message", body, request_id="r1", now=now, secret="s3cret")
    assert is_genuine("s3cret", sent, body)
    assert not is_genuine("s3cret", sent, body + b" ")
    assert not is_genuine("other", sent, body)
    assert not is_genuine("s3cret", sent | {"X-Webhook-Timestamp": str(now + 1)}, body)
    assert not is_genuine("s3cret", headers("message", body, request_id="r1", now=now - 600_000, secret="s3cret"), body)


def test_the_documented_numbers_are_those_that_hold() -> None:
    page = (Path(__file__).parents[3] / "docs/reference/webhooks.md").read_text()
    assert f"after {FIRST_DELAY_SECONDS:g} s, then twice as long each time, up to an hour, ±{JITTER:.0%}".replace("%", " %") in page
    assert (MAX_ATTEMPTS, MAX_DELAY_SECONDS, TIMEOUT_SECONDS, MAX_DEAD) == (12, 3600, 10, 1000)
