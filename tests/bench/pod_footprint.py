"""Measures what a session pod costs, beside a bare neonize script in the same run: `make bench-pod`, `--help` for parts of it.

Needs no cluster: the emulator, and one process with a fake API server and backend. Ours and the scripts take turns, so that a busy
machine hits all alike; memory and CPU seconds do not mind other load, times are medians.
"""

import argparse
import datetime as dt
import os
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests/emulator/src"), str(ROOT / "tests/bench")]

from footprint import meters, report  # noqa: E402  after the path is set
from footprint.clients import CONTACT, Client, Fakes, Pod, Script  # noqa: E402
from footprint.report import Figure  # noqa: E402

from waemulator.testing import EmulatorProcess  # noqa: E402

KINDS = ("pod", "bare", "lean")
PAGE = ROOT / "docs/explanation/performance.md"
RESULT = ROOT / ".bench/pod.json"
GOAL_PSS, GOAL_CPU, GOAL_RATIO = 36.0, 0.1, 1.15
GOAL_GROWTH = 1.0  # MiB over the second half of the run: what repeated readings of an idle process differ by
MESSAGES_A_RUN = 10
MEMORY_UNITS = (("RSS", "rss"), ("PSS", "pss"), ("anonymous memory", "anonymous"), ("threads", "threads"))


class Bench:
    """Makes clients, each with an account and a directory of its own."""

    def __init__(self, directory: Path, emulator: EmulatorProcess, fakes: Fakes, *, verbose: bool) -> None:
        self._directory = directory
        self.emulator = emulator
        self._fakes = fakes
        self._accounts = 0
        self._verbose = verbose
        emulator.control.user(CONTACT, "Carlos")

    def make(self, kind: str) -> Client:
        self._accounts += 1
        number = f"57300{self._accounts:07d}"
        directory = self._directory / number
        directory.mkdir()
        self.emulator.control.user(number, "María")
        if kind == "pod":
            return Pod(number, directory, self.emulator, self._fakes)
        return Script(f"{kind}_neonize.py", number, directory, self.emulator)

    def pair(self, client: Client) -> tuple[float, float]:
        """Start and pair: seconds from the process's start to the QR code, and from the scan to the login."""
        began = client.start()
        shown, qr = client.qr()
        scanned = time.monotonic()
        self.emulator.control.scan(client.number, qr)
        return shown - began, client.connected() - scanned

    def receive(self, client: Client, text: str) -> float:
        began = time.monotonic()
        self.emulator.control.incoming(CONTACT, client.number, text)
        return client.received(text) - began

    def say(self, text: str) -> None:
        if self._verbose:
            sys.stderr.write(f"{text}\n")


def warm_up(bench: Bench) -> None:
    """Let every kind of client write its byte code."""
    for kind in KINDS:
        _one_life(bench, bench.make(kind))


def times(bench: Bench, runs: int) -> list[Figure]:
    """Medians of `runs` lives of a client each: pair, send, receive, restart."""
    taken: dict[str, dict[str, list[float]]] = {kind: {} for kind in KINDS}
    for run in range(runs):
        for kind in KINDS[run % 3 :] + KINDS[: run % 3]:
            bench.say(f"times: run {run + 1} of {runs}, {kind}")
            for metric, values in _one_life(bench, bench.make(kind)).items():
                taken[kind].setdefault(metric, []).extend(1000 * value for value in values)
    goals = {"start → QR": 1.0}
    return [
        Figure(metric, "ms", *(median(taken[kind][metric]) for kind in KINDS), ratio=goals.get(metric, GOAL_RATIO))
        for metric in taken["pod"]
    ]


def _one_life(bench: Bench, client: Client) -> dict[str, list[float]]:
    try:
        to_qr, to_login = bench.pair(client)
        bench.receive(client, "first")  # the first message of a contact makes its Signal session
        received = [bench.receive(client, f"incoming {number}") for number in range(MESSAGES_A_RUN)]
        client.send("first")
        sent = [client.send(f"outgoing {number}") for number in range(MESSAGES_A_RUN)]
        client.stop()
        began = client.start()
        restarted = client.connected() - began
    finally:
        client.stop()
    return {"start → QR": [to_qr], "scan → connected": [to_login], "restart → connected": [restarted], "send": sent, "receive": received}


def idle(bench: Bench, count: int, settle: float, watch: float) -> list[Figure]:
    """`count` clients of a kind side by side, restarted once paired, after `settle` seconds of peace; CPU over `watch` seconds more."""
    found, busy = {}, {}
    for kind in KINDS:
        clients = [bench.make(kind) for _ in range(count)]
        bench.say(f"idle: {count} x {kind}")
        try:
            for client in clients:
                bench.pair(client)
                bench.receive(client, "one message")
                client.send("one message")
                client.stop()
            for client in clients:
                client.start()
                client.connected()
            time.sleep(settle)
            pids = [client.pid for client in clients]
            found[kind] = meters.mean_memory(pids)
            busy[kind] = meters.cpu_seconds_per_minute(pids, watch)
        finally:
            for client in clients:
                client.stop()
    many = count > 1
    where = f"each of {count} side by side" if many else "alone"
    figures = [
        Figure(
            f"{words}, {where}",
            "" if field == "threads" else "MiB",
            *(getattr(found[kind], field) for kind in KINDS),
            at_most=GOAL_PSS if field == "pss" and many else None,
        )
        for words, field in MEMORY_UNITS
    ]
    return [*figures, Figure(f"CPU, idle, {where}", "s/min", *(busy[kind] for kind in KINDS), at_most=GOAL_CPU)]


def growth(bench: Bench, messages: int, reconnects: int, settle: float) -> list[Figure]:
    """What a pod's PSS grows by over the second half of `messages` (half in, half out) and of `reconnects`."""
    pod = bench.make("pod")
    try:
        bench.pair(pod)

        def message(number: int) -> None:
            if number % 2:
                pod.send(f"outgoing {number}")
            else:
                bench.receive(pod, f"incoming {number}")

        def reconnect(_number: int) -> None:
            bench.emulator.control.fault("drop", pod.number)
            pod.connected()

        figures = []
        for what, count, act in (("messages", messages, message), ("reconnects", reconnects, reconnect)):
            samples = _samples(bench, pod, count, act)
            time.sleep(settle)
            bench.say(f"{count} {what}: {settle:.0f} s later {meters.memory(pod.pid).pss:.1f} MiB")
            figures.append(Figure(f"growth over the second half of {count} {what}", "MiB", meters.growth(samples), at_most=GOAL_GROWTH))
        return figures
    finally:
        pod.stop()


def _samples(bench: Bench, pod: Client, count: int, act: Callable[[int], None]) -> list[tuple[float, float]]:
    """PSS at some 200 moments of `count` calls of `act`."""
    samples = []
    for number in range(count):
        act(number)
        if number % max(count // 200, 1) == 0:
            samples.append((float(number), meters.memory(pod.pid).pss))
            bench.say(f"growth: {number} of {count}, {samples[-1][1]:.1f} MiB")
    return samples


def machine() -> str:
    """Where and when, for whoever reads the table."""
    cpu = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    today = dt.datetime.now(dt.UTC).date()
    processor = f"{os.cpu_count()} cores of {cpu or platform.machine()}, {memory:.0f} GiB"
    return f"{today}, {processor}, Linux {platform.release()}, Python {platform.python_version()}."


def arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="a look in 3 minutes: 3 runs, 5 pods, 1,000 messages, 20 reconnects, short rests"
    )
    parser.add_argument("--only", choices=("times", "alone", "idle", "growth"), action="append", help="one part; may be given again")
    parser.add_argument("--pods", type=int, default=20, help="how many side by side (default: %(default)s)")
    parser.add_argument("--runs", type=int, default=10, help="lives of each client for the times (default: %(default)s)")
    parser.add_argument("--messages", type=int, default=10_000, help="for the growth (default: %(default)s)")
    parser.add_argument("--reconnects", type=int, default=200, help="for the growth (default: %(default)s)")
    parser.add_argument("--settle", type=float, default=70, help="seconds of peace before memory is read (default: %(default)s)")
    parser.add_argument("--watch", type=float, default=60, help="seconds over which idle CPU is counted (default: %(default)s)")
    parser.add_argument("--quiet", action="store_true", help="do not say how far it is")
    parser.add_argument(
        "--doc", action="store_true", help=f"write the table of the last run into {PAGE.relative_to(ROOT)} and measure nothing"
    )
    given = parser.parse_args(argv)
    if given.quick:
        given.pods, given.runs, given.messages, given.reconnects, given.settle, given.watch = 5, 3, 1_000, 20, 10, 15
    return given


def measure(given: argparse.Namespace) -> list[Figure]:
    """All parts that were asked for."""
    parts: dict[str, Callable[[Bench], list[Figure]]] = {
        "times": lambda bench: times(bench, given.runs),
        "alone": lambda bench: idle(bench, 1, given.settle, given.watch),
        "idle": lambda bench: idle(bench, given.pods, given.settle, given.watch),
        "growth": lambda bench: growth(bench, given.messages, given.reconnects, given.settle),
    }
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="bench-pod-")))
        emulator = stack.enter_context(EmulatorProcess(directory / "emulator"))
        bench = Bench(directory, emulator, stack.enter_context(Fakes()), verbose=not given.quiet)
        warm_up(bench)
        return [figure for name, part in parts.items() if name in (given.only or parts) for figure in part(bench)]


def main(argv: Sequence[str] | None = None) -> None:
    """Measure, print, and keep the result; or write the last one into the page."""
    given = arguments(argv)
    kept = RESULT.with_suffix(".machine")
    if given.doc:
        figures = report.from_json(RESULT.read_text())
        PAGE.write_text(report.into_page(PAGE.read_text(), figures, kept.read_text()))
        return
    figures = measure(given)
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(report.as_json(figures))
    kept.write_text(machine())
    sys.stdout.write(f"{machine()}\n\n{report.table(figures)}")
    missed = [figure.metric for figure in figures if figure.met is False]
    verdict = f"missed: {'; '.join(missed)}" if missed else "every goal is met"
    sys.stdout.write(f"\n{verdict}. The figures are in {RESULT.relative_to(ROOT)}\n")


if __name__ == "__main__":
    main()
