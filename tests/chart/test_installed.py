"""The chart on a real API server: what it takes, what each account may do, and what a session's pod may write."""

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import pytest
import yaml
from kubernetes import client, config
from kubernetes.client.exceptions import ApiException
from tests.chart.conftest import NAMESPACE, RELEASE, Run

pytestmark = pytest.mark.integration

GROUP, VERSION, PLURAL = "wasession.dev", "v1alpha1", "whatsappsessions"
DEADLINE_SECONDS = 60
T = TypeVar("T")


def eventually(ask: Callable[[], T | None], what: str) -> T:
    """The first answer that is not None."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while time.monotonic() < deadline:
        if (answer := ask()) is not None:
            return answer
        time.sleep(0.2)
    pytest.fail(f"{what}: not within {DEADLINE_SECONDS} s")


@pytest.fixture(scope="module")
def core(installed: Path) -> client.CoreV1Api:
    return client.CoreV1Api(config.new_client_from_config(str(installed)))


@pytest.fixture(scope="module")
def objects(installed: Path) -> client.CustomObjectsApi:
    return client.CustomObjectsApi(config.new_client_from_config(str(installed)))


def message(refused: ApiException) -> str:
    said: str = json.loads(refused.body)["message"]
    return said


# --- installing


@pytest.mark.parametrize("values", ["everything", "cluster-wide"])
def test_every_option_is_accepted_by_the_api_server(helm: Run, chart: Path, installed: Path, values: str) -> None:
    arguments = ("other", str(chart), "--namespace", NAMESPACE, "--set", "crds.enabled=false", "--dry-run=server")
    done = helm("install", *arguments, "--values", str(chart / "ci" / f"{values}-values.yaml"), kubeconfig=installed)
    assert done.returncode == 0, done.stderr


def test_the_notes_name_what_is_there(helm: Run, installed: Path, core: client.CoreV1Api) -> None:
    notes = helm("get", "notes", RELEASE, "--namespace", NAMESPACE, kubeconfig=installed).stdout
    assert "kubectl -n whatsapp get secret wa-api-key -o jsonpath='{.data.key}' | base64 -d" in notes
    assert core.read_namespaced_secret("wa-api-key", NAMESPACE).data["key"]
    assert "port-forward service/wa-api 3000:3000" in notes
    assert core.read_namespaced_service("wa-api", NAMESPACE).spec.ports[0].port == 3000


def test_the_session_in_the_notes_can_be_applied(helm: Run, installed: Path, objects: client.CustomObjectsApi) -> None:
    notes = helm("get", "notes", RELEASE, "--namespace", NAMESPACE, kubeconfig=installed).stdout
    manifest = yaml.safe_load(notes.partition("<<'END'\n")[2].partition("  END\n")[0])
    created = objects.create_namespaced_custom_object(
        GROUP, VERSION, manifest["metadata"]["namespace"], PLURAL, manifest, dry_run="All", field_validation="Strict"
    )
    assert created["spec"]["operatingMode"] == "Running"


def secrets(core: client.CoreV1Api) -> dict[str, str]:
    return {name: core.read_namespaced_secret(name, NAMESPACE).data["key"] for name in ("wa-internal-key", "wa-api-key")}


def test_generated_keys_are_long_and_outlive_an_upgrade(helm: Run, chart: Path, installed: Path, core: client.CoreV1Api) -> None:
    before = secrets(core)
    assert len(base64.b64decode(base64.b64decode(before["wa-internal-key"]))) == 32
    assert len(base64.b64decode(before["wa-api-key"])) == 48
    done = helm("upgrade", RELEASE, str(chart), "--namespace", NAMESPACE, "--set", "settings.maxSessions=11", kubeconfig=installed)
    assert done.returncode == 0, done.stderr
    assert secrets(core) == before


def test_uninstalling_keeps_the_resource_and_the_sessions_and_a_new_installation_takes_them_over(
    helm: Run, chart: Path, installed: Path, objects: client.CustomObjectsApi
) -> None:
    session = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "WhatsAppSession", "metadata": {"name": "kept"}, "spec": {}}
    created = objects.create_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, session)
    done = helm("uninstall", RELEASE, "--namespace", NAMESPACE, kubeconfig=installed)
    assert done.returncode == 0, done.stderr
    try:
        found = objects.get_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, "kept")
        assert found["metadata"]["uid"] == created["metadata"]["uid"]
    finally:
        done = helm("install", RELEASE, str(chart), "--namespace", NAMESPACE, kubeconfig=installed)
    assert done.returncode == 0, done.stderr
    objects.delete_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, "kept")


@pytest.mark.parametrize("component", ["operator", "api"])
def test_pods_of_the_deployments_are_admitted_where_restricted_is_enforced(core: client.CoreV1Api, component: str) -> None:
    selector = f"app.kubernetes.io/instance={RELEASE},app.kubernetes.io/component={component}"
    pods = eventually(lambda: core.list_namespaced_pod(NAMESPACE, label_selector=selector).items or None, f"a pod of {component}")
    assert pods[0].spec.service_account_name == f"{RELEASE}-{component}"


def session_pod(core: client.CoreV1Api, name: str, **options: str) -> client.V1Pod:
    """Create the pod of session `name` from the installed template, as the operator does."""
    template = yaml.safe_load(core.read_namespaced_config_map(f"{RELEASE}-pod-template", NAMESPACE).data["template.yaml"])
    template["spec"]["volumes"].append({"name": "data", "persistentVolumeClaim": {"claimName": f"{name}-data"}})
    pod = {"metadata": {**template["metadata"], "name": f"{name}-session"}, "spec": template["spec"]}
    return core.create_namespaced_pod(NAMESPACE, pod, field_validation="Strict", **options)


def test_a_session_pod_is_admitted_where_restricted_is_enforced(core: client.CoreV1Api) -> None:
    created = session_pod(core, "tried", dry_run="All")
    assert created.spec.automount_service_account_token is True


# --- what each account may do

SESSIONS = {"get", "list", "watch", "patch", "delete"}
CHILDREN = {"get", "list", "watch", "create", "delete"}
RIGHTS = {
    "operator": {
        ("wasession.dev", "whatsappsessions"): SESSIONS,
        ("wasession.dev", "whatsappsessions/status"): {"patch"},
        ("", "pods"): CHILDREN,
        ("", "persistentvolumeclaims"): CHILDREN | {"patch"},
        ("", "events"): {"create"},
    },
    "api": {("wasession.dev", "whatsappsessions"): SESSIONS | {"create"}},
    "session-pod": {("wasession.dev", "whatsappsessions/status"): {"patch"}},
}


def rights(kubeconfig: Path, account: str, namespace: str) -> set[tuple[str, str, str]]:
    """Group, resource and verb of all that a ServiceAccount of the release's namespace may do in `namespace`."""
    api = config.new_client_from_config(str(kubeconfig))
    api.set_default_header("Impersonate-User", f"system:serviceaccount:{NAMESPACE}:{account}")
    review = client.AuthorizationV1Api(api).create_self_subject_rules_review({"spec": {"namespace": namespace}})
    return {
        (group, resource, verb)
        for rule in review.status.resource_rules
        for group in rule.api_groups
        for resource in rule.resources
        for verb in rule.verbs
    }


@pytest.mark.parametrize("component", list(RIGHTS))
def test_an_account_has_its_rights_and_no_other(installed: Path, component: str) -> None:
    account = f"{RELEASE}-{component}"
    wanted = {(group, resource, verb) for (group, resource), verbs in RIGHTS[component].items() for verb in verbs}
    everybody = rights(installed, "default", NAMESPACE)
    assert eventually(lambda: rights(installed, account, NAMESPACE) - everybody or None, f"rights of {account}") == wanted
    assert rights(installed, account, "elsewhere") == rights(installed, "default", "elsewhere")


# --- what a session's pod may write

REPORT = {"podUID": "u", "state": "AwaitingScan", "reportedAt": "2025-10-13T12:00:00Z"}
CONDITION = {"type": "Ready", "status": "True", "reason": "Connected", "lastTransitionTime": "2025-10-13T12:00:00Z"}
JUDGED = {
    "observedGeneration": 1,
    "phase": "AwaitingScan",
    "conditions": [{**CONDITION, "status": "False"}],
    "pod": {"name": "a-session", "uid": "u"},
}
MERGE = "application/merge-patch+json"


@dataclass(frozen=True)
class Writer:
    """What writes as a session's pod, by a token of its ServiceAccount."""

    api: client.CustomObjectsApi

    def report(self, session: str, status: dict[str, Any], namespace: str = NAMESPACE) -> dict[str, Any]:
        body = {"status": status}
        reported: dict[str, Any] = self.api.patch_namespaced_custom_object_status(
            GROUP, VERSION, namespace, PLURAL, session, body, _content_type=MERGE
        )
        return reported

    def refusal(self, session: str, status: dict[str, Any], namespace: str = NAMESPACE) -> str:
        with pytest.raises(ApiException) as refused:
            self.report(session, status, namespace)
        assert refused.value.status == 403
        return message(refused.value)


def writer(kubeconfig: Path, core: client.CoreV1Api, pod: str | None) -> Writer:
    """A writer whose token is bound to `pod`, or to none."""
    bound = {"boundObjectRef": {"kind": "Pod", "apiVersion": "v1", "name": pod}} if pod else {}
    request = {"spec": {"audiences": [], **bound}}
    granted = core.create_namespaced_service_account_token(f"{RELEASE}-session-pod", NAMESPACE, request)
    settings = client.Configuration()
    config.load_kube_config(str(kubeconfig), client_configuration=settings)
    settings.cert_file = settings.key_file = None
    settings.api_key = {"authorization": f"Bearer {granted.status.token}"}
    return Writer(client.CustomObjectsApi(client.ApiClient(settings)))


@pytest.fixture(scope="module")
def sessions(core: client.CoreV1Api, objects: client.CustomObjectsApi) -> Iterator[None]:
    """Sessions a and b with their pods, and what the operator said of them."""
    for name in ("a", "b"):
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "WhatsAppSession", "metadata": {"name": name}, "spec": {}}
        objects.create_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, body)
        objects.patch_namespaced_custom_object_status(GROUP, VERSION, NAMESPACE, PLURAL, name, {"status": JUDGED}, _content_type=MERGE)
        session_pod(core, name)
    yield
    for name in ("a", "b"):
        core.delete_namespaced_pod(f"{name}-session", NAMESPACE, grace_period_seconds=0)
        objects.delete_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, name)


@pytest.fixture(scope="module")
def pod_of_a(installed: Path, core: client.CoreV1Api, sessions: None) -> Writer:  # noqa: ARG001  they must be there
    """The pod of session a, once the admission policy works: it takes a moment after its creation."""
    pod = writer(installed, core, "a-session")

    def refused() -> bool | None:
        try:
            pod.report("b", {"session": REPORT})
        except ApiException as problem:
            return True if problem.status == 403 and "may not report for session" in message(problem) else None
        return None

    eventually(refused, "the admission policy works")
    return pod


def test_a_pod_reports_for_its_own_session(pod_of_a: Writer) -> None:
    first = pod_of_a.report("a", {"session": REPORT})["status"]
    assert first == {**JUDGED, "session": REPORT}
    again = pod_of_a.report("a", {"session": {"state": "Connected", "number": "573001234567"}})["status"]
    assert again == {**JUDGED, "session": {**REPORT, "state": "Connected", "number": "573001234567"}}


def test_a_pod_cannot_report_for_another_session(pod_of_a: Writer) -> None:
    assert "pod a-session may not report for session whatsapp/b" in pod_of_a.refusal("b", {"session": REPORT})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("observedGeneration", 2),
        ("phase", "Connected"),
        ("conditions", [CONDITION]),
        ("pod", {"ip": "10.0.0.1"}),
        ("phase", None),
        ("pod", None),
    ],
)
def test_a_pod_cannot_change_what_the_operator_says(pod_of_a: Writer, field: str, value: object) -> None:
    said = pod_of_a.refusal("a", {"session": REPORT, field: value})
    assert f"a session pod may change only status.session, not status.{field}" in said


def test_a_pod_cannot_write_its_session_itself(pod_of_a: Writer, objects: client.CustomObjectsApi) -> None:
    with pytest.raises(ApiException) as refused:
        pod_of_a.api.patch_namespaced_custom_object(
            GROUP, VERSION, NAMESPACE, PLURAL, "a", {"spec": {"operatingMode": "Suspended"}}, _content_type=MERGE
        )
    assert refused.value.status == 403
    smuggled = {"metadata": {"finalizers": ["x.dev/y"], "labels": {"x": "y"}}, "spec": {"operatingMode": "Suspended"}}
    body = {**smuggled, "status": {"session": REPORT}}
    pod_of_a.api.patch_namespaced_custom_object_status(GROUP, VERSION, NAMESPACE, PLURAL, "a", body, _content_type=MERGE)
    session = objects.get_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, "a")
    assert session["spec"]["operatingMode"] == "Running"
    assert not {"finalizers", "labels"} & set(session["metadata"])


def test_the_policy_alone_stops_a_pod_that_was_given_more_rights(pod_of_a: Writer, installed: Path) -> None:
    rbac = client.RbacAuthorizationV1Api(config.new_client_from_config(str(installed)))
    meta = {"metadata": {"name": "too-much"}}
    rule = {"apiGroups": [GROUP], "resources": [PLURAL], "verbs": ["*"]}
    rbac.create_namespaced_role(NAMESPACE, {**meta, "rules": [rule]})
    subject = {"kind": "ServiceAccount", "name": f"{RELEASE}-session-pod", "namespace": NAMESPACE}
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "too-much"}
    rbac.create_namespaced_role_binding(NAMESPACE, {**meta, "roleRef": role, "subjects": [subject]})
    try:
        place = (GROUP, VERSION, NAMESPACE, PLURAL)
        eventually(lambda: _readable(pod_of_a), "the rights arrive")
        body = {"apiVersion": f"{GROUP}/{VERSION}", "kind": "WhatsAppSession", "metadata": {"name": "c"}, "spec": {}}
        for write in (
            lambda: pod_of_a.api.create_namespaced_custom_object(*place, body),
            lambda: pod_of_a.api.patch_namespaced_custom_object(*place, "a", {"spec": {"deviceName": "x"}}, _content_type=MERGE),
            lambda: pod_of_a.api.delete_namespaced_custom_object(*place, "a"),
        ):
            with pytest.raises(ApiException) as refused:
                write()
            assert "a session pod may not write the session itself, only report status.session" in message(refused.value)
    finally:
        rbac.delete_namespaced_role_binding("too-much", NAMESPACE)
        rbac.delete_namespaced_role("too-much", NAMESPACE)


def _readable(pod: Writer) -> bool | None:
    try:
        pod.api.get_namespaced_custom_object(GROUP, VERSION, NAMESPACE, PLURAL, "a")
    except ApiException:
        return None
    return True


def test_a_token_that_is_bound_to_no_pod_reports_nothing(pod_of_a: Writer, installed: Path, core: client.CoreV1Api) -> None:  # noqa: ARG001  the policy works
    assert "may not report for session whatsapp/a" in writer(installed, core, None).refusal("a", {"session": REPORT})


def test_operator_and_people_are_none_of_the_policys_business(pod_of_a: Writer, objects: client.CustomObjectsApi) -> None:  # noqa: ARG001  the policy works
    status = {"status": {"phase": "AwaitingScan"}}
    changed = objects.patch_namespaced_custom_object_status(GROUP, VERSION, NAMESPACE, PLURAL, "b", status, _content_type=MERGE)
    assert changed["status"]["phase"] == "AwaitingScan"


def test_the_api_server_finds_nothing_wrong_in_the_policys_expressions(installed: Path) -> None:
    registration = client.AdmissionregistrationV1Api(config.new_client_from_config(str(installed)))

    def checked() -> client.V1TypeChecking | None:
        return registration.read_validating_admission_policy(f"{NAMESPACE}-{RELEASE}-session-reports").status.type_checking

    assert eventually(checked, "the expressions are checked").expression_warnings is None
