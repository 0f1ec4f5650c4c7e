"""Webhooks: events out of the journal to their URLs, each URL in order and at its own pace.

One task a webhook, one request at a time, so a webhook that is away blocks no other. Surprising: within one webhook an
event that is being retried blocks those behind it, for as long as `verdicts` lets it be retried; then it is a dead letter
and they go on. Everything that must survive a restart is in the journal's outbox, the number of attempts too. An event
may come twice (the answer was lost, or the pod was killed before it was noted); its `id` is the same both times.
"""

import asyncio
import contextlib
import logging
import os
import random
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, assert_never

from wasession_contract.podwire import DeadLetter
from wasession_pod import verdicts
from wasession_pod.journal import JournalError, Letter, Outbox
from wasession_pod.logs import SessionLog
from wasession_pod.settings import Webhook
from wasession_pod.verdicts import Dead, Delivered, Retry, Verdict
from wasession_pod.web.client import Answer, Channel
from wasession_pod.web.wire import TooLargeError, WebError, parse

REQUEST_ID_BYTES = 16
PAUSE_SECONDS = 30.0  # after a failure of our own: the volume


class Client(Protocol):
    """What is needed of `web.client.Channel`."""

    async def request(self, method: str, url: str, *, headers: Mapping[str, str], body: bytes, seconds: float, max_bytes: int) -> Answer:
        """One request. Raises WebError."""

    def close(self) -> None:
        """Close the connection."""


def now_ms() -> int:
    """Ms since 1970."""
    return time.time_ns() // 1_000_000


class Webhooks:
    """Delivers what `outbox` holds for `hooks`. `connect` makes a client for one webhook."""

    def __init__(
        self,
        hooks: Sequence[Webhook],
        outbox: Outbox,
        log: SessionLog,
        *,
        connect: Callable[[], Client] = Channel,
        now: Callable[[], int] = now_ms,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._hooks = hooks
        self._outbox = outbox
        self._log = log
        self._connect = connect
        self._now = now
        self._jitter = jitter
        self._wakes = [asyncio.Event() for _ in hooks]
        self.delivered = 0
        self.failed_attempts = 0
        self.died = 0

    def subscribe(self) -> None:
        """Tell the outbox who wants what; what waits for a webhook that is not ours any more goes. Raises JournalError."""
        self._outbox.subscribe({hook.url: frozenset(hook.events) for hook in self._hooks})

    def backlog(self) -> int:
        """How many deliveries wait. Raises JournalError."""
        return self._outbox.backlog()

    def wake(self) -> None:
        """Something may be in the outbox."""
        for wake in self._wakes:
            wake.set()

    def dead_letters(self) -> list[DeadLetter]:
        """What no attempt could deliver. Raises JournalError."""
        return self._outbox.dead_letters()

    def redeliver(self, event_id: str | None = None) -> int:
        """Deliver dead letters again: those of one event, or all. How many there were. Raises JournalError."""
        number = self._outbox.redeliver(event_id)
        self.wake()
        return number

    async def run(self) -> None:
        """Work until cancelled."""
        await asyncio.gather(*(self._serve(hook, wake) for hook, wake in zip(self._hooks, self._wakes, strict=True)))

    async def _serve(self, hook: Webhook, wake: asyncio.Event) -> None:
        client = self._connect()
        with contextlib.closing(client):
            while True:
                wake.clear()
                try:
                    wait = await self._step(hook, client)
                except JournalError as error:
                    self._log.say("❌", f"Webhook {_host(hook.url)}: {error}", logging.ERROR)
                    wait = PAUSE_SECONDS
                except Exception:  # noqa: BLE001  the task's outermost loop
                    self._log.error(f"Webhook {_host(hook.url)}")
                    wait = PAUSE_SECONDS
                if wait != 0:
                    client.close()
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(wait):
                            await wake.wait()

    async def _step(self, hook: Webhook, client: Client) -> float | None:
        """One attempt, if one is due. How many seconds to wait for the next, None: until woken."""
        letter = self._outbox.first(hook.url)
        if letter is None:
            return None
        if wait := verdicts.wait_seconds(letter.due, self._now()):
            return wait
        await self._attempt(hook, letter, client)
        return 0

    async def _attempt(self, hook: Webhook, letter: Letter, client: Client) -> None:
        verdict = await self._post(hook, letter, client)
        where = f"Webhook {_host(hook.url)}: {letter.name} {letter.id}"
        match verdict:
            case Delivered():
                self._outbox.delivered(hook.url, letter.seq)
                self.delivered += 1
            case Retry(at, reason):
                self._outbox.retry(hook.url, letter.seq, at, reason)
                self.failed_attempts += 1
                self._log.say("⚠️", f"{where} no entregado ({reason}), intento {letter.attempts + 1}", logging.WARNING)
            case Dead(reason):
                self._outbox.dead(hook.url, letter.seq, self._now() // 1000, reason)
                self.failed_attempts += 1
                self.died += 1
                self._log.say("❌", f"{where} no entregado ({reason}), sin más intentos", logging.ERROR)
            case _:
                assert_never(verdict)

    async def _post(self, hook: Webhook, letter: Letter, client: Client) -> Verdict:
        if not _is_usable(hook.url):
            return Dead("the webhook's URL is not usable: give it a host, and percent-encode what is not ASCII")
        request_id = os.urandom(REQUEST_ID_BYTES).hex()
        headers = verdicts.headers(letter.name, letter.body, request_id=request_id, now=self._now(), secret=hook.secret)
        outcome: int | str
        retry_after = None
        try:
            answer = await client.request(
                "POST",
                hook.url,
                headers=headers,
                body=letter.body,
                seconds=verdicts.TIMEOUT_SECONDS,
                max_bytes=verdicts.MAX_ANSWER_BYTES,
            )
            outcome = answer.status
            retry_after = verdicts.retry_after_seconds(answer.headers.get("retry-after"), self._now())
        except TooLargeError as error:
            outcome = error.status or str(error)
        except WebError as error:
            outcome = str(error)
        return verdicts.judge(outcome, attempt=letter.attempts + 1, retry_after=retry_after, now=self._now(), jitter=self._jitter())


def _is_usable(url: str) -> bool:
    """Asked beforehand, because the error would name the whole URL, and that may hold a secret."""
    try:
        parse(url)
    except WebError:
        return False
    return True


def _host(url: str) -> str:
    """What of a URL may be logged: a path or a query may hold a secret."""
    return url.partition("://")[2].partition("/")[0].partition("?")[0].rpartition("@")[2]
