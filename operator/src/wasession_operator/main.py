"""The process: settings, kopf's watches, the workers, probes and metrics. The only module that imports kopf.

Surprising: kopf is the runtime, not the brain. Its handlers only take in what was seen; it writes no finalizer, no
annotation and no event. Before it starts watching, everything is listed once, so that no worker decides on a session
whose pod it has not heard of yet.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import aiohttp
import kopf
import prometheus_client
import structlog

from wasession_contract.v1alpha1 import GROUP, PLURAL, SESSION_LABEL, VERSION
from wasession_operator import logs, settings
from wasession_operator.admission import Admission
from wasession_operator.cluster import Cluster
from wasession_operator.decide import Policy
from wasession_operator.errors import OperatorError, RetryableError, SettingError, TerminalError
from wasession_operator.execute import Executor
from wasession_operator.intake import Intake
from wasession_operator.logout import log_out
from wasession_operator.memory import Memories
from wasession_operator.metrics import Metrics
from wasession_operator.reconcile import Reconciler
from wasession_operator.resources import Renderer
from wasession_operator.rollout import Rollout
from wasession_operator.settings import Settings
from wasession_operator.store import Store
from wasession_operator.views import Key
from wasession_operator.workqueue import WorkQueue

log = structlog.get_logger(__name__)
WATCH_SECONDS = 300  # the server ends a watch then; client-go uses 5 to 10 minutes
FIRST_LIST_RETRY_SECONDS = 2.0
SECOND_LIST_SECONDS = 10.0  # by then kopf watches; it tells nothing of what went between our first list and its own
IDENTITY: Any = "wasession-operator"  # kopf would look the user up, and the image's has no name
FINISH_SECONDS = 10.0  # what is under way may take so long to end
EXIT_BAD_SETTING = 2


def run() -> int:
    """Run the operator until SIGTERM. Returns the exit code."""
    try:
        chosen = settings.load(os.environ)
        logs.set_up(chosen.log_format)
        asyncio.run(_serve(chosen))
    except SettingError as error:
        print(f"wasession-operator: {error}", file=sys.stderr)  # noqa: T201  before there is a log
        return EXIT_BAD_SETTING
    return 0


@dataclass(frozen=True)
class Operator:
    """The parts of one process."""

    cluster: Cluster
    intake: Intake
    reconciler: Reconciler
    queue: WorkQueue[Key]
    metrics: Metrics


def assemble(chosen: Settings, cluster: Cluster, http: aiohttp.ClientSession) -> Operator:
    """Put the parts together; to be called inside the event loop."""
    loop = asyncio.get_running_loop()
    queue: WorkQueue[Key] = WorkQueue(loop.call_later, random.random)
    store, admission = Store(), Admission(chosen.max_sessions)
    metrics = Metrics(store, lambda: len(queue), lambda: queue.failing)
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
    reconciler = Reconciler(
        store=store,
        queue=queue,
        admission=admission,
        rollout=Rollout(chosen.rollout_max_unavailable),
        policy=policy,
        memories=memories,
        executor=executor,
        now=_now,
    )
    return Operator(cluster, Intake(store, queue, admission, chosen.namespaces), reconciler, queue, metrics)


def _now() -> datetime:
    return datetime.now(UTC)


async def _serve(chosen: Settings) -> None:
    cluster = await Cluster.open()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), trust_env=False) as http:
        operator = assemble(chosen, cluster, http)
        if chosen.metrics_port:
            prometheus_client.start_http_server(chosen.metrics_port, registry=operator.metrics.registry)
        try:
            await _first_list(operator)
            tasks = [asyncio.create_task(_work(operator), name=f"worker {number}") for number in range(chosen.workers)]
            resync = asyncio.create_task(_resync(operator, chosen.resync_interval), name="resync")
            await kopf.operator(
                registry=_registry(operator),
                settings=_kopf_settings(),
                standalone=True,
                identity=IDENTITY,
                clusterwide=not chosen.namespaces,
                namespaces=chosen.namespaces,
                liveness_endpoint=f"http://0.0.0.0:{chosen.probe_port}/healthz",
            )
            resync.cancel()
            operator.queue.close()
            await asyncio.wait(tasks, timeout=FINISH_SECONDS)
            log.info("stopped")
        finally:
            await cluster.close()


async def _first_list(operator: Operator) -> None:
    while True:
        try:
            await operator.intake.resync(operator.cluster)
        except (RetryableError, TerminalError) as error:
            log.warning("the first list failed, trying again; is the CRD installed, and may this ServiceAccount list?", because=str(error))
            await asyncio.sleep(FIRST_LIST_RETRY_SECONDS)
        else:
            log.info("started", sessions=len(operator.queue))
            return


async def _resync(operator: Operator, interval: float) -> None:
    pause = min(SECOND_LIST_SECONDS, interval)
    while True:
        await asyncio.sleep(pause * random.uniform(0.8, 1.2))  # noqa: S311  jitter
        pause = interval
        try:
            await operator.intake.resync(operator.cluster)
        except OperatorError as error:
            log.warning("resync failed", because=str(error))
        except Exception:
            log.exception("resync")


async def _work(operator: Operator) -> None:
    """One worker: a session after the other."""
    queue, metrics = operator.queue, operator.metrics
    while (key := await queue.take()) is not None:
        structlog.contextvars.bind_contextvars(namespace=key.namespace, session=key.name)
        began = time.monotonic()
        try:
            queue.done(key, await operator.reconciler.reconcile(key))
            result = "ok"
        except OperatorError as error:
            after = error.after if isinstance(error, RetryableError) else None
            delay = queue.failed(key, after or 0)
            result = error.code
            log.warning("trying again later", because=str(error), seconds=round(delay, 1))
        except Exception:
            queue.failed(key)
            result = "defect"
            log.exception("a defect of the operator")
        metrics.reconciles.labels(result).inc()
        metrics.duration.observe(time.monotonic() - began)
        structlog.contextvars.clear_contextvars()


def _kopf_settings() -> kopf.OperatorSettings:
    chosen = kopf.OperatorSettings()
    chosen.peering.standalone = True
    chosen.scanning.disabled = True
    chosen.posting.enabled = False
    chosen.watching.server_timeout = WATCH_SECONDS
    chosen.watching.client_timeout = WATCH_SECONDS + 10
    chosen.networking.request_timeout = 30
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

    def watch(take_in: Callable[..., None]) -> Callable[..., Awaitable[None]]:
        async def handler(event: dict[str, Any], **_: Any) -> None:  # noqa: ANN401  kopf's arguments
            operator.metrics.last_event.set_to_current_time()
            take_in(event["object"], gone=event["type"] == "DELETED")

        return handler

    kopf.on.event(GROUP, VERSION, PLURAL, id="sessions", registry=registry)(watch(intake.session))
    kopf.on.event("v1", "pods", id="pods", registry=registry)(watch(intake.pod))
    kopf.on.event("v1", "persistentvolumeclaims", id="claims", registry=registry)(watch(intake.claim))
    return registry
