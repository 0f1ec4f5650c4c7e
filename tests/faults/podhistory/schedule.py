"""What a seed decides: how often, when and in what a life is disturbed. Pure, so that a seed is replayed by its number.

Replay repeats the decisions, not the machine: the delays are the same, what the processes had reached by then is not
quite. A seed that failed is likely, not certain, to fail again.
"""

import random
from dataclasses import dataclass
from enum import StrEnum

from podhistory.history import Phase

PAIRING_KILLS = (0, 3)
STRIKES = (8, 12)
HELD = 0.5  # of the kills while sending: the message is out, and nobody knows
HELD_DELAY = 0.2
_DELAYS = {  # seconds after the phase's sign; chosen so that the kill falls before, into and after what follows the sign
    Phase.PAIRING: 1.2,
    Phase.CONNECTING: 2.0,
    Phase.SENDING: 0.02,
    Phase.RECEIVING: 0.02,
    Phase.DELIVERING: 0.004,
}


class Trouble(StrEnum):
    """What else happens in the background."""

    DROP = "drop"
    """WhatsApp cuts the connection."""
    BACKEND_LEAVES = "backend leaves"
    """The backend closes its socket."""
    BACKEND_HANGS = "backend hangs"
    """The backend reads no further; after a while its process is gone, and with it what it had not read."""


@dataclass(frozen=True)
class Strike:
    """A SIGKILL `delay` seconds after the `nth` sign of `phase` from now; `held`: WhatsApp acknowledges nothing meanwhile."""

    phase: Phase
    nth: int
    delay: float
    held: bool = False


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
            Disturbance(dice.choice(list(Trouble)), dice.uniform(0.5, 3), dice.uniform(0.1, 1.5)) for _ in range(dice.randint(3, 8))
        ),
    )


def _strike(dice: random.Random, phase: Phase) -> Strike:
    held = phase is Phase.SENDING and dice.random() < HELD
    return Strike(phase, dice.randint(1, 4), dice.uniform(0, HELD_DELAY if held else _DELAYS[phase]), held)
