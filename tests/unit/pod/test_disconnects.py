"""The disconnect table, row by row: which code leads where, and that only WhatsApp's word wipes credentials."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from wasession_contract.v1alpha1 import Reconnect, SessionState
from wasession_pod.disconnects import TABLE, Follow, look_up
from wasession_pod.engine import Account, Connected, Disconnected
from wasession_pod.machine import FreshStart, Started, State, Stop, WipeCredentials, step

pytestmark = pytest.mark.unit
NOW = datetime(2026, 1, 1, tzinfo=UTC)
ACCOUNT = Account("573001234567", "573001234567@s.whatsapp.net")

ROWS = {  # code: what a connected session does next, as the design's table has it
    401: (SessionState.STARTING, (Stop(), WipeCredentials(), FreshStart())),
    402: (SessionState.BANNED, (Stop(),)),
    403: (SessionState.BANNED, (Stop(),)),
    405: (SessionState.FAILED, (Stop(),)),
    406: (SessionState.BANNED, (Stop(),)),
    408: (SessionState.RECONNECTING, (Stop(),)),
    409: (SessionState.FAILED, (Stop(),)),
    428: (SessionState.RECONNECTING, (Stop(),)),
    429: (SessionState.RECONNECTING, (Stop(),)),
    440: (SessionState.REPLACED, (Stop(),)),
    500: (SessionState.RECONNECTING, (Stop(),)),
    503: (SessionState.RECONNECTING, (Stop(),)),
    515: (SessionState.RECONNECTING, (Stop(),)),
}


def test_every_row_is_tried() -> None:
    assert set(ROWS) == set(TABLE)


@pytest.mark.parametrize("code", sorted(ROWS))
def test_a_row_leads_where_the_design_says_and_the_reason_is_kept(code: int) -> None:
    state = State(policy=Reconnect())
    state, _ = step(state, Started(), NOW, 0.0)
    state, _ = step(state, Connected(ACCOUNT), NOW, 0.0)
    state, effects = step(state, Disconnected(code), NOW, 0.0)
    assert (state.at, effects) == ROWS[code]
    assert state.last_disconnect
    assert (state.last_disconnect.code, state.last_disconnect.message, state.last_disconnect.at) == (code, TABLE[code].message, NOW)
    assert (state.message is None) is (state.at in {SessionState.STARTING, SessionState.RECONNECTING})


@pytest.mark.parametrize(
    ("code", "follow"), [(404, Follow.WIPE), (499, Follow.WIPE), (501, Follow.RECONNECT), (399, Follow.RECONNECT), (0, Follow.RECONNECT)]
)
def test_of_unknown_codes_only_a_4xx_wipes_the_credentials(code: int, follow: Follow) -> None:
    assert look_up(code).follow is follow


def test_of_known_codes_only_one_wipes_the_credentials() -> None:
    assert [code for code, row in TABLE.items() if row.follow is Follow.WIPE] == [401]


def test_the_page_has_the_table() -> None:
    page = (Path(__file__).parents[3] / "docs" / "reference" / "disconnects.md").read_text()
    rows = [f"| {code} | {row.message} | {row.follow.name.capitalize()} |" for code, row in sorted(TABLE.items())]
    assert [line for line in page.splitlines() if line.startswith(("| 4", "| 5"))] == rows
