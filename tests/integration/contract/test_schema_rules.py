"""Each rule of the schema, tried against a real API server: what it refuses, and in which words."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from kubernetes import client, config

pytestmark = pytest.mark.integration

NAMESPACE = "default"
PLACE = ("wasession.dev", "v1alpha1", NAMESPACE, "whatsappsessions")


@pytest.fixture(scope="module")
def api(api_server: Path) -> client.CustomObjectsApi:
    return client.CustomObjectsApi(config.new_client_from_config(str(api_server)))


def session(spec: dict[str, Any], name: str = "tried") -> dict[str, Any]:
    return {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": {"name": name}, "spec": spec}


def create(api: client.CustomObjectsApi, spec: dict[str, Any], name: str = "tried") -> dict[str, Any]:
    return api.create_namespaced_custom_object(*PLACE, session(spec, name), dry_run="All", field_validation="Strict")


REFUSED_AT_CREATION = [
    ({"sessionId": ""}, "spec.sessionId", "should be at least 1 chars"),
    ({"sessionId": "a" * 129}, "spec.sessionId", "may not be more than 128"),
    ({"sessionId": "../../x"}, "spec.sessionId", "should match"),
    ({"sessionId": "$(reboot)"}, "spec.sessionId", "should match"),
    ({"sessionId": "😀"}, "spec.sessionId", "should match"),
    ({"sessionId": "a "}, "spec.sessionId", "should match"),
    ({"operatingMode": "Paused"}, "spec.operatingMode", 'supported values: "Running", "Suspended"'),
    ({"deviceName": ""}, "spec.deviceName", "at least 1 chars"),
    ({"pairing": {"method": "Code"}}, "spec.pairing", "pairing.method Code needs pairing.phoneNumber"),
    ({"pairing": {"method": "Code", "phoneNumber": "+57300"}}, "spec.pairing.phoneNumber", "should match"),
    ({"reconnect": {"maxAttempts": -1}}, "spec.reconnect.maxAttempts", "greater than or equal to 0"),
    (
        {"reconnect": {"initialDelaySeconds": 31}},
        "spec.reconnect",
        "reconnect.initialDelaySeconds must not be greater than reconnect.maxDelaySeconds",
    ),
    ({"reconnect": {"maxDelaySeconds": 0}}, "spec.reconnect.maxDelaySeconds", "greater than or equal to 1"),
    ({"idle": {"timeoutSeconds": 0}}, "spec.idle.timeoutSeconds", "greater than or equal to 1"),
    ({"idle": {"policy": "Forget"}}, "spec.idle.policy", "supported values"),
    ({"backend": {"url": "ftp://x"}}, "spec.backend.url", "should match"),
    ({"backend": {"url": "http://"}}, "spec.backend.url", "should match"),
    ({"webhooks": [{"url": "ftp://x"}]}, "spec.webhooks[0].url", "should match"),
    ({"webhooks": [{"url": "http://a"}, {"url": "http://a"}]}, "spec.webhooks[1]", "Duplicate value"),
    ({"webhooks": [{"url": f"http://{n}"} for n in range(9)]}, "spec.webhooks", "must have at most 8 items"),
    ({"webhooks": [{"url": "http://a", "events": ["call"]}]}, "spec.webhooks[0].events[0]", "supported values"),
    ({"webhooks": [{"url": "http://a", "events": []}]}, "spec.webhooks[0].events", "at least 1 items"),
    ({"proxy": {}}, "spec.proxy.secretRef", "Required value"),
    ({"deviceName": "a\x00"}, "spec.deviceName", "should match"),
    ({"backend": {"url": "http://a\x00"}}, "spec.backend.url", "should match"),
    ({"webhooks": [{"url": "http://a\x07"}]}, "spec.webhooks[0].url", "should match"),
    ({"webhooks": [{"url": "http://a", "secretRef": {"name": "A_b"}}]}, "spec.webhooks[0].secretRef.name", "should match"),
    ({"proxy": {"secretRef": {"name": "a."}}}, "spec.proxy.secretRef.name", "should match"),
    ({"proxy": {"secretRef": {"name": "a", "key": ".."}}}, "spec.proxy.secretRef.key", "should match"),
    ({"proxy": {"secretRef": {"name": "a", "key": "a/b"}}}, "spec.proxy.secretRef.key", "should match"),
    ({"storage": {"storageClassName": "Fast"}}, "spec.storage.storageClassName", "should match"),
    *[
        ({"restartedAt": moment}, "spec.restartedAt", "should match")
        for moment in ("2026-01-01T00:00:00+99:99", "0000-01-01T00:00:00Z", "2026-01-01T00:00:00x5Z")
    ],
    ({"restartedAt": "yesterday"}, "spec.restartedAt", "must be of type date-time"),
    ({"storage": {"size": "0Gi"}}, "spec.storage.size", "should match"),
    ({"storage": {"size": "lots"}}, "spec.storage.size", "should match"),
    ({"storage": {"accessMode": "ReadOnlyMany"}}, "spec.storage.accessMode", "supported values"),
    ({"storage": {"reclaimPolicy": "Recycle"}}, "spec.storage.reclaimPolicy", "supported values"),
]


@pytest.mark.parametrize(("spec", "field", "rule"), REFUSED_AT_CREATION, ids=lambda v: str(v)[:40])
def test_a_bad_value_is_refused_with_field_and_rule(api: client.CustomObjectsApi, spec: dict[str, Any], field: str, rule: str) -> None:
    with pytest.raises(client.ApiException) as refused:
        create(api, spec)
    assert refused.value.status == 422
    assert field in refused.value.body.replace("\\", "")
    assert rule in refused.value.body.replace("\\", "")


@pytest.mark.parametrize("name", ["a" * 53, "a.b"])
def test_a_name_too_long_for_a_pod_is_refused(api: client.CustomObjectsApi, name: str) -> None:
    with pytest.raises(client.ApiException, match=r"metadata\.name must be at most 52 characters without dots"):
        create(api, {}, name)


def test_an_unknown_field_is_refused_under_strict_validation(api: client.CustomObjectsApi) -> None:
    with pytest.raises(client.ApiException, match=r"unknown field .*spec\.sessionID"):
        create(api, {"sessionID": "x"})


def test_defaults_are_filled_in(api: client.CustomObjectsApi) -> None:
    assert create(api, {})["spec"] == {
        "operatingMode": "Running",
        "pairing": {"method": "QR"},
        "reconnect": {"maxAttempts": 5, "initialDelaySeconds": 1, "maxDelaySeconds": 30},
        "pacing": {"messagesPerMinute": 0, "burst": 5, "messagesPerDay": 0},
        "idle": {"timeoutSeconds": 1800, "policy": "Keep"},
        "backend": {},
        "storage": {"size": "1Gi", "accessMode": "ReadWriteOncePod", "reclaimPolicy": "Delete"},
        "logoutOnDelete": True,
    }


@pytest.mark.parametrize("example", ["minimal.yaml", "full.yaml"])
def test_every_example_is_taken(api: client.CustomObjectsApi, repo: Path, example: str) -> None:
    obj = yaml.safe_load((repo / "crds" / "examples" / example).read_text())
    assert create(api, obj["spec"], obj["metadata"]["name"])["metadata"]["name"] == obj["metadata"]["name"]


REFUSED_AT_UPDATE = [
    ({"sessionId": "b"}, "spec.sessionId is immutable"),
    ({"sessionId": None}, "spec.sessionId is immutable"),
    ({"storage": {"size": "1Gi"}}, "storage.size may grow but not shrink"),
    ({"storage": {"storageClassName": "other"}}, "storage.storageClassName is immutable"),
    ({"storage": {"accessMode": "ReadWriteOnce"}}, "storage.accessMode is immutable"),
]


@pytest.fixture(scope="module")
def existing(api: client.CustomObjectsApi) -> str:
    name = "existing"
    api.create_namespaced_custom_object(*PLACE, session({"sessionId": "a", "storage": {"size": "2Gi"}}, name))
    return name


@pytest.mark.parametrize(("change", "rule"), REFUSED_AT_UPDATE, ids=lambda v: str(v)[:40])
def test_a_forbidden_change_is_refused_with_its_rule(
    api: client.CustomObjectsApi, existing: str, change: dict[str, Any], rule: str
) -> None:
    with pytest.raises(client.ApiException) as refused:
        api.patch_namespaced_custom_object(*PLACE, existing, {"spec": change}, dry_run="All")
    assert refused.value.status == 422
    assert rule in refused.value.body


@pytest.mark.parametrize(
    "change",
    [
        {"storage": {"size": "3Gi"}},
        {"storage": {"size": "3000Mi"}},
        {"storage": {"reclaimPolicy": "Retain"}},
        {"operatingMode": "Suspended"},
    ],
    ids=str,
)
def test_an_allowed_change_is_taken(api: client.CustomObjectsApi, existing: str, change: dict[str, Any]) -> None:
    api.patch_namespaced_custom_object(*PLACE, existing, {"spec": change}, dry_run="All")
    assert api.get_namespaced_custom_object(*PLACE, existing)["spec"]["sessionId"] == "a"


def test_a_pods_report_and_the_operators_conditions_do_not_disturb_each_other(api: client.CustomObjectsApi, existing: str) -> None:
    report = {"podUID": "u", "state": "Starting", "reportedAt": "2026-01-01T00:00:00Z"}
    api.patch_namespaced_custom_object_status(*PLACE, existing, {"status": {"phase": "Pending"}})
    api.patch_namespaced_custom_object_status(*PLACE, existing, {"status": {"session": report}})
    status = api.get_namespaced_custom_object_status(*PLACE, existing)["status"]
    assert status == {"phase": "Pending", "session": report}


@pytest.mark.parametrize("moment", ["2026-01-01T00:00:00+99:99", "0000-01-01T00:00:00Z"])
def test_a_report_whose_time_nobody_can_read_is_refused(api: client.CustomObjectsApi, existing: str, moment: str) -> None:
    report = {"podUID": "u", "state": "Starting", "reportedAt": moment}
    with pytest.raises(client.ApiException) as refused:
        api.patch_namespaced_custom_object_status(*PLACE, existing, {"status": {"session": report}}, dry_run="All")
    assert refused.value.status == 422
    assert "status.session.reportedAt" in refused.value.body
