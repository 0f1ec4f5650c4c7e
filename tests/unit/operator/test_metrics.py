"""The metrics: their page agrees with what is served, labels are bounded, and the numbers add up."""

import re
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import prometheus_client
import pytest

import wasession_operator
from wasession_contract.v1alpha1 import Phase, Status
from wasession_operator.admission import Admission
from wasession_operator.cluster import _verb_and_resource
from wasession_operator.hearing import Hearing, Kind
from wasession_operator.metrics import Metrics
from wasession_operator.rollout import Rollout, Share
from wasession_operator.store import SessionView, Store
from wasession_operator.views import Key
from wasession_operator.workqueue import WorkQueue

if TYPE_CHECKING:
    from conftest import Build, FakeTimers

pytestmark = pytest.mark.unit
REPO = Path(__file__).parents[3]
PAGE = REPO / "docs" / "reference" / "operator-metrics.md"
NUMBER = "573001234567"


@pytest.fixture
def served(build: "Build", timers: "FakeTimers") -> str:
    """What Prometheus gets of an operator that has seen one of everything."""
    metrics, store, admission, hearing = Metrics(), Store(), Admission(1), Hearing(by_namespace=True)
    queue: WorkQueue[Key] = WorkQueue(timers.call_later, lambda: 0.0, lambda: timers.time)
    metrics.read_from(store, queue, admission, hearing)
    metrics.count_rollout(Rollout(Share(1), timedelta(seconds=600)))
    for uid, status in (("s-1", Status(phase=Phase.CONNECTED)), ("s-2", Status())):
        view = SessionView.of(build.session(uid=uid, name=uid, status=status))
        store.sessions.put(view)
        admission.add([view.session])
        queue.add(view.key)
    timers.advance(7)
    metrics.actions.labels("CreatePod").inc()
    metrics.pods_created.labels("new").inc()
    metrics.pods_deleted.labels("rollout").inc()
    metrics.saw_request("patch", "whatsappsessions/status", "409", 0.02)
    for kind in Kind:
        metrics.saw_event(kind)
    return prometheus_client.generate_latest(metrics.registry).decode()


def test_the_page_lists_what_is_served_and_nothing_else(served: str) -> None:
    kinds = dict(re.findall(r"# TYPE (\S+) (\S+)", served))
    labels = {name: re.findall(r'(\w+)="', inside) for name, inside in re.findall(r"^(\w+?)(?:_bucket)?\{(.*)\}", served, re.MULTILINE)}
    rows = []
    for name, words in re.findall(r"# HELP (\S+) (.*)", served):
        shown = ", ".join(f"`{label}`" for label in labels.get(name, []) if label != "le")
        rows.append(f"| `{name}` | {kinds[name]} | {shown} | {words} |")
    assert re.findall(r"^\| `\w+` \| (?:counter|gauge|histogram) .*", PAGE.read_text(), re.MULTILINE) == rows


def test_no_label_can_name_a_session(served: str) -> None:
    assert set(re.findall(r'[{,](\w+)="', served)) == {"version", "result", "le", "action", "cause", "verb", "resource", "code", "phase"}


def test_what_is_read_when_asked_adds_up(served: str) -> None:
    said = dict(re.findall(r"^(\S+) (\S+)$", served, re.MULTILINE))
    wanted = {
        'wasession_sessions{phase="Connected"}': 1,
        'wasession_sessions{phase="Pending"}': 1,
        "wasession_operator_sessions_admitted": 1,
        "wasession_operator_sessions_waiting": 1,
        "wasession_operator_sessions_limit": 1,
        "wasession_operator_queue_depth": 2,
        "wasession_operator_queue_oldest_seconds": 7,
        'wasession_operator_api_requests_total{code="409",resource="whatsappsessions/status",verb="patch"}': 1,
        'wasession_operator_reconciles_total{result="defect"}': 0,
        'wasession_operator_missed_events_total{resource="pods"}': 0,
    }
    assert {name: float(said[name]) for name in wanted} == wanted


def test_the_version_is_that_of_the_distribution() -> None:
    assert f'version = "{wasession_operator.__version__}"' in (REPO / "pyproject.toml").read_text()


@pytest.mark.parametrize(
    ("method", "path", "verb", "resource"),
    [
        ("GET", "/api/v1/namespaces/pods/pods", "list", "pods"),
        ("GET", "/api/v1/pods", "list", "pods"),
        ("GET", "/api/v1/namespaces/a/persistentvolumeclaims/x-data", "get", "persistentvolumeclaims"),
        ("DELETE", "/api/v1/namespaces/a/pods/x-session", "delete", "pods"),
        ("POST", "/api/v1/namespaces/a/events", "create", "events"),
        ("GET", "/apis/wasession.dev/v1alpha1/whatsappsessions", "list", "whatsappsessions"),
        ("PATCH", f"/apis/wasession.dev/v1alpha1/namespaces/a/whatsappsessions/{NUMBER}", "patch", "whatsappsessions"),
        ("PATCH", f"/apis/wasession.dev/v1alpha1/namespaces/a/whatsappsessions/{NUMBER}/status", "patch", "whatsappsessions/status"),
    ],
)
def test_a_request_is_counted_under_the_words_of_rbac(method: str, path: str, verb: str, resource: str) -> None:
    assert _verb_and_resource(method, path) == (verb, resource)
