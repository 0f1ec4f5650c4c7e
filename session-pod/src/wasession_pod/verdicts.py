"""What an attempt to deliver to a webhook carries, what its outcome means, and when the next one is. Pure.

Signed as Stripe and Standard Webhooks do: HMAC-SHA256 over `<timestamp>.<body>`, so that neither can be changed and an
old request cannot be sent again later: receivers refuse timestamps that are more than some minutes off. Standard Webhooks
puts the event's id before both; here the id is in the body, hence signed already. The headers' names are those that
receivers of this field's gateways know (`X-Webhook-...`), the digest is hex with its name before it, as GitHub's.

Retried is what may go away by itself: no connection, no answer in time, 5xx, 408, 425, 429. Any other answer, redirects
too, needs somebody to mend something, so it is a dead letter at once. Surprising: 12 attempts, twice as long after
each, are about two and a half hours, less than the days of Svix or Stripe, because the events of a webhook stay in order:
one that the receiver can never take must not keep the others for days, and what became a dead letter can be redelivered.
"""

import hashlib
import hmac
from typing import NamedTuple

from wasession_pod import VERSION

MAX_ATTEMPTS = 12
FIRST_DELAY_SECONDS = 5.0
MAX_DELAY_SECONDS = 3600.0
JITTER = 0.25  # a delay is spread by so much to both sides, so that a hook that comes back is not met by all sessions at once
TIMEOUT_SECONDS = 10.0
MAX_ANSWER_BYTES = 64 << 10
RETRIED = frozenset({408, 425, 429})
_OK, _REDIRECT, _SERVER_ERROR = range(200, 300), range(300, 400), range(500, 600)


class Delivered(NamedTuple):
    """The webhook has it."""


class Retry(NamedTuple):
    """Try again `at`, in ms since 1970."""

    at: int
    reason: str


class Dead(NamedTuple):
    """No further attempt by itself."""

    reason: str


Verdict = Delivered | Retry | Dead


def judge(outcome: int | str, *, attempt: int, retry_after: float | None, now: int, jitter: float) -> Verdict:
    """What follows from an attempt.

    Args:
        outcome: the answer's status, or why there was none.
        attempt: which attempt it was, from 1.
        retry_after: seconds, if the answer asked for a pause.
        now: ms since 1970.
        jitter: from 0 to 1.
    """
    if isinstance(outcome, int):
        if outcome in _OK:
            return Delivered()
        if outcome in _REDIRECT:
            return Dead(f"status {outcome}: redirects are not followed; set the webhook's final URL")
        if outcome not in _SERVER_ERROR and outcome not in RETRIED:
            return Dead(f"status {outcome}")
    reason = f"status {outcome}" if isinstance(outcome, int) else outcome
    if attempt >= MAX_ATTEMPTS:
        return Dead(f"{reason}, at the last of {attempt} attempts")
    return Retry(now + round(delay_seconds(attempt, retry_after, jitter) * 1000), reason)


def delay_seconds(attempt: int, retry_after: float | None, jitter: float) -> float:
    """How long to wait after attempt number `attempt`: doubled each time, and what the receiver asks for, both up to an hour."""
    own = min(FIRST_DELAY_SECONDS * 2.0 ** min(attempt - 1, 30), MAX_DELAY_SECONDS)
    asked = min(retry_after or 0.0, MAX_DELAY_SECONDS)
    return max(own * (1 - JITTER + 2 * JITTER * jitter), asked)


def wait_seconds(due: int, now: int) -> float:
    """How long until `due`, both in ms since 1970. No delay is longer than about an hour: if it seems so, the clock was put back."""
    wait = (due - now) / 1000
    return wait if 0 < wait <= MAX_DELAY_SECONDS * (1 + JITTER) else 0.0


def retry_after_seconds(value: str | None, now: int) -> float | None:
    """The header `Retry-After`, a number of seconds or a date, against `now` in ms since 1970; None: there is none of use."""
    if value is None:
        return None
    if value.strip().isascii() and value.strip().isdigit():
        return float(value.strip()[:10])
    from email.utils import parsedate_to_datetime  # noqa: PLC0415  costs memory, and dates in this header are rare

    try:
        return max(parsedate_to_datetime(value).timestamp() - now / 1000, 0.0)
    except ValueError:
        return None


def headers(event: str, body: bytes, *, request_id: str, now: int, secret: str | None) -> dict[str, str]:
    """The headers of one attempt. `request_id` is new each time; `now` in ms since 1970; `secret` None: not signed."""
    made = {
        "Content-Type": "application/json",
        "User-Agent": f"wasession/{VERSION}",
        "X-Webhook-Event": event,
        "X-Webhook-Request-Id": request_id,
        "X-Webhook-Timestamp": str(now),
    }
    return made | {"X-Webhook-Signature": signature(secret, now, body)} if secret is not None else made


def signature(secret: str, timestamp: int, body: bytes) -> str:
    """`sha256=<hex>` of what a receiver checks."""
    signed = str(timestamp).encode() + b"." + body
    return "sha256=" + hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
