"""What of the pacing's budget is used: one row, so that a restart gives no second burst."""

from wasession_pod.journal.database import Database
from wasession_pod.pacing import Spent


class Budget:
    """`pacing.Memory` in `database`. Every method raises JournalError when the volume fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def spent(self) -> Spent | None:
        """What was kept last, None if nothing was sent yet."""
        rows = self._database.read("SELECT tokens, at, day, sent FROM pacing")
        return Spent(*rows[0]) if rows else None

    def keep_spent(self, spent: Spent) -> None:
        """Keep it."""
        row = (spent.tokens, spent.at, spent.day, spent.sent)
        self._database.write("INSERT OR REPLACE INTO pacing (one, tokens, at, day, sent) VALUES (1,?,?,?,?)", row)
