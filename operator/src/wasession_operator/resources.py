"""Manifests of a session's pod and claim, as dicts, and the hash by which a pod is known to be out of date.

The pod's shape is data: the chart's PodTemplateSpec, into which only the session's parts are put. Surprising: the hash has
two halves. The first stands for the installation (template, defaults, what this operator renders), the second for the
session's own spec, because a changed session is replaced at once and a changed installation a few sessions at a time.
"""

import copy
import functools
import hashlib
from dataclasses import dataclass
from typing import Any, Self

import msgspec

from wasession_contract import names, podwire
from wasession_contract.podwire import Env, WebhookSetting
from wasession_contract.v1alpha1 import (
    API_VERSION,
    KIND,
    PREVIOUSLY_ANNOTATION,
    SESSION_LABEL,
    TEMPLATE_HASH_ANNOTATION,
    Metadata,
    ReclaimPolicy,
    Spec,
    WhatsAppSession,
)
from wasession_operator.views import Previously

Manifest = dict[str, Any]
CONTAINER = "session"
VOLUME = "data"
LABELS = {"app.kubernetes.io/name": "wasession", "app.kubernetes.io/component": "session-pod"}
_SOMEBODY = WhatsAppSession(metadata=Metadata(name="any", namespace="any", uid="any"))
_POD_IS_MADE_OF = frozenset({"device_name", "backend", "pairing", "reconnect", "pacing", "webhooks", "proxy", "restarted_at"})
_HALF = 16  # hex digits, 64 bits: a hash tells two versions apart, it protects nothing


class TemplateError(ValueError):
    """The file is no PodTemplateSpec that a session's pod can be made of."""


@dataclass(frozen=True)
class Template:
    """A PodTemplateSpec with a container named `session`."""

    metadata: Manifest
    spec: Manifest

    @classmethod
    def read(cls, document: object) -> Self:
        """Check `document`, the file's content as dicts and lists. Raises TemplateError."""
        if not isinstance(document, dict) or not isinstance(document.get("spec"), dict):
            raise TemplateError("it has no `spec`")
        spec: Manifest = document["spec"]
        containers = spec.get("containers")
        found = (
            [one for one in containers if isinstance(one, dict) and one.get("name") == CONTAINER] if isinstance(containers, list) else []
        )
        if len(found) != 1 or not found[0].get("image"):
            raise TemplateError(f"spec.containers needs one container named {CONTAINER!r} with an image")
        if any(volume.get("name") == VOLUME for volume in spec.get("volumes") or ()):
            raise TemplateError(f"spec.volumes: the name {VOLUME!r} is the session's own volume; use another")
        if spec.get("restartPolicy", "Always") != "Always":
            raise TemplateError(f"spec.restartPolicy is {spec['restartPolicy']!r}; a session's pod needs Always")
        return cls(metadata=document.get("metadata") or {}, spec=spec)


@dataclass(frozen=True)
class Renderer:
    """Makes manifests from the installation's template and defaults."""

    template: Template
    device_name: str
    backend_url: str
    internal_key: bytes

    def pod(self, session: WhatsAppSession, template_hash: str = "", previously: Previously = Previously.NOTHING) -> Manifest:
        """The pod of `session`."""
        ours = {TEMPLATE_HASH_ANNOTATION: template_hash} | ({PREVIOUSLY_ANNOTATION: previously.value} if previously.value else {})
        name = names.pod_name(session.metadata.name)
        spec = copy.deepcopy(self.template.spec)
        for container in spec["containers"]:
            if container["name"] == CONTAINER:
                container["env"] = self._environment(session, container.get("env") or [])
        claim = {"claimName": names.claim_name(session.metadata.name)}
        spec["volumes"] = [{"name": VOLUME, "persistentVolumeClaim": claim}, *(spec.get("volumes") or [])]
        spec |= {"hostname": name, "restartPolicy": "Always"}
        return {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {
                "name": name,
                "namespace": session.metadata.namespace,
                "labels": {**(self.template.metadata.get("labels") or {}), **_labels(session)},
                "annotations": {**(self.template.metadata.get("annotations") or {}), **ours},
                "ownerReferences": [owner(session)],
            },
            "spec": spec,
        }

    def _environment(self, session: WhatsAppSession, extra: list[Manifest]) -> list[Manifest]:
        """Ours first, so that the template's may refer to them, and ours win."""
        ours = self._values(session)
        entries: list[Manifest] = [{"name": name, "value": _literally(value)} for name, value in ours.items()]
        entries.append({"name": str(Env.POD_UID), "valueFrom": {"fieldRef": {"fieldPath": "metadata.uid"}}})
        entries += _secrets(session.spec)
        taken = {entry["name"] for entry in entries}
        return entries + [entry for entry in extra if entry["name"] not in taken]

    def _values(self, session: WhatsAppSession) -> dict[str, str]:
        meta, spec = session.metadata, session.spec
        values = {
            Env.NAME: meta.name,
            Env.NAMESPACE: meta.namespace,
            Env.SESSION_ID: session.session_id,
            Env.UID: meta.uid,
            Env.TOKEN_SHA256: podwire.token_sha256(self.token(session)),
            Env.DEVICE_NAME: spec.device_name or self.device_name,
            Env.BACKEND_URL: self.backend_url if spec.backend.url is None else spec.backend.url,
            Env.PAIRING_METHOD: spec.pairing.method,
            Env.PAIRING_PHONE_NUMBER: spec.pairing.phone_number or "",
            Env.RECONNECT_MAX_ATTEMPTS: str(spec.reconnect.max_attempts),
            Env.RECONNECT_INITIAL_DELAY_SECONDS: str(spec.reconnect.initial_delay_seconds),
            Env.RECONNECT_MAX_DELAY_SECONDS: str(spec.reconnect.max_delay_seconds),
            Env.PACING_MESSAGES_PER_MINUTE: str(spec.pacing.messages_per_minute),
            Env.PACING_BURST: str(spec.pacing.burst),
            Env.PACING_MESSAGES_PER_DAY: str(spec.pacing.messages_per_day),
        }
        if spec.webhooks:
            values[Env.WEBHOOKS] = msgspec.json.encode(_webhooks(spec)).decode()
        return {str(name): str(value) for name, value in values.items()}

    def token(self, session: WhatsAppSession) -> str:
        """The bearer token that the pod of `session` takes."""
        return podwire.token(self.internal_key, session.metadata.uid)

    def installation_hash(self) -> str:
        """The half of the hash that all sessions share: over what is rendered for a session that says nothing."""
        return _half(self.pod(_SOMEBODY))


def claim(session: WhatsAppSession) -> Manifest:
    """The claim of `session`; under Retain it has no owner, so that nothing collects it."""
    storage = session.spec.storage
    metadata: Manifest = {
        "name": names.claim_name(session.metadata.name),
        "namespace": session.metadata.namespace,
        "labels": _labels(session),
    }
    if storage.reclaim_policy is ReclaimPolicy.DELETE:
        metadata["ownerReferences"] = [owner(session)]
    spec: Manifest = {"accessModes": [str(storage.access_mode)], "resources": {"requests": {"storage": storage.size}}}
    if storage.storage_class_name is not None:
        spec["storageClassName"] = storage.storage_class_name
    return {"apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": metadata, "spec": spec}


def owner(session: WhatsAppSession) -> Manifest:
    """The owner reference to `session`.

    Without `blockOwnerDeletion`: where the API server guards owner references, that needs the right to update the session's
    finalizers subresource, and our own finalizer keeps a session until its pod and claim are gone anyway.
    """
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": session.metadata.name,
        "uid": session.metadata.uid,
        "controller": True,
    }


def session_hash(spec: Spec) -> str:
    """The half of the hash that is the session's own: over the fields of `spec` that its pod is made of.

    Defaults are left out, so that a field that a newer operator knows replaces no pod of a session that does not set it.
    """
    return _half({name: one for name, one in _but_defaults(spec).items() if name in _POD_IS_MADE_OF})


def _but_defaults(struct: msgspec.Struct) -> Manifest:
    said = ((name, getattr(struct, name), default) for name, default in _fields(type(struct)))
    return {name: plain for name, one, default in said if one != default and (plain := _plain(one)) != {}}


def _plain(value: object) -> object:
    if isinstance(value, msgspec.Struct):
        return _but_defaults(value)
    return [_plain(one) for one in value] if isinstance(value, tuple) else value


@functools.cache
def _fields(kind: type[msgspec.Struct]) -> tuple[tuple[str, object], ...]:
    return tuple((field.name, field.default) for field in msgspec.structs.fields(kind))


def _literally(value: str) -> str:
    """The kubelet puts variables in place of `$(NAME)` and takes `$$` for `$`; what a spec says is to arrive as it is."""
    return value.replace("$", "$$")


def _webhooks(spec: Spec) -> list[WebhookSetting]:
    return [WebhookSetting(one.url, tuple(one.events), one.secret_ref is not None) for one in spec.webhooks]


def _secrets(spec: Spec) -> list[Manifest]:
    """What comes from Secrets of the session's namespace; the kubelet starts no container while one is missing."""
    references = [(str(Env.PROXY_URL), spec.proxy.secret_ref)] if spec.proxy else []
    references += [(f"{Env.WEBHOOK_SECRET}{i}", one.secret_ref) for i, one in enumerate(spec.webhooks) if one.secret_ref]
    return [{"name": name, "valueFrom": {"secretKeyRef": {"name": ref.name, "key": ref.key}}} for name, ref in references]


def _labels(session: WhatsAppSession) -> dict[str, str]:
    return {**LABELS, SESSION_LABEL: session.metadata.name}


def _half(value: object) -> str:
    return hashlib.sha256(msgspec.json.encode(value, order="deterministic")).hexdigest()[:_HALF]


_UNITS = {unit: 1000**power for power, unit in enumerate(("", "k", "M", "G", "T", "P", "E"))} | {
    f"{unit}i": 1024**power for power, unit in enumerate("KMGTPE", 1)
}
_MOST = 2**63 - 1  # the API server cuts what is larger down to this


def size_in_bytes(quantity: str) -> int:
    """A volume's size in bytes; 0 for what neither the schema takes nor the API server makes of it (`1024Ti` is `1Pi` to it)."""
    number = quantity.rstrip("kKMGTPEi")
    unit = quantity[len(number) :]
    return min(int(number) * _UNITS[unit], _MOST) if number.isdigit() and unit in _UNITS else 0
