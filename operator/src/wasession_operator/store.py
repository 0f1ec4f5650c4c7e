"""What is known of the cluster: sessions, pods and claims by session. A dict, fed by watch events, lists and our own writes.

Surprising: the three sources may come in any order, so an older version never replaces a newer one, and a removal names
the uid that is gone. Resource versions are numbers that can be compared (guaranteed since Kubernetes 1.35, true before).
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from typing import Generic, Protocol, TypeVar

import msgspec

from wasession_contract.v1alpha1 import WhatsAppSession
from wasession_operator.compact import compact
from wasession_operator.views import ClaimView, Key, PodView, key_of


class _View(Protocol):
    @property
    def key(self) -> Key: ...
    @property
    def uid(self) -> str: ...
    @property
    def version(self) -> int: ...


class SessionView(msgspec.Struct, frozen=True):
    """A session with the same three handles as the other views."""

    key: Key
    uid: str
    version: int
    session: WhatsAppSession

    @classmethod
    def of(cls, session: WhatsAppSession) -> "SessionView":
        """The view of `session`."""
        kept = compact(session)
        return cls(key_of(kept), kept.metadata.uid, int(kept.metadata.resource_version), kept)


V = TypeVar("V", bound=_View)


class Shelf(Generic[V]):
    """The views of one kind. `same(a, b)`: the two differ in nothing that matters."""

    def __init__(self, same: Callable[[V, V], bool]) -> None:
        self._views: dict[Key, V] = {}
        self._same = same

    def __len__(self) -> int:
        return len(self._views)

    def __iter__(self) -> Iterator[V]:
        return iter(self._views.values())

    def get(self, key: Key) -> V | None:
        """The view of `key`."""
        return self._views.get(key)

    def put(self, view: V) -> bool:
        """Take in a view; True if it tells something new."""
        known = self._views.get(view.key)
        if known is not None and view.version <= known.version:
            return False
        self._views[view.key] = view
        return known is None or not self._same(known, view)

    def remove(self, key: Key, uid: str) -> bool:
        """The object `uid` is gone; True if it was known."""
        known = self._views.get(key)
        if known is None or known.uid != uid:
            return False
        del self._views[key]
        return True

    def replace(self, listed: Iterable[V], version: int, namespaces: Iterable[str]) -> tuple[list[V], list[V]]:
        """Take in a full list of `namespaces` (none: all) as of `version`; returns what is new and what is gone."""
        views = {view.key: view for view in listed}
        scope = set(namespaces)
        gone = [
            known
            for known in self._views.values()
            if _uid(views.get(known.key)) != known.uid and known.version <= version and (not scope or known.key.namespace in scope)
        ]
        for view in gone:
            del self._views[view.key]
        return [view for view in views.values() if self.put(view)], gone


def _uid(view: _View | None) -> str:
    return view.uid if view else ""


def _same_session(one: SessionView, other: SessionView) -> bool:
    metadata = msgspec.structs.replace(one.session.metadata, resource_version=other.session.metadata.resource_version)
    return msgspec.structs.replace(one.session, metadata=metadata) == other.session


class Store:
    """All that is known."""

    def __init__(self) -> None:
        self.sessions: Shelf[SessionView] = Shelf(_same_session)
        self.pods: Shelf[PodView] = Shelf(lambda one, other: replace(one, version=other.version) == other)
        self.claims: Shelf[ClaimView] = Shelf(lambda one, other: replace(one, version=other.version) == other)
