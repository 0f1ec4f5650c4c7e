"""What a seed decides: how often, when and in what a life is disturbed. Pure, so that a seed is replayed by its number.

Replay repeats the decisions, not the machine: the delays are the same, what the processes had reached by then is not
quite. A seed that failed is likely, not certain, to fail again.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

from podhistory.history import Phase

PAIRING_KILLS = (0, 3)
STRIKES = (6, 10)
_DELAYS = {  # seconds after the phase's sign; chosen so that the kill falls before, into and after what follows the sign
    Phase.PAIRING: 1.2,
    Phase.CONNECTING: 2.0,
    Phase.SENDING: 0.08,
    Phase.RECEIVING: 0.03,
    Phase.DELIVERING: 0.006,
}


class Trouble(StrEnum):
    """What else happens in the background."""

    DROP = "drop"
    BACKEND_LEAVES = "backend leaves"
    BACKEND_VANISHES = "backend vanishes"


@dataclass(frozen=True)
class Strike:
    """A SIGKILL `delay` seconds after the `nth` sign of `phase` from now."""

    phase: Phase
    nth: int
    delay: float


@dataclass(frozen=True)
class Disturbance:
    """Trouble `delay` seconds after the one before; a backend stays away for `away` seconds."""

    trouble: Trouble
    delay: float
    away: float


@dataclass(frozen=True)
class Schedule:
    """One life: kills while it is linked, strikes under traffic, and the trouble beside them."""

    seed: int
    pairing: tuple[Strike, ...]
    strikes: tuple[Strike, ...]
    disturbances: tuple[Disturbance, ...]

    @property
    def kills(self) -> int:
        """How many in all."""
        return len(self.pairing) + len(self.strikes)


def draw(seed: int) -> Schedule:
    """The schedule of `seed`."""
    dice = random.Random(seed)  # noqa: S311  a test's dice
    traffic = [Phase.CONNECTING, Phase.SENDING, Phase.SENDING, Phase.RECEIVING, Phase.RECEIVING, Phase.DELIVERING]
    return Schedule(
        seed=seed,
        pairing=tuple(_strike(dice, Phase.PAIRING) for _ in range(dice.randint(*PAIRING_KILLS))),
        strikes=tuple(_strike(dice, dice.choice(traffic)) for _ in range(dice.randint(*STRIKES))),
        disturbances=tuple(
            Disturbance(dice.choice(list(Trouble)), dice.uniform(0.5, 3), dice.uniform(0.1, 1.5)) for _ in range(dice.randint(2, 5))
        ),
    )


def _strike(dice: random.Random, phase: Phase) -> Strike:
    return Strike(phase, dice.randint(1, 4), dice.uniform(0, _DELAYS[phase]))
