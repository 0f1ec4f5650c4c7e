"""The process: settings, kopf's watches, the workers, probes and metrics. The only module that imports kopf.

Surprising: kopf is the runtime, not the brain. Its handlers only take in what was seen; it writes no finalizer, no
annotation and no event. Before it starts watching, everything is listed once, so that no worker decides on a session
whose pod it has not heard of yet.
"""

import asyncio
import gc
import os
import random
import signal
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import kopf
import structlog
from kopf._core.reactor.inventory import ResourceMemories, ResourceMemory

from wasession_contract.v1alpha1 import GROUP, PLURAL, SESSION_LABEL, VERSION
from wasession_operator import __version__, endpoints, logs, settings
from wasession_operator.admission import Admission
from wasession_operator.binding import Bindings
from wasession_operator.cluster import Cluster
from wasession_operator.decide import Policy
from wasession_operator.errors import SettingError
from wasession_operator.execute import Executor
from wasession_operator.health import Signs, ailments
from wasession_operator.hearing import Hearing, Kind
from wasession_operator.intake import Intake
from wasession_operator.logout import log_out
from wasession_operator.loops import Lister, work
from wasession_operator.memory import Memories
from wasession_operator.metrics import Metrics
from wasession_operator.reconcile import Reconciler
from wasession_operator.resources import Renderer
from wasession_operator.rollout import Rollout
from wasession_operator.settings import Settings
from wasession_operator.startup import Starts
from wasession_operator.store import Store
from wasession_operator.turns import Turns
from wasession_operator.views import Key
from wasession_operator.workqueue import WorkQueue

log = structlog.get_logger(__name__)
WATCH_SECONDS = 300  # the server ends a watch then; client-go uses 5 to 10 minutes
FIRST_WATCH_RETRY_SECONDS, LAST_WATCH_RETRY_SECONDS = 1.0, 30.0
PAGE = 100  # objects in a page of kopf's list, which it holds as dicts; it would ask for all at once
IDLE_SECONDS = 0.2  # kopf keeps a task and a queue for each object that had an event so recently
IDENTITY: Any = "wasession-operator"  # kopf would look the user up, and the image's has no name
FINISH_SECONDS = 10.0  # what is under way may take so long to end
EXIT_BAD_SETTING = 2


def run() -> int:
    """Run the operator until SIGTERM. Returns the exit code; a defect that nobody catches is logged as any other line."""
    try:
        chosen = settings.load(os.environ)
        logs.set_up(chosen.log_format, chosen.log_level)
        asyncio.run(_serve(chosen))
    except SettingError as error:
        print(f"wasession-operator: {error}", file=sys.stderr)  # noqa: T201  before there is a log
        return EXIT_BAD_SETTING
    return 0


@dataclass
class Operator:
    """The parts of one process, and its tasks."""

    intake: Intake
    reconciler: Reconciler
    queue: WorkQueue[Key]
    metrics: Metrics
    hearing: Hearing
    lister: Lister
    watching: bool = False
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    def begin(self, workers: int) -> None:
        """Start the tasks. Everything has been listed before."""
        jobs = [(f"worker {number}", work(self.queue, self.reconciler.reconcile, self.metrics)) for number in range(workers)]
        self._tasks = [asyncio.create_task(job, name=name) for name, job in (("lister", self.lister.go_on()), *jobs)]

    async def end(self) -> None:
        """End them; what is under way is ended well."""
        lister, *workers = self._tasks
        lister.cancel()
        self.queue.close()
        await asyncio.wait(workers, timeout=FINISH_SECONDS)

    def ailments(self) -> list[str]:
        """Why the process should be replaced; empty: it is well."""
        signs = Signs(
            workers_ended=tuple(task.get_name() for task in self._tasks if task.done()),
            longest_work=self.queue.longest_work,
            resync_age=time.monotonic() - self.lister.ended_at,
            resync_interval=self.lister.interval,
            deaf_watches=tuple(self.hearing.deaf()),
        )
        return list(ailments(signs))

    def reasons_to_wait(self) -> list[str]:
        """Why the operator serves nobody yet."""
        return [] if self.watching else ["the first list is not done; the log says why"]


def assemble(chosen: Settings, cluster: Cluster, http: aiohttp.ClientSession, metrics: Metrics) -> Operator:
    """Put the parts together; to be called inside the event loop."""
    loop = asyncio.get_running_loop()
    queue: WorkQueue[Key] = WorkQueue(loop.call_later, random.random, waited=metrics.queue_wait.observe)
    store, admission = Store(), Admission(chosen.max_sessions)
    hearing = Hearing(by_namespace=bool(chosen.namespaces), deaf_after=chosen.deaf_after)
    metrics.read_from(store, queue, admission, hearing)
    renderer = Renderer(chosen.template, chosen.device_name, chosen.backend_url, chosen.internal_key)
    policy = Policy(renderer.installation_hash(), chosen.cleanup_interval)
    memories = Memories()
    executor = Executor(
        cluster=cluster,
        store=store,
        queue=queue,
        admission=admission,
        renderer=renderer,
        metrics=metrics,
        memories=memories,
        now=_now,
        log_out=lambda ip, token: log_out(http, ip, token, policy.logout_wait),
    )
    rollout = Rollout(chosen.rollout_max_unavailable, timedelta(seconds=chosen.rollout_progress_deadline))
    metrics.count_rollout(rollout)
    reconciler = Reconciler(
        store=store,
        queue=queue,
        admission=admission,
        turns=Turns(rollout, Starts(chosen.startup_per_second), queue, policy.installation_hash),
        policy=policy,
        bindings=Bindings(),
        memories=memories,
        executor=executor,
        now=_now,
    )
    intake = Intake(store, queue, admission, chosen.namespaces, hearing)
    lister = Lister(cluster, intake, hearing, metrics, chosen.resync_interval)
    return Operator(intake, reconciler, queue, metrics, hearing, lister)


def _now() -> datetime:
    return datetime.now(UTC)


async def _serve(chosen: Settings) -> None:
    metrics = Metrics()
    cluster = await Cluster.open(metrics.saw_request)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(cluster.close)
        http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False))
        operator = assemble(chosen, cluster, http, metrics)
        probes = {"/healthz": lambda: endpoints.probe(operator.ailments), "/readyz": lambda: endpoints.probe(operator.reasons_to_wait)}
        await stack.enter_async_context(endpoints.serving(chosen.probe_port, probes))
        if chosen.metrics_port:
            pages = {"/metrics": lambda: endpoints.metrics(metrics.registry)}
            await stack.enter_async_context(endpoints.serving(chosen.metrics_port, pages))
        await operator.lister.first()
        operator.reconciler.survey()
        gc.freeze()  # what was just listed stays, and collections need not walk through it
        log.info("started", version=__version__, sessions=len(operator.queue))
        operator.begin(chosen.workers)
        await _watch(operator, chosen.namespaces)
        await operator.end()
        log.info("stopped")


async def _watch(operator: Operator, namespaces: tuple[str, ...]) -> None:
    """Kopf's watches until SIGTERM, begun anew when kopf gives them all up for one.

    It does for what it takes for the end: an error in a stream, or 410 as the answer to a watch. What went meanwhile is found by a list.
    """
    for pause in Forever():
        try:
            await kopf.operator(
                registry=_registry(operator),
                settings=kopf_settings(),
                memories=ForgetfulMemories(),
                standalone=True,
                identity=IDENTITY,
                clusterwide=not namespaces,
                namespaces=namespaces,
            )
        except Exception as error:  # noqa: BLE001  kopf's types of it are private
            log.warning("the watches ended, they begin anew", because=str(error), seconds=round(pause, 1))
        else:
            return
        for ended_by in (signal.SIGINT, signal.SIGTERM):  # kopf's own handlers would tell a run that is over
            asyncio.get_running_loop().remove_signal_handler(ended_by)
        await asyncio.sleep(pause)
        await operator.lister.first()


class Forever:
    """Seconds between the attempts of one watch, without end.

    kopf's own list ends after 54 s, and the whole process with it: one namespace that is gone, or an API server that answers
    errors for a minute, would take the sessions of all others along.
    """

    def __iter__(self) -> Iterator[float]:
        pause = FIRST_WATCH_RETRY_SECONDS
        while True:
            yield pause * random.uniform(0.5, 1)  # noqa: S311  jitter
            pause = min(2 * pause, LAST_WATCH_RETRY_SECONDS)


class _NoDiffs(kopf.DiffBaseStorage):
    """Nothing is compared: kopf would copy every object deeply for handlers of changes, of which there are none."""

    def build(self, **_: object) -> Any:  # noqa: ANN401  kopf's types
        return {}

    def fetch(self, **_: object) -> None: ...

    def store(self, **_: object) -> None: ...


class _NoProgress(kopf.ProgressStorage):
    """Nothing is kept between events, so there is nothing to clear of it."""

    def fetch(self, **_: object) -> None: ...

    def store(self, **_: object) -> None: ...

    def purge(self, **_: object) -> None: ...

    def touch(self, **_: object) -> None: ...

    def clear(self, *, essence: Any) -> Any:  # noqa: ANN401  kopf's types
        return essence


class ForgetfulMemories(ResourceMemories):
    """kopf remembers 7 KB of every object it ever saw, for daemons and handlers of changes, of which there are none.

    An argument of `kopf.operator`, though its class has no public name.
    """

    async def recall(self, raw_body: Any, **_: object) -> ResourceMemory:  # noqa: ANN401  kopf's types
        """A new one each time."""
        return await super().recall(raw_body, ephemeral=True)


def kopf_settings() -> kopf.OperatorSettings:
    """An event source and nothing more: no writes, no copies, nothing remembered."""
    chosen = kopf.OperatorSettings()
    chosen.persistence.diffbase_storage = _NoDiffs()
    chosen.persistence.progress_storage = _NoProgress()
    chosen.queueing.idle_timeout = IDLE_SECONDS
    chosen.watching.chunk_size = PAGE
    chosen.peering.standalone = True
    chosen.scanning.disabled = True
    chosen.posting.enabled = False
    chosen.watching.server_timeout = WATCH_SECONDS
    chosen.watching.client_timeout = WATCH_SECONDS + 10
    chosen.networking.request_timeout = 30
    chosen.networking.error_backoffs = Forever()
    chosen.watching.label_selectors["v1", "pods"] = SESSION_LABEL
    chosen.watching.label_selectors["v1", "persistentvolumeclaims"] = SESSION_LABEL
    return chosen


def _registry(operator: Operator) -> kopf.OperatorRegistry:
    """The three watches. Handlers are coroutines, because kopf runs plain functions in threads."""
    registry = kopf.OperatorRegistry()
    intake = operator.intake

    @kopf.on.login(registry=registry)
    async def _login(**kwargs: Any) -> kopf.ConnectionInfo | None:  # noqa: ANN401  kopf's arguments
        return kopf.login_with_service_account(**kwargs) or kopf.login_with_kubeconfig(**kwargs)

    @kopf.on.startup(registry=registry)
    async def _startup(**_: Any) -> None:  # noqa: ANN401  kopf's arguments
        operator.watching = True

    def watch(kind: Kind, take_in: Callable[..., None]) -> Callable[..., Awaitable[None]]:
        async def handler(event: dict[str, Any], **_: Any) -> None:  # noqa: ANN401  kopf's arguments
            seen, gone = event["object"], event["type"] == "DELETED"
            meta = seen["metadata"]
            operator.hearing.heard(kind, meta["namespace"], meta["uid"], int(meta["resourceVersion"]), gone=gone)
            operator.metrics.saw_event(kind)
            take_in(seen, gone=gone)

        return handler

    kopf.on.event(GROUP, VERSION, PLURAL, id="sessions", registry=registry)(watch(Kind.SESSIONS, intake.session))
    kopf.on.event("v1", "pods", id="pods", registry=registry)(watch(Kind.PODS, intake.pod))
    kopf.on.event("v1", "persistentvolumeclaims", id="claims", registry=registry)(watch(Kind.CLAIMS, intake.claim))
    return registry
