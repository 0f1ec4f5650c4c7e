"""Is this process worth keeping? Only for what a new process mends is it ended; the reasons and bounds are here.

Surprising: an API server that is away is none of the reasons. A new process could not reach it either, would have
forgotten what this one knows, and would list everything the moment the server is back. Nor is a quiet cluster.
A wedged event loop needs no rule: the loop itself answers the probe, and a loop that is stuck does not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_WORK = 900.0  # seconds; a look is at most 12 rounds of a few requests, each of which ends after 30 s at the latest
MISSED_RESYNCS = 3  # intervals without an attempt that came to an end


@dataclass(frozen=True)
class Signs:
    """What the process sees of itself. Ages in seconds."""

    workers_ended: tuple[str, ...] = ()
    """Names of tasks that should never end, and did."""
    longest_work: float = 0
    """For how long the session that was taken first is being worked on."""
    resync_age: float = 0
    """Since an attempt to list everything came to an end: well, or with a refusal, or because no server answered."""
    resync_interval: float = 600
    deaf_watches: tuple[str, ...] = ()


def ailments(signs: Signs) -> Iterator[str]:
    """What is wrong with the process and would be right with a new one; nothing: it is well."""
    for name in signs.workers_ended:
        yield f"the task {name!r} has ended"
    if signs.longest_work > LONGEST_WORK:
        yield f"one session is worked on for {signs.longest_work:.0f} s; at most {LONGEST_WORK:.0f} s are possible"
    if signs.resync_age > _longest_silence(signs.resync_interval):
        yield f"no attempt to list everything came to an end for {signs.resync_age:.0f} s; one is due every {signs.resync_interval:g} s"
    for watch in signs.deaf_watches:
        yield f"the watch of {watch} is deaf: lists show changes that it never told"


def _longest_silence(interval: float) -> float:
    """A short interval (of a test, say) gives no list less time."""
    return MISSED_RESYNCS * max(interval, 60.0)
