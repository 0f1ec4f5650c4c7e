"""The operator as a process of its own, the API server by plain HTTP, and a kubelet that only says what a kubelet says."""

import base64
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, Self, TypeVar

import httpx
import yaml

DATA = Path(__file__).parents[2] / "unit" / "operator" / "data"
DEADLINE = 90.0  # seconds; a bound for a hanging test, not a measure
KEY = "0123456789abcdef0123456789abcdef"
GROUP = "/apis/wasession.dev/v1alpha1"
CORE = "/api/v1"
MERGE = {"Content-Type": "application/merge-patch+json"}
T = TypeVar("T")
Json = dict[str, Any]


def eventually(look: Callable[[], T], what: str, deadline: float = DEADLINE) -> T:
    """Look until it is truthy. Raises AssertionError with the last look."""
    end = time.monotonic() + deadline
    while True:
        seen = look()
        if seen:
            return seen
        assert time.monotonic() < end, f"{what}: not within {deadline:g} s; last seen: {seen!r}"
        time.sleep(0.02)


class Kube:
    """The API server, in one namespace."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        self.kubeconfig, self.namespace = kubeconfig, namespace
        document = yaml.safe_load(kubeconfig.read_text())
        cluster, user = document["clusters"][0]["cluster"], document["users"][0]["user"]
        context = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
        with tempfile.NamedTemporaryFile(suffix=".pem") as pem:
            pem.write(base64.b64decode(user["client-certificate-data"]) + b"\n" + base64.b64decode(user["client-key-data"]))
            pem.flush()
            context.load_cert_chain(pem.name)
        self._http = httpx.Client(base_url=cluster["server"], verify=context, timeout=30, trust_env=False)

    def close(self) -> None:
        self._http.close()

    def call(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None, **query: str) -> Json | None:
        """The answer; None for 404. Everything else that fails is the test's failure."""
        answer = self.answer(method, path, body, headers=headers, **query)
        if answer.status_code == 404:
            return None
        assert answer.is_success, f"{method} {path}: {answer.status_code} {answer.text}"
        found: Json = answer.json()
        return found

    def answer(self, method: str, path: str, body: object = None, *, headers: dict[str, str] | None = None, **query: str) -> httpx.Response:
        """The answer, whatever it is."""
        content = None if body is None else json.dumps(body)
        return self._http.request(
            method, path, content=content, headers={"Content-Type": "application/json"} | (headers or {}), params=query
        )

    def path(self, plural: str, name: str = "", api: str = CORE) -> str:
        return f"{api}/namespaces/{self.namespace}/{plural}" + (f"/{name}" if name else "")

    def create_namespace(self) -> None:
        self.call("POST", f"{CORE}/namespaces", {"metadata": {"name": self.namespace}})
        self.call("POST", self.path("serviceaccounts"), {"metadata": {"name": "wasession-session-pod"}})  # the template names it

    def delete_namespace(self) -> None:
        """What has a finalizer of ours first, because no operator is left to take it off."""
        for session in self.sessions():
            self.call(
                "PATCH", self.path("whatsappsessions", session["metadata"]["name"], GROUP), {"metadata": {"finalizers": []}}, headers=MERGE
            )
        self.call("DELETE", f"{CORE}/namespaces/{self.namespace}")

    def sessions(self) -> list[Json]:
        answer = self.call("GET", self.path("whatsappsessions", api=GROUP))
        return answer["items"] if answer else []

    def create(self, name: str, **spec: object) -> Json:
        body = {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": {"name": name}, "spec": spec}
        return self.call("POST", self.path("whatsappsessions", api=GROUP), body) or {}

    def session(self, name: str) -> Json | None:
        return self.call("GET", self.path("whatsappsessions", name, GROUP))

    def patch_spec(self, name: str, **spec: object) -> None:
        self.call("PATCH", self.path("whatsappsessions", name, GROUP), {"spec": spec}, headers=MERGE)

    def delete(self, name: str) -> None:
        self.call("DELETE", self.path("whatsappsessions", name, GROUP))

    def pod(self, name: str) -> Json | None:
        return self.call("GET", self.path("pods", f"{name}-session"))

    def claim(self, name: str) -> Json | None:
        return self.call("GET", self.path("persistentvolumeclaims", f"{name}-data"))

    def events(self, reason: str) -> list[Json]:
        answer = self.call("GET", self.path("events"), fieldSelector=f"reason={reason}")
        return answer["items"] if answer else []

    def patch_pod_status(self, name: str, **status: object) -> None:
        self.call("PATCH", self.path("pods", f"{name}-session") + "/status", {"status": status}, headers=MERGE)

    def report(self, name: str, state: str, **facts: object) -> None:
        """As the session's pod does it."""
        pod = self.pod(name)
        assert pod
        report = {"podUID": pod["metadata"]["uid"], "state": state, "reportedAt": "2026-01-01T00:00:00Z"} | facts
        path = self.path("whatsappsessions", name, GROUP) + "/status"
        self.call("PATCH", path, {"status": {"session": report}}, headers=MERGE, fieldManager="session-pod")

    # Looks.

    def phase(self, name: str) -> str | None:
        session = self.session(name)
        return session.get("status", {}).get("phase") if session else None

    def condition(self, name: str, kind: str) -> str:
        session = self.session(name) or {}
        said = {one["type"]: f"{one['status']} {one['reason']}" for one in session.get("status", {}).get("conditions", [])}
        return said.get(kind, "")

    def wait_phase(self, name: str, phase: str) -> Json:
        eventually(lambda: self.phase(name) == phase, f"{name} {phase}, is {self.phase(name)}")
        return self.session(name) or {}

    def wait_gone(self, name: str) -> None:
        eventually(lambda: self.session(name) is None, f"{name} gone")


class Kubelet:
    """A node's agent: binds each pod to a node, says that it is ready, and lets it go when it is deleted."""

    def __init__(self, kube: Kube, *, ip: str = "127.0.0.1") -> None:
        self._kube = Kube(kube.kubeconfig, kube.namespace)
        self.ip = ip
        self.makes_ready = True
        self.lets_go = True
        self.pause = 0.02  # seconds between two looks
        self.pods_seen: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name="kubelet")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._kube.close()

    def _run(self) -> None:
        while not self._stop.wait(self.pause):
            answer = self._kube.call("GET", self._kube.path("pods"))
            for pod in answer["items"] if answer else []:
                with suppress(AssertionError):  # it changed between the look and the write; the next look sees it
                    self._care(pod)

    def _care(self, pod: Json) -> None:
        meta, name = pod["metadata"], pod["metadata"]["name"]
        if meta["uid"] not in self.pods_seen:
            self.pods_seen.append(meta["uid"])
        if meta.get("deletionTimestamp"):
            if self.lets_go:
                body = {"gracePeriodSeconds": 0, "preconditions": {"uid": meta["uid"]}}
                self._kube.call("DELETE", self._kube.path("pods", name), body)
        elif not pod["spec"].get("nodeName"):
            binding = {"metadata": {"name": name}, "target": {"kind": "Node", "name": "node-1"}}
            self._kube.call("POST", self._kube.path("pods", name) + "/binding", binding)
        elif self.makes_ready and not pod["status"].get("containerStatuses"):
            self._kube.patch_pod_status(name.removesuffix("-session"), **running(self.ip))


def running(ip: str = "127.0.0.1") -> Json:
    """The status of a pod that serves."""
    container = {
        "name": "session",
        "ready": True,
        "started": True,
        "restartCount": 0,
        "image": "x",
        "imageID": "x",
        "state": {"running": {}},
    }
    ready = {"type": "Ready", "status": "True"}
    return {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "conditions": [ready], "containerStatuses": [container]}


class OperatorProcess:
    """`python -m wasession_operator`, as its user runs it."""

    def __init__(self, kube: Kube, directory: Path, **environment: str) -> None:
        directory.mkdir()
        (directory / "key").write_text(KEY)
        self._log = directory / "log"
        self.probe_port, self.metrics_port = _free_port(), _free_port()
        self._environment = {
            "PATH": os.environ["PATH"],
            "KUBECONFIG": str(kube.kubeconfig),
            "WASESSION_NAMESPACES": kube.namespace,
            "WASESSION_INTERNAL_KEY_FILE": str(directory / "key"),
            "WASESSION_POD_TEMPLATE": str(DATA / "pod-template.yaml"),
            "WASESSION_PROBE_PORT": str(self.probe_port),
            "WASESSION_METRICS_PORT": str(self.metrics_port),
        } | environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        return self._log.read_text()

    def start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen([sys.executable, "-m", "wasession_operator"], env=self._environment, stdout=log, stderr=log)

    def wait_exit(self) -> int:
        assert self._process
        return self._process.wait(timeout=DEADLINE)

    def stop(self) -> int:
        assert self._process
        if self._process.poll() is None:
            self._process.send_signal(signal.SIGTERM)
        return self.wait_exit()

    def kill(self) -> None:
        assert self._process
        self._process.kill()
        self._process.wait()

    def wait_started(self) -> None:
        """Until it watches."""
        eventually(lambda: self.probe("/readyz") == 200, "the operator's readiness")

    def probe(self, path: str) -> int:
        """The answer's status; 0: nobody listens."""
        try:
            return httpx.get(f"http://127.0.0.1:{self.probe_port}{path}", timeout=5, trust_env=False).status_code
        except httpx.TransportError:
            return 0

    def metric(self, name: str) -> float:
        """The sum of all series of that name, or the one series whose labels are given, too."""
        text = httpx.get(f"http://127.0.0.1:{self.metrics_port}/metrics", timeout=5, trust_env=False).text
        lines = [line for line in text.splitlines() if line.startswith((name + " ", name + "{"))]
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines)


class PodServer:
    """Stands in for the session pod's `POST /v1/logout`, on an address of its own, because the port is fixed."""

    def __init__(self, ip: str, answer: int = 200) -> None:
        self.ip = ip
        self.calls: list[tuple[str, str | None]] = []
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                calls.append((self.path, self.headers["Authorization"]))
                self.send_response(answer)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_: object) -> None: ...

        self._server = HTTPServer((ip, 8080), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, name="pod")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port
