"""What happened, as records that a test can read: bounded, numbered without gaps, kept over a restart."""

import json
import logging
import time
from typing import Any

from waemulator.database import Database

KEPT_RECORDS = 20_000
PRUNE_EVERY = 1_000
logger = logging.getLogger("waemulator")

Record = dict[str, Any]


class Logbook:
    """Appends and reads records: `i` (the record's number), `t` (Unix time), `kind`, mostly `number` (the account), and more by kind."""

    def __init__(self, database: Database) -> None:
        self._database = database
        row = database.row("SELECT MAX(i) AS last FROM log")
        self._next = 0 if row is None or row["last"] is None else int(row["last"]) + 1

    @property
    def next(self) -> int:
        """The number that the next record will have."""
        return self._next

    def add(self, kind: str, number: str | None = None, **fields: object) -> None:
        """Appends a record."""
        logger.info("%s %s %s", kind, number or "-", fields)
        self._database.change(
            "INSERT INTO log (i, t, kind, number, fields) VALUES (?, ?, ?, ?, ?)",
            self._next, time.time(), kind, number, json.dumps(fields, default=str),
        )  # fmt: skip
        self._next += 1
        if self._next % PRUNE_EVERY == 0:
            self._database.change("DELETE FROM log WHERE i < ?", self._next - KEPT_RECORDS)

    def since(self, i: int, *, kind: str | None = None, number: str | None = None) -> list[Record]:
        """The records from number `i` on, oldest first, narrowed to a kind and an account when given."""
        rows = self._database.rows(
            "SELECT i, t, kind, number, fields FROM log WHERE i >= ? AND (? IS NULL OR kind = ?) AND (? IS NULL OR number = ?) ORDER BY i",
            i, kind, kind, number, number,
        )  # fmt: skip
        return [
            {"i": row["i"], "t": row["t"], "kind": row["kind"]}
            | ({"number": row["number"]} if row["number"] else {})
            | json.loads(row["fields"])
            for row in rows
        ]
