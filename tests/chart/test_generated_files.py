"""The chart's generated files are current, and every value is described, in the schema and in the README."""

import importlib.util
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.unit


def generator(root: Path) -> ModuleType:
    """The generator that lies in `root`."""
    spec = importlib.util.spec_from_file_location("generate", root / "charts" / "generate.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def copy(repo: Path, tmp_path: Path) -> Path:
    """A copy of what the generator reads and writes."""
    shutil.copytree(repo / "charts", tmp_path / "charts")
    (tmp_path / "crds").mkdir()
    shutil.copy(repo / "crds" / "whatsappsession.yaml", tmp_path / "crds")
    return tmp_path


def append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def test_the_generated_files_are_current(repo: Path) -> None:
    assert generator(repo).main(["--check"]) == 0, "run python3 charts/generate.py"


@pytest.mark.parametrize(
    ("source", "stale"),
    [("crds/whatsappsession.yaml", "charts/wasession/templates/crd.yaml"), ("charts/wasession/values.yaml", "charts/wasession/README.md")],
)
def test_a_changed_source_makes_its_file_stale_until_it_is_made_anew(
    copy: Path, source: str, stale: str, capsys: pytest.CaptureFixture[str]
) -> None:
    generate = generator(copy)
    assert generate.main([]) == 0
    append(copy / source, "# -- Another value.\nanother: 1\n")
    assert generate.main(["--check"]) == 1
    assert capsys.readouterr().err == f"{copy / stale} is not current: run python3 charts/generate.py\n"
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0


def test_a_resource_that_helm_would_read_as_a_template_is_refused(copy: Path) -> None:
    append(copy / "crds" / "whatsappsession.yaml", "# {{ no }}\n")
    with pytest.raises(ValueError, match="which Helm would read as a template"):
        generator(copy).main(["--check"])


def test_a_resource_of_another_name_is_refused(copy: Path) -> None:
    crd = copy / "crds" / "whatsappsession.yaml"
    crd.write_text(crd.read_text(encoding="utf-8").replace("whatsappsessions.wasession.dev", "others.wasession.dev"), encoding="utf-8")
    with pytest.raises(ValueError, match="exactly once, and holds it 0 times"):
        generator(copy).main(["--check"])


def described(values: dict[str, Any], schema: dict[str, Any], definitions: dict[str, Any], path: str = "") -> Iterator[str]:
    """The path of each value, where the schema knows it; those that the schema leaves open are one value."""
    for key, value in values.items():
        assert key in schema["properties"], f"{path}{key} is not in values.schema.json"
        inner = schema["properties"][key]
        inner = definitions[inner["$ref"].rpartition("/")[2]] if "$ref" in inner else inner
        if "properties" in inner and key != "resources":
            assert inner["additionalProperties"] is False, f"{path}{key} takes any name"
            assert set(inner["properties"]) == set(value), f"{path}{key} differs between values.schema.json and values.yaml"
            yield from described(value, inner, definitions, f"{path}{key}.")
        else:
            yield f"{path}{key}"


def test_every_value_is_in_the_schema_and_in_the_readme_and_no_other(repo: Path) -> None:
    chart = repo / "charts" / "wasession"
    schema = json.loads((chart / "values.schema.json").read_text(encoding="utf-8"))
    values = yaml.safe_load((chart / "values.yaml").read_text(encoding="utf-8"))
    _, _, table = (chart / "README.md").read_text(encoding="utf-8").partition("## Values")
    in_readme = {line.split("`")[1] for line in table.splitlines() if line.startswith("| `")}
    assert in_readme == set(described(values, schema, schema["definitions"]))
    assert schema["additionalProperties"] is False
    assert set(schema["properties"]) - set(values) == {"global"}
