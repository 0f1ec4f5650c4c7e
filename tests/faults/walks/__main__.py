"""`python -m walks`: every field changed alone, then walks with fresh seeds until the time is up; `--walk` replays one.

Ends with 1 if an oracle did not hold; the last lines are the commands that replay what failed.
"""

import argparse
import json
import secrets
import sys
import tempfile
import time
from functools import partial
from pathlib import Path

from controlplane import control_plane
from walks.draw import walk
from walks.party import WALK, Drawing, fields, lead, named
from walks.tally import Row, Tally, results, table
from walks.world import World

REPO = Path(__file__).parents[3]
MOST_WALKS = 400


def main() -> int:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m walks", description="Walks sessions over the schema of their spec, and checks each step."
    )
    parser.add_argument("--seed", type=int, help="instead of a fresh one")
    parser.add_argument("--walk", help="replay this walk of the seed alone, as a report names it")
    parser.add_argument("--seconds", type=float, default=200, help="begin no walk after this time (default: %(default)s)")
    parser.add_argument("--results", type=Path, default=Path(".bench/faults-walks.json"), help="default: %(default)s")
    arguments = parser.parse_args()
    seed = secrets.randbelow(10**6) * MOST_WALKS if arguments.seed is None else arguments.seed
    tally = run(seed, arguments.seconds, arguments.walk)
    print(table(tally.rows()))
    if arguments.walk is None:
        arguments.results.parent.mkdir(parents=True, exist_ok=True)
        arguments.results.write_text(json.dumps(results(tally.rows()), indent=2) + "\n")
    failed = [outcome for outcome in tally.outcomes if outcome.failed]
    print("\n".join(outcome.report() for outcome in failed))
    return 1 if failed else 0


def rows(seconds: float) -> list[Row]:
    """The rows of one run with a fresh seed, for a table of all faults."""
    tally = run(secrets.randbelow(10**6) * MOST_WALKS, seconds)
    print("\n".join(outcome.report() for outcome in tally.outcomes if outcome.failed))
    return tally.rows()


def run(seed: int, seconds: float, only: str | None = None) -> Tally:
    """All walks of a seed that begin within `seconds`, or one of them, in a cluster of their own."""
    tally = Tally()
    many: list[tuple[str, Drawing]] = [*fields(seed).items(), *((WALK, partial(walk, seed + number)) for number in range(MOST_WALKS))]
    tasks = [(only, named(only, seed))] if only else many
    with tempfile.TemporaryDirectory() as scratch, control_plane(REPO, Path(scratch) / "cluster") as kubeconfig:
        end = time.monotonic() + seconds
        with World(kubeconfig, Path(scratch)) as world:
            for outcome in lead(world, tasks, lambda: time.monotonic() < end):
                tally.outcomes.append(outcome)
                print(
                    f"seed {outcome.walk.seed}, {outcome.scenario}: {len(outcome.points)} points{', FAILED' * outcome.failed}", flush=True
                )
    return tally


if __name__ == "__main__":
    sys.exit(main())
