"""`python -m podhistory`: lives with fresh seeds until enough kills or the time is up; `--seed` replays one life.

Ends with 1 if a guarantee did not hold. What a failed life saw is kept beside the results, and the last line is the
command that replays it.
"""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections.abc import Iterable
from dataclasses import asdict
from itertools import count
from pathlib import Path

from podhistory.checker import Violation, check
from podhistory.history import History
from podhistory.life import CONTACTS, Life, LifeError
from podhistory.schedule import draw
from podhistory.tally import Tally
from waemulator.testing import EmulatorProcess


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m podhistory", description="Kills a pod at random moments and checks the histories.")
    parser.add_argument("--seed", type=int, help="replay this life alone")
    parser.add_argument("--kills", type=int, default=100, help="so many at least (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=600, help="begin no life after this time (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=Path(".bench/faults-pod.json"), help="default: %(default)s")
    arguments = parser.parse_args()
    seeds: Iterable[int] = count(secrets.randbelow(10**6) * 100) if arguments.seed is None else [arguments.seed]
    tally = Tally()
    end = time.monotonic() + arguments.seconds
    with tempfile.TemporaryDirectory() as scratch, EmulatorProcess(Path(scratch) / "emulator") as emulator:
        for number in CONTACTS:
            emulator.control.user(number, f"Contacto {number[-1]}")
        for seed in seeds:
            directory = Path(scratch) / str(seed)
            directory.mkdir()
            _live(seed, emulator, directory, tally, arguments.results.with_suffix(""))
            if tally.kills.total() >= arguments.kills or time.monotonic() > end:
                break
    print(tally.table())
    if arguments.seed is None:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text(json.dumps(tally.results(), indent=2) + "\n")
    failed = sorted({seed for seed, _ in (*tally.violations, *tally.broken)})
    print("\n".join(f"replay: make faults-pod SEED={seed}" for seed in failed))
    return 1 if failed else 0


def _live(seed: int, emulator: EmulatorProcess, directory: Path, tally: Tally, failures: Path) -> None:
    """Lead and judge one life."""
    life = Life(draw(seed), emulator, directory)
    try:
        history = asyncio.run(life.run())
    except (LifeError, TimeoutError) as error:
        tally.broken.append((seed, str(error)))
        print(f"seed {seed}: not led to its end: {error!r}; the pod's log ends:\n{life.log[-3000:]}", flush=True)
        return
    found = check(history)
    tally.add(seed, life.kills, history, found)
    print(f"seed {seed}: {len(life.kills)} kills, {len(found)} violations", flush=True)
    if found:
        _keep(failures / str(seed), life, history, found)


def _keep(directory: Path, life: Life, history: History, found: Iterable[Violation]) -> None:
    """Print the violations, and keep all that was seen."""
    print("\n".join(f"  {violation.guarantee}: {violation.detail}" for violation in found), f"\n  kept in {directory}", flush=True)
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "pod.log").write_text(life.log)
    steps = [{"step": type(step).__name__, **asdict(step)} for step in history.steps]
    (directory / "steps.json").write_text(json.dumps(steps, indent=0, ensure_ascii=False))
    (directory / "whatsapp.json").write_text(json.dumps(history.records, indent=0, ensure_ascii=False))


if __name__ == "__main__":
    sys.exit(main())
