"""Installs the emulator into a cluster, and the Helm values that point session pods to it.

Session pods are reached only by what every user of the chart has: extra environment, volumes and mounts.
"""

from dataclasses import dataclass
from typing import Any

from waemulator import pki
from waemulator.environment import PRELOAD, variables

NAME = "wa-emulator"
CLIENT = "wa-emulator-client"
IMAGE = "localhost/wasession/emulator:0.1.0"
CLIENT_DIRECTORY = "/etc/wa-emulator"
UID = 10001
PROXY_PORT, CONTROL_PORT = 3128, 3900
LABELS = {"app.kubernetes.io/name": NAME}
Object = dict[str, Any]


@dataclass(frozen=True)
class Installation:
    """Where and how to install.

    Attributes:
        namespace: where the emulator runs.
        image: its image.
        client_namespaces: where session pods run.
        node_port: the control API's port on the node; None opens none.
        storage: the size of the state volume.
    """

    namespace: str
    image: str
    client_namespaces: tuple[str, ...]
    node_port: int | None
    storage: str


def _metadata(name: str, namespace: str) -> Object:
    return {"name": name, "namespace": namespace, "labels": LABELS}


def manifests(keys: pki.Pki, installation: Installation) -> Object:
    """The objects as one List."""
    namespace = installation.namespace
    secret = {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": _metadata(f"{NAME}-pki", namespace),
        "stringData": {name: (keys.directory / name).read_text() for name in pki.FILES},
    }
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": _metadata(f"{NAME}-state", namespace),
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": installation.storage}}},
    }
    clients = [
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": _metadata(CLIENT, client),
            "data": {"ca.pem": keys.ca_file.read_text(), "sitecustomize.py": (PRELOAD / "sitecustomize.py").read_text()},
        }
        for client in installation.client_namespaces
    ]
    items = [secret, claim, *clients, _service(installation), _deployment(installation)]
    return {"apiVersion": "v1", "kind": "List", "items": items}


def _service(installation: Installation) -> Object:
    ports: list[Object] = [
        {"name": "proxy", "port": PROXY_PORT, "targetPort": "proxy"},
        {"name": "control", "port": CONTROL_PORT, "targetPort": "control"},
    ]
    kind = "ClusterIP"
    if installation.node_port is not None:
        kind = "NodePort"
        ports[1]["nodePort"] = installation.node_port
    spec = {"type": kind, "selector": LABELS, "ports": ports}
    return {"apiVersion": "v1", "kind": "Service", "metadata": _metadata(NAME, installation.namespace), "spec": spec}


def _deployment(installation: Installation) -> Object:
    container = {
        "name": "emulator",
        "image": installation.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["serve", "--state", "/state", "--pki", "/pki", "--host", "0.0.0.0"],  # noqa: S104  the pod's own address
        "ports": [{"name": "proxy", "containerPort": PROXY_PORT}, {"name": "control", "containerPort": CONTROL_PORT}],
        "readinessProbe": {"httpGet": {"path": "/healthz", "port": "control"}, "periodSeconds": 2},
        "livenessProbe": {"httpGet": {"path": "/healthz", "port": "control"}, "periodSeconds": 10, "failureThreshold": 6},
        "resources": {"requests": {"cpu": "20m", "memory": "64Mi"}, "limits": {"memory": "512Mi"}},
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "volumeMounts": [
            {"name": "state", "mountPath": "/state"},
            {"name": "pki", "mountPath": "/pki", "readOnly": True},
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108  SQLite's scratch files in the container
        ],
    }
    pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 10,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": UID,
            "runAsGroup": UID,
            "fsGroup": UID,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "containers": [container],
        "volumes": [
            {"name": "state", "persistentVolumeClaim": {"claimName": f"{NAME}-state"}},
            {"name": "pki", "secret": {"secretName": f"{NAME}-pki", "defaultMode": 0o440}},
            {"name": "tmp", "emptyDir": {}},
        ],
    }
    spec = {
        "replicas": 1,
        "strategy": {"type": "Recreate"},
        "selector": {"matchLabels": LABELS},
        "template": {"metadata": {"labels": LABELS}, "spec": pod},
    }
    return {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": _metadata(NAME, installation.namespace), "spec": spec}


def values(keys: pki.Pki, namespace: str) -> Object:
    """The chart's values: environment, volume and mount of every session pod."""
    environment = variables(
        proxy=f"http://{NAME}.{namespace}:{PROXY_PORT}",
        ca_file=f"{CLIENT_DIRECTORY}/ca.pem",
        python_path=CLIENT_DIRECTORY,
        root_key=keys.root.public.hex(),
    )
    return {
        "sessionPod": {
            "extraEnv": [{"name": name, "value": value} for name, value in environment.items()],
            "extraVolumes": [{"name": NAME, "configMap": {"name": CLIENT}}],
            "extraVolumeMounts": [{"name": NAME, "mountPath": CLIENT_DIRECTORY, "readOnly": True}],
        }
    }
