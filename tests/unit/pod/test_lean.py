"""Placeholders stand for modules while something is imported, and become them at their first use."""

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

from wasession_pod import lean

pytestmark = pytest.mark.unit

HEAVY = """
import helper
from heavy.parts import Wheel, turn
def describe(wheel: "Wheel | None" = None) -> str:
    return f"{turn(3)} {isinstance(wheel, Wheel)}"
annotated: dict[str, object] = {"optional": Wheel | None, "other": None | Wheel, "inner": Wheel.Spoke}
"""


@pytest.fixture
def modules(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A package `heavy`, and `user` that imports it as neonize imports its own."""
    (tmp_path / "heavy").mkdir()
    (tmp_path / "heavy" / "__init__.py").write_text("raised = []\n")
    (tmp_path / "heavy" / "parts.py").write_text(
        "class Wheel:\n    class Spoke: pass\n    size = 7\ndef turn(n, by=1): return n * by + 1\nnumbers = [1, 2]\n"
    )
    (tmp_path / "helper.py").write_text("")
    (tmp_path / "user.py").write_text(HEAVY)
    (tmp_path / "early.py").write_text("from heavy.parts import turn\nturn(1)\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    for name in ("heavy", "heavy.parts", "helper", "user", "early"):
        sys.modules.pop(name, None)


def import_user(*names: str) -> ModuleType:
    with lean.placeholders(names or ("heavy",)):
        return importlib.import_module("user")


@pytest.mark.usefixtures("modules")
def test_what_is_named_is_not_imported_and_all_else_is() -> None:
    import_user()
    assert "helper" in sys.modules
    assert not {"heavy", "heavy.parts"} & set(sys.modules)


@pytest.mark.usefixtures("modules")
def test_a_placeholder_becomes_the_real_thing_when_it_is_called() -> None:
    user = import_user()
    assert user.turn(3, by=2) == 7
    assert sys.modules["heavy.parts"].turn(3, by=2) == 7


@pytest.mark.usefixtures("modules")
def test_a_placeholder_has_the_attributes_of_the_real_thing() -> None:
    user = import_user()
    assert user.Wheel.size == 7
    assert type(user.Wheel()) is sys.modules["heavy.parts"].Wheel


@pytest.mark.usefixtures("modules")
def test_asking_for_the_type_imports_nothing_that_nobody_has() -> None:
    user = import_user()
    assert user.describe() == "4 False"  # turn() imports the module
    assert user.describe(sys.modules["heavy.parts"].Wheel()) == "4 True"
    again = import_user()
    assert not isinstance(3, again.Wheel)


@pytest.mark.usefixtures("modules")
def test_a_placeholder_can_be_subclassed() -> None:
    user = import_user()

    class Big(user.Wheel):  # type: ignore[misc, name-defined]
        pass

    assert Big.size == 7


@pytest.mark.usefixtures("modules")
def test_a_module_that_is_there_already_stays_real() -> None:
    real = importlib.import_module("heavy.parts")
    assert import_user().turn is real.turn


@pytest.mark.usefixtures("modules")
def test_nothing_is_left_behind_for_others() -> None:
    finders = list(sys.meta_path)
    import_user()
    assert sys.meta_path == finders
    assert importlib.import_module("heavy.parts").numbers == [1, 2]


@pytest.mark.usefixtures("modules")
def test_a_parent_forgets_the_placeholder_of_its_part() -> None:
    parent = importlib.import_module("heavy")
    user = import_user("heavy.parts")
    assert "parts" not in vars(parent)
    assert user.turn(3) == 4


@pytest.mark.usefixtures("modules")
def test_use_during_the_import_says_what_to_do() -> None:
    with pytest.raises(ImportError, match=r"heavy\.parts\.turn.*take heavy\.parts out of lean\.UNUSED"), lean.placeholders(("heavy",)):
        importlib.import_module("early")


@pytest.mark.usefixtures("modules")
def test_a_class_that_was_derived_during_the_import_says_why_it_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "derived.py").write_text("from heavy.parts import Wheel\nclass Big(Wheel):\n    size = 9\n")
    with lean.placeholders(("heavy",)):
        derived = importlib.import_module("derived")
    sys.modules.pop("derived")
    assert derived.Big.size == 9
    with pytest.raises(ImportError, match=r"Big was made while its base .*heavy\.parts\.Wheel.* was imported lazily"):
        derived.Big()
