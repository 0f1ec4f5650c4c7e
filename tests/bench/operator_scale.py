"""Measures the operator with many sessions: `make bench-operator`, `--help` for parts of it.

Needs devcluster's control plane and nothing else; kwok plays the node. Each run has a control plane of its own. All runs share the
machine with their API server, so rates are compared within one run only; writes, requests and memory do not mind other load.
"""

import argparse
import datetime as dt
import os
import platform
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/bench")]

from scale import report, runs  # noqa: E402  after the path is set
from scale.figures import RAW, THROTTLED, UNTHROTTLED, figures  # noqa: E402
from scale.report import Figure  # noqa: E402

PAGE = ROOT / "docs/explanation/performance.md"
RESULT = ROOT / ".bench/operator.json"
THROTTLED_SECONDS = 60.0  # at 20 requests a second a full run would take an hour


def measure(number: int, *, rest: float, samples: int, throttled: float) -> list[Figure]:
    """All runs of one size; `rest` and `throttled` in seconds, the latter 0: not at all."""
    anchors = {}
    runs.say(f"{number} pods and claims by the minimal client")
    anchors[RAW] = runs.raw_client(number)
    runs.say(f"{number} StatefulSets, unthrottled ({anchors[RAW].rate:.1f} pods/s before)")
    anchors[UNTHROTTLED] = runs.stateful_sets(number)
    if throttled:
        runs.say(f"{number} StatefulSets by default, {throttled:.0f} s of it ({anchors[UNTHROTTLED].rate:.1f} pods/s before)")
        anchors[THROTTLED] = runs.stateful_sets_by_default(number, throttled)
    runs.say(f"{number} sessions")
    return list(figures(runs.operator(number, rest=rest, samples=samples), anchors))


def machine() -> str:
    """Where and when, for whoever reads the table."""
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    today = dt.datetime.now(dt.UTC).date()
    load = os.getloadavg()[2]
    processor = f"{os.cpu_count()} cores of {cpu or platform.machine()}, {memory:.0f} GiB"
    return f"{today}, {processor}, Linux {platform.release()}, Python {platform.python_version()}; load of the last 15 minutes {load:.1f}."


def _keep(found: list[Figure]) -> None:
    order = [figure.metric for figure in found]
    found.sort(key=lambda figure: order.index(figure.metric))
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(report.as_json(found))
    RESULT.with_suffix(".machine").write_text(machine() + "\n")


def main(argv: Sequence[str] | None = None) -> int:
    """Run, print the table, write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look: 200 and 1,000 sessions, fewer samples, short rests")
    parser.add_argument("--sizes", type=int, nargs="+", help="numbers of sessions (1000 10000)")
    parser.add_argument("--rest", type=float, help="seconds of rest that are watched (60)")
    parser.add_argument("--samples", type=int, help="events of which the latency is measured (300)")
    parser.add_argument(
        "--doc", action="store_true", help="write the last run's table into docs/explanation/performance.md, and measure nothing"
    )
    chosen = parser.parse_args(argv)
    if chosen.doc:
        document = RESULT.with_suffix(".machine").read_text().strip()
        PAGE.write_text(report.into_page(PAGE.read_text(), report.from_json(RESULT.read_text()), document))
        return 0
    sizes = chosen.sizes or ([200, 1000] if chosen.quick else [1000, 10000])
    rest, samples = chosen.rest or (15 if chosen.quick else 60), chosen.samples or (100 if chosen.quick else 300)
    found: list[Figure] = []
    for size in sizes:
        throttled = THROTTLED_SECONDS / (3 if chosen.quick else 1) if size == sizes[0] else 0
        found += measure(size, rest=rest, samples=samples, throttled=throttled)
        _keep(found)  # after each size: the larger one takes long
    sys.stdout.write(f"{machine()}\n\n{report.table(found)}\n{RESULT.relative_to(ROOT)}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
