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
SET_SECONDS = 160  # 60 + 5 * 20 s; then whatsmeow closes the connection, and a pairing code is no good any more either
SHORTEST_SET_SECONDS = 15  # a set that ends sooner was cut: without back-off a WhatsApp that always cuts would be hammered
QR_GRACE_SECONDS = 15  # without a new code so long after the last one expired, the set counts as used up
LOGIN_SECONDS = 60  # scanned, or connecting again, but not logged in for so long: a lost attempt
START_SECONDS = 60  # neither QR code nor login so long after the start: a lost attempt
HEAL_SECONDS = 15  # a volume that failed is tried so often
CHECK_SECONDS = 30  # a client that says nothing is asked so often whether it is connected; its own ping takes up to 40 s to fail
RESTING = frozenset({SessionState.LOGGED_OUT, SessionState.REPLACED, SessionState.BANNED, SessionState.FAILED})


@dataclass(frozen=True)
class State:
    """Everything that the machine knows. `linked`: the volume holds a device's credentials.

    Constant for a process are `policy`, the session's back-off; `pairing_phone`: pair by a code for this phone, show no QR
    code; and `fresh_starts`: how many there were before this process.
    """

    policy: Reconnect
    pairing_phone: str | None = None
    fresh_starts: int = 0
    at: SessionState = SessionState.STARTING
    account: Account | None = None
    linked: bool = False
    qr: QR | None = None
    pairing_code: PairingCode | None = None
    qr_count: int = 0
    set_ends_at: datetime | None = None
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


@dataclass(frozen=True)
class PairingCodeRefused:
    """WhatsApp gave no pairing code: its number of the reason, None if it did not answer, and words."""

    code: int | None
    message: str


@dataclass(frozen=True)
class VolumeWorks:
    """The volume that failed can be written again."""


Event = EngineEvent | Started | Woke | AccountLearned | Unlinked | PairingCodeRefused | VolumeWorks


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


@dataclass(frozen=True)
class AskPairingCode:
    """Ask WhatsApp for a code that pairs with the account of `phone`."""

    phone: str


@dataclass(frozen=True)
class CheckClient:
    """Ask the client whether it is connected; if not, it lost the connection without a word."""


@dataclass(frozen=True)
class ProbeVolume:
    """See whether the volume can be written."""


Effect = Connect | Stop | WipeCredentials | FreshStart | AskPairingCode | CheckClient | ProbeVolume
Step = tuple[State, tuple[Effect, ...]]


def back_off(policy: Reconnect, attempt: int, jitter: float) -> timedelta:
    """The wait before attempt 1, 2, ...: `min(initial * 2^(attempt - 1), max)`, of which jitter takes up to a half."""
    doubled = policy.initial_delay_seconds * 2.0 ** min(attempt - 1, 30)
    return timedelta(seconds=min(doubled, policy.max_delay_seconds) * (1 - jitter / 2))


def step(state: State, event: Event, now: datetime, jitter: float) -> Step:  # noqa: C901, PLR0911  one a case
    """The next state after `event` at `now`, and the effects, to be carried out in their order."""
    match event:
        case Faulted(message, heals):
            return replace(_rest(state, SessionState.FAILED, message), wake_at=_after(now, HEAL_SECONDS) if heals else None), (Stop(),)
        case VolumeWorks():
            healed = state.at is SessionState.FAILED and state.wake_at is not None
            return (replace(_clear(state), at=SessionState.STARTING), (FreshStart(),)) if healed else (state, ())
        case Unlinked():
            return _rest(_nobody(state), SessionState.LOGGED_OUT, "logged out on request"), (
                Stop(),
                WipeCredentials(),
            )
        case AccountLearned(account):
            return (replace(state, account=account) if state.at is SessionState.CONNECTED else state), ()
        case Started():
            return replace(state, wake_at=_after(now, START_SECONDS)), (Connect(),)
        case Woke():
            return _woke(state, now, jitter)
        case PairingCodeRefused():
            return _pairing_code_refused(state, event, now, jitter)
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
            return _qr_shown(state, code, now)
        case PairingCodeShown(code):
            return _pairing_code_shown(state, code, now), ()
        case QRSetUsedUp():
            return _set_used_up(state, now, jitter)
        case Scanned():
            return replace(_clear(state), at=SessionState.CONNECTING, linked=True, wake_at=_after(now, LOGIN_SECONDS)), ()
        case Connected(account):
            since = state.connected_since or now
            connected = replace(_clear(state), at=SessionState.CONNECTED, account=account, linked=True, attempts=0, connected_since=since)
            return replace(connected, wake_at=_after(now, CHECK_SECONDS)), ()
        case Disconnected():
            return _disconnected(state, event, now, jitter)
        case _:
            assert_never(event)


def _qr_shown(state: State, code: str, now: datetime) -> Step:
    """The first code also says that WhatsApp may now be asked for a pairing code, which is good until the set is used up."""
    first = not state.qr_count
    ends = state.set_ends_at if state.set_ends_at and not first else _after(now, SET_SECONDS)
    count = state.qr_count + 1
    if state.pairing_phone:
        if not first:
            return replace(state, qr_count=count), ()
        asking = replace(_nobody(state), at=SessionState.STARTING, qr_count=count, set_ends_at=ends)
        return replace(asking, wake_at=_after(now, START_SECONDS)), (AskPairingCode(state.pairing_phone),)
    expires = _after(now, FIRST_QR_SECONDS if first else NEXT_QR_SECONDS)
    shown = replace(_nobody(state), at=SessionState.AWAITING_SCAN, qr=QR(code=code, expires_at=expires))
    shown = replace(shown, pairing_code=state.pairing_code, qr_count=count, set_ends_at=ends)
    return replace(shown, wake_at=_after(expires, QR_GRACE_SECONDS)), ()


def _pairing_code_shown(state: State, code: str, now: datetime) -> State:
    """Asked for by the session's spec it stands alone; asked for by a call it stands beside the QR code."""
    ends = state.set_ends_at or _after(now, SET_SECONDS)
    shown = replace(
        _clear(state), at=SessionState.AWAITING_SCAN, account=None, linked=False, pairing_code=PairingCode(code=code, expires_at=ends)
    )
    return replace(shown, qr=state.qr, wake_at=state.wake_at if state.qr else _after(ends, QR_GRACE_SECONDS))


def _pairing_code_refused(state: State, refused: PairingCodeRefused, now: datetime, jitter: float) -> Step:
    """A limit of rate or a silence is tried again with back-off; another 4xx speaks of the number, which will not get better."""
    if state.pairing_phone is None or state.at is not SessionState.STARTING:
        return state, ()
    words = f"WhatsApp gave no pairing code for {state.pairing_phone}: {refused.message}"
    if refused.code in range(400, 500) and refused.code != disconnects.TOO_MANY_REQUESTS:
        return _rest(state, SessionState.FAILED, f"{words}; check spec.pairing.phoneNumber"), (Stop(),)
    last = LastDisconnect(code=refused.code or disconnects.CONNECTION_LOST, message=words, at=now)
    return _reconnect(replace(_clear(state), last_disconnect=last), now, jitter)


def _set_used_up(state: State, now: datetime, jitter: float) -> Step:
    if state.set_ends_at and now < _after(state.set_ends_at, SHORTEST_SET_SECONDS - SET_SECONDS):
        cut = Disconnected(disconnects.CONNECTION_CLOSED, "connection closed while it waited to be paired")
        return _disconnected(state, cut, now, jitter)
    return replace(_clear(state), at=SessionState.STARTING, attempts=0), (FreshStart(),)


def _disconnected(state: State, event: Disconnected, now: datetime, jitter: float) -> Step:
    row = disconnects.look_up(event.code)
    words = event.detail or row.message
    last = LastDisconnect(code=event.code, message=words, at=now)
    lost = replace(_clear(state), last_disconnect=last)
    match row.follow:
        case Follow.RECONNECT:
            return _reconnect(lost, now, jitter)
        case Follow.WIPE:
            return replace(_nobody(lost), at=SessionState.STARTING, attempts=0), (
                Stop(),
                WipeCredentials(),
                FreshStart(),
            )
        case Follow.REPLACED:
            return _rest(lost, SessionState.REPLACED, words), (Stop(),)
        case Follow.BANNED:
            banned = _rest(lost, SessionState.BANNED, f"{words} until {event.until:%Y-%m-%dT%H:%M:%SZ}" if event.until else words)
            return replace(banned, linked=event.code not in disconnects.CLIENT_WIPES, next_attempt_at=event.until, wake_at=event.until), (
                Stop(),
            )
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


def _woke(state: State, now: datetime, jitter: float) -> Step:  # noqa: PLR0911  one a state
    if state.wake_at is None or now < state.wake_at:
        return state, ()
    match state.at:
        case SessionState.CONNECTED:
            return replace(state, wake_at=_after(now, CHECK_SECONDS)), (CheckClient(),)
        case SessionState.FAILED:
            return replace(state, wake_at=_after(now, HEAL_SECONDS)), (ProbeVolume(),)
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


def _nobody(state: State) -> State:
    """No device is linked."""
    return replace(_clear(state), account=None, linked=False)


def _rest(state: State, at: SessionState, message: str) -> State:
    return replace(_clear(state), at=at, message=message)


def _after(moment: datetime, seconds: float) -> datetime:
    return moment + timedelta(seconds=seconds)
