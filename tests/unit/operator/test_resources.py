from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml

from wasession_contract import podwire
from wasession_contract.v1alpha1 import Pacing
from wasession_operator import resources
from wasession_operator.resources import Renderer, Template, TemplateError
from wasession_operator.views import Previously

if TYPE_CHECKING:
    from conftest import Build

pytestmark = pytest.mark.unit

DOCUMENT = yaml.safe_load((Path(__file__).parent / "data" / "pod-template.yaml").read_text())
KEY = b"an internal key for tests"


def _renderer(document: object = DOCUMENT, device_name: str = "DocuBot") -> Renderer:
    return Renderer(Template.read(document), device_name, "http://api:8080", KEY)


def _env(build: Build, **spec: object) -> dict[str, Any]:
    pod = _renderer().pod(build.session(spec=build.spec(**spec)))
    return {entry["name"]: entry.get("value", entry.get("valueFrom")) for entry in pod["spec"]["containers"][0]["env"]}


def test_the_pod_is_the_template_and_the_sessions_parts(build: Build) -> None:
    pod = _renderer().pod(build.session(), "a-b")
    assert pod["metadata"] == {
        "name": "cliente1-session",
        "namespace": "default",
        "labels": {
            "app.kubernetes.io/name": "wasession",
            "app.kubernetes.io/component": "session-pod",
            "team": "support",
            "wasession.dev/session": "cliente1",
        },
        "annotations": {"example.com/scrape": "true", "wasession.dev/template-hash": "a-b"},
        "ownerReferences": [
            {
                "apiVersion": "wasession.dev/v1alpha1",
                "kind": "WhatsAppSession",
                "name": "cliente1",
                "uid": "s-1",
                "controller": True,
            }
        ],
    }
    assert pod["spec"]["volumes"][0] == {"name": "data", "persistentVolumeClaim": {"claimName": "cliente1-data"}}
    assert pod["spec"]["hostname"] == "cliente1-session"
    for kept in ("serviceAccountName", "securityContext", "terminationGracePeriodSeconds"):
        assert pod["spec"][kept] == DOCUMENT["spec"][kept]
    assert pod["spec"]["containers"][1] == DOCUMENT["spec"]["containers"][1]


def test_what_a_spec_says_reaches_the_pod_without_the_kubelet_putting_variables_in(build: Build) -> None:
    env = _env(build, deviceName="$(WASESSION_UID) for $$5", webhooks=[{"url": "http://a/$(WASESSION_UID)"}])
    assert env["WASESSION_DEVICE_NAME"] == "$$(WASESSION_UID) for $$$$5"
    assert "http://a/$$(WASESSION_UID)" in env["WASESSION_WEBHOOKS"]


def test_the_environment_has_ours_first_and_ours_win(build: Build) -> None:
    env = _env(build, deviceName="Shop", pairing={"method": "Code", "phoneNumber": "573001234567"}, backend={"url": ""})
    assert env["WASESSION_NAME"] == "cliente1"
    assert env["WASESSION_DEVICE_NAME"] == "Shop"
    assert env["WASESSION_BACKEND_URL"] == ""
    assert env["WASESSION_PAIRING_PHONE_NUMBER"] == "573001234567"
    assert env["WASESSION_POD_UID"] == {"fieldRef": {"fieldPath": "metadata.uid"}}
    assert podwire.is_token(podwire.token(KEY, "s-1"), env["WASESSION_TOKEN_SHA256"])
    assert env["HTTPS_PROXY"] == "http://proxy:3128"
    assert list(env)[-1] == "SESSION_FILE"


def test_secrets_reach_the_pod_by_reference_alone(build: Build) -> None:
    hooks = [{"url": "https://a/h"}, {"url": "https://b/h", "secretRef": {"name": "hook", "key": "k"}, "events": ["message.ack"]}]
    env = _env(build, proxy={"secretRef": {"name": "way"}}, webhooks=hooks, pacing={"messagesPerMinute": 20})
    assert env["WASESSION_PROXY_URL"] == {"secretKeyRef": {"name": "way", "key": "value"}}
    assert env["WASESSION_WEBHOOK_SECRET_1"] == {"secretKeyRef": {"name": "hook", "key": "k"}}
    assert "WASESSION_WEBHOOK_SECRET_0" not in env
    assert msgspec.json.decode(env["WASESSION_WEBHOOKS"]) == [
        {"url": "https://a/h", "events": ["message"], "signed": False},
        {"url": "https://b/h", "events": ["message.ack"], "signed": True},
    ]
    assert (env["WASESSION_PACING_MESSAGES_PER_MINUTE"], env["WASESSION_PACING_BURST"]) == ("20", "5")
    assert "WASESSION_WEBHOOKS" not in _env(build)


def test_what_a_spec_leaves_out_is_the_installations(build: Build) -> None:
    env = _env(build)
    assert (env["WASESSION_DEVICE_NAME"], env["WASESSION_BACKEND_URL"], env["WASESSION_SESSION_ID"]) == (
        "DocuBot",
        "http://api:8080",
        "cliente1",
    )


def test_no_secret_is_in_the_pod(build: Build) -> None:
    text = msgspec.json.encode(_renderer().pod(build.session())).decode()
    assert podwire.token(KEY, "s-1") not in text
    assert KEY.decode() not in text


def test_rendering_leaves_the_template_as_it_was(build: Build) -> None:
    before = copy.deepcopy(DOCUMENT)
    _renderer().pod(build.session())
    assert before == DOCUMENT


def test_the_installations_half_of_the_hash_reacts_to_template_and_defaults() -> None:
    changed = copy.deepcopy(DOCUMENT)
    changed["spec"]["containers"][0]["image"] += "-1"
    hashes = {_renderer().installation_hash(), _renderer(changed).installation_hash(), _renderer(device_name="Other").installation_hash()}
    assert len(hashes) == 3
    assert _renderer().installation_hash() == _renderer(copy.deepcopy(DOCUMENT)).installation_hash()


def test_the_sessions_half_reacts_to_what_its_pod_is_made_of(build: Build) -> None:
    specs: list[dict[str, Any]] = [
        {},
        {"deviceName": "Shop"},
        {"backend": {"url": ""}},
        {"pairing": {"method": "Code", "phoneNumber": "573001234567"}},
        {"reconnect": {"maxAttempts": 9}},
        {"restartedAt": "2026-01-01T00:00:00Z"},
        {"restartedAt": "2026-01-01T00:00:01Z"},
    ]
    assert len({resources.session_hash(build.spec(**spec)) for spec in specs}) == len(specs)


def test_a_field_that_only_a_newer_operator_knows_replaces_no_pod(build: Build) -> None:
    class Newer(Pacing, frozen=True, kw_only=True):
        night: int = 0

    def newer(**fields: int) -> str:
        return resources.session_hash(msgspec.structs.replace(build.spec(), pacing=Newer(**fields)))

    assert newer() == newer(burst=5) == resources.session_hash(build.spec())
    assert len({newer(), newer(night=1), newer(burst=1)}) == 3


def test_a_pod_is_told_what_the_session_was_before(build: Build) -> None:
    def annotations(previously: Previously) -> dict[str, str]:
        found: dict[str, str] = _renderer().pod(build.session(), "x-y", previously)["metadata"]["annotations"]
        return found

    assert annotations(Previously.CONNECTED)["wasession.dev/previously"] == "Connected"
    assert "wasession.dev/previously" not in annotations(Previously.NOTHING)


def test_the_claim_follows_the_spec_and_has_no_owner_under_retain(build: Build) -> None:
    claim = resources.claim(build.session(spec=build.spec(storage={"size": "2Gi", "storageClassName": "fast"})))
    assert claim["metadata"]["name"] == "cliente1-data"
    assert claim["metadata"]["ownerReferences"][0]["uid"] == "s-1"
    assert claim["spec"] == {
        "accessModes": ["ReadWriteOncePod"],
        "resources": {"requests": {"storage": "2Gi"}},
        "storageClassName": "fast",
    }
    retain = resources.claim(build.session(spec=build.spec(storage={"reclaimPolicy": "Retain"})))
    assert "ownerReferences" not in retain["metadata"]
    assert "storageClassName" not in retain["spec"]


@pytest.mark.parametrize(
    ("quantity", "size"),
    [("1Gi", 2**30), ("1500M", 1_500_000_000), ("5", 5), ("1Pi", 2**50), ("2E", 2 * 10**18), ("1.5Gi", 0), ("", 0), ("1Zi", 0)],
)
def test_sizes_in_all_the_units_in_which_the_api_server_writes_them(quantity: str, size: int) -> None:
    assert resources.size_in_bytes(quantity) == size


@pytest.mark.parametrize(
    ("document", "words"),
    [
        (None, "no `spec`"),
        ({"spec": {}}, "one container named 'session'"),
        ({"spec": {"containers": [{"name": "session"}]}}, "with an image"),
        ({"spec": {"containers": [{"name": "session", "image": "x"}], "volumes": [{"name": "data"}]}}, "'data' is the session's own"),
        ({"spec": {"containers": [{"name": "session", "image": "x"}], "restartPolicy": "Never"}}, "needs Always"),
    ],
)
def test_a_template_that_cannot_work_is_refused(document: object, words: str) -> None:
    with pytest.raises(TemplateError, match=words):
        Template.read(document)
