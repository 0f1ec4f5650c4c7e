"""From what the runs measured to figures with goals. Pure."""

from collections.abc import Iterable, Sequence

from scale.report import Figure, percentile
from scale.runs import OURS, WRITES, Anchor, Measured

CREATED_BY_US = ("pods", "persistentvolumeclaims")
RATE, P99, NEW_WRITES, RSS = 0.9, 250.0, 3.0, 400.0  # goals: share of the StatefulSet controller's rate, ms, writes, MiB
UNTHROTTLED = "StatefulSet controller, unthrottled"
THROTTLED = "StatefulSet controller by default (20 requests/s)"
RAW = "minimal client"


def figures(measured: Measured, anchors: dict[str, Anchor]) -> Iterable[Figure]:
    """All rows of one size."""
    number = measured.sessions
    for anchor in (UNTHROTTLED, THROTTLED, RAW):
        if anchor in anchors:
            goal = RATE if anchor == UNTHROTTLED else None
            yield Figure("objects → pods", "pods/s", number, measured.rate, anchor, anchors[anchor].rate, ratio=goal)
    yield from _latency("event → action", number, measured.restarts, P99)
    yield from _latency("session → its pod", number, measured.creations, None)
    beyond = measured.created.total(resources=OURS, verbs=WRITES)
    theirs = measured.created.total(resources=("pods",), verbs=("PATCH",))  # the node's
    children = measured.created.total(resources=CREATED_BY_US, verbs=("POST",))
    yield Figure(
        "writes per new session beyond pod and claim", "", number, (beyond - theirs - children - number) / number, at_most=NEW_WRITES
    )
    told = measured.told.total(resources=OURS, verbs=WRITES) - number
    yield Figure("writes per session that reports to be connected", "", number, told / number)
    yield Figure("requests per new session, all in all", "", number, measured.requests / number)
    yield Figure("CPU of the operator per new session", "ms", number, 1000 * measured.created_cpu / number)
    for anchor in (UNTHROTTLED, RAW):
        if anchor in anchors:
            ours = 1000 * (measured.created_cpu + measured.plane_cpu) / number
            yield Figure("CPU of controller and control plane per pod", "ms", number, ours, anchor, 1000 * anchors[anchor].cpu)
    yield Figure("CPU per report", "ms", number, 1000 * measured.told_cpu / number)
    yield Figure("writes at rest", "per min", number, measured.rest_writes / measured.rest_seconds * 60, at_most=0)
    yield Figure("CPU at rest", "s/min", number, measured.rest_cpu / measured.rest_seconds * 60)
    yield Figure("taken over after a restart", "s", number, measured.taken_over)
    yield Figure("writes after a restart", "", number, measured.taken_over_writes, at_most=0)
    yield Figure("CPU for taking over", "s", number, measured.taken_over_cpu)
    highest = max(measured.created_memory[1], measured.rest_memory[1], measured.taken_over_memory[1])
    yield Figure("RSS at rest", "MiB", number, measured.rest_memory[0])
    yield Figure("RSS at rest after a restart", "MiB", number, measured.taken_over_memory[0])
    yield Figure("RSS, highest of both lives", "MiB", number, highest, at_most=RSS)


def _latency(what: str, number: int, seconds: Sequence[float], p99: float | None) -> Iterable[Figure]:
    many = f"{len(seconds)} samples"
    yield Figure(f"{what}, median of {many}", "ms", number, 1000 * percentile(seconds, 0.5))
    yield Figure(f"{what}, p99 of {many}", "ms", number, 1000 * percentile(seconds, 0.99), at_most=p99)
