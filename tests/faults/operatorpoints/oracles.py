"""What must hold in every trial, read from the history of the namespace and from the proxy's log. Pure.

The end is compared elsewhere; these look at the way there.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

from apiproxy import Request
from operatorpoints.api import CLAIMS, PODS, SESSIONS, Json
from operatorpoints.history import Change
from wasession_contract.v1alpha1 import FINALIZER, SESSION_LABEL

_CREATED, _OK = 201, 200


def violations(changes: Sequence[Change], log: Sequence[Request], words: str) -> list[str]:
    """All that was broken; `words`: the operator's log."""
    done = [request for request in log if request.write and request.status in {_OK, _CREATED}]
    return [
        *_two_pods(changes),
        *_lost_volumes(changes),
        *_deletes_without_uid(log),
        *_spec_writes(log),
        *_before_the_finalizer(done),
        *(f"the operator's log has {word!r}" for word in ("Traceback", "a defect of the operator") if word in words),
    ]


def _two_pods(changes: Sequence[Change]) -> Iterator[str]:
    """Never two pods of one session at the same time."""
    alive: dict[str, set[str]] = defaultdict(set)
    for change in sorted(changes, key=lambda one: one.version):
        session = change.meta.get("labels", {}).get(SESSION_LABEL)
        if change.plural != PODS or session is None:
            continue
        if change.type == "DELETED":
            alive[session].discard(change.meta["uid"])
        else:
            alive[session].add(change.meta["uid"])
            if len(alive[session]) > 1:
                yield f"two pods of session {session} at version {change.version}"


def _lost_volumes(changes: Sequence[Change]) -> Iterator[str]:
    """A claim goes only after the session that owns it, and only if that session does not retain it."""
    ends: dict[str, tuple[int, str]] = {}
    for change in changes:
        if change.plural == SESSIONS and (change.type == "DELETED" or "deletionTimestamp" in change.meta):
            policy = change.object["spec"].get("storage", {}).get("reclaimPolicy", "Delete")
            ends.setdefault(change.meta["uid"], (change.version, policy))
    marked: set[str] = set()
    for change in changes:
        uid = change.meta["uid"]
        if change.plural != CLAIMS or uid in marked or not (change.type == "DELETED" or "deletionTimestamp" in change.meta):
            continue
        marked.add(uid)
        owner = next((one["uid"] for one in change.meta.get("ownerReferences", []) if one.get("controller")), None)
        if owner is None:
            yield f"the claim {change.meta['name']}, which nobody owns, was deleted"
        elif owner not in ends or ends[owner][0] > change.version:
            yield f"the claim {change.meta['name']} was deleted while its session lived"
        elif ends[owner][1] == "Retain":
            yield f"the claim {change.meta['name']} was deleted though its session retains it"


def _deletes_without_uid(log: Iterable[Request]) -> Iterator[str]:
    for request in log:
        if request.method == "DELETE" and not ((request.json or {}).get("preconditions") or {}).get("uid"):
            yield f"{request.method} {request.path} names no uid"


def _spec_writes(log: Iterable[Request]) -> Iterator[str]:
    for request in log:
        if request.plural == SESSIONS and request.method in {"PATCH", "PUT", "POST"} and "spec" in (request.json or {}):
            yield f"{request.method} {request.path} writes a spec"


def _before_the_finalizer(done: Iterable[Request]) -> Iterator[str]:
    """Nothing is made for a session that could vanish without a word."""
    held: set[str] = set()
    for request in done:
        body: Json = request.json or {}
        if request.plural == SESSIONS and not request.subresource and FINALIZER in (body.get("metadata") or {}).get("finalizers", []):
            held.add(body["metadata"]["uid"])
        if request.plural in {PODS, CLAIMS} and request.method == "POST":
            owner = next((one["uid"] for one in body["metadata"].get("ownerReferences", [])), None)
            if owner and owner not in held:
                yield f"{request.method} {request.path} came before the finalizer of its session"


def pods_made(changes: Iterable[Change]) -> dict[str, int]:
    """How many pods each session had."""
    made: dict[str, set[str]] = defaultdict(set)
    for change in changes:
        session = change.meta.get("labels", {}).get(SESSION_LABEL)
        if change.plural == PODS and session:
            made[session].add(change.meta["uid"])
    return {session: len(uids) for session, uids in made.items()}
