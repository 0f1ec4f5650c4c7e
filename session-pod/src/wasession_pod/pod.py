"""The shell around the state machine: feeds it events, carries out its effects, and holds the pod's parts together.

Surprising: events come from the engine's threads and are taken in order on the event loop; effects are carried out one
after the other by one task, so that a `Stop` and the `Connect` after it never overlap. What the state decides (is the
backend wanted, what does the report say) is read from the state, never told.
"""

import asyncio
import contextlib
import random
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NoReturn

from wasession_contract.podwire import ErrorCode
from wasession_contract.v1alpha1 import SessionReport, SessionState
from wasession_pod import logs, machine, volume
from wasession_pod.addresses import networks
from wasession_pod.backend import Backend
from wasession_pod.clientcalls import ClientCalls, NotBegunError
from wasession_pod.disconnects import CONNECTION_LOST
from wasession_pod.effects import Effects
from wasession_pod.engine import (
    Disconnected,
    Engine,
    EngineError,
    EngineEvent,
    EventSink,
    Faulted,
    News,
    NewsSink,
    NoEngine,
    NotStoredError,
    Received,
)
from wasession_pod.events import Events, Metadata, StatusPayload
from wasession_pod.fetcher import Fetcher
from wasession_pod.inbound import TEXT, backend_text
from wasession_pod.inbox import Inbox
from wasession_pod.jids import number_of
from wasession_pod.journal import Journal, JournalError
from wasession_pod.metrics import Numbers
from wasession_pod.orders import SendError
from wasession_pod.pacing import Pacer
from wasession_pod.pairing import Pairing
from wasession_pod.reports import ApiServer, Reporter
from wasession_pod.sender import CALL_SECONDS, Sender
from wasession_pod.settings import Settings
from wasession_pod.view import session_report
from wasession_pod.webhooks import Webhooks, now_ms

if TYPE_CHECKING:
    from wasession_pod.exposition import Exposition

NAME_SECONDS = (0.2, 0.5, 1, 2, 4, 8, 16, 30)  # the push name follows the login by some ms, or much later on a busy phone
DRAIN_SECONDS = 2  # stopping: for sends under way, and again for the client; the pod has 5 s in all
PRUNE_SECONDS = 3600  # what is too old goes even if nothing comes in

EngineMaker = Callable[[EventSink, NewsSink], Engine]


class Pod:
    """One session. `make_engine` may raise ImportError or OSError; `fresh_start` replaces the process and does not return."""

    def __init__(
        self,
        settings: Settings,
        journal: Journal,
        *,
        state: machine.State,
        make_engine: EngineMaker,
        server: ApiServer | None,
        fresh_start: Callable[[machine.State], NoReturn],
    ) -> None:
        self.journal = journal
        self._settings = settings
        self._state = state
        self._fresh_start = fresh_start
        self._problem = settings.problem
        self._log = logs.SessionLog(settings.session_id)
        self._loop = asyncio.get_running_loop()
        self._calls = ClientCalls()
        self._life = ClientCalls(1)  # start and stop, which must not wait behind calls that hang
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._naming: asyncio.Task[None] | None = None
        self._last_activity: datetime | None = None
        self._stopping = False
        events = Events(settings.session_id, Metadata(settings.namespace, settings.name), now_ms=now_ms)
        self._inbox = Inbox(journal, events, pending=settings.backend_url is not None, account=lambda: self._state.account)
        self.webhooks = Webhooks(() if self._problem else settings.webhooks, journal.outbox, self._log)
        self._numbers = Numbers()
        self._exposition: Exposition | None = None
        self._engine = self._make(make_engine)
        self.sender = Sender(
            self._engine,
            journal,
            self._calls,
            fetcher=Fetcher(max_bytes=settings.media.max_bytes, allowed=networks(settings.media.allowed_networks)),
            pacer=Pacer(settings.pacing, journal.budget),
            not_ready=self._not_ready,
            own_jid=self._own_jid,
            on_ack=self._numbers.acks.observe,
        )
        self.pairing = Pairing(self._engine, self._calls, apply=self._apply, state=lambda: self._state)
        self._effects = Effects(
            self._engine,
            self._calls,
            self._life,
            settings.data_dir,
            self._log,
            pairing=self.pairing,
            post=self.post,
            lost=self._lost_silently,
            fresh_start=self._renew,
        )
        self._backend = Backend(settings.backend_url, journal, self.sender, self._log, number=self._number, on_change=self._publish)
        self._reporter = Reporter(server, self._log, minor_seconds=settings.report_minor_seconds) if server else None

    def _make(self, make_engine: EngineMaker) -> Engine:
        if self._problem is None:
            try:
                return make_engine(self.post, self._received)
            except (ImportError, OSError) as error:
                self._problem = f"the WhatsApp client cannot be loaded: {error}"
        return NoEngine()

    # What the HTTP API asks.

    @property
    def max_media_bytes(self) -> int:
        """The largest file that is sent."""
        return self._settings.media.max_bytes

    def report(self) -> SessionReport:
        """The session's state as facts."""
        return session_report(self._state, self._settings.pod_uid, self._backend.report(), self._last_activity, _now())

    def metrics(self) -> bytes:
        """Prometheus text."""
        numbers = self._numbers
        numbers.report = self.report()
        numbers.sent, numbers.failed = self.sender.sent, self.sender.failed
        numbers.delivered, numbers.dropped = self._backend.delivered, self.journal.dropped
        numbers.fresh_starts = self._state.fresh_starts
        hooks = self.webhooks
        numbers.webhooks_delivered, numbers.webhook_failures, numbers.webhooks_dead = hooks.delivered, hooks.failed_attempts, hooks.died
        numbers.journal_bytes, numbers.webhook_backlog = self.journal.size(), hooks.backlog()
        numbers.status_writes = self._reporter.writes if self._reporter else 0
        if self._exposition is None:
            from wasession_pod.exposition import Exposition  # noqa: PLC0415  said there

            self._exposition = Exposition(numbers)
        return self._exposition.text()

    def is_alive(self) -> bool:
        """Whether no call to the client hangs for good; that the event loop runs is proven by the answer."""
        return not (self._calls.is_wedged() or self._life.is_wedged())

    async def logout(self) -> None:
        """Unlink the device at WhatsApp and wipe its credentials; nothing to do if none is linked. Raises SendError."""
        if not self._state.linked:
            return
        if why := self._not_ready():
            raise SendError(ErrorCode.NOT_CONNECTED, f"{why}; the device can only be unlinked while it is connected")
        try:
            await self._calls.run(self._engine.logout, seconds=CALL_SECONDS)
        except (TimeoutError, NotBegunError) as error:
            raise SendError(ErrorCode.ACK_TIMEOUT, f"WhatsApp did not confirm the logout: {error}") from None
        except EngineError as error:
            raise SendError(ErrorCode.SEND_REFUSED, f"WhatsApp refused the logout: {error}") from None
        self.post(machine.Unlinked())
        await asyncio.sleep(0)
        await self._effects.join()

    # Life.

    def start(self) -> None:
        """Begin to work."""
        self._spawn(self._effects.run())
        self._spawn(self._backend.run())
        self._spawn(self._keep_journal())
        if self._problem is None:  # else the list of webhooks may be wrong, and what waits for one that is missing would go
            self._serve_webhooks()
        if self._reporter:
            self._spawn(self._reporter.run())
        self.post(Faulted(self._problem, volume.is_fault(self._problem)) if self._problem else machine.Started())

    async def stop(self) -> None:
        """Take no more work, finish what is under way within some seconds, close."""
        self._stopping = True
        self._log.say("🛑", "Deteniendo la sesión")
        if self._timer:
            self._timer.cancel()
        await self.sender.close(DRAIN_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(TimeoutError, NotBegunError):
            await self._life.run(self._engine.stop, seconds=DRAIN_SECONDS)
        self.journal.close()

    def post(self, event: machine.Event | EngineEvent) -> None:
        """Take an event, from any thread."""
        with contextlib.suppress(RuntimeError):  # the loop is closed: the process is ending
            self._loop.call_soon_threadsafe(self._apply, event)

    def _apply(self, event: machine.Event) -> None:
        if self._stopping:
            return
        before = self._state
        self._state, effects = machine.step(before, event, _now(), random.random())  # noqa: S311  jitter
        after = self._state
        if isinstance(event, Disconnected) and after is not before:
            self._numbers.disconnects[event.code] = self._numbers.disconnects.get(event.code, 0) + 1
        if after.at is not before.at:
            self._tell_status(after)
        if line := logs.transition(before, after):
            self._log.say(*line)
        for effect in effects:
            self._effects.put(effect)
        self._arm_timer()
        if (after.at is SessionState.CONNECTED) is not (before.at is SessionState.CONNECTED):
            self._last_activity = _now()
            self._numbers.connects += after.at is SessionState.CONNECTED
            self._backend.wake()
            self._learn_name()
        self._publish()

    def _serve_webhooks(self) -> None:
        try:
            self.webhooks.subscribe()
        except JournalError as error:
            self._fail(error)
            return
        self._spawn(self.webhooks.run())

    def _tell_status(self, state: machine.State) -> None:
        try:
            self._inbox.tell_status(StatusPayload(state.at, state.message, state.last_disconnect))
        except JournalError as error:
            self._fail(error)
        self.webhooks.wake()

    def _lost_silently(self) -> None:
        if self._state.at is SessionState.CONNECTED:
            self._apply(Disconnected(CONNECTION_LOST, "the client lost the connection without saying so"))

    def _renew(self) -> NoReturn:
        self.journal.close()
        self._fresh_start(self._state)

    def _arm_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = None
        if self._state.wake_at:
            delay = (self._state.wake_at - _now()).total_seconds()
            self._timer = self._loop.call_later(max(delay, 0) + 0.001, self._apply, machine.Woke())

    def _publish(self) -> None:
        if self._reporter:
            self._reporter.update(self.report())

    def _fail(self, error: JournalError) -> None:
        if self._state.at is not SessionState.FAILED:
            self.post(Faulted(f"the journal on the volume fails: {error}", volume.is_fault(str(error))))

    # Messages.

    def _received(self, news: News) -> None:
        """On the engine's thread: the message is in the journal before anything else happens."""
        try:
            message = self._inbox.take(news)
        except JournalError as error:
            self._fail(error)
            raise NotStoredError from error
        with contextlib.suppress(RuntimeError):  # the loop is closed: the journal has it
            self._loop.call_soon_threadsafe(self._took, message)

    def _took(self, message: Received | None) -> None:
        self.webhooks.wake()
        if message is None:
            return
        if not message.from_me:
            self._numbers.received += 1
            hidden = backend_text(message) if message.type != TEXT else f"({len(message.text)} caracteres)"
            shown = message.text if self._settings.log_message_text else hidden
            self._log.say("📨", f"Mensaje de {number_of(message.sender)}: {shown}")
        self._last_activity = _now()
        self._backend.wake()
        self._publish()

    async def _keep_journal(self) -> None:
        while True:
            await asyncio.sleep(PRUNE_SECONDS)
            try:
                self.journal.prune()
            except JournalError as error:
                self._fail(error)

    def _learn_name(self) -> None:
        if self._naming:
            self._naming.cancel()
        self._naming = self._spawn(self._ask_for_name())

    async def _ask_for_name(self) -> None:
        for delay in NAME_SECONDS:
            if self._state.at is not SessionState.CONNECTED or (self._state.account and self._state.account.name):
                return
            await asyncio.sleep(delay)
            try:
                account = await self._calls.run(self._engine.account, seconds=CALL_SECONDS)
            except (TimeoutError, NotBegunError):
                continue
            if account and account.name:
                self._apply(machine.AccountLearned(account))

    # Small answers.

    def _number(self) -> str | None:
        account = self._state.account
        return account.number if account and self._state.at is SessionState.CONNECTED and not self._stopping else None

    def _own_jid(self) -> str:
        return self._state.account.jid if self._state.account else ""

    def _not_ready(self) -> str | None:
        return None if self._state.at is SessionState.CONNECTED else f"WhatsApp is not connected: the session is {self._state.at}"

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _now() -> datetime:
    return datetime.now(UTC)
