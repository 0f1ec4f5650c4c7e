"""The session's state machine: `step(state, event, now, jitter)` gives the next state and what to do. Pure.

No clock, randomness, I/O or logging in here: `now` and `jitter` (0 to 1) are arguments, effects are values. What a
disconnection leads to stands in `disconnects`. Surprising: `wake_at` is the machine's only timer; every state that
waits for something has one, so nothing waits for ever.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import assert_never

from wasession_contract.v1alpha1 import QR, LastDisconnect, PairingCode, Reconnect, SessionState
from wasession_pod import disconnects
from wasession_pod.disconnects import Follow
from wasession_pod.engine import (
    Account,
    Connected,
    Disconnected,
    EngineEvent,
    Faulted,
    PairingCodeShown,
    QRSetUsedUp,
    QRShown,
    Scanned,
    Wedged,
)

FIRST_QR_SECONDS = 60  # WhatsApp accepts the first QR code of a set for 60 s
NEXT_QR_SECONDS = 20  # and each further one for 20 s
PAIRING_CODE_SECONDS = 160  # a pairing code lives as long as the connection's whole QR set: 60 + 5 * 20 s
QR_GRACE_SECONDS = 15  # without a new code so long after the last one expired, the set counts as used up
LOGIN_SECONDS = 60  # scanned, or connecting again, but not logged in for so long: a lost attempt
START_SECONDS = 60  # neither QR code nor login so long after the start: a lost attempt
RESTING = frozenset({SessionState.LOGGED_OUT, SessionState.REPLACED, SessionState.BANNED, SessionState.FAILED})


@dataclass(frozen=True)
class State:
    """Everything that the machine knows. `policy` is the session's back-off, constant for a process."""

    policy: Reconnect
    at: SessionState = SessionState.STARTING
    account: Account | None = None
    qr: QR | None = None
    pairing_code: PairingCode | None = None
    qr_count: int = 0
    attempts: int = 0
    next_attempt_at: datetime | None = None
    wake_at: datetime | None = None
    last_disconnect: LastDisconnect | None = None
    connected_since: datetime | None = None
    message: str | None = None


@dataclass(frozen=True)
class Started:
    """The process is up."""


@dataclass(frozen=True)
class Woke:
    """`wake_at` has come."""


@dataclass(frozen=True)
class AccountLearned:
    """The account's push name came after the login."""

    account: Account


@dataclass(frozen=True)
class Unlinked:
    """This device was logged out at our request."""


Event = EngineEvent | Started | Woke | AccountLearned | Unlinked


@dataclass(frozen=True)
class Connect:
    """Begin to connect."""


@dataclass(frozen=True)
class Stop:
    """End the connection."""


@dataclass(frozen=True)
class WipeCredentials:
    """Delete the client's database."""


@dataclass(frozen=True)
class FreshStart:
    """Replace this process by a new one of itself, which keeps `last_disconnect` and `attempts`."""


Effect = Connect | Stop | WipeCredentials | FreshStart
Step = tuple[State, tuple[Effect, ...]]


def back_off(policy: Reconnect, attempt: int, jitter: float) -> timedelta:
    """The wait before attempt 1, 2, ...: `min(initial * 2^(attempt - 1), max)`, of which jitter takes up to a half."""
    doubled = policy.initial_delay_seconds * 2.0 ** min(attempt - 1, 30)
    return timedelta(seconds=min(doubled, policy.max_delay_seconds) * (1 - jitter / 2))


def step(state: State, event: Event, now: datetime, jitter: float) -> Step:  # noqa: PLR0911  one a case
    """The next state after `event` at `now`, and the effects, to be carried out in their order."""
    match event:
        case Faulted(message):
            return _rest(state, SessionState.FAILED, message), (Stop(),)
        case Unlinked():
            return replace(_rest(state, SessionState.LOGGED_OUT, "logged out on request"), account=None), (Stop(), WipeCredentials())
        case AccountLearned(account):
            return (replace(state, account=account) if state.at is SessionState.CONNECTED else state), ()
        case Started():
            return replace(state, wake_at=_after(now, START_SECONDS)), (Connect(),)
        case Woke():
            return _woke(state, now, jitter)
        case Wedged():
            return (state, ()) if state.at in RESTING else (replace(_clear(state), at=SessionState.STARTING), (FreshStart(),))
        case QRShown() | PairingCodeShown() | QRSetUsedUp() | Scanned() | Connected() | Disconnected():
            if _is_late(state, event):
                return state, ()
            return _engine(state, event, now, jitter)
        case _:
            assert_never(event)


_Word = QRShown | PairingCodeShown | QRSetUsedUp | Scanned | Connected | Disconnected


def _is_late(state: State, event: _Word) -> bool:
    """Whether a client says this that is being stopped. Its last word counts if it is a verdict, such as a ban."""
    if state.at in RESTING:
        return True
    waiting = state.at is SessionState.RECONNECTING and state.next_attempt_at is not None
    is_verdict = isinstance(event, Disconnected) and disconnects.look_up(event.code).follow is not Follow.RECONNECT
    return waiting and not is_verdict


def _engine(state: State, event: _Word, now: datetime, jitter: float) -> Step:
    match event:
        case QRShown(code):
            expires = _after(now, NEXT_QR_SECONDS if state.qr_count else FIRST_QR_SECONDS)
            shown = replace(_clear(state), at=SessionState.AWAITING_SCAN, account=None, qr=QR(code=code, expires_at=expires))
            return replace(shown, qr_count=state.qr_count + 1, wake_at=_after(expires, QR_GRACE_SECONDS)), ()
        case PairingCodeShown(code):
            expires = _after(now, PAIRING_CODE_SECONDS)
            shown = replace(_clear(state), at=SessionState.AWAITING_SCAN, account=None)
            return replace(shown, pairing_code=PairingCode(code=code, expires_at=expires), wake_at=_after(expires, QR_GRACE_SECONDS)), ()
        case QRSetUsedUp():  # the connection held for the whole set, so earlier attempts are forgotten
            return replace(_clear(state), at=SessionState.STARTING, attempts=0), (FreshStart(),)
        case Scanned():
            return replace(_clear(state), at=SessionState.CONNECTING, wake_at=_after(now, LOGIN_SECONDS)), ()
        case Connected(account):
            since = state.connected_since or now
            return replace(_clear(state), at=SessionState.CONNECTED, account=account, attempts=0, connected_since=since), ()
        case Disconnected():
            return _disconnected(state, event, now, jitter)
        case _:
            assert_never(event)


def _disconnected(state: State, event: Disconnected, now: datetime, jitter: float) -> Step:
    row = disconnects.look_up(event.code)
    words = event.detail or row.message
    last = LastDisconnect(code=event.code, message=words, at=now)
    lost = replace(_clear(state), last_disconnect=last)
    match row.follow:
        case Follow.RECONNECT:
            return _reconnect(lost, now, jitter)
        case Follow.WIPE:
            return replace(lost, at=SessionState.STARTING, account=None, attempts=0), (Stop(), WipeCredentials(), FreshStart())
        case Follow.REPLACED:
            return _rest(lost, SessionState.REPLACED, words), (Stop(),)
        case Follow.BANNED:
            banned = _rest(lost, SessionState.BANNED, f"{words} until {event.until:%Y-%m-%dT%H:%M:%SZ}" if event.until else words)
            return replace(banned, next_attempt_at=event.until, wake_at=event.until), (Stop(),)
        case Follow.FAILED:
            return _rest(lost, SessionState.FAILED, words), (Stop(),)
        case _:
            assert_never(row.follow)


def _reconnect(lost: State, now: datetime, jitter: float) -> Step:
    limit = lost.policy.max_attempts
    if limit and lost.attempts >= limit:
        why = f"gave up after {limit} attempts to reconnect; restart the session to try again"
        return _rest(lost, SessionState.FAILED, why), (Stop(),)
    attempts = lost.attempts + 1
    due = now + back_off(lost.policy, attempts, jitter)
    return replace(lost, at=SessionState.RECONNECTING, attempts=attempts, next_attempt_at=due, wake_at=due), (Stop(),)


def _woke(state: State, now: datetime, jitter: float) -> Step:
    if state.wake_at is None or now < state.wake_at:
        return state, ()
    match state.at:
        case SessionState.AWAITING_SCAN:
            return _engine(state, QRSetUsedUp(), now, jitter)
        case SessionState.RECONNECTING | SessionState.BANNED if state.next_attempt_at:
            trying = replace(_clear(state), at=SessionState.RECONNECTING, attempts=max(state.attempts, 1))
            return replace(trying, wake_at=_after(now, LOGIN_SECONDS)), (Connect(),)
        case SessionState.CONNECTING:  # the client may sit there for ever, so a new one takes over; the credentials stay
            return replace(_clear(state), at=SessionState.STARTING), (FreshStart(),)
        case _:
            silent = Disconnected(disconnects.CONNECTION_LOST, "WhatsApp did not answer in time")
            return _disconnected(state, silent, now, jitter)


def _clear(state: State) -> State:
    """Drop what belongs to the state that is being left."""
    return replace(state, qr=None, pairing_code=None, next_attempt_at=None, wake_at=None, connected_since=None, message=None)


def _rest(state: State, at: SessionState, message: str) -> State:
    return replace(_clear(state), at=at, message=message)


def _after(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)
