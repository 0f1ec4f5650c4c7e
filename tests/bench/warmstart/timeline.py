"""From marks to parts: what lies between creating a session and its QR code, as rows of a table. Pure."""

from collections.abc import Mapping, Sequence
from statistics import median

Marks = Mapping[str, float]
"""Unix time in seconds by the name of the moment; a moment that could not be seen (a node's log elsewhere) is missing."""

PARTS = (
    ("object stored, seen on a watch", "asked", "stored"),
    ("operator: sees it, sets the finalizer", "stored", "finalizer"),
    ("operator: claim created", "finalizer", "claim"),
    ("claim created → pod created", "claim", "pod"),
    ("pod created → scheduled to a node", "pod", "scheduled"),
    ("kubelet: sees it, mounts volumes", "scheduled", "sandbox asked"),
    ("sandbox: namespaces, network", "sandbox asked", "sandbox"),
    ("container created and started", "sandbox", "started"),
    ("process: Python, imports, client's start", "started", "dialled"),
    ("process: Python, listens", "started", "answers"),
    ("WhatsApp: connection, handshake", "dialled", "registered"),
    ("QR code: from WhatsApp to the pod", "registered", "QR code"),
    ("report written, seen on a watch", "QR code", "seen"),
)
"""Name, first and last moment; a session's and a bare pod's rows in one order."""

VOLUME = ("of it: claim created → bound", "claim", "bound")


def ms(marks: Marks, first: str, last: str) -> float | None:
    """Milliseconds between two moments; None where one is missing."""
    return 1000 * (marks[last] - marks[first]) if first in marks and last in marks else None


def medians(lives: Sequence[Marks]) -> dict[str, float]:
    """The median of each part, by its name, over the lives in which it was seen."""
    found = {}
    for name, first, last in (*PARTS, VOLUME):
        values = [value for marks in lives if (value := ms(marks, first, last)) is not None]
        if values:
            found[name] = median(values)
    return found


def median_of(lives: Sequence[Marks], last: str) -> float | None:
    """The median of milliseconds from asking to `last`."""
    values = [value for marks in lives if (value := ms(marks, "asked", last)) is not None]
    return median(values) if values else None
