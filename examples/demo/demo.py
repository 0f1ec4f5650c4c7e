"""`make demo` and `make up`: the whole system on a cluster of its own, and the README's walk through it.

demo.py run    an emulated WhatsApp, a sample backend, and every marked command of the README, with times
demo.py up     the real WhatsApp: pods get a way out, a phone can scan
"""

import argparse
import json
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from typing import TypeVar

import qrcode

from installation import IMAGES, REPO, CommandFailedError, Installation
from walkthrough import Outcome, WalkFailedError, steps, walk

DIRECTORY = REPO / ".devcluster"
DEVCLUSTER = str(REPO / "devcluster" / "devcluster")
FACADE_PORT, EMULATOR_PORT = 30300, 30390  # node ports that devcluster/kind.yaml maps to 127.0.0.1:3000 and :3900
LONGEST_VALUE = 120
REACHABLE_SECONDS, POLL_SECONDS = 30, 0.1
T = TypeVar("T")


def timed(what: str, act: Callable[[], T]) -> T:
    """Do something, saying what and how long it took."""
    print(f"» {what} ...", flush=True)
    began = time.monotonic()
    result = act()
    print(f"  {what}: {time.monotonic() - began:.1f} s", flush=True)
    return result


def start_cluster(*options: str) -> None:
    """Start the cluster and put the images in; both only where they are missing."""
    subprocess.run([DEVCLUSTER, "up", "--config", str(REPO / "devcluster" / "kind.yaml"), *options], cwd=REPO, check=True)
    subprocess.run([DEVCLUSTER, "load", *IMAGES], cwd=REPO, check=True)


def await_answer(url: str) -> None:
    """Wait until something answers there: kube-proxy learns of a ready pod a moment after everybody else."""
    end = time.monotonic() + REACHABLE_SECONDS
    while True:
        try:
            urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url, timeout=5).close()
        except OSError as error:
            if time.monotonic() > end:
                raise WalkFailedError(f"{url} does not answer: {error}") from error
            time.sleep(POLL_SECONDS)
        else:
            return


def install(*, real: bool) -> None:
    """Install everything; returns when operator and facade serve."""
    timed("cluster", lambda: start_cluster(*(["--egress"] if real else [])))
    there = Installation(DIRECTORY / "kubeconfig", DIRECTORY)
    there.create_namespace()
    values = [] if real else [timed("emulated WhatsApp", lambda: there.install_emulator(EMULATOR_PORT))]
    timed("sample backend", there.install_backend)
    settings = [f"api.service.type=NodePort,api.service.nodePort={FACADE_PORT}", "settings.apiUrl=http://sample-backend:8080"]
    timed("chart", lambda: there.install_chart(*values, settings=settings))
    timed("rollout", lambda: there.wait_for("sample-backend", *([] if real else ["wa-emulator"])))
    for url in ("http://127.0.0.1:3000/livez", *([] if real else ["http://127.0.0.1:3900/healthz"])):
        await_answer(url)
    key = DIRECTORY / "api-key"
    key.touch(mode=0o600)
    key.write_text(there.api_key())


def shortened(value: object) -> object:
    """The answer with long texts cut, so that it can be read in a terminal."""
    match value:
        case dict():
            return {k: shortened(v) for k, v in value.items()}
        case list():
            return [shortened(v) for v in value]
        case str() if len(value) > LONGEST_VALUE:
            return f"{value[:LONGEST_VALUE]}… ({len(value)} characters)"
        case _:
            return value


def show(outcome: Outcome) -> None:
    """Print one command of the README, its answer and its time; draw the QR code where there is one."""
    print(f"\n\x1b[1m{outcome.step.heading}\x1b[0m")
    print("$ " + outcome.step.commands.replace("\n", "\n  "))
    try:
        answer = json.loads(outcome.output)
    except json.JSONDecodeError:
        print("\n".join(line[: LONGEST_VALUE * 2] for line in outcome.output.splitlines()))
        answer = None
    else:
        print(json.dumps(shortened(answer), ensure_ascii=False))
    if isinstance(answer, dict) and answer.get("qr_code"):
        drawn = qrcode.QRCode(error_correction=qrcode.ERROR_CORRECT_L, border=2)
        drawn.add_data(answer["qr_code"])
        drawn.print_ascii(invert=True)
    waited = f", after {outcome.waited:.1f} s of asking" if outcome.step.until else ""
    print(f"  ({outcome.seconds * 1000:.0f} ms{waited})", flush=True)


CLOSING = f"""
Running now:
  facade     http://127.0.0.1:3000     key: {DIRECTORY.relative_to(REPO)}/api-key
  {{emulator}}
  cluster    export KUBECONFIG=$PWD/.devcluster/kubeconfig PATH=$PWD/.devcluster/bin:$PATH
             kubectl -n wasession get was,pods,pvc
             kubectl -n wasession logs deploy/wasession-operator
             helm -n wasession status wasession
`make down` ends it."""

PHONE = """
Ready for a phone. Create a session and draw its QR code (a new one comes every 20 seconds):
  curl -s -X POST -H "X-API-Key: $(cat .devcluster/api-key)" http://127.0.0.1:3000/sessions/cliente1
  export KUBECONFIG=$PWD/.devcluster/kubeconfig PATH=$PWD/.devcluster/bin:$PATH
  .venv/bin/qr --ascii "$(kubectl -n wasession get was cliente1 -o jsonpath='{.status.session.qr.code}')"
Then on the phone: WhatsApp, Linked devices, Link a device."""


def main() -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["run", "up"])
    real = parser.parse_args().command == "up"
    began = time.monotonic()
    try:
        install(real=real)
        if not real:
            for outcome in walk(steps((REPO / "README.md").read_text()), REPO):
                show(outcome)
    except (CommandFailedError, WalkFailedError, subprocess.CalledProcessError) as error:
        print(
            f"\ndemo: {error}\nThe cluster is still there to look at: kubectl -n wasession get events; `make down` ends it.",
            file=sys.stderr,
        )
        return 1
    print(f"\nDone in {time.monotonic() - began:.0f} s.")
    emulator = "WhatsApp   the real one" if real else "emulator   http://127.0.0.1:3900     (its log: curl 127.0.0.1:3900/log)"
    print((PHONE if real else "") + CLOSING.format(emulator=emulator))
    return 0


if __name__ == "__main__":
    sys.exit(main())
