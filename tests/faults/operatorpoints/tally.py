"""What many trials came to: the table, and the numbers in the form of the project's other benchmarks. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from operatorpoints.points import FAULTS, Point

GOAL = 300
_GROUPS = (("kill", "kill"), ("answer", "answer"), ("cut", "cut"), ("event", "drop"), ("event", "expire"), ("past", "past"))


def group(fault: str) -> str:
    """The table's column."""
    return next(name for name, start in _GROUPS if fault.startswith(start))


@dataclass
class Tally:
    """A point whose fault did not come, because the trial took another way, is not a point that was tried."""

    tried: Counter[tuple[str, str]] = field(default_factory=Counter)
    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    not_reached: list[Point] = field(default_factory=list)
    failed: dict[str, Sequence[str]] = field(default_factory=dict)
    without_fault_broken: list[str] = field(default_factory=list)

    def add(self, point: Point, *, fired: bool, broken: Sequence[str]) -> None:
        """Count a trial."""
        if not fired and not broken:
            self.not_reached.append(point)
            return
        where = point.scenario, point.fault
        self.tried[where] += 1
        if broken:
            self.failed[str(point)] = broken
        else:
            self.held[where] += 1

    def rows(self) -> list[tuple[str, str, int, int, int]]:
        """Scenario, fault, tried, held, failed."""
        return [(*where, tried, self.held[where], tried - self.held[where]) for where, tried in self.tried.items()]

    def failed_points(self) -> list[str]:
        """To be replayed."""
        return [*(f"{name}/none/*" for name in dict.fromkeys(self.without_fault_broken)), *self.failed]

    def table(self) -> str:
        """For people: a row a scenario, a column a group of faults, `held/tried`."""
        columns = list(dict.fromkeys(name for name, _ in _GROUPS))
        scenarios = [*dict.fromkeys(scenario for scenario, _ in self.tried), None]
        lines = [
            ("scenario", *columns, "tried", "failed"),
            *((one or "all", *(self._cell(one, name) for name in columns), *self._sums(one)) for one in scenarios),
        ]
        text = [f"{line[0]:<24}" + "".join(f"{cell:>10}" for cell in line[1:]) for line in lines]
        return "\n".join([*text, f"{len(self.not_reached)} points not reached"])

    def results(self) -> list[dict[str, Any]]:
        """The benchmark's form: what was measured, against what, and whether the goal is met."""
        tried, failed = self.tried.total(), len(self.failed) + len(self.without_fault_broken)
        rows = [
            _row("points tried", "points", tried, goal=GOAL, met=tried >= GOAL),
            _row("points failed", "points", failed, goal=0, met=not failed),
        ]
        for fault in FAULTS:
            of_fault = sum(count for (_, one), count in self.tried.items() if one == fault)
            held = sum(count for (_, one), count in self.held.items() if one == fault)
            rows.append(_row(f"held: {fault}", "points", held, goal=of_fault, met=held == of_fault))
        return rows

    def _cell(self, scenario: str | None, column: str) -> str:
        def of(counts: Counter[tuple[str, str]]) -> int:
            return sum(count for (one, fault), count in counts.items() if scenario in {None, one} and group(fault) == column)

        return f"{of(self.held)}/{of(self.tried)}"

    def _sums(self, scenario: str | None) -> tuple[str, str]:
        tried = sum(count for (one, _), count in self.tried.items() if scenario in {None, one})
        held = sum(count for (one, _), count in self.held.items() if scenario in {None, one})
        return str(tried), str(tried - held)


def _row(metric: str, unit: str, ours: float, *, goal: float, met: bool) -> dict[str, Any]:
    return {"metric": metric, "unit": unit, "ours": ours, "anchor": None, "anchor_value": None, "goal": goal, "met": met}
