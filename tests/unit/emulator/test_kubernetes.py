from pathlib import Path
from typing import Any

import pytest

from waemulator import kubernetes, pki
from waemulator.environment import client_env

pytestmark = pytest.mark.unit


@pytest.fixture
def keys(tmp_path: Path) -> pki.Pki:
    return pki.create(tmp_path)


def by_kind(keys: pki.Pki, node_port: int | None = None) -> dict[str, Any]:
    installation = kubernetes.Installation("wa", kubernetes.IMAGE, ("wa",), node_port, "1Gi")
    return {one["kind"]: one for one in kubernetes.manifests(keys, installation)["items"]}


def test_all_that_is_needed_is_installed(keys: pki.Pki) -> None:
    objects = by_kind(keys)
    assert set(objects) == {"Secret", "PersistentVolumeClaim", "ConfigMap", "Service", "Deployment"}
    assert {one["metadata"]["namespace"] for one in objects.values()} == {"wa"}
    assert set(objects["Secret"]["stringData"]) == set(pki.FILES)
    assert set(objects["ConfigMap"]["data"]) == {"ca.pem", "sitecustomize.py"}


def test_the_pod_keeps_to_the_restricted_security_standard(keys: pki.Pki) -> None:
    pod = by_kind(keys)["Deployment"]["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert pod["automountServiceAccountToken"] is False
    (container,) = pod["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_one_pod_at_a_time_owns_the_state(keys: pki.Pki) -> None:
    spec = by_kind(keys)["Deployment"]["spec"]
    assert (spec["replicas"], spec["strategy"]) == (1, {"type": "Recreate"})
    assert {"name": "state", "persistentVolumeClaim": {"claimName": "wa-emulator-state"}} in spec["template"]["spec"]["volumes"]


def test_the_control_api_is_on_the_node_only_when_asked(keys: pki.Pki) -> None:
    assert by_kind(keys)["Service"]["spec"]["type"] == "ClusterIP"
    service = by_kind(keys, 30390)["Service"]["spec"]
    assert service["type"] == "NodePort"
    assert [port.get("nodePort") for port in service["ports"]] == [None, 30390]


def test_the_private_keys_do_not_reach_session_pods(keys: pki.Pki) -> None:
    config = str(by_kind(keys)["ConfigMap"]) + str(kubernetes.values(keys, "wa"))
    assert "PRIVATE KEY" not in config
    assert all(pair.private.hex() not in config for pair in (keys.root, keys.intermediate, keys.static))


def test_session_pods_get_the_same_variables_as_a_process_here(keys: pki.Pki) -> None:
    pod = kubernetes.values(keys, "wa")["sessionPod"]
    environment = {one["name"]: one["value"] for one in pod["extraEnv"]}
    here = client_env(keys.directory, 3128)
    assert set(environment) == set(here)
    assert environment["HTTPS_PROXY"] == "http://wa-emulator.wa:3128"
    assert environment["WAEMU_ROOT_PUB"] == here["WAEMU_ROOT_PUB"] == keys.root.public.hex()
    (mount,) = pod["extraVolumeMounts"]
    assert environment["SSL_CERT_FILE"] == f"{mount['mountPath']}/ca.pem"
    assert environment["PYTHONPATH"] == mount["mountPath"]
    assert mount["name"] == pod["extraVolumes"][0]["name"]
