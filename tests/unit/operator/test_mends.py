"""What a person on call reads: Kubernetes' words, and behind them the field and the mend."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from wasession_contract.v1alpha1 import SessionState
from wasession_operator import judge
from wasession_operator.mends import mend
from wasession_operator.messages import MAX_MESSAGE
from wasession_operator.views import Trouble

if TYPE_CHECKING:
    from conftest import Build

pytestmark = pytest.mark.unit

SECRETS = {
    "proxy": {"secretRef": {"name": "way-out"}},
    "webhooks": [
        {"url": "http://one", "secretRef": {"name": "signing", "key": "first"}},
        {"url": "http://two"},
        {"url": "http://three", "secretRef": {"name": "signing", "key": "third"}},
    ],
}
# spec, Kubernetes' or the pod's words, what the mend has to say
SECRET_WORDS = [
    ('CreateContainerConfigError: secret "way-out" not found', "spec.proxy.secretRef names it: create the Secret 'way-out'"),
    ('secret "signing" not found', "spec.webhooks[0].secretRef and spec.webhooks[2].secretRef names it: create the Secret 'signing'"),
    (
        "couldn't find key third in Secret default/signing",
        "spec.webhooks[2].secretRef names it: add the key 'third' to the Secret 'signing'",
    ),
    ('secret "other" not found', "sessionPod of the installation names it: create the Secret 'other' in namespace default"),
    (
        "WASESSION_PROXY_URL (7 characters, from a Secret) is not usable: use http://...",
        "spec.proxy.secretRef names it: mend the key 'value' of the Secret 'way-out', then restart the session",
    ),
    ("WASESSION_WEBHOOK_SECRET_2 is empty", "spec.webhooks[2].secretRef names it: mend the key 'third' of the Secret 'signing'"),
    ("WASESSION_BACKEND_URL='x': use http://HOST", "mend spec.backend.url, or settings.apiUrl"),
]


@pytest.mark.parametrize(("words", "expected"), SECRET_WORDS)
def test_a_secret_that_cannot_be_used_is_led_back_to_its_field(build: Build, words: str, expected: str) -> None:
    session = build.session(spec=build.spec(**SECRETS))
    assert expected in mend(words, session, None)


UNBOUND = "Unschedulable: 0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. not found"


@pytest.mark.parametrize(
    ("wanted", "has", "expected"),
    [
        ("fast", "fast", "spec.storage.storageClassName 'fast' provides no volume for the claim cliente1-data: create that StorageClass"),
        (None, None, "spec.storage.storageClassName is not set and the cluster has no default StorageClass"),
        (None, "standard", "the default StorageClass 'standard' provides no volume for the claim cliente1-data: mend its provisioner"),
    ],
)
def test_a_claim_that_is_not_bound_is_led_back_to_its_class(build: Build, wanted: str | None, has: str | None, expected: str) -> None:
    session = build.session(spec=build.spec(storage={"storageClassName": wanted}))
    assert mend(UNBOUND, session, build.claim(storage_class=has, phase="Pending")).startswith(expected)


PHRASES = [
    ("ErrImagePull: failed to pull and unpack image", "sessionPod.image"),
    (
        'persistentvolumeclaims "cliente1-data" is forbidden: exceeded quota: small, requested: requests.storage=1Gi',
        "spec.storage.size is 1Gi",
    ),
    ('pods "cliente1-session" is forbidden: exceeded quota: none, requested: pods=1', "raise the ResourceQuota"),
    ('pods "cliente1-session" is forbidden: failed quota: q: must specify limits.cpu for: session', "sessionPod.resources"),
    ('"cliente1-session" is forbidden: maximum memory usage per Container is 64Mi, but limit is 384Mi', "sessionPod.resources"),
    ("maximum storage usage per PersistentVolumeClaim is 512Mi, but request is 1Gi", "spec.storage.size is 1Gi"),
    ("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support", "StorageClass standard"),
    ('pods "cliente1-session" is forbidden: violates PodSecurity "restricted:latest": runAsNonRoot', "Pod Security level"),
    ('error looking up service account default/x: serviceaccount "x" not found', "scope.namespaces"),
    ('User "x" cannot create resource "pods" in API group "" in the namespace "default"', "scope.namespaces"),
    ("no PriorityClass with name high was found", "sessionPod.priorityClassName"),
    ("unable to create new content in namespace x because it is being terminated", "another one"),
    ("1 node(s) unavailable due to PersistentVolumeClaim with ReadWriteOncePod access mode already in-use by another pod", "cliente1-data"),
    ("0/2 nodes: 1 node(s) didn't match PersistentVolume's node affinity, 1 node(s) were unschedulable", "bring that node back"),
    ("0/1 nodes are available: 1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s)", "make the session anew"),
    ("0/1 nodes are available: 1 node(s) were unschedulable", "kubectl uncordon"),
    ("0/1 nodes are available: 1 node(s) didn't find available persistent volumes to bind", "StorageClass standard"),
    ("0/1 nodes are available: 1 Insufficient memory", "add a node"),
    ("0/1 nodes are available: 1 node(s) had untolerated taint(s)", "sessionPod.tolerations"),
    ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector", "sessionPod.nodeSelector"),
]


@pytest.mark.parametrize(("words", "expected"), PHRASES)
def test_kubernetes_words_get_their_mend(build: Build, words: str, expected: str) -> None:
    assert expected in mend(words, build.session(), build.claim(storage_class="standard"))


def test_unknown_words_stand_alone(build: Build) -> None:
    assert mend("the moon is full", build.session(), None) == ""


def said(build: Build, observed: object, kind: str = "PodReady") -> str:
    return next(one.message for one in judge.status(observed, build.now).conditions if one.type == kind)


def test_a_long_refusal_is_cut_and_the_mend_stays(build: Build) -> None:
    refusal = 'violates PodSecurity "restricted:latest": ' + "x" * 2000
    message = said(build, build.observed(build.session(), None, build.claim(), refusal=refusal))
    assert len(message) == MAX_MESSAGE
    assert message.endswith("xx; change the installation's sessionPod settings, or the namespace's Pod Security level")


def test_what_is_refused_while_the_pod_serves_is_said_too(build: Build) -> None:
    observed = build.reporting(SessionState.CONNECTED)
    assert said(build, observed) == ""
    refused = build.observed(observed.session, observed.pod, observed.claim, refusal="only dynamically provisioned pvc can be resized")
    status = judge.status(refused, build.now)
    assert status.phase == "Connected"
    assert said(build, refused).startswith("only dynamically provisioned pvc can be resized; spec.storage.size is 1Gi")


def test_a_lost_node_is_named_with_both_ways_out(build: Build) -> None:
    pod = build.pod(ready=False, trouble=Trouble.NODE_LOST)
    message = said(build, build.observed(build.session(), pod, build.claim()), "Connected")
    assert "the node node-1 does not answer" in message
    assert "kubectl delete node node-1" in message


def test_a_pod_that_goes_is_not_told_in_the_words_of_its_end(build: Build) -> None:
    pod = build.pod(ready=False, deleting=True, reason="Completed", message="the container ended with exit code 0")
    assert "ended" not in said(build, build.observed(build.session(), pod, build.claim()))
