"""The walks' cluster: a real API server, a real operator over two namespaces, and kubelets that play pods and volumes.

In one namespace objects are walked, in the other ("fresh") each state is compared with that of a new object of the same name.
"""

import uuid
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from operator_support import KEY, Kube, Kubelet, OperatorProcess, PodServer

from walks.draw import GROWS, MISSING
from walks.oracles import Installation, State, as_the_kubelet_reads

Json = dict[str, Any]
INSTALLATION = Installation(internal_key=KEY.encode())
POD_IP = "127.0.0.21"
VOLUMES = "/api/v1/persistentvolumes"
CLASSES = "/apis/storage.k8s.io/v1/storageclasses"
LABEL = "walks"


class Node(Kubelet):
    """A kubelet whose pods connect to WhatsApp at once, and start only where their Secrets are; it makes volumes too."""

    def __init__(self, kube: Kube) -> None:
        super().__init__(kube, ip=POD_IP)
        self.pause = 0.1
        self._made: set[str] = set()
        self._reported: set[str] = set()

    def _care(self, pod: Json) -> None:
        name = pod["metadata"]["name"].removesuffix("-session")
        going, status = pod["metadata"].get("deletionTimestamp"), pod["status"]
        if not going and pod["spec"].get("nodeName") and not status.get("containerStatuses"):
            self._make_volume(name)
            if any(str(value).startswith(f"{MISSING}/") for value in as_the_kubelet_reads(pod).values()):
                self._kube.patch_pod_status(name, **waiting(f'secret "{MISSING}" not found'))
                return
        super()._care(pod)
        uid = pod["metadata"]["uid"]
        if not going and status.get("podIP") and uid not in self._reported:
            backend = as_the_kubelet_reads(pod).get("WASESSION_BACKEND_URL")
            account = {"number": "573001112233", "jid": "573001112233@s.whatsapp.net"}
            self._kube.report(name, "Connected", backend={"state": "Connected" if backend else "Disabled"}, **account)
            self._reported.add(uid)

    def _make_volume(self, name: str) -> None:
        """As a provisioner of the class would, so that the claim is bound and may grow."""
        claim = self._kube.claim(name)
        if claim is None or claim["metadata"]["uid"] in self._made or claim["spec"].get("storageClassName") != GROWS:
            return
        meta, spec = claim["metadata"], claim["spec"]
        volume = {
            "metadata": {"name": f"walks-{meta['uid']}", "labels": {LABEL: self._kube.namespace}},
            "spec": {
                "capacity": spec["resources"]["requests"],
                "accessModes": spec["accessModes"],
                "storageClassName": GROWS,
                "persistentVolumeReclaimPolicy": "Retain",
                "claimRef": {"namespace": meta["namespace"], "name": meta["name"], "uid": meta["uid"]},
                "csi": {"driver": "example.com", "volumeHandle": meta["uid"]},
            },
        }
        self._kube.call("POST", VOLUMES, volume)
        self._made.add(meta["uid"])


def waiting(message: str) -> Json:
    """The status of a pod whose container cannot be made."""
    why = {"reason": "CreateContainerConfigError", "message": message}
    container = {"name": "session", "ready": False, "restartCount": 0, "image": "x", "imageID": "", "state": {"waiting": why}}
    return {"phase": "Pending", "containerStatuses": [container]}


class World:
    """Context manager: everything runs inside it. `scratch` is an empty directory."""

    def __init__(self, kubeconfig: Path, scratch: Path) -> None:
        tag = uuid.uuid4().hex[:8]
        self.walked = Kube(kubeconfig, f"walks-{tag}")
        self.fresh = Kube(kubeconfig, f"walks-{tag}-fresh")
        both = f"{self.walked.namespace},{self.fresh.namespace}"
        self.operator = OperatorProcess(self.walked, scratch / "operator", WASESSION_NAMESPACES=both)
        self.pods = PodServer(POD_IP)
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for kube in (self.walked, self.fresh):
                kube.create_namespace()
                stack.callback(self._remove, kube)
                stack.enter_context(Node(kube))
            self._storage_class()
            stack.enter_context(self.pods)
            self.operator.start()
            stack.callback(self.operator.stop)
            self.operator.wait_started()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stack.close()

    def defects(self) -> list[str]:
        """What the operator's log says that it must never say."""
        return [line for line in self.operator.log.splitlines() if "Traceback" in line or "a defect" in line or "cannot be read" in line]

    def _storage_class(self) -> None:
        body = {"metadata": {"name": GROWS}, "provisioner": "kubernetes.io/no-provisioner", "allowVolumeExpansion": True}
        answer = self.walked.answer("POST", CLASSES, body)
        assert answer.status_code in {201, 409}, answer.text  # other walks made it before

    @staticmethod
    def _remove(kube: Kube) -> None:
        kube.delete_namespace()
        kube.call("DELETE", VOLUMES, labelSelector=f"{LABEL}={kube.namespace}")
        kube.close()


def state(kube: Kube, name: str) -> State:
    """The state of one session."""
    return State(kube.session(name), kube.pod(name), kube.claim(name))
