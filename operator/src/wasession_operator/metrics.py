"""The operator's Prometheus metrics. No label names a session: ten thousand of them would be ten thousand series.

What is counted is a field; what is a state of the process is read when Prometheus asks, from what `read_from` was given.
docs/reference/operator-metrics.md explains each.
"""

from collections import Counter as Tally
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from wasession_contract.v1alpha1 import Phase
from wasession_operator import __version__
from wasession_operator.admission import Admission
from wasession_operator.hearing import Hearing, Kind
from wasession_operator.rollout import Rollout
from wasession_operator.store import Store
from wasession_operator.views import Key
from wasession_operator.workqueue import WorkQueue

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
WAIT_SECONDS = (0.001, 0.01, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)


class Result(StrEnum):
    """How a look at a session ended; the errors' codes among them."""

    OK = "ok"
    STALE = "stale"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    DEFECT = "defect"


class Metrics:
    """What there is to count."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each of a counter
        registry = self.registry = CollectorRegistry()
        build = Gauge("wasession_operator_build_info", "1, with the operator's version.", ["version"], registry=registry)
        build.labels(__version__).set(1)
        self.reconciles = Counter("wasession_operator_reconciles", "Looks at a session, by how they ended.", ["result"], registry=registry)
        for result in Result:
            self.reconciles.labels(result)
        self.duration = Histogram(
            "wasession_operator_reconcile_duration_seconds", "Time that one look took.", buckets=SECONDS, registry=registry
        )
        self.queue_wait = Histogram(
            "wasession_operator_queue_wait_seconds", "Time that a session waited for a worker.", buckets=WAIT_SECONDS, registry=registry
        )
        self.retries = Counter("wasession_operator_retries", "Looks that failed and are tried again after a back-off.", registry=registry)
        self.actions = Counter("wasession_operator_actions", "Actions carried out, by kind.", ["action"], registry=registry)
        self.pods_created = Counter("wasession_operator_pods_created", "Pods created, by why.", ["cause"], registry=registry)
        self.pods_deleted = Counter("wasession_operator_pods_deleted", "Pods deleted, by why.", ["cause"], registry=registry)
        self.status_writes = Counter("wasession_operator_status_writes", "Statuses written.", registry=registry)
        self.api_requests = Counter(
            "wasession_operator_api_requests",
            "Requests to the API server, without the watches' own; the code is none where no answer came.",
            ["verb", "resource", "code"],
            registry=registry,
        )
        self.api_duration = Histogram(
            "wasession_operator_api_request_duration_seconds",
            "Time until the API server's whole answer was there.",
            ["verb", "resource"],
            buckets=SECONDS,
            registry=registry,
        )
        self.last_event = Gauge(
            "wasession_operator_last_event_timestamp_seconds",
            "When a watch last told something, since 1970.",
            ["resource"],
            registry=registry,
        )
        self.last_list = Gauge(
            "wasession_operator_last_list_timestamp_seconds", "When everything was last listed, since 1970; 0: not yet.", registry=registry
        )
        self.unreadable_namespaces = Gauge(
            "wasession_operator_unreadable_namespaces", "Namespaces of the setting that the last list could not read.", registry=registry
        )
        ProcessCollector(registry=registry)

    def saw_request(self, verb: str, resource: str, code: str, seconds: float) -> None:
        """The API server was asked. `code`: the answer's status, `none` without an answer."""
        self.api_requests.labels(verb, resource, code).inc()
        self.api_duration.labels(verb, resource).observe(seconds)

    def saw_event(self, kind: Kind) -> None:
        """A watch told something."""
        self.last_event.labels(kind).set_to_current_time()

    def listed(self, unreadable: int, at: datetime | None = None) -> None:
        """Everything was listed but so many namespaces."""
        self.last_list.set((at or datetime.now(UTC)).timestamp())
        self.unreadable_namespaces.set(unreadable)

    def read_from(self, store: Store, queue: WorkQueue[Key], admission: Admission, hearing: Hearing) -> None:
        """From now on show the state of these, too."""
        self.registry.register(_State(store, queue, admission, hearing))

    def count_rollout(self, rollout: Rollout) -> None:
        """Show how far `rollout` is."""
        shown: dict[str, tuple[str, Callable[[], float]]] = {
            "stopped": ("1: sessions did not come back, and no further one is replaced.", lambda: rollout.stopped),
            "outdated_sessions": ("Sessions whose pod is of an older template.", lambda: rollout.outdated),
            "in_progress_sessions": ("Sessions that are away or about to be, and have time to come back.", lambda: rollout.in_progress),
            "failed_sessions": ("Sessions that did not come back in time on the new template.", lambda: rollout.failed),
        }
        for name, (words, value) in shown.items():
            Gauge(f"wasession_operator_rollout_{name}", words, registry=self.registry).set_function(value)


class _State(Collector):
    """Gauges that are read when Prometheus asks."""

    def __init__(self, store: Store, queue: WorkQueue[Key], admission: Admission, hearing: Hearing) -> None:
        self._store = store
        self._queue = queue
        self._admission = admission
        self._hearing = hearing

    def collect(self) -> Iterator[Metric]:
        yield from self._sessions()
        yield from self._work()
        yield from self._watches()

    def _sessions(self) -> Iterator[Metric]:
        tally = Tally(view.session.status.phase or Phase.PENDING for view in self._store.sessions)
        phases = GaugeMetricFamily("wasession_sessions", "Sessions by phase.", labels=["phase"])
        for phase in Phase:
            phases.add_metric([phase], tally.get(phase, 0))
        yield phases
        admission = self._admission
        yield GaugeMetricFamily("wasession_operator_sessions_admitted", "Sessions that have a place.", len(admission))
        yield GaugeMetricFamily("wasession_operator_sessions_waiting", "Sessions that wait for a place.", admission.waiting)
        yield GaugeMetricFamily("wasession_operator_sessions_limit", "Places that there are; 0: no limit.", admission.limit)

    def _work(self) -> Iterator[Metric]:
        queue = self._queue
        yield GaugeMetricFamily("wasession_operator_queue_depth", "Sessions that wait for a worker.", len(queue))
        yield GaugeMetricFamily("wasession_operator_queue_oldest_seconds", "How long the first of them has waited.", queue.oldest_wait)
        yield GaugeMetricFamily("wasession_operator_working_sessions", "Sessions that are with a worker.", queue.working)
        yield GaugeMetricFamily("wasession_operator_longest_work_seconds", "How long the first of them is with it.", queue.longest_work)
        yield GaugeMetricFamily("wasession_operator_retrying_sessions", "Sessions whose last look failed.", queue.failing)

    def _watches(self) -> Iterator[Metric]:
        missed = CounterMetricFamily(
            "wasession_operator_missed_events", "Changes that a list found and the watch never told.", labels=["resource"]
        )
        for kind in Kind:
            missed.add_metric([kind], self._hearing.missed[kind])
        yield missed
        yield GaugeMetricFamily("wasession_operator_deaf_watches", "Watches that have stopped to tell.", len(self._hearing.deaf()))
