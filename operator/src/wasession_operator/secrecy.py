"""What must not get into logs, events and conditions, whoever's words it comes in: phone numbers, JIDs, QR codes.

Surprising: a bare row of digits is left alone, because most are no phone numbers (sizes, times, versions). A number is
known by what stands around it: the quotes of the API server's `Invalid value: "573001234567"`, an `@`, a `+`.
"""

import re

_SECRETS = re.compile(
    r"""
    (?<![\w.])\+\d{7,15}\b                  # E.164
    | \b\d{7,15}(?:[.:]\d{1,5}){0,2}@[\w.]+ # a JID, with its agent and device
    | (?<=["'`])\d{7,15}(?=["'`])           # a value in quotes
    | \b\d@[A-Za-z0-9+/=,]{16,}             # what the QR code holds
    """,
    re.VERBOSE,
)
HIDDEN = "***"


def without_secrets(text: str) -> str:
    """`text` with `***` in the place of each."""
    return _SECRETS.sub(HIDDEN, text)
