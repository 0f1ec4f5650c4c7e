"""Where the engine's news go: into the journal, and with them the events that tell webhooks of them.

Runs on the engine's threads. Surprising: a message and its event are one transaction, so neither is ever without the
other; and a message that WhatsApp sends again makes no second event, because the journal has it already.
"""

from collections.abc import Callable
from typing import assert_never

from wasession_pod.engine import Account, History, News, Receipt, Received
from wasession_pod.events import ACK, MESSAGE, STATUS, Events, StatusPayload
from wasession_pod.journal import Journal


class Inbox:
    """Stores news. `pending`: messages wait for a backend; `account`: who we are, None before the first login."""

    def __init__(self, journal: Journal, events: Events, *, pending: bool, account: Callable[[], Account | None]) -> None:
        self._journal = journal
        self._events = events
        self._pending = pending
        self._account = account

    def take(self, news: News) -> Received | None:
        """Store `news`; a message that is new is returned. Raises JournalError."""
        match news:
            case Received():
                return news if self._take_message(news) else None
            case Receipt():
                self._take_receipt(news)
            case History():
                self._journal.remember(news)
            case _:
                assert_never(news)
        return None

    def tell_status(self, payload: StatusPayload) -> None:
        """The session is in another state: an event, if a webhook wants it. Raises JournalError."""
        outbox = self._journal.outbox
        if outbox.wants(STATUS):
            outbox.put(self._events.status(payload, self._account()))

    def _take_message(self, message: Received) -> bool:
        wanted = not message.from_me and self._journal.outbox.wants(MESSAGE)
        event = self._events.message(message, self._account()) if wanted else None
        return self._journal.record(message, pending=self._pending and not message.from_me, event=event)

    def _take_receipt(self, receipt: Receipt) -> None:
        if self._journal.outbox.wants(ACK):
            self._journal.advance(receipt, lambda ids: self._events.ack(receipt, ids, self._account()))
        else:
            self._journal.advance(receipt)
