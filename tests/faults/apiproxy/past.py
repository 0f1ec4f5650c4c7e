"""The lists of a moment, to be told again later as if it were now."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from apiproxy.log import Request

Target = tuple[str, str, str]
"""Path, label selector, field selector."""


def target(request: Request) -> Target:
    """What a list asks for, whatever its page and version."""
    return request.path, request.query.get("labelSelector", ""), request.query.get("fieldSelector", "")


@dataclass(frozen=True)
class Snapshot:
    """Answers of lists. `gets`: single objects are read from them too, as from an API server that lags in all."""

    lists: Mapping[Target, bytes]
    gets: bool = False

    def answer(self, request: Request) -> tuple[int, bytes] | None:
        """Status and body as they were; None: this is not of the past."""
        if request.is_list:
            found = self.lists.get(target(request))
            return (200, found) if found is not None else None
        if not self.gets or request.method != "GET" or not request.name or request.subresource:
            return None
        items = [item for where, raw in self.lists.items() if where[0] == request.path.rpartition("/")[0] for item in _items(raw)]
        if not any(where[0] == request.path.rpartition("/")[0] for where in self.lists):
            return None
        found = next((msgspec.json.encode(item) for item in items if item["metadata"]["name"] == request.name), None)
        return (200, found) if found is not None else (404, status_object(404, "NotFound"))


def status_object(code: int, reason: str) -> bytes:
    """A Kubernetes Status, as every refusal is."""
    status = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure"}
    return msgspec.json.encode(status | {"message": f"{reason}, by the fault proxy", "reason": reason, "code": code})


def _items(raw: bytes) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = msgspec.json.decode(raw)["items"]
    return items
