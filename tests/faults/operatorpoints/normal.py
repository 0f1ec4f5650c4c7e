"""A cluster's state without what differs from run to run: uids are named by what they are, times and versions left out. Pure."""

from typing import Any

from operatorpoints.api import CLAIMS, PODS, SESSIONS, Json
from operatorpoints.history import KINDS, History

Normal = dict[str, Any]


def normal(history: History, linked: set[str]) -> Normal:
    """The namespace's state. `linked`: uids of claims whose volume holds a linked device."""
    names = {one["metadata"]["uid"]: f"{kind}/{one['metadata']['name']}" for kind in KINDS for one in history.all(kind)}
    state: Normal = {}
    for kind in KINDS:
        for one in history.all(kind):
            state[f"{kind}/{one['metadata']['name']}"] = _meta(one["metadata"], names) | _DETAILS[kind](one, names)
    return state | {"linked volumes": sum(uid in linked for uid in names), "devices left linked": len(linked)}


def difference(one: Any, other: Any, where: str = "") -> list[str]:  # noqa: ANN401  JSON
    """What differs, a line each: `where: expected, is`."""
    if isinstance(one, dict) and isinstance(other, dict):
        keys = sorted({*one, *other})
        return [line for key in keys for line in difference(one.get(key), other.get(key), f"{where}.{key}".lstrip("."))]
    return [] if one == other else [f"{where}: expected {one!r}, is {other!r}"]


def _meta(meta: Json, names: dict[str, str]) -> Normal:
    owners = [(names.get(owner["uid"], "somebody gone"), owner.get("controller", False)) for owner in meta.get("ownerReferences", [])]
    annotations = {name: value for name, value in meta.get("annotations", {}).items() if "wasession.dev" in name}
    return {
        "labels": meta.get("labels", {}),
        "annotations": annotations,
        "owners": owners,
        "finalizers": sorted(meta.get("finalizers", [])),
        "deleting": "deletionTimestamp" in meta,
    }


def _session(one: Json, names: dict[str, str]) -> Normal:
    status = one.get("status", {})
    pod, report = status.get("pod", {}), status.get("session", {})
    return {
        "spec": _spec(one.get("spec", {})),
        "generation": one["metadata"]["generation"],
        "up to date": status.get("observedGeneration") == one["metadata"]["generation"],
        "phase": status.get("phase"),
        "conditions": {said["type"]: (said["status"], said["reason"]) for said in status.get("conditions", [])},
        "pod": (names.get(pod.get("uid", ""), "nothing"), pod.get("ready"), pod.get("node")),
        "report": (names.get(report.get("podUID", ""), "nothing"), report.get("state")),
    }


def _spec(spec: Json) -> Json:
    """Each trial has a storage class of its own, if it has one."""
    storage = spec.get("storage", {})
    return spec | {"storage": storage | {"storageClassName": "storageClassName" in storage}}


def _pod(one: Json, _names: dict[str, str]) -> Normal:
    spec = one["spec"]
    return {
        "images": [container["image"] for container in spec["containers"]],
        "claims": [volume["persistentVolumeClaim"] for volume in spec.get("volumes", []) if "persistentVolumeClaim" in volume],
        "node": spec.get("nodeName"),
        "phase": one["status"].get("phase"),
    }


def _claim(one: Json, _names: dict[str, str]) -> Normal:
    spec = one["spec"]
    return {"size": spec["resources"]["requests"]["storage"], "modes": spec["accessModes"], "phase": one["status"].get("phase")}


_DETAILS = {SESSIONS: _session, PODS: _pod, CLAIMS: _claim}
