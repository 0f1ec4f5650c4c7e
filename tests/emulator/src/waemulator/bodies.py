"""Reads the fields of a control request's body, and names what is wrong with one."""

from collections.abc import Mapping
from typing import Any

from waemulator.errors import bad_request

Body = Mapping[str, Any]


def field(body: Body, name: str, kind: type = str, default: Any = None) -> Any:  # noqa: ANN401  a JSON value
    """A field of a request's body; without a default it is required.

    Raises:
        ControlError: it is missing or of another type.
    """
    value = body.get(name, default)
    if value is None:
        raise bad_request("missing_field", f"the body needs {name!r} ({kind.__name__})")
    if not isinstance(value, kind):
        raise bad_request("bad_field", f"{name} is a {kind.__name__}, not {value!r}"[:200])
    return value
