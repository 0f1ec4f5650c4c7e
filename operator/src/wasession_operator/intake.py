"""Takes in what the watches and lists tell, and queues the sessions that it concerns. No I/O but the lists.

Surprising: an object that cannot be read is logged and left out, so that one bad object does not hide the others.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog

from wasession_contract.v1alpha1 import convert
from wasession_operator.admission import Admission
from wasession_operator.cluster import Cluster
from wasession_operator.errors import TerminalError
from wasession_operator.hearing import Hearing, Kind
from wasession_operator.store import SessionView, Shelf, Store, V
from wasession_operator.views import CLAIM_SUFFIX, POD_SUFFIX, ClaimView, Key, PodView, claim_view, pod_view
from wasession_operator.workqueue import WorkQueue

_T = TypeVar("_T")
log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Intake:
    """Fed by the watches of one process."""

    store: Store
    queue: WorkQueue[Key]
    admission: Admission
    namespaces: tuple[str, ...]
    hearing: Hearing

    def session(self, raw: Any, *, gone: bool) -> None:  # noqa: ANN401  JSON
        """A session was seen, or is gone."""
        view = _read(raw, lambda one: SessionView.of(convert(one)))
        if view is not None:
            self._put_session(view, gone=gone)

    def pod(self, raw: Any, *, gone: bool) -> None:  # noqa: ANN401  JSON
        """A pod was seen, or is gone."""
        self._put(self.store.pods, _read(raw, pod_view), gone=gone)

    def claim(self, raw: Any, *, gone: bool) -> None:  # noqa: ANN401  JSON
        """A claim was seen, or is gone."""
        self._put(self.store.claims, _read(raw, claim_view), gone=gone)

    async def resync(self, cluster: Cluster) -> dict[str, TerminalError]:
        """List everything, and queue every session. Returns the namespaces that may not be read, while others may.

        Raises RetryableError, or TerminalError where nothing may be read. Pods and claims come first: whoever decides on a
        session knows what is there for it.
        """
        unreadable: dict[str, TerminalError] = {}
        for namespace in self.namespaces or (None,):
            try:
                await self._list(cluster, namespace)
            except TerminalError as error:
                if namespace is None or len(unreadable) + 1 == len(self.namespaces):
                    raise
                unreadable[namespace] = error
        self.admission.add([view.session for view in self.store.sessions])
        for view in self.store.sessions:
            self.queue.add(view.key, background=True)
        return unreadable

    async def _list(self, cluster: Cluster, namespace: str | None) -> None:
        self._replace(Kind.PODS, self.store.pods, *await cluster.pods(namespace), namespace)
        self._replace(Kind.CLAIMS, self.store.claims, *await cluster.claims(namespace), namespace)
        for view in self._replace(Kind.SESSIONS, self.store.sessions, *await cluster.sessions(namespace), namespace):
            self._release(view)

    def _replace(self, kind: Kind, shelf: Shelf[V], views: list[V], version: int, namespace: str | None) -> list[V]:
        """Take a list in, and compare it with what the watch told. Returns what is gone."""
        highest = max((view.version for view in views), default=0)
        new, gone = shelf.replace(views, version, (namespace,) if namespace else ())
        news = {view.uid: view.version for view in new}
        missed = self.hearing.listed(kind, namespace, time.monotonic(), highest=highest, news=news, gone=[view.uid for view in gone])
        if missed:
            log.warning("a list found what the watch had not told", resource=str(kind), namespace=namespace, changes=missed)
        return gone

    def _put_session(self, view: SessionView, *, gone: bool) -> None:
        known = self.store.sessions.get(view.key)
        if gone:
            if self.store.sessions.remove(view.key, view.uid):
                self._release(view)
            return
        if not self.store.sessions.put(view):
            return
        if known is not None and known.uid != view.uid:
            self._release(known)
        self.admission.add([view.session])
        self.queue.add(view.key)

    def _release(self, view: SessionView) -> None:
        self.queue.add(view.key)
        for following in self.admission.remove(view.uid):
            self.queue.add(following)

    def _put(self, shelf: Shelf[PodView] | Shelf[ClaimView], view: PodView | ClaimView | None, *, gone: bool) -> None:
        if view is None:
            return
        changed = shelf.remove(view.key, view.uid) if gone else shelf.put(view)  # type: ignore[arg-type]
        if changed and self.store.sessions.get(view.key) is not None:
            self.queue.add(view.key)


def _read(raw: Any, view: Callable[[Any], _T | None]) -> _T | None:  # noqa: ANN401  JSON
    try:
        return view(raw)
    except msgspec.ValidationError as error:
        meta = raw.get("metadata", {})
        name = str(meta.get("name"))
        where = {"namespace": meta.get("namespace"), "session": name.removesuffix(POD_SUFFIX).removesuffix(CLAIM_SUFFIX), "object": name}
        log.error("an object cannot be read and is left alone", **where, because=str(error))  # noqa: TRY400  the message says all
        return None
