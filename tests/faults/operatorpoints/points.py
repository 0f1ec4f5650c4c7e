"""What can go wrong and where: `create/kill-after/3` is the operator killed after the third write of the scenario `create`.

The number's meaning is the fault's: a write's number, a watch event's, or for the past the moment at which the operator is
started and the earlier one that it is told, as `2.0`. Pure.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from apiproxy import After, Before, Cut, Drop, EventFault, Expire, Kill, RequestFault, conflict, failing, too_many
from operatorpoints.api import CLAIMS, PODS, SESSIONS

WRITE_FAULTS: Mapping[str, Callable[[], RequestFault]] = {
    "kill-before": lambda: Kill(Before),
    "kill-after": lambda: Kill(After),
    "cut-before": lambda: Cut(Before),
    "cut-after": lambda: Cut(After),
    "answer-409": conflict,
    "answer-429": too_many,
    "answer-500": failing,
}
EVENT_FAULTS: Mapping[str, tuple[str, Callable[[], EventFault]]] = {
    **{f"drop-{name}": (plural, Drop) for name, plural in (("session", SESSIONS), ("pod", PODS), ("claim", CLAIMS))},
    "expire-session": (SESSIONS, Expire),
    "expire-pod": (PODS, Expire),
}
PAST_FAULTS: Mapping[str, bool] = {"past-lists": False, "past-all": True}
"""Whether single objects are read from the past too."""
FAULTS = (*WRITE_FAULTS, *EVENT_FAULTS, *PAST_FAULTS)


KILLS = tuple(fault for fault in WRITE_FAULTS if fault.startswith("kill"))
REFUSALS = tuple(fault for fault in WRITE_FAULTS if fault not in KILLS)
DROPS = tuple(fault for fault in EVENT_FAULTS if fault.startswith("drop"))


@dataclass(frozen=True)
class Point:
    """One place for one fault."""

    scenario: str
    fault: str
    number: int = 0
    """A write's or an event's; for the past the moment that is told."""
    step: int = 0
    """For the past: the moment at which the operator is started."""

    def __str__(self) -> str:
        return f"{self.scenario}/{self.fault}/" + (f"{self.step}.{self.number}" if self.fault in PAST_FAULTS else str(self.number))

    @classmethod
    def read(cls, text: str) -> "Point":
        """The point of that name. Raises ValueError."""
        scenario, fault, where = text.split("/")
        if fault not in FAULTS:
            raise ValueError(f"{text}: there is no fault {fault!r}; there are {', '.join(FAULTS)}")
        step, _, number = where.rpartition(".")
        return cls(scenario, fault, int(number), int(step or 0))

    @property
    def needs_resync(self) -> bool:
        """Whether a look at everything is the way back."""
        return self.fault in EVENT_FAULTS or self.fault in PAST_FAULTS


@dataclass(frozen=True)
class Extent:
    """How far a scenario goes without faults."""

    writes: int
    events: Mapping[str, int]
    rests: tuple[int, ...]
    """Which of the remembered moments are those at rest, where an operator can be started; the last one is the end."""


def points(scenario: str, of_writes: Extent, of_events: Extent, *, all_refusals: bool) -> Iterator[Point]:
    """All points of a scenario; the two extents are those with few and with many looks at everything.

    A write that fails and does not end the operator is tried in one way each, in turn, or with `all_refusals` in all ways.
    """
    turn = sum(map(ord, scenario))
    for number in range(1, of_writes.writes + 1):
        refusals = REFUSALS if all_refusals else (REFUSALS[(turn + number) % len(REFUSALS)],)
        yield from (Point(scenario, fault, number) for fault in (*KILLS, *refusals))
    for fault, (plural, _) in EVENT_FAULTS.items():
        if fault in DROPS or all_refusals:
            yield from (Point(scenario, fault, number) for number in range(1, of_events.events.get(plural, 0) + 1))
    for fault in PAST_FAULTS:
        yield from (Point(scenario, fault, past, step) for step in of_events.rests for past in range(step))
