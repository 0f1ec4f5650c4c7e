"""Whether a claim is worth waiting for before its pod is created, which depends on its storage class. Memory without I/O.

A pod whose claim is bound already spends no time in the scheduler's volume binder, which looks once a second. A class with
`volumeBindingMode: Immediate` binds a claim by itself, within milliseconds or seconds; one with `WaitForFirstConsumer`
never does before it sees the pod. The operator may not read StorageClasses where it serves single namespaces, so it learns the mode from
what Kubernetes writes on claims. Surprising: nothing here is needed to be right, only to be fast; each wait is bounded.
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum

from wasession_operator.views import ClaimView, Provisioning

FIRST_LOOK = timedelta(seconds=0.3)
"""For a class that nothing is known of: the volume controller marks the claim of an Immediate class within some 10 ms."""
BINDS_WITHIN = timedelta(seconds=3)
"""For a class that binds by itself. After it the pod is created all the same, and the scheduler says in it what the volume lacks."""


class Mode(Enum):
    """What is known of a storage class."""

    UNKNOWN = "unknown"
    BY_ITSELF = "by-itself"
    FOR_ITS_POD = "for-its-pod"


_PATIENCE = {Mode.UNKNOWN: FIRST_LOOK, Mode.BY_ITSELF: BINDS_WITHIN, Mode.FOR_ITS_POD: timedelta()}
_TELLS = {Provisioning.BY_ITSELF: Mode.BY_ITSELF, Provisioning.FOR_ITS_POD: Mode.FOR_ITS_POD}


@dataclass
class Bindings:
    """What this process knows of the storage classes. Lost with it, and learnt again from the first claim of each."""

    _modes: dict[str | None, Mode] = field(default_factory=dict)

    def mode(self, storage_class: str | None) -> Mode:
        """What is known of the class of this name; None: the claims without one."""
        return self._modes.get(storage_class, Mode.UNKNOWN)

    def learn(self, claim: ClaimView) -> None:
        """Take in what `claim` tells of its class."""
        if mode := _TELLS.get(claim.provisioning):
            self._modes[claim.storage_class] = mode

    def until(self, claim: ClaimView, since: datetime, now: datetime) -> datetime | None:
        """Until when the pod of `claim`, which has been there without one `since`, is to wait for it; None: not at all (any more).

        A class that nothing was heard of by then is taken for one that waits for the pod, so that only its first claim costs a wait.
        """
        if claim.bound:
            return None
        mode = self.mode(claim.storage_class)
        until = since + _PATIENCE[mode]
        if now < until:
            return until
        if mode is Mode.UNKNOWN:
            self._modes[claim.storage_class] = Mode.FOR_ITS_POD
        return None
