"""What a session goes through without a second scan: put aside and taken up again, deleted and made anew on its kept volume."""

import json

import pytest

from polling import until
from world import SECONDS, World

pytestmark = pytest.mark.e2e

ANA = "573001234567"


@pytest.fixture(autouse=True)
def account(world: World) -> None:
    world.phones.user(ANA, "Ana")


def apply(world: World, **spec: object) -> None:
    manifest = {"apiVersion": "wasession.dev/v1alpha1", "kind": "WhatsAppSession", "metadata": {"name": "cliente1"}, "spec": spec}
    world.installation.kubectl("apply", "-f", "-", stdin=json.dumps(manifest))


def pair(world: World) -> None:
    world.phones.scan(ANA, world.qr("cliente1"))
    world.connected("cliente1")


def connected_without_a_scan(world: World, since: int) -> None:
    world.phones.wait_for(lambda r: r["kind"] == "logged_in" and r["number"] == ANA, SECONDS, since=since)
    world.connected("cliente1")
    assert world.phones.log(since, kind="qr_scanned") == []
    assert len([device for device in world.phones.devices(ANA) if not device["removed"]]) == 1


def test_a_suspended_session_comes_back_without_a_scan(world: World) -> None:
    apply(world)
    pair(world)
    apply(world, operatingMode="Suspended")
    until(lambda: world.pod("cliente1") is None, "the pod to go", SECONDS)
    until(lambda: (world.object("was", "cliente1") or {})["status"]["phase"] == "Suspended", "the phase", SECONDS)
    assert world.object("pvc", "cliente1-data")
    since = world.phones.mark()
    apply(world, operatingMode="Running")
    connected_without_a_scan(world, since)


def test_a_new_session_takes_up_the_volume_that_the_former_one_left_and_needs_no_scan(world: World) -> None:
    retained = {"storage": {"reclaimPolicy": "Retain"}, "logoutOnDelete": False}
    apply(world, **retained)
    pair(world)
    claim = world.object("pvc", "cliente1-data")
    assert claim
    world.installation.kubectl("delete", "was", "cliente1", "--timeout=60s")
    until(lambda: world.pod("cliente1") is None, "the pod to go", SECONDS)
    kept = world.object("pvc", "cliente1-data")
    assert kept
    assert kept["metadata"]["uid"] == claim["metadata"]["uid"]
    since = world.phones.mark()
    apply(world, **retained)
    connected_without_a_scan(world, since)
    apply(world)  # by the defaults volume and device go with the test
    owned = lambda: (world.object("pvc", "cliente1-data") or {})["metadata"].get("ownerReferences")  # noqa: E731
    until(owned, "the claim to belong to the session", SECONDS)
