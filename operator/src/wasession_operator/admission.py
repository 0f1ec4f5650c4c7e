"""Which sessions are within the installation's limit: the first ones created, and who has a place keeps it.

Every object counts until it is gone, suspended and deleted ones too, so that there are never more pods than places.
Surprising: who was admitted before stays so even where a younger uid sorts first, because creation times have whole
seconds and a running session must not lose its place to one that was created in the same second.
"""

from bisect import insort

from wasession_contract.conditions import ConditionType
from wasession_contract.v1alpha1 import ConditionStatus, WhatsAppSession
from wasession_operator.ids import SessionIds
from wasession_operator.observed import condition
from wasession_operator.views import Key, key_of

_Place = tuple[bool, str, str, Key]  # not admitted before, created, uid, key: sorts by who comes first


class Admission:
    """Places for `limit` sessions; 0: no limit."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: list[_Place] = []
        self._known: dict[str, _Place] = {}
        self._admitted: set[str] = set()
        self.ids = SessionIds()

    def __len__(self) -> int:
        return len(self._admitted)

    @property
    def waiting(self) -> int:
        """Sessions that wait for a place."""
        return len(self._waiting)

    def admits(self, session: WhatsAppSession) -> bool:
        """Whether `session` has a place."""
        return not self.limit or session.metadata.uid in self._admitted

    def add(self, sessions: list[WhatsAppSession]) -> None:
        """Take in sessions that are there; known ones change nothing."""
        for session in sessions:
            self.ids.add(session)
            meta = session.metadata
            if meta.uid not in self._known:
                created = meta.creation_timestamp.isoformat() if meta.creation_timestamp else ""
                place = self._known[meta.uid] = (not _was_admitted(session), created, meta.uid, key_of(session))
                insort(self._waiting, place)
        self._fill()

    def remove(self, uid: str) -> list[Key]:
        """Give up the place and the id of a session that is gone; returns who is admitted, and who has the id, in its stead."""
        heirs = self.ids.remove(uid)
        place = self._known.pop(uid, None)
        if place is None:
            return heirs
        if uid in self._admitted:
            self._admitted.discard(uid)
        else:
            self._waiting.remove(place)
        return heirs + self._fill()

    def _fill(self) -> list[Key]:
        """`_waiting` holds those who wait, in order."""
        free = len(self._waiting) if not self.limit else max(0, self.limit - len(self._admitted))
        admitted, self._waiting = self._waiting[:free], self._waiting[free:]
        self._admitted.update(place[2] for place in admitted)
        return [place[3] for place in admitted]


def _was_admitted(session: WhatsAppSession) -> bool:
    known = condition(session, ConditionType.ADMITTED)
    return known is not None and known.status is ConditionStatus.TRUE
