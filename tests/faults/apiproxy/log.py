"""What passed through the proxy."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_resource = re.compile(
    r"/(?:api/v1|apis/[^/]+/[^/]+)(?:/namespaces/(?P<namespace>[^/]+)(?=/[^/]+))?/(?P<plural>[^/]+)(?:/(?P<name>[^/]+))?(?:/(?P<sub>.+))?\Z"
)


@dataclass
class Request:
    """One request and what became of it, which is filled in when it is known."""

    method: str
    path: str
    query: Mapping[str, str]
    body: bytes
    write: int | None = None
    """Its number among the writes."""
    status: int | None = None
    """What the API server answered; None: it was not asked, or has not answered yet."""
    answered: int | None = None
    """What the program was answered; None: nothing."""
    fault: str = ""
    """What was done to it."""
    plural: str = field(init=False, default="")
    namespace: str = field(init=False, default="")
    name: str = field(init=False, default="")
    subresource: str = field(init=False, default="")

    def __post_init__(self) -> None:
        if found := _resource.match(self.path):
            self.plural, self.namespace, self.name, self.subresource = (
                found[group] or "" for group in ("plural", "namespace", "name", "sub")
            )

    @property
    def is_watch(self) -> bool:
        """A stream of events."""
        return self.query.get("watch") in {"true", "1"}

    @property
    def is_list(self) -> bool:
        """A list of objects; discovery is none."""
        return self.method == "GET" and bool(self.plural) and not self.name and not self.is_watch

    @property
    def json(self) -> Any:  # noqa: ANN401  JSON
        """The body, decoded; None: it has none."""
        return msgspec.json.decode(self.body) if self.body else None

    def __str__(self) -> str:
        number = f"write {self.write}: " if self.write else ""
        outcome = f" ({self.fault})" if self.fault else ""
        return f"{number}{self.method} {self.path} -> {self.answered}{outcome}"


@dataclass(frozen=True)
class Event:
    """One watch event. `number`: among those of its kind; bookmarks have none and are not kept."""

    plural: str
    number: int
    type: str
    name: str
    version: str
    fault: str = ""
