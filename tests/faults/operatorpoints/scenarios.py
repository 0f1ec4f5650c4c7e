"""What people do to sessions, as a table of short stories. Each ends at rest; `step` marks where it is at rest before that.

A story waits only for what the API server shows, so it goes on in the same way whatever happens to the operator meanwhile.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from operatorpoints.stage import Stage

LATER = "2026-01-01T00:00:00Z"


@dataclass(frozen=True)
class Scenario:
    """One story and what it needs."""

    story: Callable[[Stage], Awaitable[None]]
    settings: Mapping[str, str] = field(default_factory=dict)
    """The operator's, beside those that all have."""
    same_pods: bool = True
    """How many pods are made does not depend on who is faster."""


async def _create(stage: Stage) -> None:
    await stage.create("a")
    await stage.until_phase("a", "AwaitingScan")
    await stage.step()
    await stage.scan("a")


async def _delete(stage: Stage) -> None:
    await stage.create("a")
    await stage.until_phase("a", "AwaitingScan")
    await stage.step()
    await stage.delete("a")
    await stage.until_nothing_is_left("a")


async def _create_and_delete_at_once(stage: Stage) -> None:
    await stage.create("a")
    await stage.delete("a")
    await stage.until_nothing_is_left("a")


async def _delete_linked(stage: Stage) -> None:
    await stage.create("a")
    await stage.scan("a")
    await stage.step()
    await stage.delete("a")
    await stage.until_nothing_is_left("a")


async def _delete_linked_and_fail(stage: Stage) -> None:
    stage.node.logout_answer = 422
    await _delete_linked(stage)


async def _create_again(stage: Stage) -> None:
    """The new one gets the name as soon as it is free, and a volume of its own."""
    await stage.create("a", logoutOnDelete=False)
    await stage.scan("a")
    await stage.step()
    await stage.delete("a")
    await stage.create("a")
    await stage.until_phase("a", "AwaitingScan")
    await stage.step()
    await stage.scan("a")


async def _force_and_create_again(stage: Stage) -> None:
    """Somebody takes the finalizer off by hand: Kubernetes collects the old pod and volume while the new session waits."""
    await stage.create("a", logoutOnDelete=False)
    await stage.scan("a")
    await stage.step()
    await stage.force_delete("a")
    await stage.create("a")
    await stage.until_phase("a", "AwaitingScan")


async def _retain(stage: Stage) -> None:
    await stage.create("a", storage={"reclaimPolicy": "Retain"}, logoutOnDelete=False)
    await stage.scan("a")
    await stage.step()
    await stage.delete("a")
    await stage.until_gone("a")
    await stage.step()
    await stage.create("a")
    await stage.until_phase("a", "Connected")


async def _retain_late(stage: Stage) -> None:
    """Somebody thinks of it at the last moment."""
    await stage.create("a", logoutOnDelete=False)
    await stage.scan("a")
    await stage.step()
    await stage.patch("a", storage={"reclaimPolicy": "Retain"})
    await stage.delete("a")
    await stage.until_gone("a")
    await stage.until_no_pod("a")
    await stage.step()
    await stage.create("a")
    await stage.until_phase("a", "Connected")


async def _restart(stage: Stage) -> None:
    await stage.create("a")
    await stage.scan("a")
    await stage.step()
    await stage.replace_pod("a", restartedAt=LATER)
    await stage.until_phase("a", "Connected")


async def _suspend_and_resume(stage: Stage) -> None:
    await stage.create("a")
    await stage.scan("a")
    await stage.step()
    await stage.patch("a", operatingMode="Suspended")
    await stage.until_phase("a", "Suspended")
    await stage.until_no_pod("a")
    await stage.step()
    await stage.patch("a", operatingMode="Running")
    await stage.until_phase("a", "Connected")


async def _grow(stage: Stage) -> None:
    kind = await stage.volume_that_grows()
    await stage.create("a", storage={"storageClassName": kind})
    await stage.scan("a")
    await stage.until_bound("a")
    await stage.step()
    await stage.patch("a", storage={"size": "2Gi"})
    await stage.until_size("a", "2Gi")


async def _roll_out(stage: Stage) -> None:
    for name in ("a", "b", "c"):
        await stage.create(name)
        await stage.scan(name)
    await stage.step()
    await stage.change_template()
    for name in ("a", "b", "c"):
        await stage.until_image(name, "-next")
        await stage.until_phase(name, "Connected")


async def _admission(stage: Stage) -> None:
    await stage.create("a")
    await stage.until_phase("a", "AwaitingScan")
    await stage.create("b", in_a_later_second=True)
    await stage.create("c", in_a_later_second=True)
    await stage.until_reason("c", "Admitted", "SessionLimitReached")
    await stage.step()
    await stage.delete("a")
    await stage.until_phase("b", "AwaitingScan")


async def _idle_delete(stage: Stage) -> None:
    await stage.create("a", idle={"timeoutSeconds": 1, "policy": "Delete"})
    await stage.until_nothing_is_left("a")


async def _idle_suspend(stage: Stage) -> None:
    await stage.create("a", idle={"timeoutSeconds": 1, "policy": "Suspend"})
    await stage.until_phase("a", "Suspended")
    await stage.until_no_pod("a")
    await stage.step()
    await stage.patch("a", idle={"policy": "Keep"}, restartedAt=LATER)
    await stage.until_phase("a", "AwaitingScan")


async def _foreign_pod(stage: Stage) -> None:
    await stage.foreign_pod("a")
    await stage.create("a")
    await stage.until_reason("a", "PodReady", "NameTaken")
    await stage.step()
    await stage.remove_foreign_pod("a")
    await stage.until_phase("a", "AwaitingScan")


_OFTEN = {"CLEANUP_INTERVAL": "100"}

SCENARIOS: Mapping[str, Scenario] = {
    "create": Scenario(_create),
    "delete": Scenario(_delete),
    "create-delete-at-once": Scenario(_create_and_delete_at_once, same_pods=False),
    "delete-linked": Scenario(_delete_linked),
    "delete-logout-fails": Scenario(_delete_linked_and_fail),
    "create-again": Scenario(_create_again),
    "force-create-again": Scenario(_force_and_create_again),
    "retain": Scenario(_retain),
    "retain-late": Scenario(_retain_late),
    "restart": Scenario(_restart),
    "suspend-resume": Scenario(_suspend_and_resume),
    "grow": Scenario(_grow),
    "roll-out": Scenario(_roll_out),
    "admission": Scenario(_admission, {"MAX_SESSIONS": "1"}),
    "idle-delete": Scenario(_idle_delete, _OFTEN),
    "idle-suspend": Scenario(_idle_suspend, _OFTEN),
    "foreign-pod": Scenario(_foreign_pod, {"WASESSION_RESYNC_SECONDS": "1"}),  # a foreign pod's end is seen by looking alone
}
