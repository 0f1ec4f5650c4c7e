"""What this process remembers of each session beyond what the API server knows. All of it may be lost at any moment."""

from dataclasses import dataclass
from datetime import datetime

from wasession_contract.v1alpha1 import WhatsAppSession
from wasession_operator.observed import Logout
from wasession_operator.views import Key, key_of


@dataclass
class Memory:
    """Of one session, which is the one with this uid."""

    uid: str
    logout: Logout = Logout.NOT_TRIED
    logout_failure: str = ""
    refusal: str = ""
    finished_pods: int = 0
    pod_deleted_for: str = ""
    """The cause for which its last pod was deleted, until there is another."""
    going_since: datetime | None = None
    """Since when a pod or claim is being deleted without news of it."""
    pod_not_before: datetime | None = None
    displaced_since: datetime | None = None
    """Since when it has a pod and no place."""
    claim_since: tuple[str, datetime] | None = None
    """The uid of a claim, and since when it has been there without a volume and a pod."""


class Memories:
    """Of all sessions."""

    def __init__(self) -> None:
        self._memories: dict[Key, Memory] = {}

    def of(self, session: WhatsAppSession) -> Memory:
        """That of `session`; a new object of the same name starts without one."""
        key = key_of(session)
        memory = self._memories.get(key)
        if memory is None or memory.uid != session.metadata.uid:
            memory = self._memories[key] = Memory(session.metadata.uid)
        return memory

    def forget(self, key: Key) -> None:
        """The session is gone."""
        self._memories.pop(key, None)
