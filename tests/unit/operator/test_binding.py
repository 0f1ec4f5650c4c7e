"""What claims tell of their storage class, and how long a pod waits for one."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from wasession_operator.binding import BINDS_WITHIN, FIRST_LOOK, Bindings, Mode
from wasession_operator.views import Provisioning, claim_view

if TYPE_CHECKING:
    from conftest import Build
    from wasession_operator.views import ClaimView

pytestmark = pytest.mark.unit

ASKED, CHOSEN = "volume.kubernetes.io/storage-provisioner", "volume.kubernetes.io/selected-node"


def told(*annotations: str, phase: str = "Pending") -> ClaimView:
    """As the API server gives it."""
    meta = {
        "name": "cliente1-data",
        "namespace": "default",
        "uid": "c-1",
        "resourceVersion": "1",
        "annotations": dict.fromkeys(annotations, "x"),
    }
    view = claim_view({"metadata": meta, "spec": {"storageClassName": "fast"}, "status": {"phase": phase}})
    assert view
    return view


@pytest.mark.parametrize(
    ("annotations", "provisioning", "mode"),
    [
        ((), Provisioning.UNTOLD, Mode.UNKNOWN),  # new, or with a volume that an administrator made
        ((ASKED,), Provisioning.BY_ITSELF, Mode.BY_ITSELF),
        ((CHOSEN,), Provisioning.FOR_ITS_POD, Mode.FOR_ITS_POD),
        ((ASKED, CHOSEN), Provisioning.FOR_ITS_POD, Mode.FOR_ITS_POD),
    ],
)
def test_a_claim_tells_how_its_class_binds(annotations: tuple[str, ...], provisioning: Provisioning, mode: Mode) -> None:
    claim, bindings = told(*annotations), Bindings()
    bindings.learn(claim)
    assert (claim.provisioning, claim.storage_class, bindings.mode("fast"), bindings.mode("other")) == (
        provisioning,
        "fast",
        mode,
        Mode.UNKNOWN,
    )


@pytest.mark.parametrize(
    ("annotations", "patience"),
    [((), FIRST_LOOK), ((ASKED,), BINDS_WITHIN), ((ASKED, CHOSEN), timedelta())],
)
def test_a_pod_waits_as_long_as_its_class_is_worth(build: Build, annotations: tuple[str, ...], patience: timedelta) -> None:
    bindings, claim = Bindings(), told(*annotations)
    bindings.learn(claim)
    assert bindings.until(claim, build.now, build.now) == (build.now + patience if patience else None)
    assert bindings.until(claim, build.now, build.now + patience) is None


def test_no_pod_waits_for_a_claim_that_is_bound(build: Build) -> None:
    assert Bindings().until(told(ASKED, phase="Bound"), build.now, build.now) is None


def test_only_the_first_claim_of_a_class_that_never_binds_costs_a_wait(build: Build) -> None:
    bindings, claim = Bindings(), told()
    assert bindings.until(claim, build.now, build.now)
    assert bindings.until(claim, build.now, build.now + FIRST_LOOK) is None
    assert bindings.until(claim, build.now, build.now) is None
    bindings.learn(told(ASKED))
    assert bindings.until(claim, build.now, build.now), "it was only slow, and told so later"


def test_a_class_whose_provisioner_fails_is_still_known_to_bind_by_itself(build: Build) -> None:
    bindings, claim = Bindings(), told(ASKED)
    bindings.learn(claim)
    assert bindings.until(claim, build.now, build.now + BINDS_WITHIN) is None
    assert bindings.mode("fast") is Mode.BY_ITSELF
