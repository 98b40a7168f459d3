"""Jobs of a gateway that is a process of its own, whose clock is set while it runs."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gateway.types.measures import SECOND
from tests.crash.harness import Stage, stage
from tests.jobs import at

pytestmark = pytest.mark.crash


def rows(on: Stage, sql: str) -> list[tuple]:
    with closing(sqlite3.connect(f"{on.evidence.database.as_uri()}?mode=ro", uri=True)) as db:
        return db.execute(sql).fetchall()


async def test_a_clock_that_is_set_while_it_runs_is_the_one_that_jobs_go_by(tmp_path: Path) -> None:
    async with stage(tmp_path, chats=1) as on:
        eve = at("2030-03-31 04:59")
        job = {"name": "early", "schedule": "0 7 * * *", "zone": "Europe/Berlin", "prompt": "m00000 short"}
        on.clock.set(eve)
        await on.start("--jobs", json.dumps([job]), "--prod", "tick")
        await on.polling()
        assert rows(on, "SELECT planned FROM job_run") == []
        on.clock.move(60 * SECOND)
        await on.until(lambda: rows(on, "SELECT 1 FROM job_run WHERE state = 'done'") != [], 10, "no run")
        await on.stop()
        # Berlin has set its clocks forward that night: seven there is five in UTC.
        assert rows(on, "SELECT planned FROM job_run") == [(at("2030-03-31 05:00"),)]
