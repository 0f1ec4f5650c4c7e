"""The journal on the volume: messages, chats, what waits for the backend and for webhooks, and idempotency keys.

SQLite in WAL mode with a sync on every commit, so that what is in here survives a SIGKILL and a dead node. Used from
the event loop and from the engine's threads, so one lock guards the one connection. Surprising: a delivery that waits
for the backend is no row of its own but a message that is `pending`; one that waits for a webhook is a row, because
each webhook has its own pace.
"""

from wasession_pod.journal.database import Database, JournalError
from wasession_pod.journal.journal import KEY_SECONDS, Journal, Outcome, Pending
from wasession_pod.journal.outbox import Letter, Outbox

__all__ = ["KEY_SECONDS", "Database", "Journal", "JournalError", "Letter", "Outbox", "Outcome", "Pending"]
