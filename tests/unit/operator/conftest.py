"""Builders of what the operator observes, with the facts that a test does not care about filled in."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from wasession_contract.v1alpha1 import (
    FINALIZER,
    LastDisconnect,
    Metadata,
    SessionReport,
    SessionState,
    Spec,
    Status,
    WhatsAppSession,
)
from wasession_operator import judge, resources
from wasession_operator.decide import Policy
from wasession_operator.observed import Observed
from wasession_operator.views import ClaimView, Key, PodView

CREATED = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)


class Build:
    """Observations of the session `cliente1`, uid `s-1`, at `now`."""

    now = CREATED + timedelta(minutes=5)
    policy = Policy(installation_hash="installation")

    def spec(self, **fields: object) -> Spec:
        return msgspec.convert(fields, Spec)

    def session(self, *, status: Status | None = None, **fields: object) -> WhatsAppSession:
        """`fields`: of the metadata, and `spec`."""
        spec = fields.pop("spec", Spec())
        metadata = {
            "name": "cliente1",
            "namespace": "default",
            "uid": "s-1",
            "generation": 1,
            "resource_version": "1",
            "creation_timestamp": CREATED,
            "finalizers": (FINALIZER,),
        } | fields
        return WhatsAppSession(metadata=Metadata(**metadata), spec=spec, status=status or Status())

    def pod(self, **facts: object) -> PodView:
        base = PodView(
            key=Key("default", "cliente1"),
            uid="p-1",
            version=1,
            owner_uid="s-1",
            of_a_session=True,
            template_hash=self.hash(),
            deleting=False,
            finished=False,
            ready=True,
            ip="10.0.0.1",
            node="node-1",
            restarts=0,
        )
        return replace(base, **facts)

    def claim(self, **facts: object) -> ClaimView:
        base = ClaimView(
            key=Key("default", "cliente1"), uid="c-1", version=1, owner_uid="s-1", of_a_session=True, deleting=False, size="1Gi"
        )
        return replace(base, **facts)

    def hash(self, spec: Spec | None = None, installation: str = "installation") -> str:
        return f"{installation}-{resources.session_hash(spec or Spec())}"

    def report(self, state: SessionState, code: int | None = None, pod_uid: str = "p-1", **facts: object) -> SessionReport:
        last = LastDisconnect(code=code, message="words", at=self.now) if code else None
        return SessionReport(pod_uid=pod_uid, state=state, reported_at=self.now, last_disconnect=last, **facts)

    def observed(self, session: WhatsAppSession, pod: PodView | None = None, claim: ClaimView | None = None, **memory: object) -> Observed:
        return Observed(session=session, pod=pod, claim=claim, **memory)

    def reporting(self, state: SessionState, code: int | None = None, **facts: object) -> Observed:
        """A session whose pod serves and reports `state`."""
        session = self.session(status=Status(session=self.report(state, code, **facts)))
        return self.observed(session, self.pod(), self.claim())

    def told(self, before: Observed, at: datetime | None = None) -> Status:
        """The status that was written when the world looked like `before`."""
        return msgspec.structs.replace(judge.status(before, at or self.now), session=before.session.status.session)

    def with_status(self, session: WhatsAppSession, status: Status) -> WhatsAppSession:
        """`session` after the operator wrote `status`; the pod's report stays."""
        return msgspec.structs.replace(session, status=msgspec.structs.replace(status, session=session.status.session))

    def later(self, before: Observed, **changes: object) -> Observed:
        """`before` with its status written, and then changed. `session`: fields of the session's metadata, `spec`, `report`."""
        fields = dict(changes.pop("session", {}))
        status = self.told(before)
        if "report" in fields:
            status = msgspec.structs.replace(status, session=fields.pop("report"))
        spec = fields.pop("spec", before.session.spec)
        metadata = msgspec.structs.replace(before.session.metadata, **fields)
        return replace(before, session=WhatsAppSession(metadata=metadata, spec=spec, status=status), **changes)


@pytest.fixture
def build() -> Build:
    return Build()


class FakeTimers:
    """`call_later` whose time moves only by `advance`."""

    def __init__(self) -> None:
        self.time = 0.0
        self._due: list[tuple[float, FakeTimer]] = []

    def call_later(self, seconds: float, function: Callable[[], None]) -> "FakeTimer":
        timer = FakeTimer(function)
        self._due.append((self.time + seconds, timer))
        return timer

    @property
    def pending(self) -> list[float]:
        return sorted(at - self.time for at, timer in self._due if not timer.cancelled)

    def advance(self, seconds: float) -> None:
        self.time += seconds
        due = [timer for at, timer in self._due if at <= self.time]
        self._due = [(at, timer) for at, timer in self._due if at > self.time]
        for timer in due:
            if not timer.cancelled:
                timer.function()


class FakeTimer:
    def __init__(self, function: Callable[[], None]) -> None:
        self.function = function
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


@pytest.fixture
def timers() -> FakeTimers:
    return FakeTimers()
