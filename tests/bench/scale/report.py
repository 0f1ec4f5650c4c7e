"""The result: figures with goals and anchors, as a table, as JSON, and in docs/explanation/performance.md. Pure.

A missed goal is a finding, not an error.
"""

import json
from collections.abc import Sequence
from math import ceil
from typing import NamedTuple

from documents import between, rounded

BEGIN, END = "<!-- make bench-operator: begin -->", "<!-- make bench-operator: end -->"


class Figure(NamedTuple):
    """One row, of so many sessions. The goal is `at_most` or `at_least`, or `ratio` of the anchor's value at least."""

    metric: str
    unit: str
    sessions: int
    ours: float
    anchor: str | None = None
    value: float | None = None
    at_most: float | None = None
    at_least: float | None = None
    ratio: float | None = None

    @property
    def goal(self) -> float | None:
        """In the figure's unit; None: there is none."""
        if self.ratio is not None and self.value is not None:
            return self.ratio * self.value
        return self.at_most if self.at_least is None else self.at_least

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None: there is none."""
        if self.goal is None:
            return None
        return self.ours <= self.goal if self.at_most is not None else self.ours >= self.goal


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that `share` of all do not exceed (nearest rank)."""
    return sorted(values)[max(ceil(share * len(values)) - 1, 0)]


def as_json(figures: Sequence[Figure]) -> str:
    """The list that other tools read."""
    rows = [
        {
            "metric": f"{each.metric}, {each.sessions:,} sessions",
            "unit": each.unit,
            "ours": rounded(each.ours),
            "anchor": each.anchor,
            "anchor_value": rounded(each.value),
            "goal": rounded(each.goal),
            "met": each.met,
            "figure": each._asdict(),
        }
        for each in figures
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Figure]:
    """What `as_json` wrote."""
    return [Figure(**row["figure"]) for row in json.loads(text)]


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table that reads well on a terminal too; what is measured at several sizes stands side by side."""
    head = ["", "sessions", "operator", "beside it", "", "goal", "met"]
    rows = [
        [
            f"{each.metric} ({each.unit})" if each.unit else each.metric,
            f"{each.sessions:,}",
            _shown(each.ours),
            each.anchor or "",
            _shown(each.value),
            "" if each.goal is None else f"{'≤' if each.at_most is not None else '≥'} {_shown(each.goal)}",
            _VERDICT[each.met],
        ]
        for each in figures
    ]
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines) + "\n"


def into_page(page: str, figures: Sequence[Figure], machine: str) -> str:
    """The page with the table between its two marks. Raises ValueError if it has none."""
    return between(page, BEGIN, END, f"{machine}\n\n{table(figures)}")


_VERDICT = {True: "yes", False: "NO", None: ""}


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    if value == int(value):
        return f"{int(value):,}"
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:,.0f}"
