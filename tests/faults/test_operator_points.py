"""A small, fixed part of `make faults-operator`: a kill after every write of two scenarios, and what once failed."""

from pathlib import Path

import pytest

from operatorpoints.campaign import Campaign

pytestmark = pytest.mark.integration
AT_EVERY_WRITE = ("create/kill-after/*", "create-again/kill-after/*")
FAILED = {
    "delete-linked/kill-before/9": "after a logout that was done, the next operator told LogoutFailed",
    "delete-linked/kill-before/10": "the same",
    "delete-linked/kill-before/11": "the same",
}
"""What each point found. A point that fails is added here."""


async def test_a_kill_after_any_write_changes_nothing_in_the_end(api_server: Path, tmp_path: Path) -> None:
    campaign = Campaign(tmp_path / "kept", AT_EVERY_WRITE)
    await campaign.lead(api_server, tmp_path, lanes=3)
    assert campaign.tally.failed_points() == [], campaign.tally.failed
    assert campaign.tally.tried.total() >= 20


async def test_what_was_mended_stays_mended(api_server: Path, tmp_path: Path) -> None:
    campaign = Campaign(tmp_path / "kept", tuple(FAILED))
    await campaign.lead(api_server, tmp_path, lanes=3)
    assert campaign.tally.failed_points() == [], campaign.tally.failed
    assert campaign.tally.tried
