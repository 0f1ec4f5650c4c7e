"""What walks came to: rows of (scenario, fault, tried, held, failed), and the command that replays a failure. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from walks.draw import How, Point, Walk

GOAL = 60


class Row(NamedTuple):
    """One line of the table."""

    scenario: str
    fault: str
    tried: int
    held: int
    failed: int


@dataclass(frozen=True)
class Outcome:
    """One walk and its points; `broken`: why it was not led to its end."""

    scenario: str
    """`walk`, or the name of the one field that is changed."""
    walk: Walk
    points: tuple[Point, ...]
    broken: str = ""

    @property
    def failed(self) -> bool:
        """Whether an oracle did not hold, or the walk could not be led to its end."""
        return bool(self.broken) or any(point.violations for point in self.points)

    def report(self) -> str:
        """What did not hold, and how to see it again; empty: everything held."""
        if not self.failed:
            return ""
        lines = [f"{self.scenario}, seed {self.walk.seed}:"]
        for point in self.points:
            if point.violations:
                lines += [f"  step {point.number}, {point.how}: {self.walk.steps[point.number].spec}"]
                lines += [f"    {violation}" for violation in point.violations]
        lines += [f"  not led to its end: {self.broken}"] if self.broken else []
        return "\n".join([*lines, f"replay: make faults-walks WALK='{self.scenario}' SEED={self.walk.seed}"])


@dataclass
class Tally:
    """Sums over walks."""

    outcomes: list[Outcome] = field(default_factory=list)

    def rows(self) -> list[Row]:
        """One for each scenario and way in which a step was brought about."""
        tried: Counter[tuple[str, How]] = Counter()
        held: Counter[tuple[str, How]] = Counter()
        for outcome in self.outcomes:
            for point in outcome.points:
                kind = "walk over the spec" if outcome.scenario == "walk" else "one field changed"
                tried[kind, point.how] += 1
                held[kind, point.how] += not point.violations
        rows = [Row(*what, count, held[what], count - held[what]) for what, count in tried.items()]
        broken = sum(bool(outcome.broken) for outcome in self.outcomes)
        return sorted(rows) + ([Row("not led to its end", "", broken, 0, broken)] if broken else [])


def table(rows: Iterable[Row]) -> str:
    """For people."""
    rows = list(rows)
    total = Row("all", "", sum(row.tried for row in rows), sum(row.held for row in rows), sum(row.failed for row in rows))
    lines = [f"{scenario:<28}{fault:<34}{tried:>6}{held:>6}{failed:>7}" for scenario, fault, tried, held, failed in [*rows, total]]
    return "\n".join([f"{'scenario':<28}{'fault':<34}{'tried':>6}{'held':>6}{'failed':>7}", *lines])


def results(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """The benchmark's form."""
    rows = list(rows)
    tried, failed = sum(row.tried for row in rows), sum(row.failed for row in rows)
    return [_result("walks: points tried", tried, GOAL, met=tried >= GOAL), _result("walks: points failed", failed, 0, met=not failed)]


def _result(metric: str, ours: int, goal: int, *, met: bool) -> dict[str, Any]:
    return {"metric": metric, "unit": "points", "ours": ours, "anchor": None, "anchor_value": None, "goal": goal, "met": met}
