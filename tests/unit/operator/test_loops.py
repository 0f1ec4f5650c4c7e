import asyncio
import random

import pytest

from wasession_operator.loops import work
from wasession_operator.metrics import Metrics
from wasession_operator.views import Key
from wasession_operator.workqueue import WorkQueue

pytestmark = pytest.mark.unit
LOOKS = 50


async def test_looks_that_wait_for_nothing_leave_the_watches_their_turns() -> None:
    queue: WorkQueue[Key] = WorkQueue(asyncio.get_running_loop().call_later, random.random)
    looked: list[str] = []
    for number in range(LOOKS):
        queue.add(Key("here", f"session-{number}"), background=True)

    async def reconcile(key: Key) -> None:
        looked.append(key.name)
        if len(looked) > LOOKS:
            queue.close()

    async def watch() -> None:
        """Hears of one session while the looks are under way."""
        await asyncio.sleep(0)
        queue.add(Key("here", "event"))

    await asyncio.gather(work(queue, reconcile, Metrics()), watch())
    assert sorted(looked) == sorted([f"session-{number}" for number in range(LOOKS)] + ["event"])
    assert looked.index("event") < LOOKS / 2
