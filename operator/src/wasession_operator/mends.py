"""What to do about it: finds in Kubernetes' own words the field at fault and the mend. Pure.

Surprising: phrases are matched, because the reasons that come with them are too coarse (a scheduler only ever says
`Unschedulable`). Where no phrase is known the words stand alone. They are those of Kubernetes 1.36; tests on a real cluster
see the ones that a session's spec can cause.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from wasession_contract import names
from wasession_contract.podwire import Env
from wasession_contract.v1alpha1 import SecretKeyRef, WhatsAppSession
from wasession_operator.views import ClaimView

_IMAGE = "check image.registry, image.tag, image.pullSecrets and sessionPod.image of the installation"
_FULL = "add a node, lower sessionPod.resources of the installation, or suspend or delete another session"
_PLACE = "check sessionPod.nodeSelector, sessionPod.affinity and sessionPod.tolerations of the installation"
_TEMPLATE = "change the installation's sessionPod settings, or the namespace's Pod Security level"
_SIZE = "spec.storage.size is {size}: raise that limit, or make the session anew with another size"
_UNPREPARED = "name this namespace in scope.namespaces of the installation, which prepares it"

# The first that matches counts, so the narrower ones come first.
_BY_PHRASE: tuple[tuple[str, str], ...] = (
    (r"ErrImagePull|ImagePullBackOff|ErrImageNeverPull|InvalidImageName|ImageInspectError", _IMAGE),
    (r"persistentvolumeclaims.* exceeded quota", "spec.storage.size is {size}: raise the ResourceQuota, or delete another session"),
    (r"exceeded quota", "raise the ResourceQuota, or suspend or delete another session"),
    (r"failed quota|usage per (Pod|Container)", "set sessionPod.resources of the installation to what the namespace allows"),
    (r"storage usage per PersistentVolumeClaim", _SIZE),
    (r"pvc can be resized", "spec.storage.size is {size}: let the StorageClass {class} allow it (allowVolumeExpansion)"),
    (r"violates PodSecurity", _TEMPLATE),
    (r"looking up service account", _UNPREPARED),
    (r"cannot (create|patch|delete) resource", _UNPREPARED),
    (r"no PriorityClass with name", "create it, or change sessionPod.priorityClassName of the installation"),
    (r"is being terminated", "the namespace is going; make the session in another one"),
    (r"already in-use by another pod", "end the other pod that uses the claim {claim}"),
    (r"didn't match PersistentVolume's node affinity", "the volume is tied to a node that is away or closed: bring that node back"),
    (r"bound to non-existent pv", "the volume is lost, and with it the account's link: make the session anew"),
    (r"node\(s\) were unschedulable", "a node is closed to new pods: kubectl uncordon NODE"),
    (r"didn't find available persistent volumes", "provide a volume for the claim {claim} of StorageClass {class}"),
    (r"Insufficient |Too many pods", _FULL),
    (r"untolerated taint|node affinity/selector", _PLACE),
)


def mend(words: str, session: WhatsAppSession, claim: ClaimView | None) -> str:
    """What to do about `words`, in which Kubernetes says why the session's pod or volume cannot be; empty: not known."""
    for secret in (_missing_secret, _unusable_setting):
        if found := secret(words, session):
            return found
    if "unbound immediate PersistentVolumeClaims" in words:
        return _unbound(session, claim)
    facts = {
        "size": session.spec.storage.size,
        "class": (claim and claim.storage_class) or session.spec.storage.storage_class_name or "(none)",
        "claim": names.claim_name(session.metadata.name),
    }
    return next((text.format_map(facts) for phrase, text in _BY_PHRASE if re.search(phrase, words)), "")


def _unbound(session: WhatsAppSession, claim: ClaimView | None) -> str:
    """The claim waits for its class, which the operator may not read: StorageClasses are the cluster's, not the namespace's."""
    name = names.claim_name(session.metadata.name)
    if wanted := session.spec.storage.storage_class_name:
        return (
            f"spec.storage.storageClassName {wanted!r} provides no volume for the claim {name}: create that StorageClass or mend its"
            f" provisioner (kubectl describe pvc {name}), or make the session anew with another class"
        )
    if claim is not None and claim.storage_class is None:
        return (
            "spec.storage.storageClassName is not set and the cluster has no default StorageClass: mark one as default, or make the"
            " session anew with a class"
        )
    given = f"the default StorageClass {claim.storage_class!r}" if claim else "the default StorageClass"
    return f"{given} provides no volume for the claim {name}: mend its provisioner (kubectl describe pvc {name})"


@dataclass(frozen=True)
class _Reference:
    """A place in the spec that names a Secret, and the variable that the pod gets from it."""

    field: str
    variable: str
    secret: SecretKeyRef


def _references(session: WhatsAppSession) -> list[_Reference]:
    spec = session.spec
    found = [_Reference("spec.proxy.secretRef", Env.PROXY_URL, spec.proxy.secret_ref)] if spec.proxy else []
    hooks = [(index, hook.secret_ref) for index, hook in enumerate(spec.webhooks)]
    found += [_Reference(f"spec.webhooks[{i}].secretRef", f"{Env.WEBHOOK_SECRET}{i}", ref) for i, ref in hooks if ref]
    return found


_NO_SECRET = re.compile(r'secret "([^"]+)" not found')
_NO_KEY = re.compile(r"couldn't find key (\S+) in Secret [^/]+/(\S+)")


def _missing_secret(words: str, session: WhatsAppSession) -> str:
    """The kubelet looks again some times a minute, so a Secret that comes late is enough."""
    namespace = session.metadata.namespace
    if match := _NO_SECRET.search(words):
        name = match[1]
        fields = _fields(session, lambda ref: ref.name == name)
        return f"{fields} names it: create the Secret {name!r} in namespace {namespace}, or name another one"
    if match := _NO_KEY.search(words):
        key, name = match[1], match[2]
        fields = _fields(session, lambda ref: (ref.name, ref.key) == (name, key))
        return f"{fields} names it: add the key {key!r} to the Secret {name!r} in namespace {namespace}, or name another one"
    return ""


def _fields(session: WhatsAppSession, fits: Callable[[SecretKeyRef], bool]) -> str:
    """The fields of the spec that name such a Secret; where it is none of them, the installation's pod template does."""
    return " and ".join(one.field for one in _references(session) if fits(one.secret)) or "sessionPod of the installation"


def _unusable_setting(words: str, session: WhatsAppSession) -> str:
    """The pod read the value when it started, so a Secret that is mended later needs a restart."""
    for one in _references(session):
        if words.startswith(f"{one.variable} "):
            name, key = one.secret.name, one.secret.key
            return f"{one.field} names it: mend the key {key!r} of the Secret {name!r}, then restart the session (spec.restartedAt)"
    if words.startswith(Env.BACKEND_URL):
        return "mend spec.backend.url, or settings.apiUrl of the installation"
    return ""
