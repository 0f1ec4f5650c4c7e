"""The result: rows of figures with goals, as a table on the terminal, as JSON, and in docs/explanation/performance.md. Pure.

A missed goal is a finding, not an error.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from documents import between, rounded

BEGIN, END = "<!-- make bench-pod: begin -->", "<!-- make bench-pod: end -->"


class Figure(NamedTuple):
    """One row: ours beside the anchors'; `at_most` or `ratio` (of the bare script's figure) is the goal."""

    metric: str
    unit: str
    ours: float
    bare: float | None = None
    lean: float | None = None
    at_most: float | None = None
    ratio: float | None = None

    @property
    def goal(self) -> float | None:
        """The goal in the figure's unit; None: there is none."""
        if self.ratio is not None and self.bare is not None:
            return self.ratio * self.bare
        return self.at_most

    @property
    def met(self) -> bool | None:
        """Whether the goal is met; None: there is none."""
        return None if self.goal is None else self.ours <= self.goal


def as_json(figures: Sequence[Figure]) -> str:
    """The list that other tools read."""
    rows = [
        {
            "metric": each.metric,
            "unit": each.unit,
            "ours": rounded(each.ours),
            "anchor": None if each.bare is None else "bare neonize script",
            "anchor_value": rounded(each.bare),
            "lean_anchor_value": rounded(each.lean),
            "goal": rounded(each.goal),
            "met": each.met,
        }
        for each in figures
    ]
    return json.dumps(rows, indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> list[Figure]:
    """What `as_json` wrote; goals become fixed numbers."""
    return [
        Figure(row["metric"], row["unit"], row["ours"], row["anchor_value"], row["lean_anchor_value"], at_most=row["goal"])
        for row in json.loads(text)
    ]


def table(figures: Sequence[Figure]) -> str:
    """A Markdown table that reads well on a terminal too."""
    head = ["", "session pod", "bare neonize", "with lean imports", "goal", "met"]
    rows = [
        [
            f"{each.metric} ({each.unit})" if each.unit else each.metric,
            *map(_shown, (each.ours, each.bare, each.lean, each.goal)),
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
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.1f}" if abs(value) < 100 else f"{value:.0f}"
