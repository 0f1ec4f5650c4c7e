"""Takes in what the watches and lists tell, and queues the sessions that it concerns. No I/O but the lists.

Surprising: an object that cannot be read is logged and left out, so that one bad object does not hide the others.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec
import structlog

from wasession_contract.v1alpha1 import convert
from wasession_operator.admission import Admission
from wasession_operator.cluster import Cluster
from wasession_operator.store import SessionView, Shelf, Store
from wasession_operator.views import ClaimView, Key, PodView, claim_view, pod_view
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

    async def resync(self, cluster: Cluster) -> None:
        """List everything, and queue every session. Raises RetryableError or TerminalError.

        Pods and claims come first: whoever decides on a session knows what is there for it.
        """
        for namespace in self.namespaces or (None,):
            scope = (namespace,) if namespace else ()
            self.store.pods.replace(*await cluster.pods(namespace), scope)
            self.store.claims.replace(*await cluster.claims(namespace), scope)
            _, gone = self.store.sessions.replace(*await cluster.sessions(namespace), scope)
            for view in gone:
                self._release(view)
        self.admission.add([view.session for view in self.store.sessions])
        for view in self.store.sessions:
            self.queue.add(view.key)

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
        where = {"namespace": meta.get("namespace"), "object": meta.get("name")}
        log.error("an object cannot be read and is left alone", **where, because=str(error))  # noqa: TRY400  the message says all
        return None
