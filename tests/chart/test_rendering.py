"""What each value makes of the manifests."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.chart.conftest import NAMESPACE, Refusal, Render, Run

pytestmark = pytest.mark.integration

COMPONENTS = ["operator", "api", "session-pod"]
VALUES_OF = {"operator": "operator", "api": "api", "session-pod": "sessionPod"}


def test_default_values_render_these_objects_and_no_others(render: Render) -> None:
    rendered = sorted((m["kind"], m["metadata"]["name"], m["metadata"].get("namespace")) for m in render().manifests)
    assert rendered == [
        ("ConfigMap", "wa-pod-template", NAMESPACE),
        ("CustomResourceDefinition", "whatsappsessions.wasession.dev", None),
        ("Deployment", "wa-api", NAMESPACE),
        ("Deployment", "wa-operator", NAMESPACE),
        ("Role", "wa-api", NAMESPACE),
        ("Role", "wa-operator", NAMESPACE),
        ("Role", "wa-session-pod", NAMESPACE),
        ("RoleBinding", "wa-api", NAMESPACE),
        ("RoleBinding", "wa-operator", NAMESPACE),
        ("RoleBinding", "wa-session-pod", NAMESPACE),
        ("Secret", "wa-api-key", NAMESPACE),
        ("Secret", "wa-internal-key", NAMESPACE),
        ("Service", "wa-api", NAMESPACE),
        ("ServiceAccount", "wa-api", NAMESPACE),
        ("ServiceAccount", "wa-operator", NAMESPACE),
        ("ServiceAccount", "wa-session-pod", NAMESPACE),
        ("ValidatingAdmissionPolicy", "whatsapp-wa-session-reports", None),
        ("ValidatingAdmissionPolicyBinding", "whatsapp-wa-session-reports", None),
    ]


@pytest.mark.parametrize("values", ["everything", "cluster-wide"])
def test_lint_has_nothing_to_say(helm: Run, chart: Path, values: str) -> None:
    done = helm("lint", "--strict", str(chart), "--values", str(chart / "ci" / f"{values}-values.yaml"))
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("values", [None, "everything", "cluster-wide"])
def test_every_object_carries_the_standard_labels(render: Render, values: str | None) -> None:
    for manifest in render(values=values).manifests:
        labels = manifest["metadata"]["labels"]
        assert labels["app.kubernetes.io/name"] == "wasession"
        assert labels["app.kubernetes.io/instance"] == "wa"
        assert labels["app.kubernetes.io/version"] == "0.1.0"
        assert labels["app.kubernetes.io/managed-by"] == "Helm"
        assert labels["app.kubernetes.io/component"] in {*COMPONENTS, "crd"}


# --- the resource


def test_the_resource_is_the_canonical_one_and_is_kept(render: Render, repo: Path) -> None:
    crd = render().get("CustomResourceDefinition", "whatsappsessions.wasession.dev")
    assert crd["spec"] == yaml.safe_load((repo / "crds" / "whatsappsession.yaml").read_text(encoding="utf-8"))["spec"]
    assert crd["metadata"]["annotations"] == {"helm.sh/resource-policy": "keep"}


def test_the_resource_can_go_with_the_release_or_be_left_to_others(render: Render) -> None:
    [crd] = render("crds.keep=false").all("CustomResourceDefinition")
    assert "annotations" not in crd["metadata"]
    assert not render("crds.enabled=false").all("CustomResourceDefinition")


# --- scope


def test_the_operator_has_rights_only_in_the_namespaces_in_scope(render: Render) -> None:
    rendering = render('scope.namespaces=["team-a","team-b"]')
    assert rendering.namespaces("Role", "wa-operator") == {"team-a", "team-b"}
    assert rendering.namespaces("RoleBinding", "wa-operator") == {"team-a", "team-b"}
    assert not rendering.all("ClusterRole")
    for binding in rendering.all("RoleBinding"):
        [subject] = binding["subjects"]
        inside = binding["metadata"]["name"] == "wa-session-pod"
        assert subject["namespace"] == (binding["metadata"]["namespace"] if inside else NAMESPACE)
    assert rendering.env("operator")["WASESSION_NAMESPACES"] == "team-a,team-b"


def test_each_namespace_in_scope_is_prepared_for_session_pods(render: Render) -> None:
    rendering = render('scope.namespaces=["team-a","team-b"]')
    for kind in ("ServiceAccount", "Role", "RoleBinding"):
        assert rendering.namespaces(kind, "wa-session-pod") == {"team-a", "team-b"}


def test_cluster_wide_means_the_same_rules_in_a_cluster_role(render: Render) -> None:
    rendering = render("scope.clusterWide=true")
    role = rendering.get("ClusterRole", "whatsapp-wa-operator")
    assert role["rules"] == render().get("Role", "wa-operator")["rules"]
    binding = rendering.get("ClusterRoleBinding", "whatsapp-wa-operator")
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "wa-operator", "namespace": NAMESPACE}]
    assert "wa-operator" not in rendering.names("Role")
    assert rendering.env("operator")["WASESSION_NAMESPACES"] == "*"


@pytest.mark.parametrize(
    ("settings", "namespace"),
    [
        ([], NAMESPACE),
        (['scope.namespaces=["team-a","whatsapp"]'], NAMESPACE),
        (['scope.namespaces=["team-a","team-b"]'], "team-a"),
        (['scope.namespaces=["team-a","team-b"]', 'api.sessionNamespace="team-b"'], "team-b"),
        (["scope.clusterWide=true", 'api.sessionNamespace="anywhere"'], "anywhere"),
    ],
)
def test_the_facade_serves_one_namespace_and_has_rights_there_only(render: Render, settings: list[str], namespace: str) -> None:
    rendering = render(*settings)
    assert rendering.env("api")["WASESSION_NAMESPACE"] == namespace
    assert rendering.namespaces("Role", "wa-api") == {namespace}
    assert rendering.namespaces("RoleBinding", "wa-api") == {namespace}


# --- settings


def test_settings_reach_operator_and_facade_under_the_names_of_the_contract(render: Render) -> None:
    rendering = render()
    operator, api = rendering.env("operator"), rendering.env("api")
    contract = {"API_URL": "http://api:8080", "BOT_NAME": "DocuBot", "MAX_SESSIONS": "10", "CLEANUP_INTERVAL": "300000"}
    assert contract.items() <= operator.items()
    more = {"WS_PORT": "3000", "MAX_RECONNECT_ATTEMPTS": "5", "SESSION_TIMEOUT": "1800000"}
    assert (contract | more).items() <= api.items()


def test_large_numbers_stay_digits(render: Render) -> None:
    api = render(values="everything").env("api")
    assert api["MAX_SESSIONS"] == "1000000"
    assert api["SESSION_TIMEOUT"] == "31536000000"


def test_a_setting_with_quotes_and_braces_arrives_as_it_is(render: Render) -> None:
    name = 'Bot "1": {{ x }} #'
    assert render(f"settings.botName={json.dumps(name)}").env("operator")["BOT_NAME"] == name


# --- keys


def mounted_keys(pod: dict[str, Any]) -> dict[str, tuple[str, str]]:
    """Mount path of each Secret in the first container, with the Secret's name and the key that is the file `key`."""
    secrets = {volume["name"]: volume["secret"] for volume in pod["spec"]["volumes"] if "secret" in volume}
    found = {}
    for mount in pod["spec"]["containers"][0]["volumeMounts"]:
        if mount["name"] in secrets:
            secret = secrets[mount["name"]]
            [item] = secret["items"]
            assert item["path"] == "key"
            found[mount["mountPath"]] = (secret["secretName"], item["key"])
    return found


def test_keys_are_files_and_never_in_the_environment(render: Render) -> None:
    rendering = render()
    pods = rendering.pod_templates()
    internal = {"/etc/wasession/internal-key": ("wa-internal-key", "key")}
    assert mounted_keys(pods["operator"]) == internal
    assert mounted_keys(pods["api"]) == internal | {"/etc/wasession/api-key": ("wa-api-key", "key")}
    assert mounted_keys(pods["session-pod"]) == {}
    assert rendering.env("operator")["WASESSION_INTERNAL_KEY_FILE"] == "/etc/wasession/internal-key/key"
    assert rendering.env("api")["WASESSION_INTERNAL_KEY_FILE"] == "/etc/wasession/internal-key/key"
    assert rendering.env("api")["WASESSION_API_KEY_FILE"] == "/etc/wasession/api-key/key"


def test_existing_secrets_are_used_and_none_is_generated(render: Render) -> None:
    rendering = render(values="everything")
    pods = rendering.pod_templates()
    assert not rendering.all("Secret")
    assert mounted_keys(pods["operator"]) == {"/etc/wasession/internal-key": ("keys", "internal")}
    assert mounted_keys(pods["api"])["/etc/wasession/api-key"] == ("keys", "api")


def test_without_authentication_there_is_no_api_key(render: Render) -> None:
    rendering = render("api.auth.enabled=false")
    assert rendering.names("Secret") == {"wa-internal-key"}
    assert "WASESSION_API_KEY_FILE" not in rendering.env("api")
    assert set(mounted_keys(rendering.pod_templates()["api"])) == {"/etc/wasession/internal-key"}


# --- pods


@pytest.mark.parametrize("component", COMPONENTS)
def test_an_image_is_registry_repository_and_the_charts_version(render: Render, component: str) -> None:
    assert render().container(component)["image"] == f"localhost/wasession/{component}:0.1.0"
    assert render().container(component)["imagePullPolicy"] == "IfNotPresent"


@pytest.mark.parametrize("component", COMPONENTS)
def test_a_components_own_tag_comes_before_the_common_one_and_a_digest_before_both(render: Render, component: str) -> None:
    key = f"{VALUES_OF[component]}.image"
    digest = "sha256:" + "0" * 64
    common = ('image.registry="registry.example.com"', 'image.tag="1.0"')
    assert render(*common).container(component)["image"] == f"registry.example.com/{component}:1.0"
    assert render(*common, f'{key}.tag="1.1"').container(component)["image"] == f"registry.example.com/{component}:1.1"
    assert render(*common, f'{key}.digest="{digest}"').container(component)["image"] == f"registry.example.com/{component}@{digest}"
    assert render(*common, f'{key}.registry="other.example.com"').container(component)["image"] == f"other.example.com/{component}:1.0"


@pytest.mark.parametrize("component", COMPONENTS)
def test_every_option_of_a_pod_reaches_it(render: Render, chart: Path, component: str) -> None:
    values = yaml.safe_load((chart / "ci" / "everything-values.yaml").read_text(encoding="utf-8"))[VALUES_OF[component]]
    pod = render(values="everything").pod_templates()[component]
    spec, container = pod["spec"], pod["spec"]["containers"][0]
    for option in (
        "nodeSelector",
        "tolerations",
        "affinity",
        "topologySpreadConstraints",
        "priorityClassName",
        "imagePullSecrets",
        "terminationGracePeriodSeconds",
    ):
        assert spec[option] == values[option], option
    assert values["podAnnotations"].items() <= pod["metadata"]["annotations"].items()
    assert values["podLabels"].items() <= pod["metadata"]["labels"].items()
    for given, place in ((values["extraEnv"], container["env"]), (values["extraVolumeMounts"], container["volumeMounts"])):
        assert all(entry in place for entry in given)
    assert all(volume in spec["volumes"] for volume in values["extraVolumes"])
    assert spec["containers"][1:] == values.get("extraContainers", [])


@pytest.mark.parametrize("component", COMPONENTS)
def test_pull_secrets_of_all_images_reach_each_pod(render: Render, component: str) -> None:
    assert render('image.pullSecrets=[{"name":"regcred"}]').pod_templates()[component]["spec"]["imagePullSecrets"] == [{"name": "regcred"}]


def test_labels_of_a_user_never_take_the_place_of_those_that_select(render: Render) -> None:
    rendering = render('api.podLabels={"app.kubernetes.io/component":"mine","team":"x"}')
    [deployment] = [d for d in rendering.all("Deployment") if d["metadata"]["name"] == "wa-api"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert deployment["spec"]["selector"]["matchLabels"].items() <= labels.items()
    assert labels["team"] == "x"


@pytest.mark.parametrize("values", [None, "everything", "cluster-wide"])
@pytest.mark.parametrize("component", COMPONENTS)
def test_every_pod_is_restricted(render: Render, values: str | None, component: str) -> None:
    spec = render(values=values).pod_templates()[component]["spec"]
    assert spec["enableServiceLinks"] is False
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["runAsUser"] == 10001
    assert spec["securityContext"]["fsGroup"] == 10001
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert spec["containers"][0]["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert spec["containers"][0]["resources"]["limits"]["memory"]


def test_there_is_never_a_second_operator(render: Render) -> None:
    operator = render().get("Deployment", "wa-operator")["spec"]
    assert (operator["replicas"], operator["strategy"]) == (1, {"type": "Recreate"})


def test_a_changed_pod_template_starts_a_new_operator_and_nothing_else_does(render: Render) -> None:
    def checksum(*settings: str) -> str:
        pod = render(*settings).pod_templates()["operator"]
        found: str = pod["metadata"]["annotations"]["checksum/pod-template"]
        return found

    assert checksum() == checksum("api.replicas=2")
    assert checksum() != checksum('sessionPod.nodeSelector={"disk":"ssd"}')


def test_a_new_chart_version_alone_leaves_session_pods_as_they_are(render: Render) -> None:
    assert set(render().pod_templates()["session-pod"]["metadata"]["labels"]) == {
        "app.kubernetes.io/name",
        "app.kubernetes.io/instance",
        "app.kubernetes.io/component",
    }


def test_a_session_pod_has_what_the_operator_counts_on(render: Render) -> None:
    spec = render().pod_templates()["session-pod"]["spec"]
    [container] = spec["containers"]
    assert container["name"] == "session"
    assert container["ports"] == [{"name": "http", "containerPort": 8080}]
    assert {"name": "data", "mountPath": "/data"} in container["volumeMounts"]
    assert "data" not in {volume["name"] for volume in spec["volumes"]}, "the operator adds the session's own volume"
    assert spec["serviceAccountName"] == "wa-session-pod"
    assert spec["securityContext"]["fsGroupChangePolicy"] == "OnRootMismatch"
    assert container["livenessProbe"]["httpGet"]["path"] == "/livez"
    assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert container["startupProbe"]["periodSeconds"] == 1
    assert container["resources"] == {"requests": {"cpu": "10m", "memory": "64Mi"}, "limits": {"memory": "384Mi"}}


# --- ways in


def test_the_service_has_the_type_and_port_of_the_values(render: Render) -> None:
    spec = render('api.service={"type":"NodePort","port":80,"nodePort":30300}').get("Service", "wa-api")["spec"]
    assert spec["type"] == "NodePort"
    assert spec["ports"] == [{"name": "http", "port": 80, "targetPort": "http", "nodePort": 30300}]


def test_session_pods_may_be_shut_to_all_but_facade_and_operator(render: Render) -> None:
    assert not render().all("NetworkPolicy")
    rendering = render("networkPolicy.enabled=true", 'scope.namespaces=["team-a","team-b"]')
    assert rendering.namespaces("NetworkPolicy", "wa-session-pod") == {"team-a", "team-b"}
    for policy in rendering.all("NetworkPolicy"):
        spec = policy["spec"]
        labels = rendering.pod_templates()["session-pod"]["metadata"]["labels"]
        assert spec["podSelector"]["matchLabels"].items() <= labels.items()
        [rule] = spec["ingress"]
        assert rule["ports"] == [{"port": "http", "protocol": "TCP"}]
        assert [peer["namespaceSelector"]["matchLabels"] for peer in rule["from"]] == [{"kubernetes.io/metadata.name": NAMESPACE}] * 2
        assert [peer["podSelector"]["matchLabels"]["app.kubernetes.io/component"] for peer in rule["from"]] == ["api", "operator"]


def test_the_admission_policy_guards_every_field_of_the_status_but_the_report(render: Render, repo: Path) -> None:
    crd = yaml.safe_load((repo / "crds" / "whatsappsession.yaml").read_text(encoding="utf-8"))
    [version] = crd["spec"]["versions"]
    fields = set(version["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]) - {"session"}
    [policy] = render().all("ValidatingAdmissionPolicy")
    guarded = {v["message"].rpartition("status.")[2] for v in policy["spec"]["validations"] if " not status." in v.get("message", "")}
    assert guarded == fields


def test_the_admission_policy_can_be_left_out(render: Render) -> None:
    rendering = render("admissionPolicy.enabled=false")
    assert not rendering.all("ValidatingAdmissionPolicy") + rendering.all("ValidatingAdmissionPolicyBinding")


# --- what does not fit


@pytest.mark.parametrize(
    ("setting", "where", "why"),
    [
        ("api.replica=3", "/api", "'replica' not allowed"),
        ("apis.replicas=3", "''", "'apis' not allowed"),
        ("settings.maxSession=3", "/settings", "'maxSession' not allowed"),
        ('sessionPod.image.name="x"', "/sessionPod/image", "'name' not allowed"),
        ('api.replicas="3"', "/api/replicas", "got string, want integer"),
        ("settings.maxSessions=-1", "/settings/maxSessions", "minimum"),
        ('settings.apiUrl="ftp://x"', "/settings/apiUrl", "'ftp://x' does not match"),
        ('settings.botName=""', "/settings/botName", "minLength"),
        ('image.pullPolicy="Sometimes"', "/image/pullPolicy", "'Always', 'IfNotPresent', 'Never'"),
        ('operator.image.digest="abc"', "/operator/image/digest", "'abc' does not match"),
        ('api.service.type="Ingress"', "/api/service/type", "'ClusterIP', 'NodePort', 'LoadBalancer'"),
        ("api.service.port=70000", "/api/service/port", "maximum"),
        ('scope.namespaces=["Team A"]', "/scope/namespaces/0", "'Team A' does not match"),
        ('sessionPod.extraEnv=[{"value":"x"}]', "/sessionPod/extraEnv/0", "missing property 'name'"),
        ('api.resources={"limit":{"memory":"1Gi"}}', "/api/resources", "'limit' not allowed"),
    ],
)
def test_a_value_that_does_not_fit_is_named(refusal: Refusal, setting: str, where: str, why: str) -> None:
    said = refusal(setting)
    assert f"at '{where}'" in said or f"at {where}" in said
    assert why in said


def test_a_node_port_without_its_service_type_is_refused(refusal: Refusal) -> None:
    assert "api.service.nodePort is 30300, but api.service.type is ClusterIP: set the type to NodePort" in refusal(
        "api.service.nodePort=30300"
    )


def test_a_facade_outside_the_scope_is_refused(refusal: Refusal) -> None:
    said = refusal('scope.namespaces=["team-a"]', 'api.sessionNamespace="team-b"')
    assert 'api.sessionNamespace is "team-b", which is not in scope.namespaces (team-a): add it there' in said
