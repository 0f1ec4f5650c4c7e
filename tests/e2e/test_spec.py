"""What an object's spec says reaches its pod: pairing by code, webhooks with a key from a Secret, pacing."""

import json

import pytest

from polling import until
from world import SECONDS, Json, World

pytestmark = pytest.mark.e2e

ANA, LUIS = "573001234567", "573009876543"
HOOK = "http://sample-backend:8080/webhook"


def apply(world: World, name: str, spec: Json) -> None:
    manifest = {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": {"name": name}, "spec": spec}
    world.installation.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


def jsonpath(world: World, name: str, path: str) -> str:
    return world.installation.kubectl("get", "was", name, "-o", f"jsonpath={path}")


@pytest.fixture(autouse=True)
def accounts(world: World) -> None:
    world.phones.user(ANA, "Ana")
    world.phones.user(LUIS, "Luis")


def test_a_session_is_paired_by_code_and_tells_its_webhook_what_happens(world: World) -> None:
    events = ["message", "message.ack", "session.status"]
    hook = {"url": HOOK, "secretRef": {"name": "sample-webhook"}, "events": events}
    pacing = {"messagesPerMinute": 600, "burst": 1, "messagesPerDay": 1}
    spec = {"pairing": {"method": "Code", "phoneNumber": ANA}, "webhooks": [hook], "pacing": pacing, "backend": {"url": ""}}
    apply(world, "codigo", spec)
    code = until(lambda: jsonpath(world, "codigo", "{.status.session.pairingCode.code}"), "the pairing code", SECONDS)
    world.phones.enter_code(ANA, code)
    world.installation.kubectl("wait", "--for=condition=Ready", "--timeout=90s", "whatsappsession/codigo")

    world.phones.incoming(LUIS, ANA, "por webhook")
    until(lambda: "message" in [e["event"] for e in world.webhook_events()], "the message at the webhook", SECONDS)
    got = [e for e in world.webhook_events() if e["session"] == "codigo"]
    message = next(e for e in got if e["event"] == "message")
    assert (message["payload"]["text"], message["payload"]["chat"]) == ("por webhook", f"{LUIS}@s.whatsapp.net")
    assert [e["payload"]["status"] for e in got if e["event"] == "session.status"][-1] == "Connected"

    body = {"number": LUIS, "message": "uno"}
    assert world.call("POST", "/sessions/codigo/send", json=body).status_code == 200
    until(lambda: "message.ack" in [e["event"] for e in world.webhook_events()], "the delivery receipt at the webhook", SECONDS)
    refused = world.call("POST", "/sessions/codigo/send", json=body)
    assert refused.status_code == 500
    assert "Límite de envíos" in refused.json()["details"]


def test_a_secret_that_is_missing_is_named_in_the_condition(world: World) -> None:
    apply(world, "sin-secreto", {"proxy": {"secretRef": {"name": "nowhere"}}})
    path = '{.status.conditions[?(@.type=="PodReady")].message}'
    until(lambda: "nowhere" in jsonpath(world, "sin-secreto", path), "the Secret's name in the condition", SECONDS)
