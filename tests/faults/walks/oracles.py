"""Acto's oracles, as functions of what the API server has: no process, no clock.

- *consistency*: pod, claim and conditions say what the spec says, by a table of the resource's documentation that is not
  the operator's code;
- *difference*: what a walk led to is what a new object with the same spec comes to;
- *recovery*: the spec that was there before a bad value leads to the state that was there before.

Surprising: the environment is read as the kubelet reads it, which puts variables in place of `$(NAME)`.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from walks.quantity import size_in_bytes
from wasession_contract import podwire
from wasession_contract.v1alpha1 import PREVIOUSLY_ANNOTATION

Json = dict[str, Any]
CONNECTED = {
    "Admitted": "True Admitted",
    "PodReady": "True PodReady",
    "Paired": "True Paired",
    "Connected": "True Connected",
    "Ready": "True Connected",
}
SUSPENDED = {"Admitted": "True Admitted", "PodReady": "False Suspended", "Connected": "False Suspended", "Ready": "False Suspended"}
POD_FIELDS = ("sessionId", "deviceName", "pairing", "reconnect", "pacing", "backend", "webhooks", "proxy", "restartedAt")
"""What a pod is made of; only a change of these may replace it."""
_OF_THE_SERVER = ("uid", "resourceVersion", "creationTimestamp", "managedFields", "generation", "selfLink")
_TOKEN = "WASESSION_TOKEN_SHA256"


@dataclass(frozen=True)
class State:
    """A session, its pod and its claim, as the API server has them at one moment."""

    session: Json | None
    pod: Json | None
    claim: Json | None


@dataclass(frozen=True)
class Installation:
    """What the spec's gaps are filled with."""

    device_name: str = "DocuBot"
    backend_url: str = ""
    internal_key: bytes = b""


def inconsistent(state: State, installation: Installation) -> list[str]:
    """Where pod, claim or status is not what the spec asks for. Empty: at rest and right."""
    if state.session is None:
        return ["there is no session"]
    return [*_status(state.session), *_claim(state), *_pod(state, installation), *_never_written(state.session)]


def differences(one: State, other: State) -> list[str]:
    """Where two objects with the same spec are not in the same state; what differs by nature does not count."""
    if not (one.pod or other.pod or (one.claim and other.claim)):  # one that was never awake has no volume yet
        one, other = replace(one, claim=None), replace(other, claim=None)
    ours, theirs = dict(_flat(normal(one))), dict(_flat(normal(other)))
    return [
        f"{path}: {ours.get(path, 'nothing')!r}, a new object with the same spec has {theirs.get(path, 'nothing')!r}"
        for path in sorted(ours.keys() | theirs.keys())
        if ours.get(path) != theirs.get(path)
    ]


def must_replace_pod(before: Json, after: Json) -> bool | None:
    """Whether going from one spec to the other takes a new pod; None where it may."""
    ours, theirs = ({name: spec.get(name) for name in POD_FIELDS} for spec in (before, after))
    if ours == theirs:
        return False
    installation = Installation()
    return True if environment(before, "n", installation) != environment(after, "n", installation) else None


def _status(session: Json) -> Iterator[str]:
    spec, status, generation = session["spec"], session.get("status", {}), session["metadata"]["generation"]
    if status.get("observedGeneration") != generation:
        yield f"status.observedGeneration is {status.get('observedGeneration')}, the generation {generation}"
    said = {one["type"]: f"{one['status']} {one['reason']}" for one in status.get("conditions", ())}
    suspended = spec["operatingMode"] == "Suspended"
    phase, wanted = ("Suspended", SUSPENDED) if suspended else ("Connected", CONNECTED | _backend(session))
    if status.get("phase") != phase:
        yield f"status.phase is {status.get('phase')}, not {phase}; conditions: {status.get('conditions')}"
    for kind, value in wanted.items():
        if said.get(kind) != value:
            yield f"condition {kind} is {said.get(kind)!r}, not {value!r}"
    for one in status.get("conditions", ()):
        if one.get("observedGeneration") != generation:
            yield f"condition {one['type']} is of generation {one.get('observedGeneration')}, not {generation}"


def _backend(session: Json) -> Json:
    reported = session.get("status", {}).get("session", {}).get("backend", {}).get("state")
    return {"BackendConnected": "True BackendConnected" if reported == "Connected" else "False BackendDisabled"}


def _claim(state: State) -> Iterator[str]:
    session, claim = state.session or {}, state.claim
    if claim is None:
        if session["spec"]["operatingMode"] != "Suspended":
            yield "there is no claim"
        return
    storage = session["spec"]["storage"]
    if size_in_bytes(claim["spec"]["resources"]["requests"]["storage"]) != size_in_bytes(storage["size"]):
        yield f"the claim asks for {claim['spec']['resources']['requests']['storage']}, storage.size is {storage['size']}"
    if claim["spec"]["accessModes"] != [storage["accessMode"]]:
        yield f"the claim's access modes are {claim['spec']['accessModes']}, storage.accessMode is {storage['accessMode']}"
    ours, theirs = claim["spec"].get("storageClassName"), storage.get("storageClassName")
    if ours != theirs:
        yield f"the claim's class is {ours!r}, storage.storageClassName {theirs!r}"
    owners = [owner["uid"] for owner in claim["metadata"].get("ownerReferences", ())]
    wanted = [] if storage["reclaimPolicy"] == "Retain" else [session["metadata"]["uid"]]
    if owners != wanted:
        yield f"the claim's owners are {owners}, under reclaimPolicy {storage['reclaimPolicy']} they are {wanted}"


def _pod(state: State, installation: Installation) -> Iterator[str]:
    session, pod = state.session or {}, state.pod
    if session["spec"]["operatingMode"] == "Suspended":
        if pod is not None:
            yield "there is a pod of a suspended session"
        return
    if pod is None or pod["metadata"].get("deletionTimestamp"):
        yield "there is no pod, or it is going"
        return
    if [owner["uid"] for owner in pod["metadata"]["ownerReferences"]] != [session["metadata"]["uid"]]:
        yield "the pod's owner is not the session"
    if session.get("status", {}).get("pod", {}).get("uid") != pod["metadata"]["uid"]:
        yield "status.pod is not the session's pod"
    meta = session["metadata"]
    token = podwire.token(installation.internal_key, meta["uid"])
    wanted = environment(session["spec"], meta["name"], installation) | {
        "WASESSION_NAMESPACE": meta["namespace"],
        "WASESSION_UID": meta["uid"],
        "WASESSION_TOKEN_SHA256": podwire.token_sha256(token),
    }
    has = as_the_kubelet_reads(pod)
    for name in sorted(wanted.keys() | {name for name in has if name.startswith("WASESSION_WEBHOOK")}):
        if has.get(name) != wanted.get(name):
            yield f"the pod has {name}={has.get(name)!r}, by the spec it is {wanted.get(name)!r}"


def _never_written(session: Json) -> Iterator[str]:
    for entry in session["metadata"]["managedFields"]:
        if entry["manager"] in {"wasession-operator", "session-pod"} and "f:spec" in entry["fieldsV1"]:
            yield f"{entry['manager']} wrote the spec: {entry['fieldsV1']['f:spec']}"


def environment(spec: Json, name: str, installation: Installation) -> Json:
    """What the pod's environment says of `spec`, as the API server has it. A Secret's key stands as `NAME/KEY`."""
    pairing, reconnect, pacing = (spec[part] for part in ("pairing", "reconnect", "pacing"))
    found: Json = {
        "WASESSION_NAME": name,
        "WASESSION_SESSION_ID": spec.get("sessionId", name),
        "WASESSION_DEVICE_NAME": spec.get("deviceName", installation.device_name),
        "WASESSION_BACKEND_URL": spec["backend"].get("url", installation.backend_url),
        "WASESSION_PAIRING_METHOD": pairing["method"],
        "WASESSION_PAIRING_PHONE_NUMBER": pairing.get("phoneNumber", ""),
        "WASESSION_RECONNECT_MAX_ATTEMPTS": str(reconnect["maxAttempts"]),
        "WASESSION_RECONNECT_INITIAL_DELAY_SECONDS": str(reconnect["initialDelaySeconds"]),
        "WASESSION_RECONNECT_MAX_DELAY_SECONDS": str(reconnect["maxDelaySeconds"]),
        "WASESSION_PACING_MESSAGES_PER_MINUTE": str(pacing["messagesPerMinute"]),
        "WASESSION_PACING_BURST": str(pacing["burst"]),
        "WASESSION_PACING_MESSAGES_PER_DAY": str(pacing["messagesPerDay"]),
    }
    hooks = spec.get("webhooks", [])
    if hooks:
        found["WASESSION_WEBHOOKS"] = [{"url": one["url"], "events": one["events"], "signed": "secretRef" in one} for one in hooks]
    references = {f"WASESSION_WEBHOOK_SECRET_{number}": one["secretRef"] for number, one in enumerate(hooks) if "secretRef" in one}
    if "proxy" in spec:
        references["WASESSION_PROXY_URL"] = spec["proxy"]["secretRef"]
    return found | {variable: f"{one['name']}/{one['key']}" for variable, one in references.items()}


def as_the_kubelet_reads(pod: Json) -> Json:
    """The environment that the session's container is started with: `$(NAME)` is NAME's value, `$$` is `$`."""
    container = next(one for one in pod["spec"]["containers"] if one["name"] == "session")
    found: Json = {}
    for entry in container["env"]:
        source = entry.get("valueFrom", {})
        if (key := source.get("secretKeyRef")) is not None:
            found[entry["name"]] = f"{key['name']}/{key['key']}"
        elif not source:
            found[entry["name"]] = _expand(entry.get("value", ""), found)
    if "WASESSION_WEBHOOKS" in found:
        found["WASESSION_WEBHOOKS"] = json.loads(found["WASESSION_WEBHOOKS"])
    return found


def _expand(value: str, known: Json) -> str:
    """As `k8s.io/kubernetes/third_party/forked/golang/expansion`: what is not known stays as it is."""

    def one(found: re.Match[str]) -> str:
        return "$" if found[0] == "$$" else str(known.get(found[1], found[0]))

    return re.sub(r"\$\$|\$\(([^)]*)\)", one, value)


def normal(state: State) -> Json:
    """`state` without what differs between two objects by nature: uids, versions, times, addresses, what the cluster adds.

    Whether a suspended session is paired is "last known", so it is its past's and not its spec's; so is what a pod's predecessor was.
    """
    session, pod, claim = state.session or {}, state.pod, state.claim
    status = session.get("status", {})
    suspended = session.get("spec", {}).get("operatingMode") == "Suspended"
    conditions = {
        one["type"]: {name: one.get(name) for name in ("status", "reason", "message")}
        for one in status.get("conditions", ())
        if not (suspended and one["type"] == "Paired")
    }
    meta = session.get("metadata", {})
    its = {meta.get("uid", ""): "the session's uid", meta.get("namespace", ""): "the namespace"}
    return {
        "spec": session.get("spec"),
        "finalizers": meta.get("finalizers"),
        "phase": status.get("phase"),
        "conditions": conditions,
        "pod": _normal_pod(pod, its) if pod else None,
        "claim": _normal_claim(claim, its) if claim else None,
    }


def _normal_pod(pod: Json, its: dict[str, str]) -> Json:
    containers = [{**one, "env": {entry["name"]: entry for entry in one.get("env", ())}} for one in pod["spec"]["containers"]]
    spec = {**pod["spec"], "containers": {one["name"]: _without(one, its) for one in containers}}
    spec["volumes"] = [one for one in spec["volumes"] if not one["name"].startswith("kube-api-access-")]
    for one in spec["containers"].values():
        one["volumeMounts"] = [mount for mount in one.get("volumeMounts", ()) if not mount["name"].startswith("kube-api-access-")]
        if _TOKEN in one["env"]:
            one["env"][_TOKEN] = "of the session's uid"
    meta = _without(pod["metadata"], its)
    meta["annotations"] = {name: value for name, value in meta.get("annotations", {}).items() if name != PREVIOUSLY_ANNOTATION}
    return {"metadata": meta, "spec": spec}


def _normal_claim(claim: Json, its: dict[str, str]) -> Json:
    spec = {name: value for name, value in claim["spec"].items() if name != "volumeName"}
    spec["resources"] = {"bytes": size_in_bytes(claim["spec"]["resources"]["requests"]["storage"])}
    meta = _without(claim["metadata"], its)
    ours = {name: value for name, value in meta.get("annotations", {}).items() if not name.startswith("pv.kubernetes.io/")}
    return {"metadata": {**meta, "annotations": ours}, "spec": spec}


def _without(value: Any, its: dict[str, str]) -> Any:  # noqa: ANN401  JSON
    """`value` without the server's own fields, and with a word for what names this very object."""
    if isinstance(value, dict):
        return {name: _without(one, its) for name, one in value.items() if name not in _OF_THE_SERVER}
    if isinstance(value, list):
        return [_without(one, its) for one in value]
    return its.get(value, value) if isinstance(value, str) else value


def _flat(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401  JSON
    if isinstance(value, dict) and value:
        for name, one in value.items():
            yield from _flat(one, f"{path}.{name}" if path else name)
    else:
        yield path, value
