"""kill -9 at any moment: nothing accepted is lost, nothing is done twice, every request is on the bill."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.failpoints import Point
from tests.crash.harness import Plan, Stuck, run, stage
from tests.crash.judge import judge
from tests.crash.points import pressed

pytestmark = pytest.mark.crash


@pytest.mark.parametrize("moment", [1, 2])
async def test_a_pressed_button_counts_though_the_process_dies_at_once(tmp_path: Path, moment: int) -> None:
    async with stage(tmp_path) as on:
        await pressed(on, moment)
        assert judge(await on.collect()).wrong == []
