"""The pod's metrics, read from its parts when Prometheus asks. No QR code, number or text in a label."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate

from wasession_contract.v1alpha1 import BackendState, SessionReport, SessionState
from wasession_pod import lean

with lean.placeholders(lean.SERVERS):
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.registry import Collector


ACK_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 75)
"""Seconds; whatsmeow waits 75 s for an acknowledgement, and the emulator's come within 0.05 s."""


class Histogram:
    """How many values were in each of `bounds`, and in none."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        """Count a value."""
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def add_to(self, family: HistogramMetricFamily) -> None:
        """Show it."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        family.add_metric([], list(zip(names, accumulate(self._counts), strict=True)), self._sum)


class Numbers:
    """Counts since the process began, and the report as it is now. The shell keeps them."""

    def __init__(self) -> None:
        self.connects = 0
        self.disconnects: dict[int, int] = {}
        self.fresh_starts = 0
        self.acks = Histogram(ACK_BUCKETS)
        self.journal_bytes = 0
        self.webhooks_delivered = 0
        self.webhook_failures = 0
        self.webhooks_dead = 0
        self.webhook_backlog = 0
        self.received = 0
        self.sent = 0
        self.failed = 0
        self.delivered = 0
        self.dropped = 0
        self.status_writes = 0
        self.report: SessionReport | None = None


class _PodCollector(Collector):
    def __init__(self, numbers: Numbers) -> None:
        self._numbers = numbers

    def collect(self) -> Iterator[Metric]:
        numbers, report = self._numbers, self._numbers.report
        state = GaugeMetricFamily("wasession_session_state", "1 for the state that the session is in.", labels=["state"])
        for each in SessionState:
            state.add_metric([each], float(report is not None and report.state is each))
        yield state
        gone = CounterMetricFamily("wasession_session_disconnects", "Lost or refused connections by code.", labels=["code"])
        for code, count in sorted(numbers.disconnects.items()):
            gone.add_metric([str(code)], count)
        yield gone
        yield CounterMetricFamily("wasession_session_connects", "Logins at WhatsApp.", numbers.connects)
        yield CounterMetricFamily("wasession_session_fresh_starts", "Times the process replaced itself.", numbers.fresh_starts)
        yield CounterMetricFamily("wasession_messages_received", "Messages that came in.", numbers.received)
        yield CounterMetricFamily("wasession_messages_sent", "Messages that WhatsApp acknowledged.", numbers.sent)
        yield CounterMetricFamily("wasession_messages_failed", "Messages without an acknowledgement.", numbers.failed)
        acks = HistogramMetricFamily("wasession_message_ack_seconds", "Time until WhatsApp acknowledged a message, its upload included.")
        numbers.acks.add_to(acks)
        yield acks
        yield CounterMetricFamily("wasession_backend_delivered", "Messages that the backend received.", numbers.delivered)
        yield CounterMetricFamily("wasession_backend_dropped", "Messages dropped because the journal was full.", numbers.dropped)
        yield CounterMetricFamily("wasession_webhook_delivered", "Events that a webhook took.", numbers.webhooks_delivered)
        yield CounterMetricFamily("wasession_webhook_failures", "Attempts that a webhook did not take.", numbers.webhook_failures)
        yield CounterMetricFamily("wasession_webhook_dead", "Events that are dead letters.", numbers.webhooks_dead)
        yield GaugeMetricFamily("wasession_webhook_backlog", "Events that wait for a webhook.", numbers.webhook_backlog)
        yield GaugeMetricFamily("wasession_journal_bytes", "Size of the journal on the volume.", numbers.journal_bytes)
        yield CounterMetricFamily("wasession_status_writes", "Writes of status.session.", numbers.status_writes)
        if report is not None:
            yield GaugeMetricFamily("wasession_backend_backlog", "Messages that wait for the backend.", report.backend.backlog)
            connected = report.backend.state is BackendState.CONNECTED
            yield GaugeMetricFamily("wasession_backend_connected", "1 while the backend's WebSocket is open.", float(connected))


class Metrics:
    """Prometheus text of `numbers`, with the process's own memory, CPU time and descriptors."""

    def __init__(self, numbers: Numbers) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_PodCollector(numbers))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
