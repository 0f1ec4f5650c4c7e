"""What many lives came to: the table, and the numbers in the form of the project's other benchmarks. Pure."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from podhistory.checker import Guarantee, Violation
from podhistory.history import Answered, Delivered, Dropped, History, Phase, Wrote


@dataclass
class Tally:
    """Sums over lives; `violations` and `broken` (lives that did not come to their end) name their seed."""

    lives: int = 0
    kills: Counter[Phase] = field(default_factory=Counter)
    held: Counter[Phase] = field(default_factory=Counter)
    seen: Counter[str] = field(default_factory=Counter)
    violations: list[tuple[int, Violation]] = field(default_factory=list)
    broken: list[tuple[int, str]] = field(default_factory=list)

    def add(self, seed: int, kills: Sequence[Phase], history: History, found: Sequence[Violation]) -> None:
        """Count a life. Its kills count as held if nothing in it was violated: which kill did it cannot be told."""
        self.lives += 1
        self.kills.update(kills)
        if not found:
            self.held.update(kills)
        self.violations += [(seed, violation) for violation in found]
        self.seen["inbound"] += sum(isinstance(step, Wrote) for step in history.steps)
        self.seen["deliveries"] += sum(isinstance(step, Delivered) for step in history.steps)
        self.seen["drops"] += sum(isinstance(step, Dropped) for step in history.steps)
        self.seen["calls"] += sum(isinstance(step, Answered) for step in history.steps)
        self.seen["unknown"] += len({step.key for step in history.steps if isinstance(step, Answered) and step.code == "ack_timeout"})
        self.seen["sent"] += len(history.of("message"))
        self.seen["asked again"] += len({record["id"] for record in history.of("receipt") if record["type"] == "retry"})

    def table(self) -> str:
        """For people."""
        rows = [("phase", "kills", "held", "violated")]
        rows += [(phase, *_three(self.kills[phase], self.held[phase])) for phase in Phase]
        rows += [("all", *_three(self.kills.total(), self.held.total()))]
        lines = [f"{name:<12}{kills:>7}{held:>7}{violated:>10}" for name, kills, held, violated in rows]
        facts = ", ".join(f"{count} {name}" for name, count in sorted(self.seen.items()))
        return "\n".join(
            [*lines, f"{self.lives} lives: {facts}; {len(self.violations)} violations, {len(self.broken)} not led to their end"]
        )

    def results(self) -> list[dict[str, Any]]:
        """The benchmark's form: what was measured, against what, and whether the goal is met."""
        per_guarantee = Counter(violation.guarantee for _, violation in self.violations)
        rows = [_row("kills of the pod", "kills", self.kills.total(), goal=100, met=self.kills.total() >= 100)]
        rows += [_row(f"violations: {one}", "violations", per_guarantee[one], goal=0, met=not per_guarantee[one]) for one in Guarantee]
        return [*rows, _row("lives not led to their end", "lives", len(self.broken), goal=0, met=not self.broken)]


def _three(kills: int, held: int) -> tuple[str, str, str]:
    return str(kills), str(held), str(kills - held)


def _row(metric: str, unit: str, ours: float, *, goal: float, met: bool) -> dict[str, Any]:
    return {"metric": metric, "unit": unit, "ours": ours, "anchor": None, "anchor_value": None, "goal": goal, "met": met}
