"""The short form of `make demo-digest`: real processes, stopped at 07:59 and back at 08:03 on a day of summer time."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from tests.demo_digest import BERLIN, changes, night

pytestmark = pytest.mark.crash


async def test_stopped_over_eight_the_digest_comes_once_and_a_reply_goes_on_with_it(tmp_path: Path) -> None:
    (day,) = changes(datetime.now(BERLIN).date(), 1)
    told: list[str] = []
    assert await night(tmp_path, day, told.append) == [], "\n".join(told)
