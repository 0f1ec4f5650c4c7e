"""What an operator does with sessions, seen from the API server. The test plays kubelet and session pod."""

from collections.abc import Callable
from typing import Any

import pytest
from operator_support import GROUP, KEY, MERGE, Kube, Kubelet, OperatorProcess, PodServer, eventually, running

from wasession_contract import podwire

pytestmark = pytest.mark.integration
NUMBER = "573001234567"
CONNECTED = {"state": "Connected", "number": NUMBER, "jid": f"{NUMBER}@s.whatsapp.net"}


def _connect(kube: Kube, name: str) -> dict[str, Any]:
    kube.wait_phase(name, "Pending")
    eventually(lambda: kube.condition(name, "PodReady") == "True PodReady", "the pod is ready")
    kube.report(name, **CONNECTED)
    return kube.wait_phase(name, "Connected")


@pytest.mark.usefixtures("kubelet")
def test_create_to_connected(kube: Kube, operator: OperatorProcess) -> None:
    session = kube.create("cliente1")
    pending = kube.wait_phase("cliente1", "Pending")
    assert pending["metadata"]["finalizers"] == ["wasession.dev/logout"]
    pod, claim = kube.pod("cliente1"), kube.claim("cliente1")
    assert pod
    assert claim
    for thing in (pod, claim):
        assert [owner["uid"] for owner in thing["metadata"]["ownerReferences"]] == [session["metadata"]["uid"]]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    eventually(lambda: kube.condition("cliente1", "Connected") == "False Starting", "the pod serves")
    kube.report("cliente1", "AwaitingScan", qr={"code": "2@abc", "expiresAt": "2026-01-01T00:00:20Z"})
    kube.wait_phase("cliente1", "AwaitingScan")
    kube.report("cliente1", **CONNECTED, qr=None)
    connected = kube.wait_phase("cliente1", "Connected")
    assert connected["status"]["pod"]["uid"] == pod["metadata"]["uid"]
    assert connected["status"]["pod"]["node"] == "node-1"
    assert connected["status"]["observedGeneration"] == 1
    assert kube.condition("cliente1", "Ready") == "True Connected"
    assert connected["spec"] == session["spec"]
    assert operator.metric("wasession_operator_actions_total") == 3
    eventually(lambda: kube.events("Connected"), "the event, which follows the status")
    assert len(kube.events("Connected")) == 1


@pytest.mark.usefixtures("kubelet", "operator")
def test_the_report_stays_the_pods_own(kube: Kube) -> None:
    kube.create("cliente1")
    session = _connect(kube, "cliente1")
    managers = {entry["manager"]: entry["fieldsV1"].get("f:status", {}) for entry in session["metadata"]["managedFields"]}
    assert "f:session" not in managers["wasession-operator"]
    assert set(managers["session-pod"]) == {"f:session"}
    assert session["status"]["session"]["number"] == NUMBER


@pytest.mark.usefixtures("kubelet", "operator")
def test_a_deleted_pod_is_made_again_and_the_old_report_is_not_believed(kube: Kube) -> None:
    kube.create("cliente1")
    old = _connect(kube, "cliente1")["status"]["pod"]["uid"]
    kube.call("DELETE", kube.path("pods", "cliente1-session"))
    eventually(lambda: (kube.session("cliente1") or {})["status"].get("pod", {}).get("uid") not in {None, old}, "a new pod")
    eventually(lambda: kube.condition("cliente1", "Connected") == "False Starting", "waits for the new pod's report")
    assert kube.condition("cliente1", "Paired") == "True Paired"
    _connect(kube, "cliente1")


@pytest.mark.usefixtures("operator")
def test_restarted_at_replaces_the_pod_once_the_old_one_is_gone(kube: Kube, kubelet: Kubelet) -> None:
    kube.create("cliente1")
    old = _connect(kube, "cliente1")["status"]["pod"]["uid"]
    kubelet.lets_go = False
    kube.patch_spec("cliente1", restartedAt="2026-01-01T00:00:00Z")
    eventually(lambda: (kube.pod("cliente1") or {})["metadata"].get("deletionTimestamp"), "the old pod is being deleted")
    eventually(lambda: kube.condition("cliente1", "PodReady") == "False Replacing", "says so")
    assert (kube.session("cliente1") or {})["status"]["pod"]["uid"] == old
    kubelet.lets_go = True
    eventually(lambda: (kube.pod("cliente1") or {}).get("metadata", {}).get("uid") not in {None, old}, "the new pod")
    eventually(lambda: len(kubelet.pods_seen) == 2, "two pods in all")


@pytest.mark.usefixtures("kubelet", "operator")
def test_suspend_and_resume_keep_the_volume(kube: Kube) -> None:
    kube.create("cliente1")
    _connect(kube, "cliente1")
    volume = (kube.claim("cliente1") or {})["metadata"]["uid"]
    kube.patch_spec("cliente1", operatingMode="Suspended")
    kube.wait_phase("cliente1", "Suspended")
    eventually(lambda: kube.pod("cliente1") is None, "the pod is gone")
    assert kube.condition("cliente1", "Paired") == "True Paired"
    kube.patch_spec("cliente1", operatingMode="Running")
    eventually(lambda: kube.condition("cliente1", "PodReady") == "True PodReady", "the pod is back")
    _connect(kube, "cliente1")
    assert (kube.claim("cliente1") or {})["metadata"]["uid"] == volume


@pytest.mark.usefixtures("kubelet")
def test_the_limit_of_sessions_admits_the_next_when_a_place_is_free(kube: Kube, start_operator: Callable[..., OperatorProcess]) -> None:
    start_operator(MAX_SESSIONS="1").wait_started()
    kube.create("first")
    kube.wait_phase("first", "Pending")
    kube.create("second")
    eventually(lambda: kube.condition("second", "Admitted") == "False SessionLimitReached", "the second waits")
    assert kube.pod("second") is None
    kube.delete("first")
    kube.wait_gone("first")
    eventually(lambda: kube.pod("second"), "the second has its pod")
    eventually(lambda: kube.condition("second", "Admitted") == "True Admitted", "and says so")


@pytest.mark.usefixtures("operator")
def test_delete_logs_the_device_out_and_leaves_nothing(kube: Kube, kubelet: Kubelet) -> None:
    kubelet.ip = "127.0.0.11"
    with PodServer(kubelet.ip) as pod:
        session = kube.create("cliente1")
        _connect(kube, "cliente1")
        kube.delete("cliente1")
        kube.wait_gone("cliente1")
    assert pod.calls == [("/v1/logout", "Bearer " + podwire.token(KEY.encode(), session["metadata"]["uid"]))]
    assert (kube.pod("cliente1"), kube.claim("cliente1")) == (None, None)
    assert kube.events("LogoutFailed") == []


@pytest.mark.usefixtures("operator")
def test_a_logout_that_fails_is_told_and_does_not_hold_the_deletion(kube: Kube, kubelet: Kubelet) -> None:
    kubelet.ip = "127.0.0.12"
    with PodServer(kubelet.ip, answer=422):
        kube.create("cliente1")
        _connect(kube, "cliente1")
        kubelet.lets_go = False
        kube.delete("cliente1")
        eventually(lambda: kube.condition("cliente1", "Connected") == "False LogoutFailed", "says so")
        kubelet.lets_go = True
        kube.wait_gone("cliente1")
    assert len(kube.events("LogoutFailed")) == 1
    assert (kube.pod("cliente1"), kube.claim("cliente1")) == (None, None)


def test_an_unreachable_pod_holds_the_deletion_ten_seconds_at_most(kube: Kube, kubelet: Kubelet, operator: OperatorProcess) -> None:
    kubelet.ip = "127.0.0.13"  # nothing listens there
    kube.create("cliente1")
    _connect(kube, "cliente1")
    kube.delete("cliente1")
    kube.create("other")
    eventually(lambda: kube.pod("other"), "other sessions are served meanwhile", deadline=8)
    kube.wait_gone("cliente1")
    assert "cannot be reached" in kube.events("LogoutFailed")[0]["message"], operator.log


@pytest.mark.usefixtures("kubelet", "operator")
def test_retain_keeps_the_volume_for_a_new_session_of_the_name(kube: Kube) -> None:
    kube.create("cliente1", storage={"reclaimPolicy": "Retain"}, logoutOnDelete=False)
    _connect(kube, "cliente1")
    volume = (kube.claim("cliente1") or {})["metadata"]
    assert "ownerReferences" not in volume
    kube.delete("cliente1")
    kube.wait_gone("cliente1")
    assert kube.pod("cliente1") is None
    session = kube.create("cliente1")
    _connect(kube, "cliente1")
    taken_up = (kube.claim("cliente1") or {})["metadata"]
    assert taken_up["uid"] == volume["uid"]
    assert taken_up["ownerReferences"][0]["uid"] == session["metadata"]["uid"]


@pytest.mark.usefixtures("kubelet", "operator")
def test_retain_that_comes_late_still_keeps_the_volume(kube: Kube) -> None:
    kube.create("cliente1", logoutOnDelete=False)
    _connect(kube, "cliente1")
    volume = (kube.claim("cliente1") or {})["metadata"]["uid"]
    kube.patch_spec("cliente1", storage={"reclaimPolicy": "Retain"})
    kube.delete("cliente1")
    kube.wait_gone("cliente1")
    assert (kube.claim("cliente1") or {})["metadata"]["uid"] == volume


@pytest.mark.parametrize("labels", [{}, {"wasession.dev/session": "cliente1"}], ids=["unlabelled", "labelled"])
@pytest.mark.usefixtures("operator")
def test_a_foreign_pod_is_never_touched(kube: Kube, labels: dict[str, str]) -> None:
    container = {"name": "theirs", "image": "theirs"}
    theirs = {"metadata": {"name": "cliente1-session", "labels": labels}, "spec": {"containers": [container]}}
    before = kube.call("POST", kube.path("pods"), theirs)
    assert before
    kube.create("cliente1")
    kube.wait_phase("cliente1", "Failed")
    assert kube.condition("cliente1", "PodReady") == "False NameTaken"
    eventually(lambda: kube.events("NameTaken"), "the event, which follows the status")
    kube.delete("cliente1")
    kube.wait_gone("cliente1")
    assert len(kube.events("NameTaken")) == 1
    after = kube.pod("cliente1")
    assert after
    assert after["metadata"]["resourceVersion"] == before["metadata"]["resourceVersion"]


@pytest.mark.usefixtures("operator")
def test_a_foreign_claim_is_never_touched_and_its_end_lets_the_session_start(kube: Kube) -> None:
    body = {
        "metadata": {"name": "cliente1-data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    before = kube.call("POST", kube.path("persistentvolumeclaims"), body)
    assert before
    kube.create("cliente1")
    kube.wait_phase("cliente1", "Failed")
    after = kube.claim("cliente1")
    assert after
    assert "ownerReferences" not in after["metadata"]
    assert after["spec"] == before["spec"]
    assert kube.pod("cliente1") is None
    kube.call("DELETE", kube.path("persistentvolumeclaims", "cliente1-data"))
    kube.patch_spec("cliente1", deviceName="Anything")  # else it is looked at again every 30 s
    eventually(lambda: kube.pod("cliente1"), "starts")


@pytest.mark.usefixtures("operator")
def test_an_evicted_pod_is_replaced(kube: Kube, kubelet: Kubelet) -> None:
    kube.create("cliente1")
    old = _connect(kube, "cliente1")["status"]["pod"]["uid"]
    kube.patch_pod_status(
        "cliente1", phase="Failed", reason="Evicted", message="out of memory", conditions=[{"type": "Ready", "status": "False"}]
    )
    eventually(lambda: (kube.pod("cliente1") or {}).get("metadata", {}).get("uid") not in {None, old}, "the next pod")
    _connect(kube, "cliente1")
    eventually(lambda: len(kubelet.pods_seen) == 2, "two pods in all")


@pytest.mark.usefixtures("operator")
def test_a_pods_trouble_is_said_in_its_own_words(kube: Kube, kubelet: Kubelet) -> None:
    kubelet.makes_ready = False
    kube.create("cliente1")
    eventually(lambda: kube.pod("cliente1"), "the pod")
    waiting = running() | {"phase": "Pending", "conditions": [{"type": "Ready", "status": "False", "reason": "ContainersNotReady"}]}
    waiting["containerStatuses"][0] |= {"ready": False, "state": {"waiting": {"reason": "ErrImagePull", "message": "no such image"}}}
    kube.patch_pod_status("cliente1", **waiting)
    eventually(lambda: kube.condition("cliente1", "PodReady") == "False ErrImagePull", "says why")
    ended = {"exitCode": 137, "reason": "OOMKilled", "startedAt": None, "finishedAt": None}
    waiting["containerStatuses"][0] |= {
        "restartCount": 1,
        "state": {"waiting": {"reason": "CrashLoopBackOff"}},
        "lastState": {"terminated": ended},
    }
    kube.patch_pod_status("cliente1", **waiting)
    kube.wait_phase("cliente1", "Crashing")
    assert kube.condition("cliente1", "PodReady") == "False OOMKilled"


@pytest.mark.usefixtures("kubelet")
def test_an_idle_session_is_cleaned_up_when_its_spec_says_so(kube: Kube, start_operator: Callable[..., OperatorProcess]) -> None:
    operator = start_operator(CLEANUP_INTERVAL="100")
    operator.wait_started()
    kube.create("stays", idle={"timeoutSeconds": 1, "policy": "Keep"})
    kube.create("cliente3", idle={"timeoutSeconds": 1, "policy": "Delete"})
    kube.create("sleeper", idle={"timeoutSeconds": 1, "policy": "Suspend"})
    for name in ("stays", "cliente3", "sleeper"):
        eventually(lambda name=name: kube.condition(name, "PodReady") == "True PodReady", f"{name} is ready")
        kube.report(name, "AwaitingScan")
    kube.wait_gone("cliente3")
    assert "🧹 Limpiando sesión inactiva: cliente3" in operator.log
    kube.wait_phase("sleeper", "Suspended")
    eventually(lambda: kube.pod("sleeper") is None, "the sleeper's pod is gone")
    assert kube.claim("sleeper")
    kube.patch_spec("sleeper", restartedAt="2026-01-01T00:00:00Z")
    eventually(lambda: kube.pod("sleeper"), "the sleeper wakes")
    assert kube.phase("stays") == "AwaitingScan"


def test_what_the_api_server_refuses_is_said_and_works_once_mended(kube: Kube, operator: OperatorProcess) -> None:
    quota = {"metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}}}
    kube.call("POST", kube.path("resourcequotas"), quota)
    eventually(lambda: "hard" in (kube.call("GET", kube.path("resourcequotas", "none")) or {}).get("status", {}), "the quota works")
    kube.create("cliente1")
    eventually(lambda: kube.condition("cliente1", "PodReady") == "False Refused", "says so")
    message = next(one["message"] for one in (kube.session("cliente1") or {})["status"]["conditions"] if one["type"] == "PodReady")
    assert "exceeded quota" in message, operator.log
    assert len(kube.events("Refused")) == 1
    kube.call("DELETE", kube.path("resourcequotas", "none"))
    eventually(lambda: kube.pod("cliente1"), "works once mended")


@pytest.mark.usefixtures("kubelet", "operator")
def test_a_volume_that_cannot_grow_does_not_keep_the_session_down(kube: Kube) -> None:
    kube.create("cliente1")
    _connect(kube, "cliente1")
    kube.patch_spec("cliente1", storage={"size": "2Gi"}, restartedAt="2026-01-01T00:00:00Z")
    eventually(lambda: kube.events("Refused"), "the refusal is told")
    _connect(kube, "cliente1")


@pytest.mark.usefixtures("kubelet", "operator")
def test_a_volume_grows_where_its_class_can(kube: Kube) -> None:
    kind = f"grows-{kube.namespace}"
    storage = {"metadata": {"name": kind}, "provisioner": "kubernetes.io/no-provisioner", "allowVolumeExpansion": True}
    volume = {
        "metadata": {"name": kind},
        "spec": {
            "capacity": {"storage": "1Gi"},
            "accessModes": ["ReadWriteOncePod"],
            "storageClassName": kind,
            "persistentVolumeReclaimPolicy": "Retain",
            "csi": {"driver": "example.com", "volumeHandle": kind},
        },
    }
    kube.call("POST", "/apis/storage.k8s.io/v1/storageclasses", storage)
    kube.call("POST", "/api/v1/persistentvolumes", volume)
    kube.create("cliente1", storage={"storageClassName": kind})
    eventually(lambda: (kube.claim("cliente1") or {}).get("status", {}).get("phase") == "Bound", "the volume is bound")
    kube.patch_spec("cliente1", storage={"size": "2Gi"})
    eventually(lambda: (kube.claim("cliente1") or {})["spec"]["resources"]["requests"]["storage"] == "2Gi", "it grows")
    kube.call("DELETE", f"/api/v1/persistentvolumes/{kind}")
    kube.call("DELETE", f"/apis/storage.k8s.io/v1/storageclasses/{kind}")


@pytest.mark.usefixtures("operator")
def test_an_object_that_another_hand_changes_in_between_keeps_its_finalizers(kube: Kube) -> None:
    body = {
        "apiVersion": "wasession.dev/v1alpha1",
        "kind": "WhatsAppSession",
        "metadata": {"name": "cliente1", "finalizers": ["example.com/theirs"]},
    }
    kube.call("POST", kube.path("whatsappsessions", api=GROUP), body | {"spec": {}})
    kube.wait_phase("cliente1", "Pending")
    assert (kube.session("cliente1") or {})["metadata"]["finalizers"] == ["example.com/theirs", "wasession.dev/logout"]
    kube.delete("cliente1")
    eventually(lambda: (kube.session("cliente1") or {})["metadata"]["finalizers"] == ["example.com/theirs"], "only ours goes")
    kube.call("PATCH", kube.path("whatsappsessions", "cliente1", GROUP), {"metadata": {"finalizers": []}}, headers=MERGE)
    kube.wait_gone("cliente1")
