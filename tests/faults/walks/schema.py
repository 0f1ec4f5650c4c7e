"""The CRD's schema of `spec` as JSON Schema, its leaf fields, and values that break each leaf's rules. Pure.

Surprising: patterns are translated, because the API server reads them as Go does, where `$` is the very end of the text.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

Json = dict[str, Any]
CRD = Path(__file__).parents[3] / "crds" / "whatsappsession.yaml"
ITEM = "[]"
IMMUTABLE = frozenset({("sessionId",), ("storage", "storageClassName"), ("storage", "accessMode")})
"""By the schema's CEL rules; to change one of them, the object is deleted and made anew."""
_WORDS = ("type", "enum", "minimum", "maximum", "minLength", "maxLength", "minItems", "maxItems", "required", "format", "default")


@dataclass(frozen=True)
class Leaf:
    """A field that holds a value; `path` has `[]` where a list is entered."""

    path: tuple[str, ...]
    schema: Json

    def __str__(self) -> str:
        return ".".join(self.path).replace(f".{ITEM}", ITEM)


def spec_schema(crd: Path = CRD) -> Json:
    """JSON Schema of `spec`: what the structural schema says, and nothing that it does not name."""
    document = yaml.safe_load(crd.read_text())
    structural = document["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    return _json_schema(structural)


def _json_schema(structural: Json) -> Json:
    schema = {word: structural[word] for word in _WORDS if word in structural}
    if "pattern" in structural:
        schema["pattern"] = as_python(structural["pattern"])
    if "items" in structural:
        schema["items"] = _json_schema(structural["items"])
        schema["uniqueItems"] = structural.get("x-kubernetes-list-type") == "set"
    if "properties" in structural:
        schema["properties"] = {name: _json_schema(one) for name, one in structural["properties"].items()}
        schema["additionalProperties"] = False
    return schema


def as_python(pattern: str) -> str:
    """A pattern of Go's `regexp` for Python's `re`. Raises ValueError for one that the two read differently."""
    if re.search(r"\\[sSdDwWbB]", pattern):
        raise ValueError(f"{pattern}: Go knows ASCII alone for \\s, \\d and \\w, Python more; name the characters instead")
    return re.sub(r"\$(?=\||\)|\Z)", r"\\Z", pattern)


def leaves(schema: Json, path: tuple[str, ...] = ()) -> Iterator[Leaf]:
    """Every field with a value of its own, lists of plain values included."""
    if "properties" in schema:
        for name, one in schema["properties"].items():
            yield from leaves(one, (*path, name))
    elif "properties" in schema.get("items", {}):
        yield from leaves(schema["items"], (*path, ITEM))
    else:
        yield Leaf(path, schema)


def breaking(leaf: Leaf) -> list[Any]:
    """Values that the leaf's schema refuses, one for each of its rules."""
    schema = leaf.schema
    wrong_type = {"string": 7, "integer": "many", "boolean": "yes", "array": "message"}
    found: list[Any] = [wrong_type[schema["type"]]]
    if "enum" in schema:
        found.append("Nonsense")
    if "minimum" in schema:
        found += [schema["minimum"] - 1, schema["maximum"] + 1]
    if schema.get("minLength"):
        found.append("")
    if "maxLength" in schema:
        found.append("a" * (schema["maxLength"] + 1))
    if "pattern" in schema:
        found.append("\u0007")
    if schema.get("format") == "date-time":
        found.append("yesterday")
    if schema["type"] == "array":
        found += [[], ["Nonsense"]]
    return found


def value_at(spec: Json, path: tuple[str, ...]) -> Any:  # noqa: ANN401  JSON
    """The value at `path`, of the first item where a list is entered; None where there is none."""
    found: Any = spec
    for step in path:
        found = (found[0] if found else None) if step == ITEM else (found or {}).get(step)
    return found


def with_value(spec: Json, path: tuple[str, ...], value: object) -> Json:
    """A copy of `spec` with `value` at `path`; None takes the field away. What a list is entered by must be there."""
    step, rest = path[0], path[1:]
    if rest and rest[0] == ITEM:
        first, *others = spec[step]
        return {**spec, step: [with_value(first, rest[1:], value), *others]}
    if rest:
        return {**spec, step: with_value(spec.get(step, {}), rest, value)}
    without = {name: one for name, one in spec.items() if name != step}
    return without if value is None else {**without, step: value}


def merge_patch(now: Json, wanted: Json) -> Json:
    """The JSON merge patch from one to the other (RFC 7386)."""
    patch: Json = dict.fromkeys(now.keys() - wanted.keys())
    for name, value in wanted.items():
        known = now.get(name)
        if isinstance(value, dict) and isinstance(known, dict):
            patch[name] = merge_patch(known, value)
        elif value != known:
            patch[name] = value
    return patch


def field_name(path: tuple[str, ...]) -> str:
    """As the API server names the field in a refusal; the first item of a list."""
    return "spec." + ".".join(path).replace(f".{ITEM}", "[0]")
