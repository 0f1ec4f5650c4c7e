"""Sending: one path for the HTTP call and for the backend's requests.

With an Idempotency-Key the journal is asked first. Surprising: when no acknowledgement came, the outcome is "unknown"
and stays so for that key: WhatsApp may have the message, and a gateway that sends again by itself sends twice.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Executor

from wasession_contract.podwire import ErrorCode, SendResponse
from wasession_pod.engine import Engine, EngineError, Received, Refusal, Sent, Text
from wasession_pod.inbound import TEXT
from wasession_pod.journal import Journal, JournalError, Outcome

ACK_SECONDS = 80  # whatsmeow gives up after 75 s, but not always
WEDGED_SECONDS = 180  # a call that hangs for so long will not come back

_CODES = {
    Refusal.NOT_CONNECTED: ErrorCode.NOT_CONNECTED,
    Refusal.NO_SUCH_RECIPIENT: ErrorCode.RECIPIENT_NOT_ON_WHATSAPP,
    Refusal.REFUSED: ErrorCode.SEND_REFUSED,
    Refusal.UNKNOWN: ErrorCode.ACK_TIMEOUT,
}
_UNKNOWN = "WhatsApp did not acknowledge; whether it has the message is unknown, so it is not sent again by itself"


class SendError(Exception):
    """The message was not acknowledged; `code` and the words go to the caller."""

    def __init__(self, code: ErrorCode, message: str) -> None:
        super().__init__(message)
        self.code = code


class Sender:
    """Sends by `engine` in `executor`. `not_ready` says why nothing can be sent now, None if it can; `own_jid` who we are."""

    def __init__(
        self, engine: Engine, journal: Journal, executor: Executor, *, not_ready: Callable[[], str | None], own_jid: Callable[[], str]
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._executor = executor
        self._not_ready = not_ready
        self._own_jid = own_jid
        self._in_flight: dict[asyncio.Future[Sent], float] = {}
        self._closing = False
        self.sent = 0
        self.failed = 0

    async def send(self, to: str, text: str, key: str | None = None) -> SendResponse:
        """Send `text` to the JID `to` and wait for WhatsApp's acknowledgement. Raises SendError, JournalError."""
        if key is not None:
            fingerprint = hashlib.sha256(f"{to}\0{text}".encode()).hexdigest()
            outcome, first = self._journal.begin_send(key, fingerprint, int(time.time()))
            if answer := _known(outcome, first, key):
                return answer
        try:
            sent = await self._send(to, text, key)
        except SendError as error:
            self.failed += 1
            if key is not None:
                self._journal.end_send(key, Outcome.UNKNOWN if error.code is ErrorCode.ACK_TIMEOUT else Outcome.NEW)
            raise
        return SendResponse(id=sent.id, timestamp=sent.timestamp)

    def is_wedged(self) -> bool:
        """Whether a call to the client hangs for good."""
        return any(time.monotonic() - began > WEDGED_SECONDS for began in self._in_flight.values())

    async def close(self, seconds: float) -> None:
        """Take no more work and give what is under way `seconds` to finish."""
        self._closing = True
        if self._in_flight:
            await asyncio.wait(self._in_flight, timeout=seconds)

    async def _send(self, to: str, text: str, key: str | None) -> Sent:
        if why := "the pod is stopping" if self._closing else self._not_ready():
            raise SendError(ErrorCode.NOT_CONNECTED, why)
        call = asyncio.get_running_loop().run_in_executor(self._executor, self._engine.send, to, Text(text))
        self._in_flight[call] = time.monotonic()
        call.add_done_callback(lambda done: self._acknowledged(done, to, text, key))
        await asyncio.wait([call], timeout=ACK_SECONDS)
        if not call.done():
            raise SendError(ErrorCode.ACK_TIMEOUT, _UNKNOWN)
        try:
            return call.result()
        except EngineError as error:
            words = _UNKNOWN if error.refusal is Refusal.UNKNOWN else str(error)
            raise SendError(_CODES[error.refusal], words) from None

    def _acknowledged(self, call: asyncio.Future[Sent], to: str, text: str, key: str | None) -> None:
        """Keep what came of a call, however late."""
        self._in_flight.pop(call, None)
        if call.cancelled() or call.exception():
            return
        sent = call.result()
        self.sent += 1
        own = Received(sent.id, to, self._own_jid(), from_me=True, text=text, type=TEXT, has_media=False, timestamp=sent.timestamp)
        try:
            self._journal.record(own, pending=False)
            if key is not None:
                self._journal.end_send(key, Outcome.DONE, sent)
        except JournalError:
            return  # the message is out; a journal that fails is reported by its next reader


def _known(outcome: Outcome, first: Sent | None, key: str) -> SendResponse | None:
    match outcome:
        case Outcome.DONE if first:
            return SendResponse(id=first.id, timestamp=first.timestamp)
        case Outcome.OTHER_BODY:
            raise SendError(
                ErrorCode.IDEMPOTENCY_KEY_REUSED, f"Idempotency-Key {key!r} came with another body; use a new key for a new message"
            )
        case Outcome.IN_FLIGHT:
            raise SendError(ErrorCode.IDEMPOTENCY_KEY_IN_FLIGHT, f"Idempotency-Key {key!r} is being sent now; ask again later")
        case Outcome.UNKNOWN:
            raise SendError(ErrorCode.ACK_TIMEOUT, _UNKNOWN)
        case _:
            return None
