"""Runs the unmodified neonize client as a process that a test drives; see `neonize_driver` for its commands and events."""

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from waemulator.testing import EmulatorProcess

DRIVER = Path(__file__).with_name("neonize_driver.py")
EVENT_SECONDS = 40
Event = dict[str, Any]


class NeonizeProcess:
    """A client process with its credentials in one SQLite file.

    Attributes:
        database: the credentials; start another process with the same file to resume.
        events: all events so far.
    """

    def __init__(self, emulator: EmulatorProcess, database: Path, **environment: str) -> None:
        """Starts the client; `environment` goes before what the emulator gives it."""
        self.database = database
        self._log = database.with_suffix(".log").open("ab")
        self._process = subprocess.Popen(
            [sys.executable, str(DRIVER), str(database)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True,
            env=os.environ | emulator.client_env() | environment,
        )  # fmt: skip
        self._queue: queue.Queue[Event | None] = queue.Queue()
        self.events: list[Event] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event = json.loads(line)
            self.events.append(event)
            self._queue.put(event)
        self._queue.put(None)

    def wait_for(self, *names: str, where: Callable[[Event], object] = lambda _: True) -> Event:
        """The next event of one of these names, within EVENT_SECONDS."""
        end = time.monotonic() + EVENT_SECONDS
        while True:
            try:
                event = self._queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise TimeoutError(f"no {names} within {EVENT_SECONDS} s; events: {self.events[-8:]}") from None
            if event is None:
                raise EOFError(f"the client ended while waiting for {names}; events: {self.events[-8:]}; see {self._log.name}")
            if event["event"] in names and where(event):
                return event

    def command(self, operation: str, **arguments: object) -> None:
        """Sends a command and does not wait."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"operation": operation, **arguments}) + "\n")
        self._process.stdin.flush()

    def do(self, operation: str, **arguments: object) -> Event:
        """Sends a command and returns how it ended: a `done` or `failed` event."""
        self.command(operation, **arguments)
        return self.wait_for("done", "failed", where=lambda event: event["operation"] == operation)

    def count(self, name: str) -> int:
        """How many events of this name there were."""
        return sum(event["event"] == name for event in self.events)

    def kill(self) -> None:
        """Ends the process with SIGKILL."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout, self._log):
            if stream is not None:
                stream.close()
