"""Measures how long a new session takes to show its QR code, part by part, beside a bare pod of the same image: `make bench-start`.

Uses the cluster of `make demo` if it is up, else makes one and ends it. Sessions and bare pods take turns, one after the other, so
that a busy machine hits all alike; figures are medians. A missed goal is a finding, not an error.
"""

import argparse
import asyncio
import datetime as dt
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/bench"), str(ROOT / "examples/demo")]

from warmstart import report  # noqa: E402
from warmstart.api import Api  # noqa: E402
from warmstart.lives import CLAIMS, PODS, SESSIONS, Lives  # noqa: E402
from warmstart.timeline import Marks  # noqa: E402

from installation import IMAGES, Installation  # noqa: E402  after the path is set

DEVCLUSTER = ROOT / "devcluster" / "devcluster"
DEMO = ROOT / ".devcluster"
PAGE = ROOT / "docs/explanation/performance.md"
RESULT = ROOT / ".bench/start.json"
NAMESPACE = "wasession"
LIVES_OF_A_BARE_POD = 2  # of so many rounds one has bare pods: they vary less than sessions


def say(text: str) -> None:
    sys.stderr.write(f"{text}\n")


def is_up(directory: Path) -> bool:
    """Whether the cluster runs and has the demo's installation."""
    if not (directory / "kubeconfig").exists():
        return False
    there = [
        str(ROOT / "devcluster/kubectl"),
        f"--kubeconfig={directory / 'kubeconfig'}",
        f"--namespace={NAMESPACE}",
        "--request-timeout=5s",
    ]
    asked = [*there, "get", "deployment/wa-emulator", "deployment/wasession-operator"]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@contextmanager
def cluster() -> Iterator[Path]:
    """The directory of a devcluster with everything installed."""
    if is_up(DEMO):
        say("uses the cluster of `make demo`")
        yield DEMO
        return
    with tempfile.TemporaryDirectory(prefix="bench-start-") as place:
        directory = Path(place) / "cluster"
        env = {**os.environ, "DEVCLUSTER_DIR": str(directory)}

        def devcluster(*command: str) -> None:
            subprocess.run([str(DEVCLUSTER), *command], env=env, check=True, stdout=subprocess.DEVNULL)

        say("makes a cluster ...")
        try:
            devcluster("up", "--die-with-parent")
            devcluster("load", *IMAGES)
            there = Installation(directory / "kubeconfig", directory, NAMESPACE)
            there.create_namespace()
            there.install_chart(there.install_emulator())
            there.wait_for("wa-emulator")
            yield directory
        finally:
            devcluster("down")


async def measure(directory: Path, logs: list[Path], rounds: int) -> dict[str, list[Marks]]:
    """The marks of every life, by kind: `session` or `bare` with the binding mode of its class, and `bare` alone."""
    async with Api.open(directory / "kubeconfig", NAMESPACE, SESSIONS, PODS, CLAIMS) as api:
        classes = (await api.call("GET", "/apis/storage.k8s.io/v1/storageclasses") or {})["items"]
        modes = {one.get("volumeBindingMode", "Immediate"): one["metadata"]["name"] for one in classes}
        lives = await Lives.of(api, logs)
        run = f"{int(time.time()) % 36**4:x}"  # names are used once: the node's log keeps those of earlier runs
        found: dict[str, list[Marks]] = {}
        for count in range(-1, rounds):  # the first round warms up
            say(f"round {count + 1} of {rounds}")
            kinds = [f"{what} {mode}" for mode in modes for what in ("session", "bare")] + ["bare"]
            for number, kind in enumerate(kinds[count % len(kinds) :] + kinds[: count % len(kinds)]):
                what, _, mode = kind.partition(" ")
                if what == "bare" and count % LIVES_OF_A_BARE_POD and count > 0:
                    continue
                name = f"bench-{run}-{count + 1}-{number}"
                marks = await (lives.session(name, modes[mode]) if what == "session" else lives.bare(name, modes.get(mode)))
                if count >= 0:
                    found.setdefault(kind, []).append(marks)
        return found


def machine() -> str:
    """Where and when, for whoever reads the table."""
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    today, load = dt.datetime.now(dt.UTC).date(), os.getloadavg()[0]
    return f"{today}, {os.cpu_count()} cores of {cpu or platform.machine()}, {memory:.0f} GiB, Linux {platform.release()}, load {load:.1f}."


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a look in 2 minutes: 5 rounds")
    parser.add_argument("--rounds", type=int, default=20, help="sessions of each kind, one after the other (default: %(default)s)")
    parser.add_argument(
        "--doc", action="store_true", help=f"write the tables of the last run into {PAGE.relative_to(ROOT)} and measure nothing"
    )
    given = parser.parse_args(argv)
    if given.quick:
        given.rounds = 5
    return given


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, and keep the result; or write the last one into the page."""
    given = arguments(argv)
    lives_file = RESULT.with_suffix(".lives")
    if given.doc:
        kept = json.loads(lives_file.read_text())
        PAGE.write_text(report.into_page(PAGE.read_text(), kept["lives"], kept["machine"]))
        return
    with cluster() as directory:
        lives = asyncio.run(measure(directory, sorted(directory.glob("nodes/*/logs/containerd.log")), given.rounds))
    RESULT.parent.mkdir(exist_ok=True)
    figures = report.figures(lives)
    RESULT.write_text(report.as_json(figures))
    where = machine()
    lives_file.write_text(json.dumps({"machine": where, "lives": lives}))
    sys.stdout.write(f"{where}\n\n{report.table(figures)}\n{report.parts_table(lives)}")
    missed = [figure.metric for figure in figures if figure.met is False]
    verdict = f"missed: {'; '.join(missed)}" if missed else "every goal is met"
    sys.stdout.write(f"\n{verdict}. The figures are in {RESULT.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
