"""Runs the commands of the README as they stand there, so that the README cannot promise what does not work.

A block of commands is run when an HTML comment precedes it: `<!-- demo -->`, `<!-- demo: setup -->` (its lines also go
before every later block), `<!-- demo: until TEXT -->` (run again until the output holds TEXT).
"""

import re
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"^#+ (?P<heading>[^\n]+)$"
    r"|^<!-- demo(?:: (?:(?P<setup>setup)|until (?P<until>[^\n]+?)))? -->\n```(?:bash|sh)\n(?P<commands>.*?)^```$",
    re.MULTILINE | re.DOTALL,
)
DEADLINE_SECONDS = 90.0
PAUSE_SECONDS = 0.2


class WalkFailedError(Exception):
    """A command of the README did not do what the README says."""


@dataclass(frozen=True)
class Step:
    """One block of commands, under the README's heading."""

    heading: str
    commands: str
    setup: bool = False
    until: str | None = None


@dataclass(frozen=True)
class Outcome:
    """What a step's last run printed, how long that run took, and how long the step took with its repetitions, in seconds."""

    step: Step
    output: str
    seconds: float
    waited: float


def steps(document: str) -> list[Step]:
    """The marked blocks of a Markdown text, in order."""
    heading, found = "", []
    for match in _BLOCK.finditer(document):
        if match["heading"]:
            heading = match["heading"]
        else:
            found.append(Step(heading, match["commands"].strip(), setup=match["setup"] is not None, until=match["until"]))
    return found


def walk(todo: list[Step], directory: Path, replace: Callable[[str], str] = lambda commands: commands) -> Iterator[Outcome]:
    """Run the steps in `directory`, one shell each, and yield each one's outcome.

    `replace` may change the commands of setup blocks (tests reach the same services on other ports).
    Raises WalkFailedError when a command fails, or when the awaited text did not come in time.
    """
    prelude = ""
    for step in todo:
        if step.setup:
            prelude += replace(step.commands) + "\n"
        yield _outcome(step, prelude, directory)


def _outcome(step: Step, prelude: str, directory: Path) -> Outcome:
    script = "set -euo pipefail\n" + prelude + ("" if step.setup else step.commands)
    began = time.monotonic()
    while True:
        started = time.monotonic()
        done = subprocess.run(["bash", "-c", script], cwd=directory, capture_output=True, text=True, check=False)
        now = time.monotonic()
        failed = done.returncode != 0 or (step.until is not None and step.until not in done.stdout)
        if not failed:
            return Outcome(step, done.stdout.strip(), now - started, now - began)
        if step.until is None or now - began > DEADLINE_SECONDS:
            awaited = f", awaiting {step.until!r}" if step.until else ""
            raise WalkFailedError(f"exit {done.returncode}{awaited}:\n{step.commands}\n{done.stdout}{done.stderr}")
        time.sleep(PAUSE_SECONDS)
