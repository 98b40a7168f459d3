"""kill -9 in the middle of what costs money: the bill stays exact, and a cap is never run past."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.bill.cap import stopped
from tests.bill.kills import killed

pytestmark = pytest.mark.crash


async def test_a_load_that_is_killed_again_and_again_is_on_the_bill(tmp_path: Path) -> None:
    found = await killed(tmp_path, seed=1, kills=3, questions=20)
    assert found.wrong == []
    assert found.states["known"] and found.states["estimated"], found


async def test_two_hundred_turns_stop_at_a_cap_for_fifty_also_where_the_process_is_killed(
    tmp_path: Path,
) -> None:
    found = await stopped(tmp_path, kills=2, seed=1)
    assert found.wrong == []
    assert found.peak == found.cap  # exactly equal is allowed
    assert found.reckoning.states["estimated"] >= 50
