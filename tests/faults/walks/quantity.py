"""Sizes as Kubernetes writes them. Pure, and not the operator's own reading of them."""

import re
from decimal import Decimal

_UNITS = {"": 0, "k": 1, "M": 2, "G": 3, "T": 4, "P": 5, "E": 6}
MOST = 2**63 - 1
"""The API server cuts a larger quantity down to this."""


def size_in_bytes(quantity: str) -> int:
    """The size that the API server takes `quantity` for. Raises ValueError."""
    found = re.fullmatch(r"([0-9]+)(?:([kKMGTPE]?)(i?)|e([0-9]+))", quantity)
    if found is None:
        raise ValueError(f"{quantity!r} is no quantity")
    number, unit, binary, exponent = found.groups()
    factor = 10 ** int(exponent) if exponent else (1024 if binary else 1000) ** _UNITS[unit.replace("K", "k")]
    return min(int(Decimal(number) * factor), MOST)
