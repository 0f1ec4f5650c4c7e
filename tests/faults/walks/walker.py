"""Leads one object through its walk, and holds the oracles after every step. Each step is one point."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from operator_support import GROUP, MERGE, Kube, eventually

from walks.draw import MISSING, How, Point, Step, Walk
from walks.oracles import State, differences, inconsistent, must_replace_pod
from walks.quantity import size_in_bytes
from walks.schema import Json, field_name, merge_patch
from walks.world import INSTALLATION, World, state

REST = 40.0  # seconds; a bound for what never comes to rest, on a machine with other work
LOOK = 0.1


@dataclass
class Walker:
    """One walk in a world."""

    world: World
    walk: Walk
    points: list[Point] = field(default_factory=list)

    @property
    def name(self) -> str:
        """Of the object, in both namespaces."""
        return self.walk.name

    def run(self) -> list[Point]:
        """Lead the walk to its end, and the object to its deletion. Raises AssertionError where it cannot be led."""
        _create(self.world.walked, self.name, self.walk.begin)
        found = self._rest(self.world.walked)
        assert not found, f"the walk's begin: {found}"
        for number, step in enumerate(self.walk.steps):
            lead: Callable[[Step], list[str]] = {How.REFUSED: self._refused, How.EXPLAINED: self._explained}.get(step.how, self._good)
            self.points.append(Point(number, step.how, (*lead(step), *self.world.defects())))
        _delete(self.world.walked, self.name)
        self._fresh_is_gone()
        return self.points

    def _fresh_is_gone(self) -> None:
        """Deleting it was begun after the last comparison; this is waited for as late as can be."""
        _wait_gone(self.world.fresh, self.name)

    def _now(self) -> State:
        return state(self.world.walked, self.name)

    def _rest(self, kube: Kube) -> list[str]:
        """Wait until nothing is inconsistent. Returns what still is after the deadline."""
        end = time.monotonic() + REST
        while (found := inconsistent(state(kube, self.name), INSTALLATION)) and time.monotonic() < end:
            time.sleep(LOOK)
        return found

    def _good(self, step: Step) -> list[str]:
        before = self._now()
        self._bring_about(step, before)
        found = self._rest(self.world.walked)
        after = self._now()
        if found:
            return found
        if step.how is not How.RECREATE:
            found += _kept(before, after)
        self._fresh_is_gone()
        _create(self.world.fresh, self.name, step.spec)
        found += [f"the new object: {one}" for one in self._rest(self.world.fresh)]
        found += differences(after, state(self.world.fresh, self.name))
        self.world.fresh.delete(self.name)
        return found

    def _bring_about(self, step: Step, before: State) -> None:
        kube, path = self.world.walked, self.world.walked.path("whatsappsessions", self.name, GROUP)
        assert before.session
        if step.how is How.MERGE:
            kube.call("PATCH", path, {"spec": merge_patch(before.session["spec"], step.spec)}, headers=MERGE)
        elif step.how is How.REPLACE:
            _replace(kube, path, step.spec)
        else:
            _delete(kube, self.name, unless_kept_for=step.spec.get("storage", {}))
            _create(kube, self.name, step.spec)

    def _refused(self, step: Step) -> list[str]:
        """By the API server, with the field's name; nothing changes."""
        before = self._now()
        assert before.session
        body = {"spec": merge_patch(before.session["spec"], step.spec)}
        answer = self.world.walked.answer("PATCH", self.world.walked.path("whatsappsessions", self.name, GROUP), body, headers=MERGE)
        found = []
        if answer.status_code != 422:
            found.append(f"{answer.status_code} instead of 422 for the bad value {step.spec}: {answer.text}")
        named = field_name(step.bad)
        if named not in answer.json().get("message", ""):
            found.append(f"the refusal does not name {named}: {answer.text}")
        after = self._now()
        return [*found, *differences(after, before), *_kept(before, after)]

    def _explained(self, step: Step) -> list[str]:
        """The schema takes it and the cluster cannot: a condition says what is missing, and the mend leaves no trace."""
        before = self._now()
        assert before.session
        path = self.world.walked.path("whatsappsessions", self.name, GROUP)
        body = {"spec": merge_patch(before.session["spec"], step.spec)}
        self.world.walked.call("PATCH", path, body, headers=MERGE)
        words: Json = {}

        def explained() -> bool:
            status = (self._now().session or {}).get("status", {})
            words.update({one["type"]: one for one in status.get("conditions", ())})
            return words["PodReady"]["status"] == "False" and MISSING in words["PodReady"].get("message", "")

        eventually(explained, f"{self.name}: a condition that names {MISSING!r}; conditions: {words}", REST)
        _replace(self.world.walked, path, before.session["spec"])
        found = self._rest(self.world.walked)
        after = self._now()
        return found or [*differences(after, before), *_same_claim(before, after)]


def _kept(before: State, after: State) -> list[str]:
    """What a change in place must leave: the volume always, the pod where nothing that it is made of changed."""
    assert before.session
    assert after.session
    found = _same_claim(before, after)
    must = must_replace_pod(before.session["spec"], after.session["spec"])
    ours, theirs = (one.pod["metadata"]["uid"] if one.pod else None for one in (before, after))
    if must is False and ours != theirs and None not in (ours, theirs):
        found.append("the pod was replaced, and nothing that it is made of had changed")
    if must and ours == theirs is not None:
        found.append("the pod was not replaced")
    steps = after.session["metadata"]["generation"] - before.session["metadata"]["generation"]
    if steps not in {0, 1}:
        found.append(f"the spec was written {steps} times, once by the walk")
    return found


def _same_claim(before: State, after: State) -> list[str]:
    """One that was never awake had none."""
    ours, theirs = (one.claim["metadata"]["uid"] if one.claim else None for one in (before, after))
    return [] if ours in {None, theirs} else [f"the volume is another one: {ours}, then {theirs}"]


def _object(meta: Json, spec: Json) -> Json:
    return {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": meta, "spec": spec}


def _create(kube: Kube, name: str, spec: Json) -> None:
    kube.call("POST", kube.path("whatsappsessions", api=GROUP), _object({"name": name}, spec))


def _replace(kube: Kube, path: str, spec: Json) -> None:
    """The whole object with another spec, as `kubectl edit` does; again where somebody wrote it meanwhile."""

    def done() -> bool:
        answer = kube.answer("PUT", path, {**(kube.call("GET", path) or {}), "spec": spec})
        assert answer.status_code in {200, 409}, answer.text
        return answer.status_code == 200

    eventually(done, f"{path} replaced")


def _delete(kube: Kube, name: str, unless_kept_for: Json | None = None) -> None:
    """Delete the session and wait until it is gone. A volume that Retain kept goes too, unless it fits the next one's `storage`."""
    kube.delete(name)
    _wait_gone(kube, name, unless_kept_for)


def _wait_gone(kube: Kube, name: str, unless_kept_for: Json | None = None) -> None:
    eventually(lambda: kube.session(name) is None, f"{name} is gone", REST)
    claim = kube.claim(name)
    if claim and not claim["metadata"].get("ownerReferences") and not _fits(claim, unless_kept_for):
        kube.call("DELETE", kube.path("persistentvolumeclaims", f"{name}-data"))
    eventually(lambda: _fits(kube.claim(name), unless_kept_for), f"the volume of {name} is gone", REST)


def _fits(claim: Json | None, storage: Json | None) -> bool:
    if claim is None:
        return True
    if storage is None or claim["metadata"].get("ownerReferences"):
        return False
    wanted: Any = (storage.get("storageClassName"), [storage.get("accessMode", "ReadWriteOncePod")])
    same = (claim["spec"].get("storageClassName"), claim["spec"]["accessModes"]) == wanted
    return same and size_in_bytes(claim["spec"]["resources"]["requests"]["storage"]) == size_in_bytes(storage.get("size", "1Gi"))
