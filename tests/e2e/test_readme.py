"""The README's walk, run as it stands there, against this installation instead of the demo's."""

from pathlib import Path

import pytest

from walkthrough import steps, walk
from world import World

pytestmark = pytest.mark.e2e


def test_every_marked_command_of_the_readme_works(world: World, repo: Path) -> None:
    there = world.installation
    here = (
        f"API={world.facade_url} EMULATOR={world.phones.base_url} KEY='X-API-Key: {world.key}' KUBECONFIG={there.kubeconfig}\n"
        f'export KUBECONFIG\nkubectl() {{ "{there.kubectl_path}" --namespace={there.namespace} "$@"; }}'
    )
    todo = steps((repo / "README.md").read_text())
    outcomes = list(walk(todo, repo, replace=lambda _: here))
    assert len(outcomes) == len(todo) > 15
    answers = {outcome.step.heading: outcome.output for outcome in outcomes}
    assert "Sesión creada correctamente" in answers["Create a session"]
    assert "Eco: ¿Hay pan?" in answers["Receive one"]
    assert "cliente2-session" in answers["Kill its pod: connected again without a new scan"]
