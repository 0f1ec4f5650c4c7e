"""Sending: one path for the HTTP call and for the backend's requests; and what else the other side sees of us.

With an Idempotency-Key the journal is asked first. Surprising: when no acknowledgement came, the outcome is "unknown"
and stays so for that key: WhatsApp may have the message, and a gateway that sends again by itself sends twice.
"""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import TypeVar

from wasession_contract.podwire import Activity, ErrorCode, Media, MediaKind, SendRequest, SendResponse
from wasession_pod import media as files
from wasession_pod.clientcalls import ClientCalls, NotBegunError
from wasession_pod.engine import UPLOAD_SECONDS, Engine, EngineError, File, Outgoing, Quoted, Received, Refusal, Sent, Text
from wasession_pod.fetcher import Fetcher, FetchError
from wasession_pod.inbound import AUDIO, DOCUMENT, IMAGE, TEXT, TEXTS, VIDEO
from wasession_pod.journal import Journal, JournalError, Outcome
from wasession_pod.orders import SendError, fingerprint
from wasession_pod.pacing import Pacer

ACK_SECONDS = 80.0  # whatsmeow gives up after 75 s, but not always
CALL_SECONDS = 20.0  # any other call of the client
FILES_AT_ONCE = 1  # each is in memory several times on its way: as it came, as it is, encrypted
MAX_READ = 100  # messages that one call marks as read

_CODES = {
    Refusal.NOT_CONNECTED: ErrorCode.NOT_CONNECTED,
    Refusal.NO_SUCH_RECIPIENT: ErrorCode.RECIPIENT_NOT_ON_WHATSAPP,
    Refusal.REFUSED: ErrorCode.SEND_REFUSED,
    Refusal.UNKNOWN: ErrorCode.ACK_TIMEOUT,
}
_TYPES = {
    MediaKind.IMAGE: IMAGE,
    MediaKind.VIDEO: VIDEO,
    MediaKind.AUDIO: AUDIO,
    MediaKind.VOICE: AUDIO,
    MediaKind.DOCUMENT: DOCUMENT,
}
_UNKNOWN = "WhatsApp did not acknowledge; whether it has the message is unknown, so it is not sent again by itself"
_T = TypeVar("_T")


def _ignore(_seconds: float) -> None:
    """Nobody counts."""


class Sender:
    """Sends by `engine`. `not_ready` says why nothing can be sent now, None if it can; `own_jid` who we are.

    `on_ack` hears how many seconds the engine took for each message that WhatsApp acknowledged, its upload included.
    """

    def __init__(
        self,
        engine: Engine,
        journal: Journal,
        calls: ClientCalls,
        *,
        fetcher: Fetcher,
        pacer: Pacer,
        not_ready: Callable[[], str | None],
        own_jid: Callable[[], str],
        on_ack: Callable[[float], None] = _ignore,
    ) -> None:
        self._engine = engine
        self._journal = journal
        self._calls = calls
        self._fetcher = fetcher
        self._pacer = pacer
        self._not_ready = not_ready
        self._own_jid = own_jid
        self._on_ack = on_ack
        self._files = asyncio.Semaphore(FILES_AT_ONCE)
        self._closing = False
        self.sent = 0
        self.failed = 0

    async def send(self, request: SendRequest, key: str | None = None, *, patient: bool = False) -> SendResponse:
        """Send a request that was checked (`orders`) and wait for WhatsApp's acknowledgement. Raises SendError, JournalError.

        `patient`: wait for the pacing instead of being refused by it.
        """
        if key is not None:
            outcome, first = self._journal.begin_send(key, fingerprint(request), int(time.time()))
            if answer := _known(outcome, first, key):
                return answer
        try:
            if request.media is None:
                sent = await self._hand_over(request, key, patient=patient)
            else:
                async with self._files:
                    sent = await self._hand_over(request, key, patient=patient)
        except SendError:
            self.failed += 1
            raise
        return SendResponse(id=sent.id, timestamp=sent.timestamp)

    async def show_activity(self, to: str, activity: Activity) -> None:
        """Show the chat with `to` that we type, record, or stopped. Raises SendError."""
        await self._ask(partial(self._engine.show_activity, to, activity))

    async def mark_read(self, chat: str, ids: Sequence[str] | None) -> tuple[str, ...]:
        """Mark messages of a chat as read; None: those since our own last one, MAX_READ at most. Gives the ids.

        Raises SendError, JournalError. The senders come out of the journal: in a group, WhatsApp wants one receipt for each.
        """
        found = self._journal.unanswered(chat, MAX_READ) if ids is None else self._inbound(chat, ids)
        for sender, theirs in by_sender(found).items():
            await self._ask(partial(self._engine.mark_read, chat, sender, theirs))
        newest = self._journal.unanswered(chat, 1)
        if not newest or newest[0].id in {message.id for message in found}:
            self._journal.mark_read(chat)
        return tuple(message.id for message in found)

    async def close(self, seconds: float) -> None:
        """Take no more work and give what is under way `seconds` to finish."""
        self._closing = True
        await self._calls.drain(seconds)

    async def _hand_over(self, request: SendRequest, key: str | None, *, patient: bool) -> Sent:
        """Make the message and give it to the engine. What fails before that frees the key: nothing went out."""
        try:
            message = await self._prepare(request, patient=patient)
        except BaseException:
            self._settle(key, Outcome.NEW)
            raise
        return await self._send(request.to, message, key)

    async def _prepare(self, request: SendRequest, *, patient: bool) -> Outgoing:
        """The message, once it may be sent. The pacing is asked twice, so that no file is fetched for nothing."""
        self._check_ready()
        if not patient:
            _refuse_paced(self._pacer.wait())
        message = await self._message(request)
        while wait := self._pacer.take():
            if not patient:
                _refuse_paced(wait)
            await asyncio.sleep(wait)
        self._check_ready()
        return message

    async def _send(self, to: str, message: Outgoing, key: str | None) -> Sent:
        began = time.monotonic()
        limit = ACK_SECONDS if isinstance(message, Text) else UPLOAD_SECONDS + ACK_SECONDS
        try:
            return await self._calls.run(
                partial(self._engine.send, to, message), seconds=limit, on_end=lambda call: self._ended(call, to, message, key, began)
            )
        except NotBegunError as error:
            raise SendError(ErrorCode.NOT_CONNECTED, str(error)) from None
        except TimeoutError:
            self._settle(key, Outcome.UNKNOWN)
            raise SendError(ErrorCode.ACK_TIMEOUT, _UNKNOWN) from None
        except EngineError as error:
            raise SendError(_CODES[error.refusal], _UNKNOWN if error.refusal is Refusal.UNKNOWN else str(error)) from None

    def _ended(self, call: asyncio.Future[Sent], to: str, message: Outgoing, key: str | None, began: float) -> None:
        """Keep what came of a call, however late, and whether or not somebody still waits for it."""
        if call.cancelled():
            self._settle(key, Outcome.NEW)
        elif error := call.exception():
            certain = isinstance(error, EngineError) and error.refusal is not Refusal.UNKNOWN
            self._settle(key, Outcome.NEW if certain else Outcome.UNKNOWN)
        else:
            sent = call.result()
            self.sent += 1
            self._on_ack(time.monotonic() - began)
            self._settle(key, Outcome.DONE, sent)
            try:
                self._journal.record(_own(sent, to, self._own_jid(), message), pending=False)
            except JournalError:
                return  # the message is out; a journal that fails is reported by its next reader

    def _settle(self, key: str | None, outcome: Outcome, sent: Sent | None = None) -> None:
        if key is not None:
            try:
                self._journal.end_send(key, outcome, sent)
            except JournalError:
                return  # as above; the key stays in flight, and is unknown after the next start

    async def _message(self, request: SendRequest) -> Outgoing:
        """What the engine sends; a file by URL is fetched. Raises SendError, JournalError."""
        quoted = self._quoted(request.to, request.reply_to) if request.reply_to else None
        if request.media is None:
            return Text(request.text or "", quoted)
        data, name = await self._file(request.media)
        try:
            mimetype = files.mimetype(request.media.kind, data, request.media.mimetype, name)
        except files.BadMediaError as error:
            raise SendError(ErrorCode.BAD_REQUEST, str(error)) from None
        return File(request.media.kind, data, mimetype, filename=name, caption=request.media.caption or "", quoted=quoted)

    async def _file(self, media: Media) -> tuple[bytes, str]:
        """The bytes, and the file's name, which may be empty."""
        if media.url is None:
            return media.base64 or b"", media.filename or ""
        try:
            fetched = await self._fetcher.fetch(media.url)
        except FetchError as error:
            raise SendError(ErrorCode.MEDIA_UNFETCHABLE, f"media.url: {error}") from None
        return fetched.data, media.filename or fetched.filename

    def _quoted(self, chat: str, id_: str) -> Quoted:
        found = self._journal.find(chat, [id_])
        if not found:
            raise SendError(ErrorCode.MESSAGE_UNKNOWN, f"replyTo: the journal holds no message {id_[:60]!r} of {chat}")
        return Quoted(found[0].id, found[0].sender, found[0].text)

    def _inbound(self, chat: str, ids: Sequence[str]) -> list[Received]:
        found = [message for message in self._journal.find(chat, ids) if not message.from_me]
        if missing := set(ids) - {message.id for message in found}:
            raise SendError(ErrorCode.MESSAGE_UNKNOWN, f"ids: the journal holds no inbound message {min(missing)[:60]!r} of {chat}")
        return found

    async def _ask(self, call: Callable[[], _T]) -> _T:
        """A call of the client that sends no message."""
        self._check_ready()
        try:
            return await self._calls.run(call, seconds=CALL_SECONDS)
        except NotBegunError as error:
            raise SendError(ErrorCode.NOT_CONNECTED, str(error)) from None
        except TimeoutError as error:
            raise SendError(ErrorCode.ACK_TIMEOUT, str(error)) from None
        except EngineError as error:
            raise SendError(_CODES[error.refusal], str(error)) from None

    def _check_ready(self) -> None:
        if why := "the pod is stopping" if self._closing else self._not_ready():
            raise SendError(ErrorCode.NOT_CONNECTED, why)


def by_sender(messages: Iterable[Received]) -> dict[str, list[str]]:
    """Ids by who sent them, in their order."""
    found: dict[str, list[str]] = {}
    for message in messages:
        found.setdefault(message.sender, []).append(message.id)
    return found


def _own(sent: Sent, to: str, own_jid: str, message: Outgoing) -> Received:
    """Our own message as the journal holds it: a file as its caption, or as the contract's words for what is not text."""
    if isinstance(message, Text):
        text, type_ = message.text, TEXT
    else:
        type_ = _TYPES[message.kind]
        text = message.caption or TEXTS[type_]
    return Received(sent.id, to, own_jid, from_me=True, text=text, type=type_, has_media=type_ != TEXT, timestamp=sent.timestamp)


def _refuse_paced(wait: int) -> None:
    if wait:
        raise SendError(ErrorCode.PACING_LIMITED, f"this session's limit of messages is reached; try again in {wait} s", retry_after=wait)


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
