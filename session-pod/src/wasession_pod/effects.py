"""Carries out what the state machine asks for, one effect after the other.

Surprising: the order is the safety. A `Stop` ends before the `WipeCredentials` after it begins, and both before the next
`Connect`; only what asks WhatsApp something and changes nothing here goes beside the queue.
"""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, NoReturn, assert_never

from wasession_pod import credentials, machine, volume
from wasession_pod.clientcalls import ClientCalls, NotBegunError
from wasession_pod.engine import Engine, EngineError, Faulted, Wedged
from wasession_pod.logs import SessionLog
from wasession_pod.pairing import Pairing
from wasession_pod.sender import CALL_SECONDS

CLIENT_SECONDS = 60  # a client that takes longer to start or stop is replaced by a fresh start


class Effects:
    """The effects of one session. `calls` runs the client's calls, `life` its start and end; `post` takes what comes of them.

    `lost` hears that the client has no connection any more, although it did not say so.
    """

    def __init__(
        self,
        engine: Engine,
        calls: ClientCalls,
        life: ClientCalls,
        data_dir: Path,
        log: SessionLog,
        *,
        pairing: Pairing,
        post: Callable[[machine.Event], None],
        lost: Callable[[], None],
        fresh_start: Callable[[], NoReturn],
    ) -> None:
        self._engine = engine
        self._calls = calls
        self._life = life
        self._data_dir = data_dir
        self._log = log
        self._pairing = pairing
        self._post = post
        self._lost = lost
        self._fresh_start = fresh_start
        self._queue: asyncio.Queue[machine.Effect] = asyncio.Queue()
        self._beside: set[asyncio.Task[None]] = set()

    def put(self, effect: machine.Effect) -> None:
        """Carry `effect` out after those before it."""
        self._queue.put_nowait(effect)

    async def join(self) -> None:
        """Wait until all are carried out."""
        await self._queue.join()

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            while True:
                await self._next()
        finally:
            for task in self._beside:
                task.cancel()

    async def _next(self) -> None:
        effect = await self._queue.get()
        try:
            await self._do(effect)
        except OSError as error:
            self._post(Faulted(f"the volume fails: {error}", heals=True))
        except Exception:  # noqa: BLE001  the task's outermost loop
            self._log.error(f"{effect}")
        finally:
            self._queue.task_done()

    async def _do(self, effect: machine.Effect) -> None:
        match effect:
            case machine.Connect():
                await self._client_call(self._engine.connect)
            case machine.Stop():
                await self._client_call(self._engine.stop)
            case machine.WipeCredentials():
                credentials.wipe(self._data_dir)
            case machine.AskPairingCode(phone):
                self._spawn(self._pairing.ask(phone))
            case machine.CheckClient():
                self._spawn(self._check_client())
            case machine.ProbeVolume():
                await self._probe_volume()
            case machine.FreshStart():
                self._fresh_start()
            case _:
                assert_never(effect)

    async def _client_call(self, call: Callable[[], object]) -> None:
        try:
            await self._life.run(call, seconds=CLIENT_SECONDS)
        except (TimeoutError, NotBegunError):
            self._post(Wedged())

    async def _check_client(self) -> None:
        try:
            lost = not await self._calls.run(self._engine.is_connected, seconds=CALL_SECONDS)
        except (EngineError, TimeoutError, NotBegunError):
            return  # it is busy; if it hangs, the liveness probe knows
        if lost:
            self._lost()

    async def _probe_volume(self) -> None:
        with contextlib.suppress(OSError):
            await asyncio.to_thread(volume.probe, self._data_dir)
            self._post(machine.VolumeWorks())

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)
