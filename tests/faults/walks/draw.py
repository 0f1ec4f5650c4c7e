"""A walk, drawn from one seed: a spec, and what becomes of it step by step. The API server's rules hold by construction.

Surprising: a step says the whole spec that is wanted, not the change; how it is brought about (merge patch, replacement,
delete and create) is part of the step, so that all three lead to the same state or one of them is found out.
"""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from enum import StrEnum
from typing import Any

import hypothesis
from hypothesis import strategies as st
from hypothesis_jsonschema import from_schema as value_of

from walks.quantity import size_in_bytes
from walks.schema import IMMUTABLE, ITEM, Json, Leaf, breaking, leaves, spec_schema, value_at, with_value

GROWS = "walks-grows"
"""The storage class whose volumes may grow; there is one in the walks' cluster."""
MISSING = "missing"
"""The Secret that the walks' kubelet does not find."""
SCHEMA = spec_schema()
LEAVES = tuple(leaves(SCHEMA))
TRICKY = ("$(WASESSION_UID) $$", "http://a/$(WASESSION_UID)/$$", "1024Ti", "9000000Ti")
"""Texts that something on the way may take for more than themselves, or write otherwise."""
_EXAMPLES = 3  # the first that hypothesis draws is the simplest there is


class How(StrEnum):
    """How a step is brought about."""

    MERGE = "merge patch"
    REPLACE = "replace"
    RECREATE = "delete and create"
    REFUSED = "bad value, refused"
    EXPLAINED = "bad value, explained and mended"


@dataclass(frozen=True)
class Step:
    """`spec`: what is wanted after it; of a bad step the bad spec, whose fault is in the field `bad`."""

    how: How
    spec: Json
    bad: tuple[str, ...] = ()


@dataclass(frozen=True)
class Walk:
    """One object's life."""

    seed: int
    name: str
    """Of the object."""
    begin: Json
    steps: tuple[Step, ...]


@dataclass(frozen=True)
class Point:
    """One step whose oracles were held against it. `violations` empty: they held."""

    number: int
    how: How
    violations: tuple[str, ...]


def walk(seed: int, steps: int = 6) -> Walk:
    """The walk of `seed`, with so many good steps and a bad one of each kind between them."""
    name = f"walk-{seed}"
    begin, path = _last(_walks(name, steps), seed)
    return Walk(seed, name, begin, path)


def one_field(leaf: Leaf, seed: int) -> Walk:
    """A walk that changes this leaf alone: to a drawn value, and to each that something on the way may take for another."""

    @st.composite
    def strategy(draw: st.DrawFn) -> tuple[Json, tuple[Step, ...]]:
        begin = _starting_point(leaf)
        now = value_at(begin, leaf.path) or leaf.schema.get("default")
        values = [draw(_values(leaf).filter(lambda one: one not in (now, None))), *tricky(leaf.schema)]
        if leaf.path == ("storage", "size"):
            values.sort(key=size_in_bytes)
        hows = [How.RECREATE] if leaf.path in IMMUTABLE else [How.MERGE, How.REPLACE]
        return begin, tuple(Step(draw(st.sampled_from(hows)), with_value(begin, leaf.path, value)) for value in values)

    begin, path = _last(strategy(), seed)
    return Walk(seed, re.sub("[^a-z]+", "-", str(leaf).lower()), begin, path)


def _starting_point(leaf: Leaf) -> Json:
    """The least spec in which the leaf may take each of its values."""
    spec: Json = {
        "storage": {"storageClassName": GROWS},
        "reconnect": {"maxDelaySeconds": 86400},
        "pairing": {"phoneNumber": "573001112233"},
    }
    if leaf.path == ("reconnect", "maxDelaySeconds"):
        spec["reconnect"] = {}
    if ITEM in leaf.path:
        spec["webhooks"] = [{"url": "http://one.example.com", "secretRef": {"name": "one"}}]
    if leaf.path[0] == "proxy":
        spec["proxy"] = {"secretRef": {"name": "proxy"}}
    return spec


def _values(leaf: Leaf) -> st.SearchStrategy[Any]:
    if leaf.path == ("storage", "storageClassName"):
        return st.just("walks-other")
    if leaf.path == ("storage", "size"):
        return of_schema(leaf.schema).filter(lambda size: size_in_bytes(size) > size_in_bytes("1Gi"))
    return of_schema(leaf.schema)


def of_schema(schema: Json) -> st.SearchStrategy[Any]:
    """What the schema takes. Objects and lists are put together here: hypothesis-jsonschema 0.23 cannot with this hypothesis."""
    if "properties" in schema:
        parts = {name: of_schema(one) for name, one in schema["properties"].items()}
        needed = {name: parts.pop(name) for name in schema.get("required", ())}
        return st.fixed_dictionaries(needed, optional=parts)
    if "items" in schema:
        unique = str if schema["uniqueItems"] else None
        return st.lists(of_schema(schema["items"]), min_size=schema.get("minItems", 0), max_size=schema["maxItems"], unique_by=unique)
    if schema.get("format") == "date-time":
        return st.datetimes(min_value=datetime(1000, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.timezones()).map(_rfc3339)  # noqa: DTZ001  hypothesis adds the zone
    texts = tricky(schema)
    return value_of(schema) | st.sampled_from(texts) if texts else value_of(schema)


def _rfc3339(moment: datetime) -> str:
    return moment.astimezone(timezone(timedelta(minutes=(moment.utcoffset() or timedelta()) // timedelta(minutes=1)))).isoformat()


def tricky(schema: Json) -> list[str]:
    """Those of `TRICKY` that the schema takes."""
    if schema["type"] != "string" or "enum" in schema or "format" in schema:
        return []
    longest, pattern = schema.get("maxLength", 2**31), schema.get("pattern", "")
    texts = [text for text in TRICKY if len(text) <= longest and re.search(pattern, text)]
    return texts if not re.search(pattern, "any") else [text for text in texts if "$" in text]  # a size is none where any text will do


def _last(strategy: st.SearchStrategy[Any], seed: int) -> Any:  # noqa: ANN401  what the strategy draws
    drawn = []

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=_EXAMPLES,
        phases=[hypothesis.Phase.generate],
        database=None,
        deadline=None,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    @hypothesis.given(strategy)
    def take(one: object) -> None:
        drawn.append(one)

    take()
    return drawn[-1]


@st.composite
def _walks(draw: st.DrawFn, name: str, steps: int) -> tuple[Json, tuple[Step, ...]]:
    whole = of_schema(SCHEMA)
    begin = now = _possible(draw, draw(whole), name)
    bad = {draw(st.integers(1, steps)): How.REFUSED, draw(st.integers(1, steps)): How.EXPLAINED}
    path = []
    for number in range(steps):
        if bad.get(number) is How.REFUSED:
            path.append(_refused(draw, now))
        elif bad.get(number) is How.EXPLAINED and now.get("operatingMode") != "Suspended":
            where = ("proxy", "secretRef", "name")
            path.append(Step(How.EXPLAINED, {**now, "proxy": {"secretRef": {"name": MISSING}}}, where))
        how = draw(st.sampled_from([How.MERGE, How.MERGE, How.REPLACE, How.REPLACE, How.RECREATE]))
        wanted = draw(whole) if draw(st.integers(0, 3)) == 0 else _one_part_changed(draw, now)
        now = _possible(draw, wanted, name) if how is How.RECREATE else _reachable(now, _possible(draw, wanted, name))
        path.append(Step(how, now))
    return begin, tuple(path)


def _one_part_changed(draw: st.DrawFn, now: Json) -> Json:
    part = draw(st.sampled_from(sorted(SCHEMA["properties"])))
    return with_value(now, (part,), draw(st.none() | of_schema(SCHEMA["properties"][part])))


def _possible(draw: st.DrawFn, spec: Json, name: str) -> Json:
    """`spec` with what the CEL rules, the list keys and the cluster ask for."""
    spec = {part: dict(value) if isinstance(value, dict) else value for part, value in spec.items()}
    if "sessionId" in spec and not spec["sessionId"].endswith(name):
        spec["sessionId"] = f"{spec['sessionId'][:64]}-{name}"  # one id, one session
    if spec.get("pairing", {}).get("method") == "Code" and "phoneNumber" not in spec["pairing"]:
        spec["pairing"]["phoneNumber"] = draw(of_schema(SCHEMA["properties"]["pairing"]["properties"]["phoneNumber"]))
    if (reconnect := spec.get("reconnect")) is not None:
        longest = max(reconnect.get("initialDelaySeconds", 1), reconnect.get("maxDelaySeconds", 30))
        reconnect["maxDelaySeconds"] = longest
    if "webhooks" in spec:
        spec["webhooks"] = list({one["url"]: one for one in spec["webhooks"]}.values())
    storage = spec.setdefault("storage", {})
    if storage.get("storageClassName", GROWS) != GROWS:
        storage["storageClassName"] = GROWS
    return spec


def _reachable(now: Json, wanted: Json) -> Json:
    """`wanted` with what cannot be changed in place as it is now."""
    for path in IMMUTABLE:
        wanted = with_value(wanted, path, value_at(now, path))
    before, size = now["storage"].get("size", "1Gi"), wanted["storage"].get("size", "1Gi")
    may_grow = "storageClassName" in now["storage"] and size_in_bytes(size) > size_in_bytes(before)
    return wanted if may_grow else with_value(wanted, ("storage", "size"), before)


def _refused(draw: st.DrawFn, now: Json) -> Step:
    leaf = draw(st.sampled_from([leaf for leaf in LEAVES if ITEM not in leaf.path or now.get("webhooks")]))
    base = now if leaf.path[0] != "proxy" else {**now, "proxy": {"secretRef": {"name": "proxy"}}}
    if "secretRef" in leaf.path and ITEM in leaf.path:
        base = with_value(base, ("webhooks", ITEM, "secretRef"), {"name": "one"})
    return Step(How.REFUSED, with_value(base, leaf.path, draw(st.sampled_from(breaking(leaf)))), leaf.path)
