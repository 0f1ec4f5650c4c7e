"""The tasks beside the watches: workers, which look at sessions, and the lister, which now and then lists everything.

It does because a watch may miss something, or die without a word. Surprising: a namespace that may not be read (it is gone,
or its Role is) takes nothing away from the others.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

from wasession_operator.cluster import Cluster
from wasession_operator.errors import OperatorError, RetryableError, TerminalError
from wasession_operator.hearing import Hearing
from wasession_operator.intake import Intake
from wasession_operator.metrics import Metrics, Result
from wasession_operator.views import Key
from wasession_operator.workqueue import WorkQueue

log = structlog.get_logger(__name__)
FIRST_LIST_RETRY_SECONDS = 2.0
SECOND_LIST_SECONDS = 10.0  # by then kopf watches; it tells nothing of what went between our first list and its own
DOUBT_SECONDS = 60.0  # after which a list that showed what no watch had told is followed by another


async def work(queue: WorkQueue[Key], reconcile: Callable[[Key], Awaitable[float | None]], metrics: Metrics) -> None:
    """One worker: a session after the other, until the queue is closed."""
    while (key := await queue.take()) is not None:
        structlog.contextvars.bind_contextvars(namespace=key.namespace, session=key.name)
        began = time.monotonic()
        result = await _look(queue, reconcile, key)
        took = time.monotonic() - began
        metrics.reconciles.labels(result).inc()
        metrics.duration.observe(took)
        if result != Result.OK:
            metrics.retries.inc()
        log.debug("looked at", result=str(result), seconds=round(took, 3))
        structlog.contextvars.clear_contextvars()
        await asyncio.sleep(0)  # most looks wait for nothing: ten thousand in a row would keep watches and probes from being heard


async def _look(queue: WorkQueue[Key], reconcile: Callable[[Key], Awaitable[float | None]], key: Key) -> str:
    try:
        queue.done(key, await reconcile(key))
    except OperatorError as error:
        after = error.after if isinstance(error, RetryableError) else None
        delay = queue.failed(key, after or 0)
        log.warning("trying again later", because=str(error), seconds=round(delay, 1))
        return error.code
    except Exception:
        queue.failed(key)
        log.exception("a defect of the operator")
        return Result.DEFECT
    return Result.OK


@dataclass
class Lister:
    """Lists everything, once before the workers begin, and then every `interval` seconds or so."""

    cluster: Cluster
    intake: Intake
    hearing: Hearing
    metrics: Metrics
    interval: float
    ended_at: float = field(default_factory=time.monotonic)
    """When the last attempt came to an end, by the monotonic clock. A defect or a list that hangs is no end."""
    _unreadable: frozenset[str] = frozenset()

    async def first(self) -> None:
        """Try until everything that can be listed is."""
        while True:
            if await self._try("the first list failed, trying again; is the CRD installed, and may this ServiceAccount list?"):
                return
            await asyncio.sleep(FIRST_LIST_RETRY_SECONDS)

    async def go_on(self) -> None:
        """List again and again. A watch that did not tell something in time gets another list soon, which proves it deaf or not."""
        pause = min(SECOND_LIST_SECONDS, self.interval)
        while True:
            await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  jitter
            try:
                await self._try("resync failed")
            except Exception:
                log.exception("a defect of the operator: resync")
            pause = min(self.interval, DOUBT_SECONDS)
            if self.interval > pause:
                await asyncio.sleep(pause)
                pause = DOUBT_SECONDS / 10 if self.hearing.doubtful else self.interval - pause

    async def _try(self, failed: str) -> bool:
        try:
            unreadable = await self.intake.resync(self.cluster)
        except (RetryableError, TerminalError) as error:
            log.warning(failed, because=str(error))
            self.ended_at = time.monotonic()
            return False
        self.ended_at = time.monotonic()
        self.metrics.listed(len(unreadable))
        self._tell(unreadable)
        return True

    def _tell(self, unreadable: dict[str, TerminalError]) -> None:
        for namespace, error in unreadable.items():
            log.error("this namespace cannot be served, the others are", namespace=namespace, because=str(error), mend=_MEND)
        for namespace in sorted(self._unreadable - unreadable.keys()):
            log.info("this namespace is served again", namespace=namespace)
        for line in self.hearing.deaf():
            log.error("a watch is deaf: lists show changes that it never told", watch=line)
        self._unreadable = frozenset(unreadable)


_MEND = "see that the namespace exists and has the operator's Role and RoleBinding, or take it out of WASESSION_NAMESPACES"
