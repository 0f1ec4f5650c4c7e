"""The operator of one lane: a process that is forked from the lane's zygote, killed and started again."""

import asyncio
import json
import os
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

import yaml
from operator_support import DATA, KEY

_TEMPLATE = DATA / "pod-template.yaml"


class Operators:
    """One operator at a time; `directory` keeps what it reads and says."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "key").write_text(KEY)
        self.kubeconfig = directory / "kubeconfig"
        self.killed = asyncio.Event()
        """The operator was killed by `kill`, and not started again."""
        self._log, self._template = directory / "log", directory / "template.yaml"
        self._environment = {
            "WASESSION_INTERNAL_KEY_FILE": str(directory / "key"),
            "WASESSION_POD_TEMPLATE": str(self._template),
            "WASESSION_PROBE_PORT": str(_free_port()),
            "WASESSION_METRICS_PORT": "0",
        }
        self._pid: int | None = None
        self._ended: dict[int, asyncio.Future[int]] = {}
        self._settings: dict[str, str] = {}

    async def __aenter__(self) -> Self:
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), "KUBECONFIG": str(self.kubeconfig)}
        pipe = asyncio.subprocess.PIPE
        program = sys.executable, "-m", f"{__package__}.zygote"
        self._zygote = await asyncio.create_subprocess_exec(*program, env=environment, stdin=pipe, stdout=pipe)
        self._started: asyncio.Queue[int] = asyncio.Queue()
        assert self._zygote.stdout
        assert (await self._zygote.stdout.readline()) == b"ready\n"
        self._reader = asyncio.create_task(self._read(self._zygote.stdout))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        assert self._zygote.stdin
        self._zygote.stdin.close()
        await self._zygote.wait()
        await self._reader

    def prepare(self, **settings: str) -> None:
        """For the next trial: these settings, the first template, an empty log."""
        self._settings = settings
        self._template.write_text(_TEMPLATE.read_text())
        self._log.unlink(missing_ok=True)

    def change_template(self) -> None:
        """The next operator to start has another pod template."""
        template = yaml.safe_load(_TEMPLATE.read_text())
        template["spec"]["containers"][0]["image"] += "-next"
        self._template.write_text(yaml.safe_dump(template))

    @property
    def log(self) -> str:
        """All that the trial's operators said."""
        return self._log.read_text() if self._log.exists() else ""

    async def start(self) -> None:
        """Start one; there must be none."""
        assert self._pid is None
        assert self._zygote.stdin
        self.killed.clear()
        order = {"log": str(self._log), "environment": self._environment | self._settings}
        self._zygote.stdin.write(json.dumps(order).encode() + b"\n")
        self._pid = await self._started.get()

    def kill(self) -> None:
        """SIGKILL, now."""
        if self._pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)
            self._pid = None
            self.killed.set()

    @contextmanager
    def held_still(self) -> Iterator[None]:
        """It does nothing meanwhile."""
        pid = self._pid
        if pid is not None:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            if pid is not None and pid == self._pid:
                os.kill(pid, signal.SIGCONT)

    @property
    def exit_code(self) -> int | None:
        """That of an operator that ended by itself."""
        ended = self._ended.get(self._pid) if self._pid is not None else None
        return ended.result() if ended and ended.done() else None

    async def stop(self) -> None:
        """End it, without asking."""
        pid = self._pid
        self.kill()
        if pid is not None:
            await self._end(pid)

    def _end(self, pid: int) -> asyncio.Future[int]:
        return self._ended.setdefault(pid, asyncio.get_running_loop().create_future())

    async def _read(self, lines: asyncio.StreamReader) -> None:
        while line := await lines.readline():
            word, pid, *code = line.decode().split()
            if word == "started":
                self._started.put_nowait(int(pid))
            else:
                self._end(int(pid)).set_result(int(code[0]))


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
