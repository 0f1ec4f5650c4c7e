"""The result: figures with goals, the parts, as tables on the terminal, as JSON, and in docs/explanation/performance.md. Pure.

A missed goal is a finding, not an error.
"""

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from documents import between

from warmstart import timeline
from warmstart.timeline import Marks

BEGIN, END = "<!-- make bench-start: begin -->", "<!-- make bench-start: end -->"
GOAL_MS, GOAL_RATIO = 2000.0, 1.6
BARE = "bare pod, same class"
Lives = Mapping[str, Sequence[Marks]]


class Figure(NamedTuple):
    """One row; the anchor is a bare pod of the same image in the same run."""

    metric: str
    unit: str
    ours: float
    anchor: str | None = None
    anchor_value: float | None = None
    goal: float | None = None

    @property
    def met(self) -> bool | None:
        """Whether the goal, an upper bound, is met; None: there is none."""
        return None if self.goal is None else self.ours <= self.goal


def figures(lives: Lives) -> list[Figure]:
    """What is compared with the goals, for each class."""
    found = []
    for mode in modes(lives):
        ours = timeline.median_of(lives[f"session {mode}"], "seen")
        bare = timeline.median_of(lives[f"bare {mode}"], "answers")
        ready = timeline.median_of(lives[f"bare {mode}"], "ready")
        if ours is None or bare is None or ready is None:
            continue
        found += [
            Figure(f"create → QR, class binds {mode}", "ms", ours, f"{BARE}: create → answers", bare, GOAL_MS),
            Figure(f"create → QR beside a bare pod's create → answers, {mode}", "ratio", ours / bare, BARE, 1.0, GOAL_RATIO),
            Figure(f"create → QR beside a bare pod's create → Ready, {mode}", "ratio", ours / ready, f"{BARE}: Ready", 1.0),
        ]
    for moment in ("answers", "ready"):
        if (alone := timeline.median_of(lives.get("bare", ()), moment)) is not None:
            found.append(Figure(f"bare pod without a claim: create → {moment}", "ms", alone))
    return found


def modes(lives: Lives) -> list[str]:
    """The binding modes that were measured."""
    return sorted(kind.partition(" ")[2] for kind in lives if kind.startswith("session "))


def as_json(rows: Sequence[Figure]) -> str:
    """The list that other tools read."""
    return json.dumps([each._asdict() | {"met": each.met} for each in rows], indent=1, ensure_ascii=False) + "\n"


def table(rows: Sequence[Figure]) -> str:
    """The figures as a Markdown table that reads well on a terminal too."""
    head = ["", "ours", "bare pod, same class", "goal", "met"]
    verdict = {True: "yes", False: "NO", None: ""}
    body = [[f"{each.metric} ({each.unit})", *map(_shown, (each.ours, each.anchor_value, each.goal)), verdict[each.met]] for each in rows]
    return _markdown(head, body)


def parts_table(lives: Lives) -> str:
    """Medians of the parts in ms, a column for each kind of life."""
    pairs = [kind for mode in modes(lives) for kind in (f"session {mode}", f"bare {mode}") if lives.get(kind)]
    kinds = [*pairs, *(["bare"] if lives.get("bare") else [])]
    columns = {kind: timeline.medians(lives[kind]) for kind in kinds}
    names = [name for name, _, _ in (*timeline.PARTS, timeline.VOLUME)]
    seen = [name for name in names if any(name in each for each in columns.values())]
    body = [[name, *(_shown(columns[kind].get(name)) for kind in kinds)] for name in seen]
    whole = [_shown(timeline.median_of(lives[kind], "seen" if kind.startswith("session") else "answers")) for kind in kinds]
    heads = [kind if " " in kind else "bare, no claim" for kind in kinds]
    return _markdown(["median, ms", *heads], [*body, ["**create → QR, or → answers**", *whole]])


def into_page(page: str, lives: Lives, machine: str) -> str:
    """The page with the tables between its two marks. Raises ValueError if it has none."""
    return between(page, BEGIN, END, f"{machine}\n\n{table(figures(lives))}\n{parts_table(lives)}")


def _markdown(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [head, ["-" * width for width in widths], *rows]
    return "\n".join("| " + " | ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) + " |" for line in lines) + "\n"


def _shown(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:.2f}" if abs(value) < 10 else f"{value:.0f}"
