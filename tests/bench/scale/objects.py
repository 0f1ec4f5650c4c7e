"""What is created: sessions for the operator, StatefulSets for their controller, pods and claims for the raw client.

All of them come to the same pod and the same claim, but for names and owners.
"""

from collections.abc import Callable, Sequence

import msgspec

from scale.plane import NAMESPACE
from scale.subject import KEY, checked_template
from scale.wire import Request
from wasession_contract.v1alpha1 import API_VERSION, KIND, PLURAL, Metadata, WhatsAppSession
from wasession_operator import resources
from wasession_operator.resources import Renderer

SESSIONS = f"/apis/{API_VERSION}/namespaces/{NAMESPACE}/{PLURAL}"
PODS = f"/api/v1/namespaces/{NAMESPACE}/pods"
CLAIMS = f"/api/v1/namespaces/{NAMESPACE}/persistentvolumeclaims"
STATEFUL_SETS = f"/apis/apps/v1/namespaces/{NAMESPACE}/statefulsets"
Chain = Sequence[Request]
_renderer = Renderer(checked_template(), "DocuBot", "", KEY.encode())
_encode = msgspec.json.encode


def name(number: int) -> str:
    """Of a session."""
    return f"cliente{number}"


def session(number: int) -> Chain:
    """One session, as the facade creates it."""
    body = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name(number)}, "spec": {"sessionId": name(number)}}
    return ((SESSIONS, _encode(body)),)


def raw(number: int) -> Chain:
    """The claim and the pod that the operator makes of it."""
    owner = WhatsAppSession(metadata=Metadata(name=name(number), namespace=NAMESPACE, uid=f"00000000-0000-0000-0000-{number:012d}"))
    claim, pod = resources.claim(owner), _renderer.pod(owner, "0123456789abcdef-0123456789abcdef")
    for manifest in (claim, pod):
        del manifest["metadata"]["ownerReferences"]  # whose owner is not there is collected
    return (CLAIMS, _encode(claim)), (PODS, _encode(pod))


def stateful_set(number: int) -> Chain:
    """One replica with one claim template."""
    somebody = WhatsAppSession(metadata=Metadata(name=name(number), namespace=NAMESPACE, uid="any"))
    claim, pod = resources.claim(somebody), _renderer.pod(somebody, "0123456789abcdef-0123456789abcdef")
    labels = pod["metadata"]["labels"]
    spec = {key: value for key, value in pod["spec"].items() if key != "hostname"}
    spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] != resources.VOLUME]
    body = {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": name(number)},
        "spec": {
            "replicas": 1,
            "serviceName": "none",
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": pod["metadata"]["annotations"]}, "spec": spec},
            "volumeClaimTemplates": [{"metadata": {"name": resources.VOLUME, "labels": labels}, "spec": claim["spec"]}],
        },
    }
    return ((STATEFUL_SETS, _encode(body)),)


MAKERS: dict[str, Callable[[int], Chain]] = {"operator": session, "raw": raw, "stateful sets": stateful_set}
