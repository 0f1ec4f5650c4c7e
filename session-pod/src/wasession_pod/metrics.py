"""The pod's metrics, read from its parts when Prometheus asks. No QR code, number or text in a label."""

from collections.abc import Iterator

from wasession_contract.v1alpha1 import BackendState, SessionReport, SessionState
from wasession_pod import lean

with lean.placeholders(lean.SERVERS):
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
    from prometheus_client.registry import Collector


class Numbers:
    """Counts since the process began, and the report as it is now. The shell keeps them."""

    def __init__(self) -> None:
        self.disconnects: dict[int, int] = {}
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
        yield CounterMetricFamily("wasession_messages_received", "Messages that came in.", numbers.received)
        yield CounterMetricFamily("wasession_messages_sent", "Messages that WhatsApp acknowledged.", numbers.sent)
        yield CounterMetricFamily("wasession_messages_failed", "Messages without an acknowledgement.", numbers.failed)
        yield CounterMetricFamily("wasession_backend_delivered", "Messages that the backend received.", numbers.delivered)
        yield CounterMetricFamily("wasession_backend_dropped", "Messages dropped because the journal was full.", numbers.dropped)
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
