"""The session's state machine: each state, the back-off's numbers, and that nothing waits for ever."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from wasession_contract.v1alpha1 import Reconnect, SessionState
from wasession_pod import disconnects
from wasession_pod.engine import Account, Connected, Disconnected, Faulted, PairingCodeShown, QRSetUsedUp, QRShown, Scanned, Wedged
from wasession_pod.machine import (
    AccountLearned,
    AskPairingCode,
    CheckClient,
    Connect,
    Effect,
    Event,
    FreshStart,
    PairingCodeRefused,
    ProbeVolume,
    Started,
    State,
    Stop,
    Unlinked,
    VolumeWorks,
    WipeCredentials,
    Woke,
    back_off,
    step,
)

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)
MARIA = Account("573001234567", "573001234567@s.whatsapp.net", "1@lid", None)
LOST = Disconnected(disconnects.CONNECTION_CLOSED)


def play(*events: Event, state: State | None = None, jitter: float = 0.0) -> tuple[State, list[Effect]]:
    """The state and all effects after `events`, each at the time the machine waits for if it is `Woke`."""
    state, effects, now = state or State(policy=Reconnect()), [], NOW
    for event in events:
        if isinstance(event, Woke):
            assert state.wake_at is not None, f"{state.at} waits for nothing"
            now = max(now, state.wake_at)
        state, more = step(state, event, now, jitter)
        effects += more
    return state, effects


def after(seconds: float) -> datetime:
    return NOW + timedelta(seconds=seconds)


def test_the_first_qr_code_is_valid_for_60_seconds_and_the_next_for_20() -> None:
    state, _ = play(Started(), QRShown("a"))
    assert state.at is SessionState.AWAITING_SCAN
    assert state.qr
    assert (state.qr.code, state.qr.expires_at) == ("a", after(60))
    state, _ = play(QRShown("b"), state=state)
    assert state.qr
    assert (state.qr.code, state.qr.expires_at) == ("b", after(20))


BY_CODE = State(policy=Reconnect(), pairing_phone="573001234567")


def test_a_session_that_pairs_by_code_asks_for_one_at_the_first_qr_code_and_shows_no_qr_code() -> None:
    state, effects = play(Started(), QRShown("a"), state=BY_CODE)
    assert (state.at, state.qr, effects) == (SessionState.STARTING, None, [Connect(), AskPairingCode("573001234567")])
    state, effects = play(PairingCodeShown("ABCD-EFGH"), QRShown("b"), state=state)
    assert (state.at, state.qr, effects) == (SessionState.AWAITING_SCAN, None, [])
    assert state.pairing_code
    assert (state.pairing_code.code, state.pairing_code.expires_at) == ("ABCD-EFGH", after(160))
    assert step(state, QRSetUsedUp(), after(160), 0.0)[1] == (FreshStart(),)
    assert play(Woke(), state=state)[1] == [FreshStart()], "a set that ends in silence"
    assert play(Scanned(), state=state)[0].pairing_code is None


def test_a_code_on_demand_stands_beside_the_qr_codes_until_the_set_ends() -> None:
    state, _ = play(Started(), QRShown("a"))
    state, _ = step(state, PairingCodeShown("ABCD-EFGH"), after(10), 0.0)
    assert state.qr
    state, _ = step(state, QRShown("b"), after(60), 0.0)
    assert state.qr
    assert state.pairing_code
    assert (state.qr.code, state.pairing_code.code, state.pairing_code.expires_at) == ("b", "ABCD-EFGH", after(160))


@pytest.mark.parametrize(("code", "kept"), [(429, 429), (500, 500), (None, 408)])
def test_a_pairing_code_that_is_refused_for_now_is_asked_for_again_after_the_back_off(code: int | None, kept: int) -> None:
    state, effects = play(Started(), QRShown("a"), PairingCodeRefused(code, "rate-overlimit"), state=BY_CODE)
    assert (state.at, state.attempts, effects[-1]) == (SessionState.RECONNECTING, 1, Stop())
    assert state.last_disconnect
    assert state.last_disconnect.code == kept
    assert state.last_disconnect.message == "WhatsApp gave no pairing code for 573001234567: rate-overlimit"
    state = replace(state, attempts=5, at=SessionState.STARTING)
    assert play(PairingCodeRefused(code, "rate-overlimit"), state=state)[0].at is SessionState.FAILED, "not for ever"


def test_a_phone_number_that_whatsapp_refuses_is_not_tried_again() -> None:
    state, effects = play(Started(), QRShown("a"), PairingCodeRefused(400, "bad-request"), state=BY_CODE)
    assert (state.at, effects[-1]) == (SessionState.FAILED, Stop())
    assert state.message == "WhatsApp gave no pairing code for 573001234567: bad-request; check spec.pairing.phoneNumber"


def test_a_used_up_set_of_qr_codes_is_a_fresh_start() -> None:
    state, _ = play(Started(), QRShown("a"), state=State(policy=Reconnect(), attempts=3))
    state, effects = step(state, QRSetUsedUp(), after(20), 0.0)
    assert effects == (FreshStart(),)
    assert (state.qr, state.attempts) == (None, 0)


def test_a_connection_cut_while_it_shows_a_qr_code_is_tried_again_after_the_back_off() -> None:
    state, effects = play(Started(), QRShown("a"), QRSetUsedUp(), state=State(policy=Reconnect(), attempts=3))
    assert (state.at, state.attempts, effects) == (SessionState.RECONNECTING, 4, [Connect(), Stop()])


def test_a_set_of_qr_codes_that_ends_in_silence_is_a_fresh_start_too() -> None:
    assert play(Started(), QRShown("a"), Woke())[1] == [Connect(), FreshStart()]


def test_scanning_removes_the_qr_code() -> None:
    state, effects = play(Started(), QRShown("a"), Scanned())
    assert (state.at, state.qr, effects) == (SessionState.CONNECTING, None, [Connect()])


def test_a_scan_without_a_login_is_a_fresh_start_that_keeps_the_credentials() -> None:
    state, effects = play(Started(), QRShown("a"), Scanned(), Woke())
    assert effects == [Connect(), FreshStart()]
    assert state.at is SessionState.STARTING


def test_a_connected_session_asks_its_client_again_and_again() -> None:
    state, _ = play(Started(), QRShown("a"), Scanned(), Connected(MARIA))
    assert (state.at, state.account, state.connected_since, state.wake_at) == (SessionState.CONNECTED, MARIA, NOW, after(30))
    asked, effects = play(Woke(), state=state)
    assert effects == [CheckClient()]
    assert asked == replace(state, wake_at=after(60)), "and nothing else changes"


def test_a_volume_that_failed_is_tried_until_it_works_and_then_everything_starts_anew() -> None:
    state, effects = play(Started(), Connected(MARIA), Faulted("the volume is full", heals=True))
    assert (state.at, effects[-1]) == (SessionState.FAILED, Stop())
    for _ in range(3):
        state, effects = play(Woke(), state=state)
        assert (state.at, state.message, effects) == (SessionState.FAILED, "the volume is full", [ProbeVolume()])
    state, effects = play(VolumeWorks(), state=state)
    assert (state.at, state.account, effects) == (SessionState.STARTING, MARIA, [FreshStart()])


def test_a_fault_that_does_not_heal_is_left_alone_by_a_volume_that_works() -> None:
    state, _ = play(Started(), Faulted("WASESSION_X='y'"))
    assert play(VolumeWorks(), state=state) == (state, [])


def test_the_push_name_may_come_later() -> None:
    named = replace_name(MARIA, "María")
    state, _ = play(Started(), Connected(MARIA), AccountLearned(named))
    assert state.account == named
    state, _ = play(Started(), QRShown("a"), AccountLearned(named))
    assert state.account is None, "of an account that is gone nothing is learnt"


def replace_name(account: Account, name: str) -> Account:
    return Account(account.number, account.jid, account.lid, name)


def test_a_lost_connection_is_tried_again_after_the_back_off_and_success_forgets_the_attempts() -> None:
    state, effects = play(Started(), Connected(MARIA), LOST)
    assert (state.at, state.attempts, state.next_attempt_at, state.connected_since) == (SessionState.RECONNECTING, 1, after(1), None)
    assert effects == [Connect(), Stop()]
    assert state.account == MARIA
    state, effects = play(Woke(), state=state)
    assert (state.at, state.next_attempt_at, effects) == (SessionState.RECONNECTING, None, [Connect()])
    state, _ = play(Connected(MARIA), state=state)
    assert (state.at, state.attempts) == (SessionState.CONNECTED, 0)
    assert state.last_disconnect
    assert state.last_disconnect.code == 428


def test_the_waits_double_up_to_the_limit_and_then_the_session_gives_up() -> None:
    state, waits, now = State(policy=Reconnect(max_attempts=7, initial_delay_seconds=1, max_delay_seconds=30)), [], NOW
    state, _ = step(state, Connected(MARIA), now, 0.0)
    for _ in range(7):
        state, _ = step(state, LOST, now, 0.0)
        assert state.next_attempt_at is not None
        waits.append((state.next_attempt_at - now).total_seconds())
        now = state.next_attempt_at
        state, _ = step(state, Woke(), now, 0.0)
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    state, effects = step(state, LOST, now, 0.0)
    assert (state.at, state.attempts, effects) == (SessionState.FAILED, 7, (Stop(),))
    assert state.message == "gave up after 7 attempts to reconnect; restart the session to try again"


def test_an_attempt_without_an_answer_counts_as_lost() -> None:
    state, effects = play(Started(), Connected(MARIA), LOST, Woke(), Woke())
    assert (state.at, state.attempts, effects) == (SessionState.RECONNECTING, 2, [Connect(), Stop(), Connect(), Stop()])
    state, _ = play(Started(), Woke())
    assert (state.at, state.attempts) == (SessionState.RECONNECTING, 1)


def test_zero_attempts_mean_never_to_give_up() -> None:
    state = State(policy=Reconnect(max_attempts=0))
    for _ in range(200):
        state, _ = play(LOST, Woke(), state=state)
    assert (state.at, state.attempts) == (SessionState.RECONNECTING, 200)


@given(
    initial=st.integers(1, 3600),
    maximum=st.integers(1, 3600),
    attempt=st.integers(1, 10_000),
    jitter=st.floats(0, 1, exclude_max=True),
)
def test_jitter_takes_at_most_half_of_a_wait_and_no_wait_exceeds_the_maximum(
    initial: int, maximum: int, attempt: int, jitter: float
) -> None:
    policy = Reconnect(initial_delay_seconds=initial, max_delay_seconds=maximum)
    full = back_off(policy, attempt, 0.0)
    assert full <= timedelta(seconds=maximum)
    assert full / 2 <= back_off(policy, attempt, jitter) <= full


def test_what_a_client_says_while_it_is_being_stopped_changes_nothing() -> None:
    state, _ = play(Started(), Connected(MARIA), LOST)
    for late in (LOST, Connected(MARIA), QRShown("a"), Scanned()):
        assert play(late, state=state) == (state, [])


def test_a_verdict_of_a_client_that_is_being_stopped_counts() -> None:
    state, effects = play(Started(), Connected(MARIA), LOST, Disconnected(disconnects.LOGGED_OUT))
    assert effects == [Connect(), Stop(), Stop(), WipeCredentials(), FreshStart()]
    assert state.account is None


def test_a_client_that_does_not_stop_is_left_behind_by_a_fresh_start_that_keeps_the_attempts() -> None:
    state, effects = play(Started(), LOST, Woke(), Wedged())
    assert effects == [Connect(), Stop(), Connect(), FreshStart()]
    assert state.attempts == 1


def test_a_ban_with_an_end_is_waited_out_and_tried_once() -> None:
    state, effects = play(Started(), Disconnected(disconnects.TEMPORARILY_BANNED, until=after(3600)))
    assert (state.at, state.next_attempt_at, effects) == (SessionState.BANNED, after(3600), [Connect(), Stop()])
    assert state.message == "account temporarily banned until 2026-01-01T01:00:00Z"
    state, effects = play(Woke(), state=state)
    assert (state.at, effects) == (SessionState.RECONNECTING, [Connect()])
    assert play(Connected(MARIA), state=state)[0].at is SessionState.CONNECTED


def test_a_wake_up_too_early_changes_nothing() -> None:
    state, _ = play(Started(), QRShown("a"))
    assert step(state, Woke(), NOW, 0.0) == (state, ())


def test_a_logout_by_us_wipes_and_stays_down() -> None:
    state, effects = play(Started(), Connected(MARIA), Unlinked())
    assert (state.at, state.account, effects) == (SessionState.LOGGED_OUT, None, [Connect(), Stop(), WipeCredentials()])


@pytest.mark.parametrize(
    ("events", "linked"),
    [
        ([Scanned()], True),
        ([Connected(MARIA)], True),
        ([Connected(MARIA), Disconnected(428)], True),
        ([Connected(MARIA), Disconnected(402)], True),
        ([Connected(MARIA), Disconnected(405)], True),
        ([Connected(MARIA), Faulted("the volume is full")], True),
        ([QRShown("a")], False),
        ([Connected(MARIA), Disconnected(401)], False),
        ([Connected(MARIA), Disconnected(403)], False),
        ([Connected(MARIA), Disconnected(406)], False),
        ([Connected(MARIA), Unlinked()], False),
    ],
)
def test_whether_a_device_is_linked_is_known_without_looking_at_the_file(events: list[Event], linked: bool) -> None:  # noqa: FBT001
    state, _ = play(Started(), *events)
    assert state.linked is linked


def test_a_local_fault_stays_down_and_wipes_nothing() -> None:
    state, effects = play(Started(), Connected(MARIA), Faulted("the volume is full"))
    assert (state.at, state.message, effects) == (SessionState.FAILED, "the volume is full", [Connect(), Stop()])


@pytest.mark.parametrize(
    "into",
    [
        Unlinked(),
        Faulted("x"),
        Disconnected(disconnects.REPLACED),
        Disconnected(disconnects.LOCKED),
        Disconnected(disconnects.CLIENT_OUTDATED),
    ],
)
def test_a_resting_session_stays_down_whatever_its_client_says(into: Event) -> None:
    state, _ = play(Started(), Connected(MARIA), into)
    for word in (QRShown("a"), Scanned(), Connected(MARIA), LOST, QRSetUsedUp(), Wedged(), Disconnected(disconnects.LOGGED_OUT)):
        assert play(word, state=state) == (state, [])
    assert state.wake_at is None


EVENTS = st.sampled_from(
    [
        Started(),
        Woke(),
        QRShown("a"),
        PairingCodeShown("ABCD-EFGH"),
        QRSetUsedUp(),
        Scanned(),
        Connected(MARIA),
        LOST,
        Wedged(),
        VolumeWorks(),
        PairingCodeRefused(429, "rate-overlimit"),
        Faulted("the volume is full", heals=True),
        *[Disconnected(code) for code in disconnects.TABLE],
        Disconnected(disconnects.TEMPORARILY_BANNED, until=after(60)),
    ]
)


@example(events=[Connected(MARIA), QRShown("a")], jitter=0.0)
@given(events=st.lists(EVENTS, max_size=30), jitter=st.floats(0, 1, exclude_max=True))
def test_in_every_history_a_state_that_waits_has_a_timer_and_shows_only_what_is_its_own(events: list[Any], jitter: float) -> None:
    state, now = State(policy=Reconnect()), NOW
    for event in [Started(), *events]:
        if isinstance(event, Woke) and state.wake_at:
            now = max(now, state.wake_at)
        before = state
        state, effects = step(state, event, now, jitter)
        waits = state.at in {SessionState.AWAITING_SCAN, SessionState.CONNECTING, SessionState.RECONNECTING}
        assert not waits or state.wake_at is not None
        assert (state.qr is not None or state.pairing_code is not None) is (state.at is SessionState.AWAITING_SCAN)
        assert (state.connected_since is not None) is (state.at is SessionState.CONNECTED)
        assert state.attempts <= state.policy.max_attempts
        assert WipeCredentials() not in effects or (isinstance(event, Disconnected) and event.code in range(400, 500))
        if FreshStart() in effects:
            state = State(policy=state.policy, attempts=state.attempts, last_disconnect=state.last_disconnect)
            state, _ = step(state, Started(), now, jitter)
        assert replace(before) == before, "a state is never changed in place"
