"""Counts that the pod's parts keep for `exposition`, which turns them into Prometheus' text."""

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from wasession_contract.v1alpha1 import SessionReport

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

    @property
    def sum(self) -> float:
        """Of all values."""
        return self._sum

    def buckets(self) -> list[tuple[str, float]]:
        """Upper bound and number of the values up to it, as Prometheus has them."""
        names = [*(str(float(bound)) for bound in self._bounds), "+Inf"]
        return list(zip(names, accumulate(self._counts), strict=True))


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
