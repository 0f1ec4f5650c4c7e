"""The metrics: their page agrees with what is served, and the numbers add up."""

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from wasession_contract.v1alpha1 import SessionReport, SessionState
from wasession_pod.exposition import Exposition
from wasession_pod.metrics import Histogram, Numbers

pytestmark = pytest.mark.unit
PAGE = Path(__file__).parents[3] / "docs" / "reference" / "metrics.md"


def served(numbers: Numbers) -> str:
    """What Prometheus gets from a connected session."""
    numbers.report = SessionReport(pod_uid="u", state=SessionState.CONNECTED, reported_at=datetime(2026, 1, 1, tzinfo=UTC))
    numbers.disconnects = {428: 1}
    return Exposition(numbers).text().decode()


def test_the_page_lists_what_is_served_and_nothing_else() -> None:
    text = served(Numbers())
    kinds = dict(re.findall(r"# TYPE (\S+) (\S+)", text))
    labels = {name: f"`{label}`" for name, label in re.findall(r'^(\w+)\{(\w+)="', text, re.MULTILINE) if label != "le"}
    rows = [f"| `{name}` | {kinds[name]} | {labels.get(name, '')} | {words} |" for name, words in re.findall(r"# HELP (\S+) (.*)", text)]
    assert re.findall(r"^\| `\w+` .*", PAGE.read_text(), re.MULTILINE) == rows


def test_a_histogram_counts_each_value_once_and_in_every_wider_bucket() -> None:
    numbers = Numbers()
    numbers.acks = Histogram((0.1, 1))
    for seconds in (0.1, 0.5, 7):
        numbers.acks.observe(seconds)
    lines = re.findall(r'wasession_message_ack_seconds_(?:bucket\{le="(.*?)"\}|(sum|count)) (\S+)', served(numbers))
    assert {first or second: float(value) for first, second, value in lines} == {"0.1": 1, "1.0": 2, "+Inf": 3, "count": 3, "sum": 7.6}
