"""Names: session id of the REST API -> object name; object name -> names of its pod and volume.

An id is free text as in the original, within reason: letters (Latin, accents too), digits, spaces and `_.@+:-`,
1 to 128 characters, not beginning with a space or `.:-`, not ending with a space. Surprising: an id that looks as if it
had been made by us (`...-` and ten hex digits) is hashed too, so that two ids can never meet in one object name.
"""

import hashlib
import re
import unicodedata

MAX_SESSION_ID = 128
MAX_PLAIN_NAME = 40  # leaves room for "-session" and a controller's suffix within the 63 characters of a label value
_LETTER = "0-9A-Za-zÀ-ÖØ-öø-ɏ"
SESSION_ID_PATTERN = f"^[{_LETTER}_@+]([{_LETTER} _.@+:-]*[{_LETTER}_.@+:-])?$"
"""The same text stands in the CRD's schema; Go's and Python's regular expressions read it alike."""

_session_id = re.compile(SESSION_ID_PATTERN.replace("$", r"\Z"))
_label = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?\Z")
_made_by_us = re.compile(r".*-[0-9a-f]{10}\Z")


def is_session_id(text: str) -> bool:
    """Whether the API server would take `text` as `spec.sessionId`."""
    return len(text) <= MAX_SESSION_ID and _session_id.match(text) is not None


def object_name(session_id: str) -> str:
    """The name of the object that stands for `session_id`: the id itself where it is a short DNS-1123 label.

    Otherwise a readable slug and ten hex digits (40 bits) of the id's SHA-256. Raises ValueError for an impossible id.
    """
    if not is_session_id(session_id):
        raise ValueError(f"{session_id[:60]!r} cannot be a session id: use 1 to {MAX_SESSION_ID} letters, digits, spaces or any of _.@+:-")
    if len(session_id) <= MAX_PLAIN_NAME and _label.match(session_id) and not _made_by_us.match(session_id):
        return session_id
    ascii_text = unicodedata.normalize("NFKD", session_id).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_text).strip("-")[: MAX_PLAIN_NAME - 11].rstrip("-") or "s"
    return f"{slug}-{hashlib.sha256(session_id.encode()).hexdigest()[:10]}"


def pod_name(name: str) -> str:
    """The name of the pod of the session object `name`. Deterministic: the API server then allows one at most."""
    return f"{name}-session"


def claim_name(name: str) -> str:
    """The name of the PersistentVolumeClaim of the session object `name`."""
    return f"{name}-data"
