"""Operator, facade, pod and emulator are killed at every moment of the flow, and it still ends well."""

from collections.abc import Callable

import pytest

from polling import until
from world import SECONDS, World

pytestmark = pytest.mark.e2e

ANA, LUIS = "573001234567", "573009876543"


@pytest.fixture(autouse=True)
def accounts(world: World) -> None:
    world.phones.user(ANA, "Ana")
    world.phones.user(LUIS, "Luis")


def flow(world: World, disturb: Callable[[], None]) -> None:
    """The whole life of a session, with a disturbance after every step."""
    disturb()
    world.post_until_done("/sessions/cliente1") if world.object("was", "cliente1") is None else None
    disturb()
    world.phones.scan(ANA, world.qr("cliente1"))
    disturb()
    until(lambda: world.status("cliente1").get("number") == ANA, "the session to be paired", SECONDS)
    world.connected("cliente1")
    disturb()
    world.connected("cliente1")
    since = world.phones.mark()
    world.post_until_done("/sessions/cliente1/send", {"number": LUIS, "message": "sigo aquí"})
    until(lambda: "sigo aquí" in world.texts_to(LUIS, since), "the text on Luis' phone", SECONDS)
    before = len(world.backend_messages(ANA))
    world.phones.incoming(LUIS, ANA, "hola")
    disturb()
    until(lambda: len(world.backend_messages(ANA)) > before, "the backend to get the message", SECONDS)
    world.post_until_done("/sessions/cliente1/restart")
    disturb()
    world.connected("cliente1")
    assert len([d for d in world.phones.devices(ANA) if not d["removed"]]) == 1
    world.installation.kubectl("delete", "was", "cliente1", "--wait=false")
    disturb()
    until(lambda: world.object("was", "cliente1") is None, "the object to be gone", SECONDS)
    until(lambda: not world.sessions_children(), "pod and volume to be gone", SECONDS)


def test_the_operator_is_killed_at_every_step(world: World) -> None:
    flow(world, lambda: world.kill_component("operator"))
    world.rolled_out("operator")
    until(lambda: all(d["removed"] for d in world.phones.devices(ANA)), "the device to be unlinked", SECONDS)


def test_the_facade_is_killed_at_every_step(world: World) -> None:
    flow(world, lambda: world.kill_component("api"))
    world.rolled_out("api")
    until(lambda: all(d["removed"] for d in world.phones.devices(ANA)), "the device to be unlinked", SECONDS)


def test_the_session_pod_is_killed_at_every_step(world: World) -> None:
    flow(world, lambda: world.kill("--selector=app.kubernetes.io/component=session-pod"))


def test_the_emulated_whatsapp_is_killed_while_connected(world: World) -> None:
    world.pair("cliente1", ANA)
    world.kill("--selector=app.kubernetes.io/name=wa-emulator")
    world.installation.wait_for("wa-emulator")
    until(world.phones.healthy, "the emulator", SECONDS)
    until(lambda: [d for d in world.phones.devices(ANA) if d["connected"]], "the session to come back", SECONDS)
    world.connected("cliente1")
    since = world.phones.mark()
    world.post_until_done("/sessions/cliente1/send", {"number": LUIS, "message": "de vuelta"})
    until(lambda: world.texts_to(LUIS, since) == ["de vuelta"], "the text on Luis' phone", SECONDS)


def test_sessions_stay_connected_while_operator_and_facade_are_away(world: World) -> None:
    world.pair("cliente1", ANA)
    kubectl, since = world.installation.kubectl, world.phones.mark()
    deployments = ("deployment/wasession-operator", "deployment/wasession-api")
    kubectl("scale", *deployments, "--replicas=0")
    try:
        for component in ("operator", "api"):
            kubectl("wait", "--for=delete", "pod", f"--selector=app.kubernetes.io/component={component}", "--timeout=60s")
        before = len(world.backend_messages(ANA))
        world.phones.incoming(LUIS, ANA, "¿sigues?")
        until(lambda: "Eco: ¿sigues?" in world.texts_to(LUIS, since), "the answer", SECONDS)
        assert len(world.backend_messages(ANA)) == before + 1
    finally:
        kubectl("scale", *deployments, "--replicas=1")
        world.installation.wait_for("wasession-operator", "wasession-api")
    world.connected("cliente1")
    assert world.phones.log(since, kind="logged_in", number=ANA) == []
