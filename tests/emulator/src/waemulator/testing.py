"""Runs the emulator as a process on loopback, for test fixtures."""

import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from waemulator import pki
from waemulator.client import ControlClient
from waemulator.environment import client_env

READY_SECONDS = 30
STOP_SECONDS = 15
SOURCE = Path(__file__).parents[1]


class EmulatorProcess:
    """An emulator with its own state directory. Keeps its ports over `kill` and `restart`, so that clients come back.

    Attributes:
        state: the state directory; the process logs to `emulator.log` in it.
        control: calls the control API.
    """

    def __init__(self, state: Path, *arguments: str) -> None:
        """Prepares an emulator; `arguments` are further options of `serve`."""
        self.state = state
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._proxy_port = self._control_port = self._socks_port = 0
        self._control: ControlClient | None = None
        pki.create(state)

    @property
    def control(self) -> ControlClient:
        """The control API; only after `start`."""
        if self._control is None:
            raise RuntimeError("the emulator was not started")
        return self._control

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process else None

    @property
    def proxy_port(self) -> int:
        """The proxy's port."""
        return self._proxy_port

    @property
    def socks_port(self) -> int:
        """The SOCKS5 proxy's port."""
        return self._socks_port

    def client_env(self) -> dict[str, str]:
        """What to add to a client's environment."""
        return client_env(self.state, self._proxy_port)

    def start(self) -> Self:
        """Starts the process and waits until it listens.

        Raises:
            RuntimeError: it ended or did not get ready; the message has the end of its log.
        """
        command = [sys.executable, "-m", "waemulator", "serve", "--state", str(self.state)]
        command += ["--proxy-port", str(self._proxy_port), "--control-port", str(self._control_port)]
        command += ["--socks-port", str(self._socks_port), *self._arguments]
        with (self.state / "emulator.log").open("ab") as log:
            self._process = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env={**os.environ, "PYTHONPATH": str(SOURCE)}
            )
        ports = self._ready_line(self._process)
        self._proxy_port, self._control_port = ports["proxy"], ports["control"]
        self._socks_port = ports["socks"]
        self._control = ControlClient(f"http://127.0.0.1:{self._control_port}")
        return self

    def _ready_line(self, process: subprocess.Popen[bytes]) -> dict[str, int]:
        assert process.stdout is not None  # it is a pipe
        end = time.monotonic() + READY_SECONDS
        line = b""
        while time.monotonic() < end and not line.endswith(b"\n"):
            if select.select([process.stdout], [], [], 0.2)[0]:
                data = os.read(process.stdout.fileno(), 4096)
                if not data:
                    break
                line += data
        if not line.endswith(b"\n"):
            self.kill()
            raise RuntimeError(f"the emulator did not get ready; its log ends:\n{(self.state / 'emulator.log').read_text()[-2000:]}")
        return dict(json.loads(line))

    def stop(self) -> int | None:
        """Ends it cleanly (SIGTERM) and returns its exit status, or None when it was not running."""
        process = self._process
        if process is None:
            return None
        process.terminate()
        try:
            return process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()
        finally:
            self._reap(process)

    def kill(self) -> None:
        """Ends it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._reap(self._process)

    def restart(self) -> Self:
        """Ends it if it runs, and starts it again on the same ports and state."""
        self.stop()
        return self.start()

    def _reap(self, process: subprocess.Popen[bytes]) -> None:
        if process.stdout is not None:
            process.stdout.close()
        self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()
