"""A small, fixed part of `make faults-operator`: a kill after every write of a life and its repetition, and what once failed."""

from pathlib import Path

import pytest

from operatorpoints.campaign import Campaign

pytestmark = pytest.mark.integration
EVERY_WRITE_AND_A_PAST = {
    "create-again/kill-after/*": "create, delete, and create again at once with the same name",
    "create-again/past-lists/3.*": "a past in which the former session is there, or is being deleted",
}
FAILED = {"delete-linked/kill-before/*": "after a logout that was done, the next operator told LogoutFailed (then at writes 9 to 11)"}
"""What points found. One that fails is added here; a pattern, because the numbers of writes move with the operator."""


async def test_the_end_is_that_of_a_life_without_faults(api_server: Path, tmp_path: Path) -> None:
    campaign = Campaign(tmp_path / "kept", (*EVERY_WRITE_AND_A_PAST, *FAILED))
    await campaign.lead(api_server, tmp_path, lanes=3)
    assert campaign.tally.failed_points() == [], campaign.tally.failed
    assert campaign.tally.tried.total() >= 25
