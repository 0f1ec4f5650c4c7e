from collections import Counter

import pytest
from scale import figures, report
from scale.report import Figure, percentile
from scale.runs import Measured
from scale.wire import Counts

pytestmark = pytest.mark.unit


def test_a_ratio_is_a_goal_from_below_and_a_bound_one_from_above() -> None:
    assert Figure("rate", "pods/s", 9, ours=90, anchor="other", value=100, ratio=0.9).met
    assert not Figure("rate", "pods/s", 9, ours=89, anchor="other", value=100, ratio=0.9).met
    assert Figure("writes", "", 9, ours=0, at_most=0).met
    assert not Figure("writes", "", 9, ours=1, at_most=0).met
    assert Figure("rate", "pods/s", 9, ours=90).met is None


def test_a_percentile_is_one_of_the_values() -> None:
    assert [percentile(range(1, 101), share) for share in (0.5, 0.99, 1)] == [50, 99, 100]
    assert percentile([7.0], 0.99) == 7.0


def test_what_was_written_is_read_back() -> None:
    rows = [Figure("rate", "pods/s", 9, ours=90, anchor="other", value=100, ratio=0.9), Figure("writes", "", 9, ours=0, at_most=0)]
    assert report.from_json(report.as_json(rows)) == rows


def test_the_writes_of_others_are_not_ours() -> None:
    created = {("POST", "whatsappsessions", ""): 2, ("POST", "pods", ""): 2, ("POST", "persistentvolumeclaims", ""): 2}
    node, ours = {("PATCH", "pods", "status"): 2}, {("PATCH", "whatsappsessions", ""): 2, ("APPLY", "whatsappsessions", "status"): 4}
    told = {("PATCH", "whatsappsessions", "status"): 2, ("APPLY", "whatsappsessions", "status"): 2, ("POST", "events", ""): 2}
    measured = Measured(2, created=Counts(Counter(created | node | ours)), told=Counts(Counter(told)), rest_seconds=60)
    measured.restarts = measured.creations = [0.01]
    by = {row.metric: row for row in figures.figures(measured, {})}
    assert by["writes per new session beyond pod and claim"].ours == 3
    assert by["writes per session that reports to be connected"].ours == 2
