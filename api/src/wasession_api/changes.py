"""Create, restart and delete: the calls that change WhatsAppSession objects.

Surprising: a change answers only when the watch cache shows it (bounded), so that the caller's next read shows it too.
"""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from wasession_api import presenter
from wasession_api.errors import KubernetesRefusedError, StillDeletingError
from wasession_api.presenter import Answer
from wasession_api.settings import Settings
from wasession_api.store import Predicate, Store
from wasession_api.texts import Case
from wasession_contract import names
from wasession_contract.conditions import ConditionType, Reason
from wasession_contract.v1alpha1 import API_VERSION, KIND, Condition, ConditionStatus, IdlePolicy, OperatingMode, WhatsAppSession

log = logging.getLogger(__name__)
HTTP_NOT_FOUND, HTTP_CONFLICT = 404, 409


class Patience(msgspec.Struct, frozen=True, kw_only=True):
    """How many seconds a change waits to be seen before it is answered without."""

    admitted: float = 3.0
    """For the operator's word on the limit of sessions; it comes at once when the operator is up."""
    replaced: float = 10.0
    """For the old pod of a restarted session to be gone; it ends within 5 s of SIGTERM."""
    gone: float = 25.0
    """For a deleted object to be gone: logout, pod and volume."""


class Sessions(Protocol):
    """The objects in the cluster. All raise FacadeError."""

    async def create(self, body: dict[str, Any]) -> WhatsAppSession:
        """Create an object."""

    async def get(self, name: str) -> WhatsAppSession | None:
        """Read one, past the cache."""

    async def patch(self, name: str, uid: str, change: dict[str, Any]) -> WhatsAppSession:
        """Merge a change into the object with this uid."""

    async def delete(self, name: str, uid: str) -> None:
        """Delete the object with this uid."""


class Changes:
    """Changes of the sessions in one namespace."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        sessions: Sessions,
        *,
        patience: Patience | None = None,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._store = store
        self._sessions = sessions
        self._patience = patience or Patience()
        self._now = now
        self._clock = clock

    async def create(self, session_id: str) -> Answer:
        """`POST /sessions/:id`."""
        if not session_id.strip():
            return presenter.say(Case.ID_REQUIRED)
        if not names.is_session_id(session_id):
            return presenter.invalid_id(session_id)
        self._store.need_synced()
        if self._store.get(session_id) is not None:
            return presenter.say(Case.CREATE_TAKEN, id=session_id)
        if len(self._store.ordered()) >= self._settings.max_sessions:
            return self._limit_reached()
        made = await self._create_object(session_id)
        return made if isinstance(made, Answer) else await self._admitted(made)

    async def _create_object(self, session_id: str) -> WhatsAppSession | Answer:
        """Create the object; one of that name that is being deleted is waited for. An Answer if the name is taken."""
        body = manifest(session_id, self._settings)
        name = body["metadata"]["name"]
        deadline = self._clock() + self._patience.gone
        while True:
            try:
                return await self._sessions.create(body)
            except KubernetesRefusedError as error:
                if error.status != HTTP_CONFLICT:
                    raise
            there = await self._sessions.get(name)
            if there is not None and there.metadata.deletion_timestamp is None:
                if there.session_id == session_id:
                    return presenter.say(Case.CREATE_TAKEN, id=session_id)
                return presenter.say(Case.CREATE_NAME_TAKEN, id=session_id, name=name, other=there.session_id)
            left = deadline - self._clock()
            if left <= 0 or (there is not None and not await self._store.wait_until(name, _gone(there), left)):
                raise StillDeletingError(session_id)

    async def _admitted(self, made: WhatsAppSession) -> Answer:
        """Wait for the operator's word; take the object back if there is no room for it."""
        name = made.metadata.name
        await self._store.wait_until(name, _admission_known(made), self._patience.admitted)
        entry = self._store.get(made.session_id)
        if entry is not None and is_refused(entry.session):
            await self._sessions.delete(name, made.metadata.uid)
            await self._store.wait_until(name, _going(made), self._patience.gone)
            return self._limit_reached()
        log.info("🆕 [%s] Sesión creada", made.session_id)
        return presenter.created(made.session_id, entry.status if entry else presenter.status_json(presenter.status(made)))

    def _limit_reached(self) -> Answer:
        return presenter.say(Case.CREATE_LIMIT, limit=self._settings.max_sessions)

    async def restart(self, session_id: str) -> Answer:
        """`POST /sessions/:id/restart`; a suspended session runs again."""
        self._store.need_synced()
        entry = self._store.get(session_id)
        if entry is None:
            return presenter.say(Case.RESTART_UNKNOWN, id=session_id)
        name, uid = entry.session.metadata.name, entry.session.metadata.uid
        change = {"spec": {"restartedAt": self._now().isoformat(), "operatingMode": OperatingMode.RUNNING.value}}
        log.info("🔄 [%s] Reiniciando sesión...", session_id)
        try:
            patched = await self._sessions.patch(name, uid, change)
        except KubernetesRefusedError as error:
            if error.status not in {HTTP_NOT_FOUND, HTTP_CONFLICT}:
                raise
            return presenter.say(Case.RESTART_UNKNOWN, id=session_id)
        if not await self._store.wait_until(name, _replaced(patched), self._patience.replaced):
            log.warning("⚠️ [%s] El pod anterior sigue tras %g s", session_id, self._patience.replaced)
        return presenter.say(Case.RESTARTED, id=session_id)

    async def delete(self, session_id: str) -> Answer:
        """`DELETE /sessions/:id`: also for an id that nobody has."""
        deadline = self._clock() + self._patience.gone
        target = await self._find(session_id)
        if target is not None:
            log.info("🗑️ [%s] Eliminando sesión...", session_id)
        while target is not None and not await self._delete_object(target):
            if self._clock() >= deadline:
                raise StillDeletingError(session_id)
            target = await self._read(session_id)
        if target is not None and not await self._store.wait_until(target.metadata.name, _gone(target), deadline - self._clock()):
            log.warning("⚠️ [%s] La eliminación sigue en curso tras %g s", session_id, self._patience.gone)
        return presenter.say(Case.DELETED, id=session_id)

    async def _delete_object(self, target: WhatsAppSession) -> bool:
        """Delete exactly this object; False if another one has its name by now."""
        if target.metadata.deletion_timestamp is not None:
            return True
        try:
            await self._sessions.delete(target.metadata.name, target.metadata.uid)
        except KubernetesRefusedError as error:
            if error.status != HTTP_CONFLICT:
                raise
            return False
        return True

    async def _find(self, session_id: str) -> WhatsAppSession | None:
        """The session of this id, also one that the cache has not seen yet or hides because it is being deleted."""
        entry = self._store.get(session_id)
        if entry is not None:
            return entry.session
        return await self._read(session_id) if names.is_session_id(session_id) else None

    async def _read(self, session_id: str) -> WhatsAppSession | None:
        there = await self._sessions.get(names.object_name(session_id))
        return there if there is not None and there.session_id == session_id else None


def manifest(session_id: str, settings: Settings) -> dict[str, Any]:
    """The object of a new session. What the spec leaves out is the installation's default."""
    spec: dict[str, Any] = {
        "sessionId": session_id,
        "reconnect": {"maxAttempts": settings.max_reconnect_attempts},
        "idle": {"timeoutSeconds": settings.idle_seconds, "policy": IdlePolicy.DELETE.value},
    }
    if settings.bot_name is not None:
        spec["deviceName"] = settings.bot_name
    return {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": names.object_name(session_id)}, "spec": spec}


def admission(session: WhatsAppSession) -> Condition | None:
    """The operator's word on whether there is room for this session, once it has spoken."""
    known = (c for c in session.status.conditions if c.type == ConditionType.ADMITTED and c.status is not ConditionStatus.UNKNOWN)
    return next(known, None)


def is_refused(session: WhatsAppSession) -> bool:
    """Whether the operator said that the limit of sessions is reached."""
    word = admission(session)
    return word is not None and word.status is ConditionStatus.FALSE and word.reason == Reason.SESSION_LIMIT_REACHED


def _same(session: WhatsAppSession | None, other: WhatsAppSession) -> bool:
    return session is not None and session.metadata.uid == other.metadata.uid


def _gone(target: WhatsAppSession) -> Predicate:
    return lambda session: not _same(session, target)


def _going(target: WhatsAppSession) -> Predicate:
    return lambda session: session is None or not _same(session, target) or session.metadata.deletion_timestamp is not None


def _admission_known(made: WhatsAppSession) -> Predicate:
    return lambda session: session is not None and _same(session, made) and admission(session) is not None


def _replaced(patched: WhatsAppSession) -> Predicate:
    """The operator has acted on the patched spec: the pod from before is not the session's pod any more."""
    before = patched.status.pod

    def holds(session: WhatsAppSession | None) -> bool:
        if session is None or not _same(session, patched):
            return True
        pod = session.status.pod
        acted = (session.status.observed_generation or 0) >= patched.metadata.generation
        return acted and (pod is None or before is None or pod.uid != before.uid)

    return holds
