"""Objects that pass the schema and cannot work: field and mend are told, nothing storms, and the mend is all that they need."""

import json
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from polling import until
from world import SECONDS, Json, World

pytestmark = pytest.mark.e2e

LOOKS = 30
"""How often a session may be looked at while it waits for its mend; a storm makes hundreds."""


@dataclass(frozen=True)
class Bad:
    """A spec that cannot work, what is said of it (of `condition`: reason and words), and the mend."""

    spec: Json
    phase: str
    condition: str
    reason: str
    words: tuple[str, ...]
    mend: Callable[[World], None]


def secret(world: World, name: str, **values: str) -> None:
    manifest = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": values}
    world.installation.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


def proxy(world: World) -> str:
    """A proxy that leads to the emulated WhatsApp."""
    return f"http://wa-emulator.{world.installation.namespace}:3128"


def hook(name: str, key: str) -> Json:
    return {"webhooks": [{"url": "http://sample-backend:8080/webhook", "secretRef": {"name": name, "key": key}}]}


def make_class(world: World) -> None:
    """The class `fast`, as the cluster's default one but for its name."""
    classes = world.objects("storageclass")
    default = next(one for one in classes if "storageclass.kubernetes.io/is-default-class" in one["metadata"].get("annotations", {}))
    made = {key: value for key, value in default.items() if key != "metadata"} | {"metadata": {"name": "fast"}}
    world.installation.kubectl("apply", "-f", "-", stdin=json.dumps(made))


def mend_proxy(world: World) -> None:
    """A Secret that changes reaches a pod with its next start, as the message says."""
    secret(world, "bad-proxy", value=proxy(world))
    patch = {"spec": {"restartedAt": "2026-01-01T00:00:00Z"}}
    world.installation.kubectl("patch", "was", "bad-proxy-url", "--type=merge", "-p", json.dumps(patch))


BAD = {
    "no-class": Bad(
        spec={"storage": {"storageClassName": "fast"}},
        phase="Pending",
        condition="PodReady",
        reason="Unschedulable",
        words=("spec.storage.storageClassName 'fast'", "no-class-data", "create that StorageClass"),
        mend=make_class,
    ),
    "no-proxy": Bad(
        spec={"proxy": {"secretRef": {"name": "way-out"}}},
        phase="Pending",
        condition="PodReady",
        reason="CreateContainerConfigError",
        words=('secret "way-out" not found', "spec.proxy.secretRef", "create the Secret 'way-out'"),
        mend=lambda world: secret(world, "way-out", value=proxy(world)),
    ),
    "no-signing-secret": Bad(
        spec=hook("signing", "value"),
        phase="Pending",
        condition="PodReady",
        reason="CreateContainerConfigError",
        words=('secret "signing" not found', "spec.webhooks[0].secretRef", "create the Secret 'signing'"),
        mend=lambda world: secret(world, "signing", value="a key"),
    ),
    "no-signing-key": Bad(
        spec=hook("half", "hmac"),
        phase="Pending",
        condition="PodReady",
        reason="CreateContainerConfigError",
        words=("couldn't find key hmac in Secret", "spec.webhooks[0].secretRef", "add the key 'hmac' to the Secret 'half'"),
        mend=lambda world: secret(world, "half", hmac="a key"),
    ),
    "bad-proxy-url": Bad(
        spec={"proxy": {"secretRef": {"name": "bad-proxy"}}},
        phase="Failed",
        condition="Connected",
        reason="SessionFailed",
        words=("use http://", "spec.proxy.secretRef", "the key 'value' of the Secret 'bad-proxy'", "restart the session"),
        mend=mend_proxy,
    ),
}


@pytest.fixture(autouse=True)
def unmended(world: World) -> None:
    world.installation.kubectl("delete", "storageclass/fast", "secret/way-out", "secret/signing", "--ignore-not-found")
    secret(world, "half", value="a key")
    secret(world, "bad-proxy", value="ftp://wa-emulator:3128")


def told(world: World, name: str, bad: Bad) -> bool:
    return world.phase(name) == bad.phase and world.condition(name, bad.condition).get("reason") == bad.reason


def test_what_cannot_work_says_which_field_and_works_once_mended(world: World) -> None:
    before = world.operator_metric("wasession_operator_reconciles_total")
    for name, bad in BAD.items():
        world.apply(name, bad.spec)
    for name, bad in BAD.items():
        until(lambda name=name, bad=bad: told(world, name, bad), f"{name} to be {bad.phase} for {bad.reason}", SECONDS)
        message = world.condition(name, bad.condition)["message"]
        for words in bad.words:
            assert words in message, name
    until(lambda: kubelet_tries(world, "no-proxy-session") > 2, "the kubelet to have tried again", SECONDS)
    looks = world.operator_metric("wasession_operator_reconciles_total") - before
    assert looks < LOOKS * len(BAD)
    for bad in BAD.values():
        bad.mend(world)
    for name in BAD:
        until(lambda name=name: world.phase(name) == "AwaitingScan", f"{name} to work", SECONDS)


def kubelet_tries(world: World, pod: str) -> int:
    events = [event for event in world.objects("events") if event["involvedObject"].get("name") == pod and event["reason"] == "Failed"]
    return sum(event.get("count") or (event.get("series") or {}).get("count") or 1 for event in events)
