"""A process that hangs is found: a wedged event loop ends the process, a wedged client turns the liveness probe."""

import asyncio
from collections.abc import Callable

import pytest
from pod_support import World, eventually

pytestmark = pytest.mark.integration

LOOP = """
import time
from wasession_pod import main, pod, watchdog
watchdog.WEDGED_SECONDS, watchdog.BEAT_SECONDS = 1, 0.1
start = pod.Pod.start
def start_and_wedge(self):
    start(self)
    self._loop.call_later(1, time.sleep, 600)
pod.Pod.start = start_and_wedge
main.main()
"""
CLIENT = """
import time
from wasession_pod import clientcalls, machine, main, pod, whatsapp
machine.CHECK_SECONDS = pod.CALL_SECONDS = clientcalls.WEDGED_SECONDS = 0.2
whatsapp.NeonizeEngine.is_connected = lambda self: time.sleep(600)
main.main()
"""


async def livez(world: World) -> int | None:
    async with world.pod.http.get("/livez") as answer:
        return answer.status


async def test_a_wedged_event_loop_ends_the_process_and_says_where_it_hung(world: World) -> None:
    world.pod.program = ["-c", LOOP]
    await world.pod.start()
    await eventually(world.pod.session, "an answer")
    assert world.pod.process
    assert await asyncio.wait_for(world.pod.process.wait(), 30) == 1
    assert "Timeout (0:00:01)!" in world.pod.log
    assert "in main" in world.pod.log


async def test_a_wedged_client_turns_the_liveness_probe(make_world: Callable[..., World]) -> None:
    world = make_world()
    world.pod.program = ["-c", CLIENT]
    await world.pair()

    async def is_wedged() -> bool:
        return await livez(world) == 503

    await eventually(is_wedged, "a probe that says so")
    assert (await world.pod.get("/v1/session"))["state"] == "Connected", "the rest goes on"
