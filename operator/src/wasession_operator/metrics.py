"""The operator's Prometheus metrics. No label names a session: ten thousand of them would be ten thousand series."""

from collections import Counter as Tally
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily, Metric

from wasession_contract.v1alpha1 import Phase
from wasession_operator.store import Store


class Metrics:
    """What there is to count."""

    def __init__(self, store: Store, queue_depth: Callable[[], float], failing: Callable[[], float]) -> None:
        self.registry = CollectorRegistry()
        self.reconciles = Counter(
            "wasession_operator_reconciles", "Looks at a session, by how they ended", ["result"], registry=self.registry
        )
        self.duration = Histogram("wasession_operator_reconcile_duration_seconds", "Time of one look", registry=self.registry)
        self.actions = Counter("wasession_operator_actions", "Actions carried out, by kind", ["action"], registry=self.registry)
        self.status_writes = Counter("wasession_operator_status_writes", "Statuses written", registry=self.registry)
        self.last_event = Gauge(
            "wasession_operator_last_event_timestamp_seconds", "When the last watch event came, since 1970", registry=self.registry
        )
        depth = Gauge("wasession_operator_queue_depth", "Sessions that wait to be looked at", registry=self.registry)
        depth.set_function(queue_depth)
        retrying = Gauge("wasession_operator_retrying_sessions", "Sessions whose last look failed", registry=self.registry)
        retrying.set_function(failing)
        self.registry.register(_Phases(store))


class _Phases:
    """Sessions by phase, counted when asked."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def collect(self) -> Iterator[Metric]:
        tally = Tally(view.session.status.phase for view in tuple(self._store.sessions))
        family = GaugeMetricFamily("wasession_sessions", "Sessions by phase", labels=["phase"])
        for phase in Phase:
            family.add_metric([phase], tally.get(phase, 0))
        yield family
