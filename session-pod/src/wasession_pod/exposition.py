"""The pod's metrics as Prometheus' text, read from its parts when somebody asks. No QR code, number or text in a label.

Surprising: it is imported by the first scrape, because prometheus_client is 5 % of a start, and the QR code would wait for it.
"""

from collections.abc import Iterator

from wasession_contract.v1alpha1 import BackendState, SessionState
from wasession_pod import lean
from wasession_pod.metrics import Numbers

with lean.placeholders(lean.SERVERS):
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
    from prometheus_client.registry import Collector


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
        acks.add_metric([], numbers.acks.buckets(), numbers.acks.sum)
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


class Exposition:
    """Prometheus text of `numbers`, with the process's own memory, CPU time and descriptors."""

    def __init__(self, numbers: Numbers) -> None:
        self._registry = CollectorRegistry()
        self._registry.register(_PodCollector(numbers))
        ProcessCollector(registry=self._registry)

    def text(self) -> bytes:
        """The exposition."""
        return generate_latest(self._registry)
