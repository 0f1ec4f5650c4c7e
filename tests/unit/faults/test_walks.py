"""The oracles see what they are for, and a seed is a walk, the same one each time."""

from typing import Any

import pytest

from walks.draw import GROWS, LEAVES, How, one_field, walk
from walks.oracles import Installation, State, as_the_kubelet_reads, differences, inconsistent, must_replace_pod
from walks.quantity import size_in_bytes
from walks.schema import Leaf, breaking, field_name, merge_patch, value_at, with_value
from wasession_contract import podwire
from wasession_contract.v1alpha1 import FINALIZER

pytestmark = pytest.mark.unit
Json = dict[str, Any]
INSTALLATION = Installation(internal_key=b"k" * 32)
SPEC: Json = {
    "operatingMode": "Running",
    "pairing": {"method": "QR"},
    "reconnect": {"maxAttempts": 5, "initialDelaySeconds": 1, "maxDelaySeconds": 30},
    "pacing": {"messagesPerMinute": 0, "burst": 5, "messagesPerDay": 0},
    "idle": {"timeoutSeconds": 1800, "policy": "Keep"},
    "backend": {"url": "http://a"},
    "proxy": {"secretRef": {"name": "proxy", "key": "value"}},
    "storage": {"size": "1Gi", "accessMode": "ReadWriteOncePod", "reclaimPolicy": "Delete"},
    "logoutOnDelete": True,
}
CONDITIONS = {
    "Admitted": ("True", "Admitted"),
    "PodReady": ("True", "PodReady"),
    "Paired": ("True", "Paired"),
    "Connected": ("True", "Connected"),
    "BackendConnected": ("True", "BackendConnected"),
    "Ready": ("True", "Connected"),
}


def settled(uid: str = "s-1") -> State:
    """A session at rest."""
    env = {
        "WASESSION_NAME": "a",
        "WASESSION_NAMESPACE": "default",
        "WASESSION_SESSION_ID": "a",
        "WASESSION_UID": uid,
        "WASESSION_TOKEN_SHA256": podwire.token_sha256(podwire.token(INSTALLATION.internal_key, uid)),
        "WASESSION_DEVICE_NAME": "DocuBot",
        "WASESSION_BACKEND_URL": "http://a",
        "WASESSION_PAIRING_METHOD": "QR",
        "WASESSION_PAIRING_PHONE_NUMBER": "",
        "WASESSION_RECONNECT_MAX_ATTEMPTS": "5",
        "WASESSION_RECONNECT_INITIAL_DELAY_SECONDS": "1",
        "WASESSION_RECONNECT_MAX_DELAY_SECONDS": "30",
        "WASESSION_PACING_MESSAGES_PER_MINUTE": "0",
        "WASESSION_PACING_BURST": "5",
        "WASESSION_PACING_MESSAGES_PER_DAY": "0",
    }
    entries: list[Json] = [{"name": name, "value": value} for name, value in env.items()]
    entries.append({"name": "WASESSION_PROXY_URL", "valueFrom": {"secretKeyRef": {"name": "proxy", "key": "value"}}})
    owners = [{"uid": uid, "name": "a", "controller": True}]
    conditions = [
        {"type": kind, "status": status, "reason": reason, "message": "", "observedGeneration": 2}
        for kind, (status, reason) in CONDITIONS.items()
    ]
    status = {
        "observedGeneration": 2,
        "phase": "Connected",
        "conditions": conditions,
        "pod": {"name": "a-session", "uid": f"pod of {uid}"},
        "session": {"backend": {"state": "Connected"}},
    }
    meta = {"name": "a", "namespace": "default", "uid": uid, "generation": 2, "finalizers": [FINALIZER], "managedFields": []}
    return State(
        {"metadata": meta, "spec": SPEC, "status": status},
        {
            "metadata": {"name": "a-session", "uid": f"pod of {uid}", "ownerReferences": owners},
            "spec": {"containers": [{"name": "session", "env": entries}], "volumes": []},
        },
        {
            "metadata": {"name": "a-data", "uid": f"claim of {uid}", "ownerReferences": owners},
            "spec": {"accessModes": ["ReadWriteOncePod"], "resources": {"requests": {"storage": "1Gi"}}},
        },
    )


def test_a_session_at_rest_is_consistent_and_the_same_as_another_one() -> None:
    assert inconsistent(settled(), INSTALLATION) == []
    assert differences(settled(), settled("s-2")) == []


BREAKS: dict[str, tuple[str, tuple[str | int, ...], Any]] = {
    "observedGeneration is 1": ("session", ("status", "observedGeneration"), 1),
    "of generation 1": ("session", ("status", "conditions", 2, "observedGeneration"), 1),
    "phase is Pending": ("session", ("status", "phase"), "Pending"),
    "condition Ready is": ("session", ("status", "conditions", 5, "reason"), "Starting"),
    "wrote the spec": ("session", ("metadata", "managedFields"), [{"manager": "wasession-operator", "fieldsV1": {"f:spec": {}}}]),
    "status.pod is not": ("session", ("status", "pod", "uid"), "former"),
    "WASESSION_DEVICE_NAME='other'": ("pod", ("spec", "containers", 0, "env", 5, "value"), "other"),
    "WASESSION_PROXY_URL='proxy/other'": ("pod", ("spec", "containers", 0, "env", 15, "valueFrom", "secretKeyRef", "key"), "other"),
    "it is going": ("pod", ("metadata", "deletionTimestamp"), "2026-01-01T00:00:00Z"),
    "the pod's owner": ("pod", ("metadata", "ownerReferences", 0, "uid"), "s-0"),
    "the claim asks for 2Gi": ("claim", ("spec", "resources", "requests", "storage"), "2Gi"),
    "the claim's access modes": ("claim", ("spec", "accessModes"), ["ReadWriteOnce"]),
    "the claim's class": ("claim", ("spec", "storageClassName"), "fast"),
    "the claim's owners": ("claim", ("metadata", "ownerReferences"), []),
}


@pytest.mark.parametrize("words", BREAKS)
def test_each_contradiction_is_seen(words: str) -> None:
    state = settled()
    part, path, value = BREAKS[words]
    target: Any = getattr(state, part)
    for step in path[:-1]:
        target = target[step]
    target[path[-1]] = value
    assert any(words in found for found in inconsistent(state, INSTALLATION))


@pytest.mark.parametrize("part", ["session", "pod", "claim"])
def test_what_is_missing_is_seen(part: str) -> None:
    parts = {name: None if name == part else getattr(settled(), name) for name in ("session", "pod", "claim")}
    assert inconsistent(State(**parts), INSTALLATION)
    assert differences(settled(), State(**parts))


def test_another_label_or_argument_is_a_difference() -> None:
    other = settled("s-2")
    assert other.pod
    other.pod["metadata"]["labels"] = {"a": "b"}
    assert differences(settled(), other) == ["pod.metadata.labels.a: 'nothing', a new object with the same spec has 'b'"]


def test_the_environment_is_read_as_the_kubelet_reads_it() -> None:
    env = [
        {"name": "A", "value": "x"},
        {"name": "B", "value": "$(A) $$(A) $(C) $$ $"},
        {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}},
    ]
    read = as_the_kubelet_reads({"spec": {"containers": [{"name": "sidecar"}, {"name": "session", "env": env}]}})
    assert read == {"A": "x", "B": "x $(A) $(C) $ $", "S": "s/k"}


@pytest.mark.parametrize(
    ("change", "must"),
    [
        ({"idle": {"timeoutSeconds": 1, "policy": "Keep"}}, False),
        ({"storage": {}}, False),
        ({"deviceName": "x"}, True),
        ({"deviceName": "DocuBot"}, None),
        ({"restartedAt": "2026-01-01T00:00:00Z"}, None),
    ],
    ids=str,
)
def test_a_change_replaces_the_pod_or_must_not(*, change: Json, must: bool | None) -> None:
    assert must_replace_pod(SPEC, SPEC | change) is must


def test_a_seed_draws_the_same_walk_each_time_and_another_seed_another_one() -> None:
    assert walk(7) == walk(7)
    assert walk(7) != walk(8)


def test_walks_reach_every_way_and_keep_to_what_can_be_changed_in_place() -> None:
    walks = [walk(seed) for seed in range(5)]
    assert {step.how for one in walks for step in one.steps} == set(How)
    for one in walks:
        now = one.begin
        for step in one.steps:
            if step.how in {How.MERGE, How.REPLACE}:
                for path in (("sessionId",), ("storage", "storageClassName"), ("storage", "accessMode")):
                    assert value_at(step.spec, path) == value_at(now, path)
                sizes = [size_in_bytes(spec["storage"].get("size", "1Gi")) for spec in (now, step.spec)]
                assert sizes == sorted(sizes)
                assert sizes[0] == sizes[1] or now["storage"]["storageClassName"] == GROWS
            now = now if step.how in {How.REFUSED, How.EXPLAINED} else step.spec


@pytest.mark.parametrize("leaf", LEAVES, ids=str)
def test_every_field_is_changed_alone_and_has_values_that_break_its_rules(leaf: Leaf) -> None:
    one = one_field(leaf, 1)
    for step in one.steps:
        was, then = value_at(one.begin, leaf.path), value_at(step.spec, leaf.path)
        assert then != was
        assert with_value(step.spec, leaf.path, None) == with_value(one.begin, leaf.path, None)
    assert breaking(leaf)


def test_a_field_is_named_as_the_api_server_names_it() -> None:
    assert field_name(("webhooks", "[]", "secretRef", "name")) == "spec.webhooks[0].secretRef.name"


def test_a_merge_patch_takes_away_and_sets() -> None:
    assert merge_patch({"a": 1, "b": {"c": 1, "d": 2}}, {"b": {"c": 2, "d": 2}, "e": [1]}) == {"a": None, "b": {"c": 2}, "e": [1]}


@pytest.mark.parametrize(
    ("text", "size"), [("1Gi", 2**30), ("1Pi", 2**50), ("1500M", 1_500_000_000), ("9e3", 9000), ("9000000Ti", 2**63 - 1)]
)
def test_quantities(text: str, size: int) -> None:
    assert size_in_bytes(text) == size
