"""What each account may do in each scope of the chart, on a real API server: by review, by request, and by the operator's own life.

RBAC cannot tell a session's spec from its metadata: who may patch its finalizers may patch all of it but the status. That
the operator writes no spec is its own promise, held by other tests.
"""

import base64
import json
import os
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from tests.chart.conftest import Manifest, Run

sys.path.insert(0, str(Path(__file__).parents[1] / "integration" / "operator"))  # test folders are no packages
from operator_support import GROUP, KEY, MERGE, Kube, Kubelet, OperatorProcess, PodServer, eventually

pytestmark = pytest.mark.integration
REPO = Path(__file__).parents[2]
ELSEWHERE = "elsewhere"
OWNERS = "--apiserver-arg=--enable-admission-plugins=OwnerReferencesPermissionEnforcement"
"""Some distributions have it on: who sets an owner reference needs rights on the owner."""
SESSIONS, STATUS = "wasession.dev/whatsappsessions", "wasession.dev/whatsappsessions/status"
PODS, CLAIMS, EVENTS = "/pods", "/persistentvolumeclaims", "/events"

RIGHTS = {
    "operator": {
        SESSIONS: {"get", "list", "watch", "patch", "delete"},
        STATUS: {"patch"},
        PODS: {"get", "list", "watch", "create", "delete"},
        CLAIMS: {"get", "list", "watch", "create", "patch", "delete"},
        EVENTS: {"create"},
    },
    "api": {SESSIONS: {"get", "list", "watch", "create", "patch", "delete"}},
    "session-pod": {STATUS: {"patch"}},
}


@dataclass(frozen=True)
class Scope:
    """One installation: a release named as its namespace."""

    release: str
    settings: tuple[str, ...]
    operator: tuple[str | None, ...]
    """Namespaces that the operator serves; None: any other, too."""
    facade: str
    prepared: tuple[str, ...]

    def account(self, component: str) -> str:
        home = self.prepared[0] if component == "session-pod" else self.release
        return f"system:serviceaccount:{home}:{self.release}-{component}"

    def serves(self, component: str, namespace: str) -> bool:
        if component == "operator":
            return namespace in self.operator or None in self.operator
        return namespace == (self.facade if component == "api" else self.prepared[0])


SCOPES = [
    Scope("one", (), ("one",), "one", ("one",)),
    Scope("list", ('scope.namespaces=["list-a","list-b"]',), ("list-a", "list-b"), "list-a", ("list-a", "list-b")),
    Scope("all", ("scope.clusterWide=true", 'scope.namespaces=["all-a"]'), ("all-a", None), "all-a", ("all-a",)),
]
KINDS = {"ServiceAccount", "Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"}
NAMESPACES = ("one", "list", "list-a", "list-b", "all", "all-a", ELSEWHERE)
each_scope = pytest.mark.parametrize("scope", SCOPES, ids=lambda scope: scope.release)


@pytest.fixture(scope="module")
def server(helm: Run, chart: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Path of a kubeconfig for an API server with the accounts and rights of the three installations."""
    directory = tmp_path_factory.mktemp("scope") / "cluster"
    devcluster = os.environ.get("DEVCLUSTER", str(REPO / "devcluster" / "devcluster"))
    kubectl = os.environ.get("KUBECTL", str(REPO / "devcluster" / "kubectl"))
    env = {**os.environ, "DEVCLUSTER_DIR": str(directory), "KUBECONFIG": str(directory / "kubeconfig")}

    def run(*command: str, given: str = "") -> None:
        done = subprocess.run(command, env=env, input=given, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"

    manifests: list[Manifest] = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in NAMESPACES]
    manifests.append(yaml.safe_load((REPO / "crds" / "whatsappsession.yaml").read_text()))
    for scope in SCOPES:
        arguments = [argument for setting in scope.settings for argument in ("--set-json", setting)]
        done = helm("template", scope.release, str(chart), "--namespace", scope.release, *arguments)
        assert done.returncode == 0, done.stderr
        manifests += [one for one in yaml.safe_load_all(done.stdout) if one and one["kind"] in KINDS]
    try:
        run(devcluster, "up", "--control-plane-only", "--die-with-parent", OWNERS)
        run(kubectl, "apply", "-f", "-", given=yaml.safe_dump_all(manifests))
        run(kubectl, "wait", "--for=condition=Established", "--timeout=60s", "crd/whatsappsessions.wasession.dev")
        yield directory / "kubeconfig"
    finally:
        run(devcluster, "down")


@pytest.fixture(scope="module")
def admin(server: Path) -> Iterator[Kube]:
    admin = Kube(server, "one")
    yield admin
    admin.close()


# --- by review


def _rules(admin: Kube, account: str, namespace: str) -> set[tuple[str, str]]:
    """Resource and verb of all that `account` may do in `namespace`, by name nothing."""
    body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectRulesReview", "spec": {"namespace": namespace}}
    path = "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews"
    review = admin.call("POST", path, body, headers={"Impersonate-User": account}) or {}
    assert not review["status"]["incomplete"]
    return {
        (f"{group}/{resource}", verb)
        for rule in review["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


@each_scope
@pytest.mark.parametrize("component", list(RIGHTS))
def test_an_account_has_its_rights_where_it_works_and_none_elsewhere(admin: Kube, scope: Scope, component: str) -> None:
    everybody = _rules(admin, "system:serviceaccount:elsewhere:default", ELSEWHERE)
    wanted = {(resource, verb) for resource, verbs in RIGHTS[component].items() for verb in verbs}
    for namespace in (*NAMESPACES, "kube-system"):
        found = _rules(admin, scope.account(component), namespace) - everybody
        assert found == (wanted if scope.serves(component, namespace) else set()), namespace


FORBIDDEN: list[tuple[str, str, str]] = [
    ("get", "", "secrets"),
    ("list", "", "secrets"),
    ("get", "", "configmaps"),
    ("create", "", "pods/exec"),
    ("get", "", "pods/log"),
    ("create", "", "pods/eviction"),
    ("patch", "", "pods"),
    ("patch", "", "pods/ephemeralcontainers"),
    ("deletecollection", "", "pods"),
    ("deletecollection", "", "persistentvolumeclaims"),
    ("deletecollection", "wasession.dev", "whatsappsessions"),
    ("update", "wasession.dev", "whatsappsessions"),
    ("update", "wasession.dev", "whatsappsessions/finalizers"),
    ("create", "", "serviceaccounts/token"),
    ("impersonate", "", "serviceaccounts"),
    ("list", "", "nodes"),
    ("list", "", "namespaces"),
    ("list", "", "persistentvolumes"),
    ("list", "storage.k8s.io", "storageclasses"),
    ("get", "apiextensions.k8s.io", "customresourcedefinitions"),
    ("get", "rbac.authorization.k8s.io", "roles"),
    ("create", "rbac.authorization.k8s.io", "rolebindings"),
    ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
    ("patch", "admissionregistration.k8s.io", "validatingadmissionpolicies"),
    ("create", "apps", "deployments"),
    ("create", "batch", "jobs"),
    ("create", "coordination.k8s.io", "leases"),
]


@each_scope
@pytest.mark.parametrize("component", list(RIGHTS))
def test_what_nobody_of_ours_may_do_is_refused(admin: Kube, scope: Scope, component: str) -> None:
    """Once more, by the question that a request asks."""
    allowed = []
    for verb, group, what in FORBIDDEN:
        resource, _, subresource = what.partition("/")
        attributes = {"verb": verb, "group": group, "resource": resource, "subresource": subresource, "namespace": scope.prepared[0]}
        body = {"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": {"resourceAttributes": attributes}}
        path = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
        answer = admin.call("POST", path, body, headers={"Impersonate-User": scope.account(component)}) or {}
        if answer["status"]["allowed"]:
            allowed.append(attributes)
    assert allowed == []


# --- by request, with a real token


def _token(admin: Kube, account: str) -> str:
    *_, namespace, name = account.split(":")
    answer = admin.call("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token", {"spec": {"audiences": []}}) or {}
    token: str = answer["status"]["token"]
    return token


@pytest.fixture(scope="module")
def as_account(server: Path, admin: Kube) -> Iterator[Callable[[str], httpx.Client]]:
    cluster = yaml.safe_load(server.read_text())["clusters"][0]["cluster"]
    context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    made: list[httpx.Client] = []

    def client(account: str) -> httpx.Client:
        headers = {"Authorization": f"Bearer {_token(admin, account)}"}
        made.append(httpx.Client(base_url=cluster["server"], verify=context, headers=headers, timeout=60, trust_env=False))
        return made[-1]

    yield client
    for one in made:
        one.close()


REQUESTS: list[tuple[str, str, str, int]] = [
    ("operator", "GET", f"{GROUP}/namespaces/one/whatsappsessions", 200),
    ("operator", "GET", f"{GROUP}/whatsappsessions", 403),
    ("operator", "GET", f"{GROUP}/namespaces/elsewhere/whatsappsessions", 403),
    ("operator", "GET", "/api/v1/namespaces/one/pods", 200),
    ("operator", "GET", "/api/v1/namespaces/elsewhere/pods", 403),
    ("operator", "GET", "/api/v1/namespaces/one/secrets", 403),
    ("operator", "GET", "/api/v1/namespaces/one/secrets/one-internal-key", 403),
    ("operator", "POST", "/api/v1/namespaces/one/pods/tried-session/exec?command=id", 403),
    ("operator", "GET", "/api/v1/nodes", 403),
    ("operator", "GET", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions/whatsappsessions.wasession.dev", 403),
    ("operator", "POST", "/apis/rbac.authorization.k8s.io/v1/namespaces/one/roles", 403),
    ("operator", "DELETE", f"{GROUP}/namespaces/one/whatsappsessions", 403),
    ("operator", "DELETE", "/api/v1/namespaces/one/pods", 403),
    ("operator", "POST", f"{GROUP}/namespaces/one/whatsappsessions", 403),
    ("operator", "PUT", f"{GROUP}/namespaces/one/whatsappsessions/tried", 403),
    ("operator", "PUT", f"{GROUP}/namespaces/one/whatsappsessions/tried/status", 403),
    ("api", "GET", f"{GROUP}/namespaces/one/whatsappsessions", 200),
    ("api", "GET", f"{GROUP}/namespaces/elsewhere/whatsappsessions", 403),
    ("api", "GET", "/api/v1/namespaces/one/pods", 403),
    ("api", "GET", "/api/v1/namespaces/one/secrets", 403),
    ("api", "PATCH", f"{GROUP}/namespaces/one/whatsappsessions/tried/status", 403),
    ("session-pod", "GET", f"{GROUP}/namespaces/one/whatsappsessions/tried", 403),
    ("session-pod", "GET", f"{GROUP}/namespaces/one/whatsappsessions/tried/status", 403),
    ("session-pod", "PATCH", f"{GROUP}/namespaces/one/whatsappsessions/tried", 403),
    ("session-pod", "PATCH", f"{GROUP}/namespaces/one/whatsappsessions/tried/status", 200),
    ("session-pod", "PATCH", f"{GROUP}/namespaces/elsewhere/whatsappsessions/tried/status", 403),
    ("session-pod", "GET", "/api/v1/namespaces/one/pods", 403),
    ("session-pod", "GET", "/api/v1/namespaces/one/secrets", 403),
    ("session-pod", "POST", "/api/v1/namespaces/one/events", 403),
]


def test_requests_are_answered_accordingly(admin: Kube, as_account: Callable[[str], httpx.Client]) -> None:
    admin.create("tried")
    clients = {component: as_account(SCOPES[0].account(component)) for component in RIGHTS}
    answers = []
    for component, method, path, _ in REQUESTS:
        content = json.dumps({"status": {}}) if method in {"PATCH", "PUT", "POST"} else None
        kind = MERGE["Content-Type"] if method == "PATCH" else "application/json"
        answer = clients[component].request(method, path, content=content, headers={"Content-Type": kind})
        answers.append((component, method, path, answer.status_code))
    admin.delete("tried")
    assert answers == REQUESTS


# --- by the operator's own life


@dataclass
class Installation:
    """The operator of one scope as its own ServiceAccount, and the namespaces with a kubelet each."""

    operator: OperatorProcess
    kubes: dict[str, Kube]


StartInstallation = Callable[..., Installation]


@pytest.fixture
def install(server: Path, admin: Kube, tmp_path: Path) -> Iterator[StartInstallation]:
    """Starts the operator of a scope; it has to end without having been refused anything."""
    kubes: dict[str, Kube] = {}
    kubelets: list[Kubelet] = []
    operators: list[OperatorProcess] = []

    def start(scope: Scope, namespaces: tuple[str, ...], **environment: str) -> Installation:
        document = yaml.safe_load(server.read_text())
        document["users"][0]["user"] = {"token": _token(admin, scope.account("operator"))}
        kubeconfig = tmp_path / "kubeconfig"
        kubeconfig.write_text(yaml.safe_dump(document))
        served = "*" if None in scope.operator else ",".join(name for name in scope.operator if name)
        for namespace in namespaces:
            kube = kubes[namespace] = Kube(server, namespace)
            if not kube.call("GET", kube.path("serviceaccounts", ACCOUNT)):
                kube.call("POST", kube.path("serviceaccounts"), {"metadata": {"name": ACCOUNT}})
            kubelets.append(Kubelet(kube, ip=POD_IP).__enter__())
        environment = {"KUBECONFIG": str(kubeconfig), "WASESSION_NAMESPACES": served} | environment
        operators.append(OperatorProcess(kubes[namespaces[0]], tmp_path / "operator", **environment))
        operators[-1].start()
        operators[-1].wait_started()
        return Installation(operators[-1], kubes)

    yield start
    for operator in operators:
        assert operator.stop() == 0, operator.log
    for kubelet in kubelets:
        kubelet.__exit__()
    for kube in kubes.values():
        kube.close()


ACCOUNT = "wasession-session-pod"  # the one that the tests' pod template names
POD_IP = "127.0.0.77"


def _used(operator: OperatorProcess) -> dict[str, set[str]]:
    """What the operator asked for, by its own metrics, but for the watches."""
    text = httpx.get(f"http://127.0.0.1:{operator.metrics_port}/metrics", timeout=30, trust_env=False).text
    found: dict[str, set[str]] = {}
    for line in text.splitlines():
        if line.startswith("wasession_operator_api_requests_total{"):
            labels: dict[str, str] = dict(part.split("=") for part in line.partition("{")[2].partition("}")[0].replace('"', "").split(","))
            found.setdefault(labels["resource"], set()).add(labels["verb"])
    return found


def _live(kube: Kube) -> None:
    """Sessions in one namespace go through everything that needs a right of its own."""
    for name, spec in (("cliente1", {}), ("kept", {}), ("idle", {"idle": {"timeoutSeconds": 1, "policy": "Delete"}})):
        kube.create(name, **spec)
    for name in ("cliente1", "kept", "idle"):
        eventually(lambda name=name: kube.condition(name, "PodReady") == "True PodReady", f"{name} has its pod")
    kube.report("idle", "AwaitingScan")
    kube.wait_gone("idle")
    kube.report("cliente1", "Connected", number="573001234567")
    kube.wait_phase("cliente1", "Connected")
    kube.patch_spec("kept", storage={"reclaimPolicy": "Retain"})
    eventually(lambda: not (kube.claim("kept") or {})["metadata"].get("ownerReferences"), "the kept claim has no owner")
    kube.patch_spec("kept", storage={"reclaimPolicy": "Delete"})
    eventually(lambda: (kube.claim("kept") or {})["metadata"].get("ownerReferences"), "it has one again")
    for name in ("cliente1", "kept"):
        kube.delete(name)
    for name in ("cliente1", "kept"):
        kube.wait_gone(name)
        assert kube.pod(name) is None


@each_scope
def test_the_operator_serves_its_scope_with_its_own_token_and_needs_every_right_it_has(scope: Scope, install: StartInstallation) -> None:
    outside = () if None in scope.operator else (ELSEWHERE,)
    inside = (*(name for name in scope.operator if name), *(() if outside else (ELSEWHERE,)))
    installation = install(scope, (*inside, *outside), CLEANUP_INTERVAL="100")
    kubes = installation.kubes
    for namespace in outside:
        kubes[namespace].create("nobodys")
    for namespace in inside[1:]:
        kubes[namespace].create("also")
        eventually(lambda kube=kubes[namespace]: kube.condition("also", "PodReady") == "True PodReady", f"a pod in {namespace}")
        kubes[namespace].delete("also")
        kubes[namespace].wait_gone("also")
    with PodServer(POD_IP) as pods:
        _live(kubes[inside[0]])
    assert pods.calls[0][0] == "/v1/logout"
    for namespace in outside:
        untouched = kubes[namespace].session("nobodys") or {}
        assert "finalizers" not in untouched["metadata"]
        assert "status" not in untouched
        assert kubes[namespace].pod("nobodys") is None
        kubes[namespace].delete("nobodys")
    assert "forbidden" not in installation.operator.log
    assert "WARNING" not in installation.operator.log.upper(), installation.operator.log
    wanted = {resource.removeprefix("wasession.dev").lstrip("/"): verbs - {"watch"} for resource, verbs in RIGHTS["operator"].items()}
    assert _used(installation.operator) == wanted


def _said(operator: OperatorProcess, event: str) -> list[dict[str, Any]]:
    return [said for said in map(json.loads, operator.log.splitlines()) if said["event"].startswith(event)]


def test_a_namespace_that_is_not_there_is_named_and_the_others_are_served(install: StartInstallation) -> None:
    scope = SCOPES[1]
    installation = install(scope, ("list-a",), WASESSION_NAMESPACES="nowhere,list-a")
    kube = installation.kubes["list-a"]
    kube.create("cliente1", logoutOnDelete=False)
    eventually(lambda: kube.condition("cliente1", "PodReady") == "True PodReady", "it has its pod")
    [said, *_] = _said(installation.operator, "this namespace cannot be served")
    assert (said["namespace"], said["level"]) == ("nowhere", "error")
    assert 'cannot list resource "pods" in API group "" in the namespace "nowhere"' in said["because"]
    assert "Role and RoleBinding" in said["mend"]
    assert installation.operator.metric("wasession_operator_unreadable_namespaces") == 1
    assert installation.operator.probe("/healthz") == 200
    kube.delete("cliente1")
    kube.wait_gone("cliente1")


def test_a_namespace_that_goes_while_the_operator_runs_takes_nothing_from_the_others(install: StartInstallation) -> None:
    """Last in this file: list-b does not come back."""
    scope = SCOPES[1]
    installation = install(scope, ("list-a", "list-b"), WASESSION_RESYNC_SECONDS="1")
    stays, goes = installation.kubes["list-a"], installation.kubes["list-b"]
    goes.create("cliente2", logoutOnDelete=False)
    eventually(lambda: goes.condition("cliente2", "PodReady") == "True PodReady", "it has its pod")
    stays.call("DELETE", "/api/v1/namespaces/list-b")
    eventually(lambda: _said(installation.operator, "this namespace cannot be served"), "the log says so", 120)
    stays.create("cliente1", logoutOnDelete=False)
    eventually(lambda: stays.condition("cliente1", "PodReady") == "True PodReady", "the other namespace is served")
    assert installation.operator.probe("/healthz") == 200
    assert KEY not in installation.operator.log
    stays.delete("cliente1")
    stays.wait_gone("cliente1")
    for session in goes.sessions():
        goes.call(
            "PATCH", goes.path("whatsappsessions", session["metadata"]["name"], GROUP), {"metadata": {"finalizers": []}}, headers=MERGE
        )
