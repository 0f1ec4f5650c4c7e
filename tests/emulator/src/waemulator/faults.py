"""What can go wrong on purpose: which faults there are, how a request names one, and whom one hits. Pure; `trouble` acts them out.

A one-time fault happens when it is asked for. A standing fault stays until it is cleared (`on: false` or kind `clear`), has happened
`times` times, or the emulator restarts. Each can be aimed at one account by `number`; without a number it hits all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from waemulator.accounts import normalize_number
from waemulator.errors import bad_request


class Kind(StrEnum):
    """The faults."""

    DROP = "drop"
    CLOSE = "close"
    STREAM_ERROR = "stream_error"
    UNLINK = "unlink"
    RAW_FAILURE = "raw_failure"
    LOSE_SESSIONS = "lose_sessions"
    REFUSE_LOGIN = "refuse_login"
    DROP_LOGIN = "drop_login"
    REFUSE_WS = "refuse_ws"
    HOLD_ACKS = "hold_acks"
    REFUSE_MESSAGE = "refuse_message"
    FREEZE = "freeze"
    CLEAR = "clear"


STANDING = frozenset({Kind.REFUSE_LOGIN, Kind.DROP_LOGIN, Kind.REFUSE_WS, Kind.HOLD_ACKS, Kind.REFUSE_MESSAGE, Kind.FREEZE})
UNAIMABLE = {Kind.REFUSE_WS: "the account is not known yet when the WebSocket opens; to hit one account use drop_login"}
NEEDS_ATTRS = {
    Kind.REFUSE_LOGIN: 'attrs of the <failure>, such as {"reason": "503"} or {"reason": "402", "code": "101", "expire": "3600"}',
    Kind.RAW_FAILURE: 'attrs of the <failure>, such as {"reason": "401"}',
}
FIELDS = frozenset({"kind", "number", "attrs", "conflict", "status", "times", "on", "of", "close", "code"})
DEFAULT_WS_STATUS = 503
DEFAULT_REFUSAL = 463
"""What WhatsApp says to a message to somebody whom the account may not write to (no trusted-contact token)."""
MIN_HTTP_ERROR, MAX_HTTP_ERROR = 400, 599


@dataclass(frozen=True)
class Fault:
    """A fault that was asked for.

    Attributes:
        kind: what goes wrong.
        number: the account it is aimed at; None hits all.
        attrs: the attributes of the stanza that it sends.
        conflict: the type of a stream error's `<conflict>`: `replaced`, `device_removed`.
        status: the HTTP status of a refused upgrade.
        times: how often a standing fault still happens; None is without end.
        on: False ends a standing fault.
        of: for `clear`, the only kind to end; None ends all.
        close: whether a stream error ends the connection.
        code: the error of a refused message's acknowledgement.
    """

    kind: Kind
    number: str | None = None
    attrs: Mapping[str, str] | None = None
    conflict: str | None = None
    status: int = DEFAULT_WS_STATUS
    times: int | None = None
    on: bool = True
    of: Kind | None = None
    close: bool = True
    code: int = DEFAULT_REFUSAL

    @property
    def standing(self) -> bool:
        """Whether it stays until cleared."""
        return self.kind in STANDING


def parse(body: Mapping[str, Any]) -> Fault:
    """The fault that a request names.

    Raises:
        ControlError: an unknown kind or field, or a value of the wrong form; the message names it.
    """
    unknown = sorted(set(body) - FIELDS)
    if unknown:
        raise bad_request("unknown_field", f"a fault has no field {unknown[0]!r}; its fields are {', '.join(sorted(FIELDS))}")
    kind = _kind(body.get("kind"), "kind")
    number = body.get("number")
    if number is not None:
        if not isinstance(number, str):
            raise bad_request("bad_number", f"number is a string of digits, not {number!r}")
        if kind in UNAIMABLE:
            raise bad_request("not_aimable", f"{kind} cannot be aimed at one number: {UNAIMABLE[kind]}")
        number = normalize_number(number)
    fault = Fault(
        kind, number, _attrs(body.get("attrs")), _typed(body, "conflict", str, None), _typed(body, "status", int, DEFAULT_WS_STATUS),
        _typed(body, "times", int, None), _typed(body, "on", bool, True), _kind(body["of"], "of") if "of" in body else None,
        _typed(body, "close", bool, True), _typed(body, "code", int, DEFAULT_REFUSAL),
    )  # fmt: skip
    _check(fault)
    return fault


def _check(fault: Fault) -> None:
    if fault.kind in NEEDS_ATTRS and fault.on and not fault.attrs:
        raise bad_request("missing_field", f"{fault.kind} needs {NEEDS_ATTRS[fault.kind]}")
    if fault.kind is Kind.STREAM_ERROR and not fault.attrs and not fault.conflict:
        raise bad_request("missing_field", 'stream_error needs attrs, such as {"code": "503"}, or a conflict, such as "replaced"')
    if not MIN_HTTP_ERROR <= fault.status <= MAX_HTTP_ERROR:
        raise bad_request("bad_field", f"status is an HTTP error from 400 to 599, not {fault.status}")
    if fault.code < MIN_HTTP_ERROR:
        raise bad_request("bad_field", f"code is the error of an acknowledgement, such as 463 or 479, not {fault.code}")
    if fault.times is not None and fault.times < 1:
        raise bad_request("bad_field", f"times is 1 or more, not {fault.times}")


def _kind(value: object, field: str) -> Kind:
    try:
        return Kind(str(value))
    except ValueError:
        raise bad_request("unknown_kind", f"no fault has the {field} {value!r}; the kinds are {', '.join(Kind)}") from None


def _attrs(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict) or not all(isinstance(one, (str, int)) for one in value.values()):
        raise bad_request("bad_field", f"attrs is an object of strings, not {value!r}")
    return {str(key): str(one) for key, one in value.items()}


def _typed(body: Mapping[str, Any], name: str, kind: type, default: Any) -> Any:  # noqa: ANN401  a JSON value
    value = body.get(name, default)
    if value is default or (isinstance(value, kind) and not (kind is int and isinstance(value, bool))):
        return value
    raise bad_request("bad_field", f"{name} is a {kind.__name__}, not {value!r}")


class StandingFaults:
    """The standing faults, one for each kind and aim."""

    def __init__(self) -> None:
        self._faults: dict[tuple[Kind, str | None], Fault] = {}

    def put(self, fault: Fault) -> None:
        """Sets a standing fault, or ends it when it is off."""
        if fault.on:
            self._faults[fault.kind, fault.number] = fault
        else:
            self._faults.pop((fault.kind, fault.number), None)

    def clear(self, kind: Kind | None = None, number: str | None = None) -> int:
        """Ends the faults of this kind and aim (None: of every kind, of every aim) and returns how many."""
        gone = [key for key in self._faults if kind in (None, key[0]) and number in (None, key[1])]
        for key in gone:
            del self._faults[key]
        return len(gone)

    def hits(self, kind: Kind, number: str | None) -> Fault | None:
        """The fault that hits this account, or None. The account's own goes before one for all; looking does not use it up."""
        return self._faults.get((kind, number)) or self._faults.get((kind, None))

    def take(self, kind: Kind, number: str | None) -> Fault | None:
        """As `hits`, and the fault has now happened once more."""
        fault = self.hits(kind, number)
        if fault is not None and fault.times is not None:
            left = fault.times - 1
            if left:
                self._faults[fault.kind, fault.number] = replace(fault, times=left)
            else:
                del self._faults[fault.kind, fault.number]
        return fault
