"""Do the watches still hear? A list tells what a watch should have told before; what it does not tell even later, it missed.

Surprising: silence proves nothing. In a quiet cluster a healthy watch tells nothing for hours, and the bookmarks in
between reach no handler. So a watch is called deaf only on evidence: list after list shows an object that is newer than
everything this watch has told. Pure; every moment (seconds of some steady clock) is an argument.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

LATE_AFTER = 30.0  # seconds; until then an event is under way: kopf connects again after at most as long
DEAF_AFTER = 400.0  # seconds; kopf gives up a silent connection after 310 and starts another, which is the gentler mend


class Kind(StrEnum):
    """What is watched; the resources' own names."""

    SESSIONS = "whatsappsessions"
    PODS = "pods"
    CLAIMS = "persistentvolumeclaims"


@dataclass
class _Watch:
    """One watch: of a kind, in one namespace or in the whole cluster."""

    heard_version: int = 0
    listed: bool = False
    unheard_version: int | None = None
    """The oldest version that a list showed and that is newer than all that was heard."""
    unheard_since: float = 0
    deaf: bool = False
    awaited: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By uid: the version that a list brought as news, and when. Whoever is gone is awaited with version -1."""


class Hearing:
    """Compares what the watches of this process tell with what its lists show. `by_namespace`: there is a watch for each namespace."""

    def __init__(self, *, by_namespace: bool, late_after: float = LATE_AFTER, deaf_after: float = DEAF_AFTER) -> None:
        self._by_namespace = by_namespace
        self._late_after = late_after
        self._deaf_after = deaf_after
        self._watches: dict[tuple[Kind, str], _Watch] = {}
        self.missed: dict[Kind, int] = dict.fromkeys(Kind, 0)
        """Changes that a list showed and the watch did not tell, not even later."""

    def heard(self, kind: Kind, namespace: str, uid: str, version: int, *, gone: bool = False) -> None:
        """A watch told of an object: that it is there in this version, or gone."""
        watch = self._watch(kind, namespace)
        watch.heard_version = max(watch.heard_version, version)
        awaited = watch.awaited.get(uid)
        if awaited is not None and (gone or 0 <= awaited[0] <= version):
            del watch.awaited[uid]

    def listed(
        self, kind: Kind, namespace: str | None, now: float, *, highest: int, news: Mapping[str, int], gone: Iterable[str] = ()
    ) -> int:
        """A list succeeded. Returns how many changes of earlier lists the watch has missed by now.

        `highest`: the newest version of its objects; `news`: uid and version of those that nobody had told of before; `gone`:
        uids that it does not show any more. The first list of all comes before the watches, so nothing in it is missed.
        """
        watch = self._watch(kind, namespace)
        self._judge(watch, highest, now)
        missed = [uid for uid, (_, since) in watch.awaited.items() if now - since >= self._late_after]
        for uid in missed:
            del watch.awaited[uid]
        self.missed[kind] += len(missed)
        if watch.listed:
            watch.awaited |= {uid: (version, now) for uid, version in news.items()}
            watch.awaited |= dict.fromkeys(gone, (-1, now))
        watch.listed = True
        return len(missed)

    @property
    def doubtful(self) -> bool:
        """Whether some watch has not told what a list showed: worth another list soon."""
        return any(watch.awaited or self._is_behind(watch) for watch in self._watches.values())

    def deaf(self) -> list[str]:
        """The watches that are deaf, each as `pods in default` or `pods`."""
        deaf = [where for where, watch in self._watches.items() if watch.deaf and self._is_behind(watch)]
        return [f"{kind} in {namespace}" if namespace else str(kind) for kind, namespace in deaf]

    def _watch(self, kind: Kind, namespace: str | None) -> _Watch:
        key = kind, (namespace or "") if self._by_namespace else ""
        known = self._watches.get(key)
        if known is None:
            known = self._watches[key] = _Watch()
        return known

    def _judge(self, watch: _Watch, highest: int, now: float) -> None:
        if not self._is_behind(watch):
            watch.unheard_version, watch.deaf = (highest, False) if highest > watch.heard_version else (None, False)
            watch.unheard_since = now
        elif now - watch.unheard_since >= self._deaf_after:
            watch.deaf = True

    def _is_behind(self, watch: _Watch) -> bool:
        return watch.unheard_version is not None and watch.heard_version < watch.unheard_version
