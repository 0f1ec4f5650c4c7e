"""The clients that are measured: a session pod, and the scripts beside it. Each is one process with one WhatsApp account."""

import http.client
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from waemulator.testing import EmulatorProcess
from wasession_contract.podwire import Env, token, token_sha256

HERE = Path(__file__).parent
DOCKERFILE = HERE.parents[2] / "session-pod/Dockerfile"
TOKEN = token(b"bench", "uid")
CONTACT = "573009999999"
WAIT_SECONDS = 60
Event = dict[str, Any]


class Events:
    """What a process told, in its order; one reader waits for each kind."""

    def __init__(self) -> None:
        self._events: list[Event] = []
        self._came = threading.Condition()

    def add(self, event: Event) -> None:
        with self._came:
            self._events.append(event)
            self._came.notify_all()

    def forget(self) -> None:
        with self._came:
            self._events.clear()

    def wait(self, fits: Callable[[Event], object], what: str) -> Event:
        """The first event that fits; it and what came before it are forgotten."""
        seen = 0
        end = time.monotonic() + WAIT_SECONDS
        with self._came:
            while True:
                for index in range(seen, len(self._events)):
                    if fits(self._events[index]):
                        found = self._events[index]
                        del self._events[: index + 1]
                        return found
                seen = len(self._events)
                if not self._came.wait(end - time.monotonic()):
                    raise TimeoutError(f"not within {WAIT_SECONDS} s: {what}; the last events: {self._events[-5:]}")


class Fakes:
    """The process of `fakes.py`. A pod's events come under its name, and messages under its account's number: both are one here."""

    def __init__(self) -> None:
        self._process = subprocess.Popen([sys.executable, str(HERE / "fakes.py")], stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.url = f"http://127.0.0.1:{json.loads(self._process.stdout.readline())['port']}"
        self._events: dict[str, Events] = {}
        threading.Thread(target=self._read, daemon=True).start()

    def events_of(self, name: str) -> Events:
        return self._events.setdefault(name, Events())

    def _read(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            event = json.loads(line)
            self.events_of(event["name"]).add(event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._process.kill()
        self._process.wait()


class Client(Protocol):
    """A client with an account `number`; times are of the machine's monotonic clock, in seconds."""

    number: str

    @property
    def pid(self) -> int:
        """The process's id."""

    def start(self) -> float:
        """Start the process; the time just before."""

    def qr(self) -> tuple[float, str]:
        """Wait for the first QR code: when somebody else had it, and what it says."""

    def connected(self) -> float:
        """Wait for the login: when somebody else knew of it."""

    def send(self, text: str) -> float:
        """Send a message to CONTACT and wait for WhatsApp's acknowledgement: how long it took."""

    def received(self, text: str) -> float:
        """Wait for a message: when somebody else had it."""

    def stop(self) -> None:
        """End the process."""


class Script:
    """A neonize script: `bare_neonize.py`, or `lean_neonize.py`."""

    def __init__(self, script: str, number: str, directory: Path, emulator: EmulatorProcess) -> None:
        self.number = number
        self._command = [sys.executable, str(HERE / script), str(directory / "whatsmeow.db")]
        self._environment = _environment(emulator)
        self._log = directory / "log"
        self._events = Events()
        self._process: subprocess.Popen[str] | None = None

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> float:
        self._events.forget()
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._command, env=self._environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True
            )
        threading.Thread(target=self._read, args=(self._process,), daemon=True).start()
        return began

    def _read(self, process: "subprocess.Popen[str]") -> None:
        assert process.stdout
        for line in process.stdout:
            self._events.add(json.loads(line))

    def qr(self) -> tuple[float, str]:
        event = self._events.wait(lambda e: e["event"] == "qr", f"a QR code; see {self._log}")
        return event["at"], event["qr"]

    def connected(self) -> float:
        return float(self._events.wait(lambda e: e["event"] == "connected", f"the login; see {self._log}")["at"])

    def send(self, text: str) -> float:
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"to": CONTACT, "text": text}) + "\n")
        self._process.stdin.flush()
        return float(self._events.wait(lambda e: e["event"] == "sent", f"an acknowledgement; see {self._log}")["seconds"])

    def received(self, text: str) -> float:
        return float(self._events.wait(lambda e: e["event"] == "received" and e["text"] == text, text)["at"])

    def stop(self) -> None:
        if self._process:
            self._process.kill()
            self._process.wait()


class Pod:
    """`python -m wasession_pod` as the operator starts it, but with the fakes in place of API server and backend."""

    def __init__(self, number: str, directory: Path, emulator: EmulatorProcess, fakes: Fakes) -> None:
        self.number = number
        self._events = fakes.events_of(number)
        self._log = directory / "log"
        self._http: http.client.HTTPConnection | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._port = _free_port()
        (directory / "token").write_text("api-token")
        (directory / "data").mkdir(exist_ok=True)
        self._command = [sys.executable, "-m", "wasession_pod", "--data-dir", str(directory / "data"), "--host", "127.0.0.1"]
        self._command += ["--port", str(self._port), "--api-server", fakes.url, "--service-account-dir", str(directory)]
        given = {Env.NAME: number, Env.NAMESPACE: "bench", Env.SESSION_ID: number, Env.UID: "uid", Env.POD_UID: "pod-uid"}
        given |= {Env.TOKEN_SHA256: token_sha256(TOKEN), Env.BACKEND_URL: fakes.url}
        given |= {Env.RECONNECT_INITIAL_DELAY_SECONDS: "1", Env.RECONNECT_MAX_DELAY_SECONDS: "1", Env.RECONNECT_MAX_ATTEMPTS: "0"}
        self._environment = _environment(emulator) | image_environment(DOCKERFILE.read_text()) | given

    @property
    def pid(self) -> int:
        assert self._process
        return self._process.pid

    def start(self) -> float:
        self._events.forget()
        began = time.monotonic()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, env=self._environment, stdout=log, stderr=log)
        return began

    def qr(self) -> tuple[float, str]:
        event = self._events.wait(lambda e: e.get("qr"), f"a QR code; see {self._log}")
        return event["at"], event["qr"]

    def connected(self) -> float:
        return float(self._events.wait(lambda e: e.get("state") == "Connected", f"the login; see {self._log}")["at"])

    def send(self, text: str) -> float:
        if self._http is None:
            self._http = http.client.HTTPConnection("127.0.0.1", self._port, timeout=WAIT_SECONDS)
            self._http.connect()
        body = json.dumps({"to": CONTACT, "text": text})
        began = time.monotonic()
        self._http.request("POST", "/v1/messages", body, {"Authorization": f"Bearer {TOKEN}"})
        answer = self._http.getresponse()
        words = answer.read()
        taken = time.monotonic() - began
        if answer.status != http.HTTPStatus.OK:
            raise RuntimeError(f"{answer.status} {words!r}; see {self._log}")
        return taken

    def received(self, text: str) -> float:
        return float(self._events.wait(lambda e: e.get("text") == text, f"{text!r} at the backend; see {self._log}")["at"])

    def stop(self) -> None:
        if self._http:
            self._http.close()
            self._http = None
        if self._process:
            self._process.terminate()
            self._process.wait()


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


def image_environment(dockerfile: str) -> dict[str, str]:
    """What the image sets with `ENV`, but for the byte code, which a run writes for itself."""
    lines = (line.split()[1:] for line in dockerfile.splitlines() if line.startswith("ENV "))
    given = dict(pair.split("=", 1) for line in lines for pair in line)
    return {key: value for key, value in given.items() if key != "PYTHONDONTWRITEBYTECODE"}


def _environment(emulator: EmulatorProcess) -> dict[str, str]:
    """Without a proxy, and with byte code from a folder of the run's own, as the image has it: who compiles at its start is larger."""
    inherited = {key: value for key, value in os.environ.items() if "PROXY" not in key.upper() and not key.startswith("PYTHON")}
    return inherited | emulator.client_env() | {"PYTHONPYCACHEPREFIX": str(emulator.state / "pycache")}
