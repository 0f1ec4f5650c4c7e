"""What the operator keeps of pods and claims: frozen, trimmed views. Sessions are kept as the contract's own structs.

Surprising: a view says *whose* a pod or claim is by the owner's uid, never by its name alone, because a former session of
the same name may have left one behind.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from sys import intern
from typing import Any

import msgspec

from wasession_contract.v1alpha1 import (
    API_VERSION,
    KIND,
    PREVIOUSLY_ANNOTATION,
    SESSION_LABEL,
    TEMPLATE_HASH_ANNOTATION,
    WhatsAppSession,
)

POD_SUFFIX = "-session"
CLAIM_SUFFIX = "-data"
PROVISIONER, SELECTED_NODE = "volume.kubernetes.io/storage-provisioner", "volume.kubernetes.io/selected-node"  # annotations of claims
_WAITS_QUIETLY = frozenset({"ContainerCreating", "PodInitializing"})
_MAIN = "session"
_CRASH = "CrashLoopBackOff"
_OOM = "OOMKilled"


@dataclass(frozen=True, slots=True)
class Key:
    """Which session: also the key of the work queue."""

    namespace: str
    name: str


class Trouble(Enum):
    """What keeps a pod from being ready, as far as the pod tells."""

    NONE = "none"
    WAITING = "waiting"
    """Unschedulable, image missing, volume pending: `reason` and `message` are Kubernetes' own."""
    CRASHING = "crashing"
    OOM_KILLED = "oom-killed"
    SILENT = "silent"
    """It was ready, runs on, and does not answer its readiness probe any more."""
    NODE_LOST = "node-lost"


class Previously(Enum):
    """What had become of the session when this pod was created: the most that it can be expected to come back to."""

    NOTHING = ""
    """No pod of it had served yet."""
    SERVED = "Served"
    CONNECTED = "Connected"
    """Connected, or on the way there."""


@dataclass(frozen=True, slots=True)
class PodView:
    """One pod."""

    key: Key
    uid: str
    version: int
    owner_uid: str | None
    of_a_session: bool
    """Owned by some WhatsAppSession, which may be a former one of the same name."""
    template_hash: str | None
    deleting: bool
    finished: bool
    """Phase Failed or Succeeded: nothing runs in it any more, and nothing will."""
    ready: bool
    ip: str | None
    node: str | None
    restarts: int
    trouble: Trouble = Trouble.NONE
    reason: str = ""
    message: str = ""
    created: datetime | None = None
    previously: Previously = Previously.NOTHING


class Provisioning(Enum):
    """What Kubernetes wrote on a claim about its volume, which tells how its storage class binds."""

    UNTOLD = "untold"
    BY_ITSELF = "by-itself"
    """A provisioner was asked, and nobody chose a node: `volumeBindingMode: Immediate`."""
    FOR_ITS_POD = "for-its-pod"
    """The scheduler chose a node for it: `WaitForFirstConsumer`."""


@dataclass(frozen=True, slots=True)
class ClaimView:
    """One PersistentVolumeClaim."""

    key: Key
    uid: str
    version: int
    owner_uid: str | None
    of_a_session: bool
    """Owned by some WhatsAppSession, or kept by Retain: without an owner, but with the session's label."""
    deleting: bool
    size: str
    storage_class: str | None = None
    """As the claim has it now, with the cluster's default filled in; None: the cluster has no default class."""
    phase: str = ""
    """`Pending`, `Bound` or `Lost`; empty in the moment of its creation."""
    provisioning: Provisioning = Provisioning.UNTOLD

    @property
    def bound(self) -> bool:
        """It has its volume."""
        return self.phase == "Bound"


class _Owner(msgspec.Struct, frozen=True, rename="camel"):
    uid: str
    kind: str = ""
    api_version: str = ""
    controller: bool = False


class _Metadata(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    namespace: str
    uid: str
    resource_version: str
    creation_timestamp: datetime | None = None
    deletion_timestamp: datetime | None = None
    labels: dict[str, str] = {}
    annotations: dict[str, str] = {}
    owner_references: tuple[_Owner, ...] = ()

    def key(self, suffix: str) -> Key | None:
        """The session that a pod or claim of this name would belong to."""
        return Key(intern(self.namespace), intern(self.name.removesuffix(suffix))) if self.name.endswith(suffix) else None

    @property
    def controller(self) -> _Owner | None:
        return next((owner for owner in self.owner_references if owner.controller), None)


class _Condition(msgspec.Struct, frozen=True):
    type: str
    status: str
    reason: str | None = None
    message: str | None = None
    last_transition_time: datetime | None = msgspec.field(name="lastTransitionTime", default=None)


class _Waiting(msgspec.Struct, frozen=True):
    reason: str | None = None
    message: str | None = None


class _Terminated(msgspec.Struct, frozen=True, rename="camel"):
    exit_code: int = 0
    reason: str | None = None
    message: str | None = None


class _Running(msgspec.Struct, frozen=True, rename="camel"):
    started_at: datetime | None = None


class _ContainerState(msgspec.Struct, frozen=True):
    waiting: _Waiting | None = None
    running: _Running | None = None
    terminated: _Terminated | None = None


class _ContainerStatus(msgspec.Struct, frozen=True, rename="camel"):
    name: str
    ready: bool = False
    started: bool | None = None
    restart_count: int = 0
    state: _ContainerState = _ContainerState()
    last_state: _ContainerState = _ContainerState()


class _PodStatus(msgspec.Struct, frozen=True, rename="camel"):
    phase: str = ""
    reason: str | None = None
    message: str | None = None
    pod_ip: str | None = msgspec.field(name="podIP", default=None)
    conditions: tuple[_Condition, ...] = ()
    init_container_statuses: tuple[_ContainerStatus, ...] = ()
    container_statuses: tuple[_ContainerStatus, ...] = ()

    def condition(self, kind: str) -> _Condition | None:
        return next((condition for condition in self.conditions if condition.type == kind), None)


class _PodSpec(msgspec.Struct, frozen=True, rename="camel"):
    node_name: str | None = None


class _Pod(msgspec.Struct, frozen=True):
    metadata: _Metadata
    spec: _PodSpec = _PodSpec()
    status: _PodStatus = _PodStatus()


class _Requests(msgspec.Struct, frozen=True):
    requests: dict[str, str] = {}


class _ClaimSpec(msgspec.Struct, frozen=True, rename="camel"):
    resources: _Requests = _Requests()
    storage_class_name: str | None = None


class _ClaimStatus(msgspec.Struct, frozen=True):
    phase: str = ""


class _Claim(msgspec.Struct, frozen=True):
    metadata: _Metadata
    spec: _ClaimSpec = _ClaimSpec()
    status: _ClaimStatus = _ClaimStatus()


def _shared(word: str | None) -> str | None:
    """A word that many pods or claims say is held once."""
    return word and intern(word)


_PREVIOUSLY = {one.value: one for one in Previously}


def key_of(session: WhatsAppSession) -> Key:
    """The key of `session`."""
    return Key(session.metadata.namespace, session.metadata.name)


def pod_view(raw: Any) -> PodView | None:  # noqa: ANN401  JSON
    """The view of a pod (bytes, or dicts and lists); None where its name cannot be that of a session's pod."""
    pod = msgspec.json.decode(raw, type=_Pod) if isinstance(raw, bytes) else msgspec.convert(raw, _Pod)
    key = pod.metadata.key(POD_SUFFIX)
    if key is None:
        return None
    owner = pod.metadata.controller
    condition = pod.status.condition("Ready")
    deleting = pod.metadata.deletion_timestamp is not None
    main = next((one for one in pod.status.container_statuses if one.name == _MAIN), _ContainerStatus(name=_MAIN))
    ready = condition is not None and condition.status == "True" and not deleting
    trouble, reason, message = (Trouble.NONE, "", "") if ready else _trouble(pod.status, main, deleting=deleting)
    return PodView(
        key=key,
        uid=intern(pod.metadata.uid),
        version=int(pod.metadata.resource_version),
        owner_uid=intern(owner.uid) if owner else None,
        of_a_session=owner is not None and (owner.kind, owner.api_version) == (KIND, API_VERSION),
        template_hash=_shared(pod.metadata.annotations.get(TEMPLATE_HASH_ANNOTATION)),
        deleting=deleting,
        finished=pod.status.phase in {"Failed", "Succeeded"},
        ready=ready,
        ip=pod.status.pod_ip,
        node=_shared(pod.spec.node_name),
        restarts=main.restart_count,
        trouble=trouble,
        reason=reason,
        message=message,
        created=pod.metadata.creation_timestamp,
        previously=_PREVIOUSLY.get(pod.metadata.annotations.get(PREVIOUSLY_ANNOTATION, ""), Previously.NOTHING),
    )


def _trouble(status: _PodStatus, main: _ContainerStatus, *, deleting: bool) -> tuple[Trouble, str, str]:  # noqa: PLR0911  one a case
    if _is_node_lost(status, main):
        return Trouble.NODE_LOST, "NodeLost", status.message or ""
    if deleting:  # what it says from now on is about its end
        return Trouble.NONE, "", ""
    if (blocked := _blocked(status)) is not None:
        return blocked
    if _fell_silent(status, main):
        return Trouble.SILENT, "", "the pod runs and does not answer its readiness probe"
    if ended := main.state.terminated or main.last_state.terminated:
        words = f"the container ended with exit code {ended.exit_code} ({ended.reason or 'no reason given'}), restart {main.restart_count}"
        kind = Trouble.OOM_KILLED if ended.reason == _OOM else Trouble.CRASHING
        return kind, ended.reason or "", ": ".join(filter(None, (words, ended.message)))
    scheduled = status.condition("PodScheduled")
    if scheduled and scheduled.status == "False":
        return Trouble.WAITING, scheduled.reason or "Unschedulable", scheduled.message or ""
    return Trouble.NONE, status.reason or "", status.message or ""


def _blocked(status: _PodStatus) -> tuple[Trouble, str, str] | None:
    """What the first container that cannot start waits for; a container beside the session's is named."""
    for container in (*status.init_container_statuses, *status.container_statuses):
        waiting = container.state.waiting
        if waiting and waiting.reason and waiting.reason != _CRASH and waiting.reason not in _WAITS_QUIETLY:
            place = "" if container.name == _MAIN else f"container {container.name}"
            return Trouble.WAITING, waiting.reason, ": ".join(filter(None, (place, waiting.message)))
    return None


def _fell_silent(status: _PodStatus, main: _ContainerStatus) -> bool:
    """It was ready since it last started: each start is followed by a moment in which the first answer is still to come."""
    condition, running = status.condition("Ready"), main.state.running
    if not (main.started and running and running.started_at and condition and condition.last_transition_time):
        return False
    return condition.last_transition_time > running.started_at


def _is_node_lost(status: _PodStatus, main: _ContainerStatus) -> bool:
    """The node controller flips only the Ready condition of a silent node's pods, and gives no reason as a kubelet would."""
    condition = status.condition("Ready")
    flipped = condition is not None and condition.status != "True" and not condition.reason and main.ready
    return status.reason == "NodeLost" or flipped


def claim_view(raw: Any) -> ClaimView | None:  # noqa: ANN401  JSON
    """The view of a claim (bytes, or dicts and lists); None where its name cannot be that of a session's claim."""
    claim = msgspec.json.decode(raw, type=_Claim) if isinstance(raw, bytes) else msgspec.convert(raw, _Claim)
    key = claim.metadata.key(CLAIM_SUFFIX)
    if key is None:
        return None
    owner = claim.metadata.controller
    kept = not claim.metadata.owner_references and claim.metadata.labels.get(SESSION_LABEL) == key.name
    return ClaimView(
        key=key,
        uid=claim.metadata.uid,
        version=int(claim.metadata.resource_version),
        owner_uid=intern(owner.uid) if owner else None,
        of_a_session=kept or (owner is not None and (owner.kind, owner.api_version) == (KIND, API_VERSION)),
        deleting=claim.metadata.deletion_timestamp is not None,
        size=intern(claim.spec.resources.requests.get("storage", "")),
        storage_class=_shared(claim.spec.storage_class_name),
        phase=intern(claim.status.phase),
        provisioning=_provisioning(claim.metadata.annotations),
    )


def _provisioning(annotations: dict[str, str]) -> Provisioning:
    """A volume that an administrator made has neither annotation, and tells nothing."""
    if SELECTED_NODE in annotations:
        return Provisioning.FOR_ITS_POD
    return Provisioning.BY_ITSELF if PROVISIONER in annotations else Provisioning.UNTOLD
