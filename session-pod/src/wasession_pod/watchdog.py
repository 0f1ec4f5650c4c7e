"""Ends the process when its event loop does not turn any more: kubelet then starts the container anew.

Surprising: the dog is `faulthandler`'s thread in C, because a loop that hangs may hold the interpreter's lock, and a
wedged process could not even be ended by SIGTERM. It writes every thread's stack to standard error first, places in the code
and no values.
"""

import asyncio
import faulthandler
import sys

BEAT_SECONDS = 10.0
WEDGED_SECONDS = 30.0  # the design's limit; nothing on the loop takes a second


async def run() -> None:
    """Keep the dog calm until cancelled."""
    try:
        while True:
            faulthandler.dump_traceback_later(WEDGED_SECONDS, exit=True, file=sys.stderr)
            await asyncio.sleep(BEAT_SECONDS)
    finally:
        faulthandler.cancel_dump_traceback_later()
