"""One life of a session: linked, then under traffic, killed and disturbed as its schedule says, then at rest.

Surprising: the driver is the backend and the caller too, in one process, so that its steps are one order of events.
"""

import asyncio
import contextlib
import json
import random
from collections import defaultdict
from pathlib import Path

import aiohttp
from aiohttp import web
from pod_support import FakeApiServer, PodProcess, pod_environment, served

from podhistory.checker import is_final
from podhistory.databases import DATABASES, soundness
from podhistory.history import (
    Answered,
    BackendCame,
    BackendLeft,
    Checked,
    Delivered,
    Dropped,
    GaveUp,
    History,
    Killed,
    Opened,
    Phase,
    Step,
    Wrote,
)
from podhistory.schedule import Schedule, Strike, Trouble
from waemulator.client import ControlApiError, ControlClient
from waemulator.testing import EmulatorProcess
from wasession_contract.v1alpha1 import SessionReport, SessionState

WRITERS = ("573100000001", "573100000002")
READERS = ("573100000003", WRITERS[0])  # one caller writes to a writer: whatsmeow has a race there (its issue 1095)
CONTACTS = (*WRITERS, READERS[0])
REST_SECONDS = 40
POLL_SECONDS = 0.02


class LifeError(Exception):
    """The life could not be led to its end: no guarantee was judged."""


class Life:
    """Runs a schedule. `history()` is what was seen."""

    def __init__(self, schedule: Schedule, emulator: EmulatorProcess, directory: Path) -> None:
        self.schedule = schedule
        self.number = f"57320{schedule.seed % 10_000_000:07d}"
        self.kills: list[Phase] = []
        self._emulator = emulator
        self._control: ControlClient = emulator.control
        self._directory = directory
        self._steps: list[Step] = []
        self._signs: dict[Phase, asyncio.Condition] = defaultdict(asyncio.Condition)
        self._sockets: list[web.WebSocketResponse] = []
        self._away = False
        self._reads = asyncio.Event()  # the backend reads what it is sent
        self._reads.set()
        self._pod: PodProcess
        self._since = 0

    async def run(self) -> History:
        """Lead the life and return its history. Raises LifeError."""
        self._since = await asyncio.to_thread(self._control.mark)
        await asyncio.to_thread(self._control.user, self.number, "Dueña")
        status = FakeApiServer()
        async with served(status.handle) as status_url, served(self._backend) as backend_url:
            self._pod = self._make_pod(backend_url, status_url)
            try:
                await self._link()
                await self._be_disturbed()
                await self._rest()
            finally:
                await self._pod.close()
        return History(self.number, tuple(self._steps), tuple(await asyncio.to_thread(self._control.log, self._since)))

    @property
    def log(self) -> str:
        """The pod's own log."""
        return self._pod.log

    def _make_pod(self, backend_url: str, status_url: str) -> PodProcess:
        return PodProcess(self._directory, pod_environment(self._emulator, backend_url), status_url)

    # Linking.

    async def _link(self) -> None:
        await self._pod.start()
        for strike in self.schedule.pairing:
            scan = asyncio.create_task(self._scan())
            await asyncio.sleep(0.3 * strike.nth + strike.delay)
            scan.cancel()
            await asyncio.gather(scan, return_exceptions=True)
            await self._kill_and_start(Phase.PAIRING)
        await self._scan()

    async def _scan(self) -> None:
        """Scan the QR code until the session is connected."""
        scanned = ""
        async with asyncio.timeout(60):
            while True:
                report = await self._report()
                if report and report.state is SessionState.CONNECTED:
                    return
                if report and report.qr and report.qr.code != scanned:
                    scanned = report.qr.code
                    with contextlib.suppress(ControlApiError):
                        await asyncio.to_thread(self._control.scan, self.number, scanned)
                await asyncio.sleep(POLL_SECONDS)

    # Traffic and trouble.

    async def _be_disturbed(self) -> None:
        calling = asyncio.Event()
        work = [asyncio.create_task(self._write(i, calling)) for i in range(len(WRITERS))]
        work += [asyncio.create_task(self._ask(i, calling)) for i in range(len(READERS))]
        trouble = asyncio.create_task(self._make_trouble())
        try:
            for strike in self.schedule.strikes:
                await self._strike(strike)
            await trouble
        finally:
            calling.set()
            trouble.cancel()
            self._bring_back()
        await asyncio.gather(*work)

    async def _strike(self, strike: Strike) -> None:
        if strike.held:
            await asyncio.to_thread(self._control.fault, "hold_acks", self.number)
        if strike.phase is not Phase.CONNECTING:
            async with asyncio.timeout(60):
                for _ in range(1 if strike.held else strike.nth):  # the next one waits for its acknowledgement
                    async with self._signs[strike.phase]:
                        await self._signs[strike.phase].wait()
        await asyncio.sleep(strike.delay)
        await self._kill_and_start(strike.phase)
        if strike.held:
            await asyncio.to_thread(self._control.fault, "hold_acks", self.number, on=False)

    async def _kill_and_start(self, phase: Phase) -> None:
        self.kills.append(phase)
        self._steps.append(Killed(phase))
        await self._pod.kill()
        for name in DATABASES:
            if (path := self._directory / "data" / name).exists():
                self._steps.append(Checked(name, await asyncio.to_thread(soundness, path)))
        await self._pod.start()

    async def _make_trouble(self) -> None:
        for one in self.schedule.disturbances:
            await asyncio.sleep(one.delay)
            if one.trouble is Trouble.DROP:
                self._steps.append(Dropped())
                await asyncio.to_thread(self._control.fault, "drop", self.number)
                continue
            self._steps.append(BackendLeft())
            if one.trouble is Trouble.BACKEND_LEAVES:
                self._away = True
                for socket in list(self._sockets):
                    await socket.close()
                await asyncio.sleep(one.away)
            else:
                self._reads.clear()
                await asyncio.sleep(one.away)
                self._away = True
                self._vanish()
            self._bring_back()

    def _vanish(self) -> None:
        for socket in self._sockets:
            if socket._req and socket._req.transport:
                socket._req.transport.abort()
        self._sockets.clear()  # what was not read is lost
        self._reads.set()

    def _bring_back(self) -> None:
        if self._away or not self._reads.is_set():
            self._vanish()
            self._away = False
            self._steps.append(BackendCame())

    async def _write(self, index: int, over: asyncio.Event) -> None:
        """A contact writes now and then."""
        dice = self._dice("write", index)
        writer, count = WRITERS[index], 0
        while not over.is_set():
            text = f"{self.schedule.seed} from {index}: {count}"
            count += 1
            id_ = await asyncio.to_thread(self._control.incoming, writer, self.number, text)
            self._steps.append(Wrote(id_, f"{writer}@s.whatsapp.net", text))
            await self._sign(Phase.RECEIVING)
            await asyncio.sleep(dice.expovariate(1 / 0.15))

    async def _ask(self, index: int, over: asyncio.Event) -> None:
        """A caller sends now and then, and repeats each call until it has a final answer."""
        dice = self._dice("ask", index)
        count = 0
        while not over.is_set():
            key = f"{self.schedule.seed}-{index}-{count}"
            count += 1
            await self._send(READERS[index], key, f"call {key}", dice)
            await asyncio.sleep(dice.expovariate(1 / 0.2))

    async def _send(self, to: str, key: str, text: str, dice: random.Random) -> None:
        body = {"to": to, "text": text}
        again = dice.random() < 0.3  # asks once more after the final answer, which must be the same
        try:
            async with asyncio.timeout(REST_SECONDS):
                while True:
                    answer = await self._post(key, text, body)
                    self._steps.append(answer)
                    if is_final(answer):
                        if not again:
                            return
                        again = False
                    await asyncio.sleep(dice.uniform(0.02, 0.2))
        except TimeoutError:
            self._steps.append(GaveUp(key, text))

    async def _post(self, key: str, text: str, body: dict[str, str]) -> Answered:
        await self._sign(Phase.SENDING)
        try:
            status, answer = await self._pod.post("/v1/messages", body, **{"Idempotency-Key": key})
        except aiohttp.ClientError:
            return Answered(key, text, 0)
        return Answered(key, text, status, answer.get("code", ""), answer.get("id", ""))

    # The backend.

    async def _backend(self, request: web.Request) -> web.StreamResponse:
        if self._away:
            return web.Response(status=503)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self._steps.append(Opened())
        self._sockets.append(socket)
        async for frame in socket:
            await self._reads.wait()
            if socket not in self._sockets:
                break
            told = json.loads(frame.data)
            self._steps.append(Delivered(told["phone"], told["message"]))
            await self._sign(Phase.DELIVERING)
        if socket in self._sockets:
            self._sockets.remove(socket)
        return socket

    # The end.

    async def _rest(self) -> None:
        """Wait until all is up and everything that was written has come; what has not by the deadline is lost."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(REST_SECONDS):
                while not await self._is_at_rest():  # noqa: ASYNC110  what is waited for is in other processes
                    await asyncio.sleep(0.1)
        report = await self._report()
        if report is None or report.state is not SessionState.CONNECTED:
            raise LifeError(f"seed {self.schedule.seed}: the session does not come back, it is {report}")

    async def _is_at_rest(self) -> bool:
        report = await self._report()
        arrived = {step.text for step in self._steps if isinstance(step, Delivered)}
        missing = [step for step in self._steps if isinstance(step, Wrote) and step.text not in arrived]
        return bool(report and report.state is SessionState.CONNECTED and report.backend.backlog == 0 and not missing)

    # Small things.

    async def _report(self) -> SessionReport | None:
        try:
            return await self._pod.session()
        except aiohttp.ClientError:
            return None

    async def _sign(self, phase: Phase) -> None:
        async with self._signs[phase]:
            self._signs[phase].notify_all()

    def _dice(self, task: str, index: int) -> random.Random:
        return random.Random(f"{self.schedule.seed} {task} {index}")  # noqa: S311  a test's dice
