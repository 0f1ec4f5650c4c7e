"""The CRD's schema and the structs say the same, field by field, default by default, word by word."""

import types
import typing
from datetime import datetime
from enum import StrEnum
from pathlib import Path

import jsonschema
import msgspec
import pytest
import yaml

from wasession_contract import names, v1alpha1

pytestmark = pytest.mark.unit

CRDS = Path(__file__).parents[3] / "crds"
CRD = yaml.safe_load((CRDS / "whatsappsession.yaml").read_text())
VERSION = CRD["spec"]["versions"][0]
SCHEMA = VERSION["schema"]["openAPIV3Schema"]
ROOTS = {"spec": v1alpha1.Spec, "status": v1alpha1.Status}


def pairs() -> list[tuple[str, type[msgspec.Struct], dict]]:
    """Every struct beside the schema of the same place, from the roots down."""
    found, todo = [], [(root, struct, SCHEMA["properties"][root]) for root, struct in ROOTS.items()]
    while todo:
        path, struct, schema = todo.pop()
        found.append((path, struct, schema))
        for field in msgspec.structs.fields(struct):
            child, inner = schema["properties"].get(field.encode_name, {}), struct_in(field.type)
            if inner:
                todo.append((f"{path}.{field.encode_name}", inner, child.get("items", child)))
    return found


def plain(annotation: object) -> object:
    """The type without `| None`."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        (annotation,) = [a for a in typing.get_args(annotation) if a is not type(None)]
    return annotation


def struct_in(annotation: object) -> type[msgspec.Struct] | None:
    annotation = plain(annotation)
    if typing.get_origin(annotation) is tuple:
        annotation = typing.get_args(annotation)[0]
    return annotation if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct) else None


def json_type(annotation: object) -> str:
    annotation = plain(annotation)
    if typing.get_origin(annotation) is tuple:
        return "array"
    assert isinstance(annotation, type)
    for python, json in ((bool, "boolean"), (int, "integer"), ((str, datetime), "string"), (msgspec.Struct, "object")):
        if issubclass(annotation, python):
            return json
    raise AssertionError(annotation)


PAIRS = pairs()
FIELDS = [
    pytest.param(f"{path}.{field.encode_name}", field, schema["properties"].get(field.encode_name), id=f"{path}.{field.encode_name}")
    for path, struct, schema in PAIRS
    for field in msgspec.structs.fields(struct)
]


@pytest.mark.parametrize(("path", "struct", "schema"), [pytest.param(*p, id=p[0]) for p in PAIRS])
def test_the_same_fields_are_there_and_the_same_are_required(path: str, struct: type[msgspec.Struct], schema: dict) -> None:
    fields = msgspec.structs.fields(struct)
    assert {f.encode_name for f in fields} == set(schema["properties"]), path
    assert {f.encode_name for f in fields if f.required} == set(schema.get("required", ())), path


@pytest.mark.parametrize(("path", "field", "schema"), FIELDS)
def test_a_field_has_the_same_type_words_and_default(path: str, field: msgspec.structs.FieldInfo, schema: dict) -> None:
    annotation = plain(field.type)
    assert schema["type"] == json_type(annotation)
    if annotation is datetime:
        assert schema["format"] == "date-time"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        assert set(schema["enum"]) == {str(word) for word in annotation}
    if "default" in schema:
        assert msgspec.convert(schema["default"], field.type) == field.default
    elif path.startswith("spec.") and schema["type"] in {"string", "boolean", "integer"}:
        assert field.default in {None, msgspec.NODEFAULT}, "a default that the schema does not fill in"


def test_webhook_events_are_the_same_words() -> None:
    events = SCHEMA["properties"]["spec"]["properties"]["webhooks"]["items"]["properties"]["events"]
    annotation = next(f.type for f in msgspec.structs.fields(v1alpha1.Webhook) if f.name == "events")
    assert set(events["items"]["enum"]) == set(typing.get_args(typing.get_args(annotation)[0]))


def test_a_session_id_is_the_same_in_both() -> None:
    schema = SCHEMA["properties"]["spec"]["properties"]["sessionId"]
    assert schema["pattern"] == names.SESSION_ID_PATTERN
    assert schema["maxLength"] == names.MAX_SESSION_ID


def test_every_list_is_bounded_and_says_how_it_merges() -> None:
    def lists(schema: dict) -> typing.Iterator[dict]:
        if schema.get("type") == "array":
            yield schema
            yield from lists(schema["items"])
        for child in schema.get("properties", {}).values():
            yield from lists(child)

    found = list(lists(SCHEMA))
    assert len(found) == 3
    for schema in found:
        assert schema["maxItems"] <= 16
        assert schema["x-kubernetes-list-type"] in {"map", "set"}


def test_names_of_the_resource_agree() -> None:
    assert CRD["spec"]["group"] == v1alpha1.GROUP
    assert VERSION["name"] == v1alpha1.VERSION
    assert CRD["spec"]["names"]["kind"] == v1alpha1.KIND
    assert CRD["spec"]["names"]["plural"] == v1alpha1.PLURAL


def test_every_field_of_the_spec_is_described() -> None:
    undescribed = [
        f"{path}.{name}"
        for path, _, schema in PAIRS
        if path.startswith("spec") and "secretRef" not in path
        for name, child in schema["properties"].items()
        if "description" not in child
    ]
    assert undescribed == []


@pytest.mark.parametrize("example", sorted((CRDS / "examples").glob("*.yaml")), ids=lambda p: p.name)
def test_an_example_validates_in_both(example: Path) -> None:
    obj = yaml.safe_load(example.read_text())
    jsonschema.validate(obj, SCHEMA, cls=jsonschema.Draft202012Validator)
    session = v1alpha1.convert(obj)
    assert session.metadata.name == obj["metadata"]["name"]
    written = msgspec.to_builtins(session.spec)
    assert {key: written[key] for key in obj["spec"]} == {
        key: {**written[key], **value} if isinstance(value, dict) else written[key] if isinstance(value, list) else value
        for key, value in obj["spec"].items()
    }


SCHEMA_WORDS = {
    "type", "format", "description", "properties", "required", "default", "enum", "pattern", "items",
    "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems",
    "x-kubernetes-validations", "x-kubernetes-list-type", "x-kubernetes-list-map-keys",
}  # fmt: skip


def test_the_schema_has_only_words_that_a_schema_has() -> None:
    """Client-side apply drops an unknown word (an unquoted comma in a description makes one), server-side apply refuses the whole CRD."""

    def words(schema: dict) -> typing.Iterator[str]:
        yield from schema
        for child in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
            yield from words(child)

    assert set(words(SCHEMA)) <= SCHEMA_WORDS
