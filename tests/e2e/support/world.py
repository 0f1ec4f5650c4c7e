"""The installed system as its users see it: the REST API, kubectl, the phones, the backend."""

import json
from typing import Any

import httpx

from installation import CommandFailedError, Installation
from polling import until
from waemulator.client import ControlClient

Json = dict[str, Any]
SECONDS = 90
"""How long anything may take before a test gives up: bounded by the machine, so no measure of ours."""


class World:
    """One installation. Calls of the REST API are repeated only where HTTP says that it is safe (GET) or the test asks for it."""

    def __init__(self, installation: Installation, facade: str, phones: ControlClient, backend: str) -> None:
        self.installation = installation
        self.phones = phones
        self.facade_url = facade
        self.key = installation.api_key()
        self._http = httpx.Client(base_url=facade, headers={"X-API-Key": self.key}, timeout=60, trust_env=False)
        self._backend = httpx.Client(base_url=backend, timeout=10, trust_env=False)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()
        self._backend.close()

    # The REST API

    def call(self, method: str, path: str, **kwargs: Any) -> httpx.Response:  # noqa: ANN401  httpx' own arguments
        """One call, as it is."""
        return self._http.request(method, path, **kwargs)

    def get(self, path: str) -> Json:
        """A read, repeated while the facade cannot be reached."""

        def ask() -> httpx.Response | None:
            try:
                answer = self._http.get(path)
            except httpx.TransportError:
                return None
            return None if answer.status_code in {502, 503} else answer

        answer: Json = until(ask, f"an answer to GET {path}", SECONDS).json()
        return answer

    def post_until_done(self, path: str, body: Json | None = None) -> httpx.Response:
        """A change, repeated while the facade cannot be reached or refuses for a moment."""

        def ask() -> httpx.Response | None:
            try:
                answer = self._http.post(path, json=body)
            except httpx.TransportError:
                return None
            return answer if answer.is_success else None

        return until(ask, f"POST {path} to succeed", SECONDS)

    def create(self, session_id: str) -> None:
        """Create a session; where the facade went away before it answered, the cluster tells whether it is to be asked again."""

        def ask() -> bool:
            try:
                answer = self.call("POST", f"/sessions/{session_id}")
            except httpx.TransportError:
                return self.object("was", session_id) is not None
            assert answer.status_code == 200, answer.text
            return True

        until(ask, f"{session_id} to be created", SECONDS)

    def qr(self, session_id: str) -> str:
        """The session's QR code, once there is one."""
        return str(self.qr_answer(session_id)["qr_code"])

    def qr_answer(self, session_id: str) -> Json:
        return until(
            lambda: answer if (answer := self.get(f"/sessions/{session_id}/qr")).get("qr_code") else None,
            f"{session_id}'s QR code",
            SECONDS,
        )

    def status(self, session_id: str) -> Json:
        status: Json = self.get(f"/sessions/{session_id}/status").get("status", {})
        return status

    def connected(self, session_id: str) -> Json:
        """The session's status, once it is connected."""
        return until(lambda: s if (s := self.status(session_id)).get("connected") else None, f"{session_id} to be connected", SECONDS)

    def pair(self, session_id: str, number: str) -> Json:
        """Create a session, let the phone of `number` scan it, and wait until it is connected."""
        self.create(session_id)
        self.phones.scan(number, self.qr(session_id))
        return self.connected(session_id)

    # kubectl

    def objects(self, kind: str) -> list[Json]:
        items: list[Json] = json.loads(self.installation.kubectl("get", kind, "-o", "json"))["items"]
        return items

    def object(self, kind: str, name: str) -> Json | None:
        return next((o for o in self.objects(kind) if o["metadata"]["name"] == name), None)

    def pod(self, session_id: str) -> Json | None:
        return self.object("pods", f"{session_id}-session")

    def apply(self, name: str, spec: Json | None = None) -> None:
        """Write a session's object."""
        manifest = {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": {"name": name}, "spec": spec or {}}
        self.installation.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))

    def condition(self, name: str, kind: str) -> Json:
        """The condition of that type; empty while there is none."""
        session = self.object("was", name) or {}
        found: Json = next((one for one in session.get("status", {}).get("conditions", []) if one["type"] == kind), {})
        return found

    def phase(self, name: str) -> str | None:
        return (self.object("was", name) or {}).get("status", {}).get("phase")

    def warnings(self, name: str) -> list[str]:
        """Reasons of the Warning events of the session that has the name now."""
        uid = (self.object("was", name) or {})["metadata"]["uid"]
        events = [event for event in self.objects("events") if event["involvedObject"].get("uid") == uid]
        return [event["reason"] for event in events if event["type"] == "Warning"]

    def operator_metric(self, name: str) -> float:
        """The sum of all series of that name, as the operator counts now."""
        pods = [pod for pod in self.objects("pods") if pod["metadata"]["labels"].get("app.kubernetes.io/component") == "operator"]
        assert len(pods) == 1
        container = pods[0]["spec"]["containers"][0]
        port = next(port["containerPort"] for port in container["ports"] if port["name"] == "metrics")
        place = f"/api/v1/namespaces/{self.installation.namespace}/pods/{pods[0]['metadata']['name']}:{port}/proxy/metrics"
        lines = self.installation.kubectl("get", "--raw", place).splitlines()
        return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith((name + " ", name + "{")))

    def kill(self, *selector: str) -> None:
        """SIGKILL pods at once, as a lost node or an operator in a hurry would."""
        self.installation.kubectl("delete", "pods", *selector, "--grace-period=0", "--force", "--wait=false")

    def kill_component(self, component: str) -> None:
        self.kill(f"--selector=app.kubernetes.io/component={component},app.kubernetes.io/instance=wasession")

    def rolled_out(self, component: str) -> None:
        self.installation.wait_for(f"wasession-{component}")

    def delete_all(self) -> None:
        """Delete every session and wait until pods and volumes are gone."""
        try:
            self.installation.kubectl("delete", "was", "--all", "--timeout=60s")
        except CommandFailedError as error:
            raise AssertionError(f"sessions could not be deleted: {error}") from error
        until(lambda: not self.objects("was"), "the sessions to be gone", SECONDS)
        until(lambda: not self.sessions_children(), "pods and volumes to be gone", SECONDS)

    def sessions_children(self) -> list[str]:
        """Names of all pods and volumes that belong to sessions."""
        return [
            o["metadata"]["name"]
            for kind in ("pods", "pvc")
            for o in self.objects(kind)
            if "wasession.dev/session" in o["metadata"].get("labels", {})
        ]

    # The backend and the phones

    def backend_messages(self, number: str) -> list[Json]:
        """What the backend got from the session of `number`."""
        messages = until(self._ask_backend, "the backend", SECONDS)["messages"]
        return [m for m in messages if m["botNumber"] == number]

    def _ask_backend(self) -> Json | None:
        try:
            answer: Json = self._backend.get("/messages").json()
        except httpx.TransportError:
            return None
        return answer

    def webhook_events(self) -> list[Json]:
        """What webhooks brought the backend, which takes only signed ones."""
        answer = self._backend.get("/events")
        answer.raise_for_status()
        return list(answer.json()["events"])

    def texts_to(self, number: str, since: int = 0) -> list[str]:
        """Texts that the phone of `number` decrypted, at once or after it had asked for the message again (as phones do)."""
        again = {message["id"]: message["text"] for message in self.phones.log(since, kind="message_retried") if message["text"]}
        sent = [message for message in self.phones.log(since, kind="message") if message["to_number"] == number]
        texts = [message["decrypted"].get("contact", {}).get("text") or again.get(message["id"]) for message in sent]
        return [text for text in texts if text]
