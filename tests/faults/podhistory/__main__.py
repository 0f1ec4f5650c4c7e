"""`python -m podhistory`: lives with fresh seeds until enough kills or the time is up; `--seed` replays one life.

Ends with 1 if a guarantee did not hold. What a failed life saw is kept beside the results, and one command replays it.
"""

import argparse
import asyncio
import json
import secrets
import sys
import tempfile
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[2] / "integration" / "pod")]

from podhistory.checker import Violation, check
from podhistory.history import History, Phase
from podhistory.life import READER, WRITERS, Life, LifeError
from podhistory.schedule import draw

from waemulator.testing import EmulatorProcess


@dataclass
class Tally:
    """What all lives came to."""

    kills: Counter[Phase] = field(default_factory=Counter)
    inbound: int = 0
    sends: int = 0
    lives: int = 0
    violations: list[tuple[int, Violation]] = field(default_factory=list)
    broken: list[str] = field(default_factory=list)


async def live(seed: int, emulator: EmulatorProcess, directory: Path) -> tuple[Life, History]:
    """Lead one life."""
    life = Life(draw(seed), emulator, directory)
    return life, await life.run()


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m podhistory", description="Kills a pod at random moments and checks the histories.")
    parser.add_argument("--seed", type=int, help="replay this life alone")
    parser.add_argument("--kills", type=int, default=100, help="so many at least (default: %(default)s)")
    parser.add_argument("--seconds", type=float, default=600, help="begin no life after this time (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=Path(".bench/faults-pod.json"), help="default: %(default)s")
    arguments = parser.parse_args()
    first = secrets.randbelow(10**6) * 100 if arguments.seed is None else arguments.seed
    tally = Tally()
    end = time.monotonic() + arguments.seconds
    with tempfile.TemporaryDirectory() as scratch, EmulatorProcess(Path(scratch) / "emulator") as emulator:
        for number in (*WRITERS, READER):
            emulator.control.user(number, f"Contacto {number}")
        seed = first
        while sum(tally.kills.values()) < arguments.kills and time.monotonic() < end:
            directory = Path(scratch) / str(seed)
            directory.mkdir()
            one(seed, emulator, directory, tally, arguments.results.parent / "faults-pod")
            if arguments.seed is not None:
                break
            seed += 1
    return report(tally, arguments.results)


def one(seed: int, emulator: EmulatorProcess, directory: Path, tally: Tally, failures: Path) -> None:
    """Lead and judge one life."""
    life = Life(draw(seed), emulator, directory)
    try:
        history = asyncio.run(life.run())
    except (LifeError, TimeoutError) as error:
        tally.broken.append(f"seed {seed}: {error!r}")
        print(f"seed {seed}: not led to its end: {error!r}\n{life.log[-3000:]}", flush=True)
        return
    found = check(history)
    tally.lives += 1
    tally.kills.update(life.kills)
    names = Counter(type(step).__name__ for step in history.steps)
    tally.inbound += names["Wrote"]
    tally.sends += len(history.of("message"))
    tally.violations += [(seed, violation) for violation in found]
    print(f"seed {seed}: {len(life.kills)} kills, {dict(names)}, {len(found)} violations", flush=True)
    for violation in found:
        print(f"  {violation.guarantee}: {violation.detail}", flush=True)
    if found:
        kept = failures / str(seed)
        kept.mkdir(parents=True, exist_ok=True)
        (kept / "pod.log").write_text(life.log)
        (kept / "history.json").write_text(json.dumps([{"step": type(step).__name__, **asdict(step)} for step in history.steps], indent=0))
        (kept / "whatsapp.json").write_text(json.dumps(history.records, indent=0))


def report(tally: Tally, results: Path) -> int:
    """Print the table, write the results, and say how it ended."""
    print(tally.kills, tally.lives, tally.inbound, tally.sends)
    return 1 if tally.violations or tally.broken else 0


if __name__ == "__main__":
    sys.exit(main())
