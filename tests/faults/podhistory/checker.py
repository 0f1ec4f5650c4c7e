"""Reads a history and says which guarantees it violates. Pure.

Surprising: order is promised as WhatsApp delivers. A message that the client could not decrypt and asked for again comes
when its sender's phone sends it again, behind later ones; such messages are not held against the order of their chat.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import NamedTuple

from podhistory.history import (
    Answered,
    BackendLeft,
    Checked,
    Delivered,
    Dropped,
    GaveUp,
    History,
    Killed,
    Opened,
    Wrote,
)

ACCEPTED = 200
UNKNOWN_CODE = "ack_timeout"


class Guarantee(StrEnum):
    """What is promised, in a word."""

    NOT_LOST = "each inbound message reaches the backend"
    IN_ORDER = "first deliveries are in order in each chat"
    NO_IDLE_DUPLICATE = "a message comes twice only over a break"
    SENT_ONCE = "one Idempotency-Key, at most one message"
    TRUE_ANSWERS = "an answer 200 names a message that WhatsApp has"
    SAME_ANSWER = "a key's final answer does not change"
    ANSWERED = "each key gets a final answer"
    STAYS_PAIRED = "a linked session needs no second scan"
    FILES_OPEN = "the databases are sound after a kill"
    HEALTHY_WORLD = "the emulator saw no violation of the protocol"


class Violation(NamedTuple):
    """One broken promise."""

    guarantee: Guarantee
    detail: str


def check(history: History) -> list[Violation]:
    """Every violation in a history that has come to rest: all is up, and there was time for everything to arrive."""
    return [Violation(guarantee, detail) for guarantee, look in CHECKS.items() for detail in look(history)]


def is_final(answer: Answered) -> bool:
    """Whether a caller may stop asking: accepted, refused for good, or known to be unknown."""
    return answer.status == ACCEPTED or answer.code == UNKNOWN_CODE or answer.status in (400, 401, 404, 422)


def _lost(history: History) -> Iterator[str]:
    linked = {record["id"] for record in history.of("incoming") if record["devices"]}
    arrived = {step.text for step in history.steps if isinstance(step, Delivered)}
    for step in history.steps:
        if isinstance(step, Wrote) and step.id in linked and step.text not in arrived:
            receipts = [record["type"] or "delivered" for record in history.of("receipt") if step.id in record["ids"]]
            yield f"{step.text!r} ({step.id}) never came; the client's receipts for it: {receipts or 'none'}"


def _out_of_order(history: History) -> Iterator[str]:
    again = {id_ for record in history.of("receipt") if record["type"] == "retry" for id_ in record["ids"]}
    place = {record["id"]: record["i"] for record in history.of("incoming")}
    ids = {step.text: step.id for step in history.steps if isinstance(step, Wrote)}
    newest: dict[str, tuple[int, str]] = defaultdict(lambda: (-1, ""))
    seen: set[str] = set()
    for step in history.steps:
        if not isinstance(step, Delivered) or step.text in seen or step.text not in ids or ids[step.text] in again:
            continue
        seen.add(step.text)
        here = (place[ids[step.text]], step.text)
        if here < newest[step.chat]:
            yield f"{step.text!r} came after {newest[step.chat][1]!r}"
        newest[step.chat] = max(here, newest[step.chat])


def _idle_duplicates(history: History) -> Iterator[str]:
    breaks = 0
    opened_after = 0  # how many breaks had been when the socket was opened
    last: dict[str, int] = {}
    for step in history.steps:
        match step:
            case Killed() | BackendLeft() | Dropped():
                breaks += 1
            case Opened():
                opened_after = breaks
            case Delivered(_, text):
                if last.get(text) == opened_after:
                    yield f"{text!r} came twice with no break between"
                last[text] = opened_after
            case _:
                pass


def _sent_twice(history: History) -> Iterator[str]:
    accepted = Counter(record["text"] for record in history.of("message"))
    for text in _texts_of_calls(history):
        if accepted[text] > 1:
            yield f"WhatsApp accepted {text!r} {accepted[text]} times"


def _untrue(history: History) -> Iterator[str]:
    known = {(record["id"], record["text"]) for record in history.of("message")}
    for step in _final_answers(history):
        if step.status == ACCEPTED and (step.id, step.text) not in known:
            yield f"{step.text!r} was answered with id {step.id}, which WhatsApp does not have"


def _changed(history: History) -> Iterator[str]:
    first: dict[str, Answered] = {}
    for step in _final_answers(history):
        before = first.setdefault(step.key, step)
        if (before.status, before.id) != (step.status, step.id):
            yield f"key {step.key} was answered {before.status} {before.id} and then {step.status} {step.id}"


def _unanswered(history: History) -> Iterator[str]:
    yield from (f"key {step.key} got no final answer" for step in history.steps if isinstance(step, GaveUp))
    for step in _final_answers(history):
        if step.status != ACCEPTED and step.code != UNKNOWN_CODE:
            yield f"key {step.key} was refused: {step.status} {step.code}"


def _pairing_lost(history: History) -> Iterator[str]:
    linked = 0
    for record in history.records:
        match record["kind"]:
            case "paired" if record.get("number") == history.number:
                linked += 1
                if linked > 1:
                    yield f"paired again (record {record['i']}) although it was linked"
            case "unlinked_by_phone" | "unlinked_by_client" if record.get("number") == history.number:
                linked = 0
            case _:
                pass


def _unsound(history: History) -> Iterator[str]:
    return (f"{step.file}: {step.verdict}" for step in history.steps if isinstance(step, Checked) and step.verdict != "ok")


def _unhealthy(history: History) -> Iterator[str]:
    return (f"{one}" for one in history.records if one["kind"] in ("server_error", "protocol_violation"))


def _final_answers(history: History) -> Iterator[Answered]:
    return (step for step in history.steps if isinstance(step, Answered) and is_final(step))


def _texts_of_calls(history: History) -> set[str]:
    return {step.text for step in history.steps if isinstance(step, Answered | GaveUp)}


CHECKS: dict[Guarantee, Callable[[History], Iterator[str]]] = {
    Guarantee.NOT_LOST: _lost,
    Guarantee.IN_ORDER: _out_of_order,
    Guarantee.NO_IDLE_DUPLICATE: _idle_duplicates,
    Guarantee.SENT_ONCE: _sent_twice,
    Guarantee.TRUE_ANSWERS: _untrue,
    Guarantee.SAME_ANSWER: _changed,
    Guarantee.ANSWERED: _unanswered,
    Guarantee.STAYS_PAIRED: _pairing_lost,
    Guarantee.FILES_OPEN: _unsound,
    Guarantee.HEALTHY_WORLD: _unhealthy,
}
