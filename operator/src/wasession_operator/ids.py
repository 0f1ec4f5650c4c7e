"""Whose a session id is: several objects of a namespace may say the same one, and it is the oldest's until that one is gone.

The facade answers for the same one (by creation time, then by name), so a younger one could be reached by nobody.
"""

from bisect import insort

from wasession_contract.v1alpha1 import WhatsAppSession
from wasession_operator.views import Key, key_of

_Claim = tuple[str, str, str]  # created, name, uid: sorts by whose it is


class SessionIds:
    """The ids of all sessions that are there."""

    def __init__(self) -> None:
        self._claims: dict[Key, list[_Claim]] = {}  # a key whose name is the id
        self._ids: dict[str, Key] = {}

    def add(self, session: WhatsAppSession) -> None:
        """Take in a session that is there; a known one changes nothing, because the id is immutable."""
        meta = session.metadata
        if meta.uid not in self._ids:
            held = self._ids[meta.uid] = Key(meta.namespace, session.session_id)
            created = meta.creation_timestamp.isoformat() if meta.creation_timestamp else ""
            insort(self._claims.setdefault(held, []), (created, meta.name, meta.uid))

    def remove(self, uid: str) -> list[Key]:
        """A session is gone; returns whose the id is now, if it was that one's."""
        held = self._ids.pop(uid, None)
        if held is None:
            return []
        claims = self._claims[held]
        was_first = claims[0][2] == uid
        claims[:] = [claim for claim in claims if claim[2] != uid]
        if not claims:
            del self._claims[held]
            return []
        return [Key(held.namespace, claims[0][1])] if was_first else []

    def taken_by(self, session: WhatsAppSession) -> str:
        """The name of the older object that has the id of `session`; empty: it has it itself."""
        claims = self._claims.get(Key(session.metadata.namespace, session.session_id))
        return claims[0][1] if claims and key_of(session).name != claims[0][1] else ""
