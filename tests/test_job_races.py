"""Several schedulers over one store, none of which knows of the others: each planned time is begun once."""

from __future__ import annotations

import asyncio
import random

import pytest

from gateway import SessionManager
from gateway.types.measures import MINUTE
from storage import Store
from tests.jobs import EIGHT, office, spec, until

SCHEDULES = ("* * * * *", "*/2 * * * *", "*/3 * * * *", "every 1m", "0 9 * * *")


@pytest.mark.parametrize("seed", range(3))
async def test_schedulers_that_race_on_one_store_begin_each_planned_time_once(
    store: Store, seed: int
) -> None:
    """They look at the same moment, shortly after one another, or one of them starts meanwhile, for half an hour."""
    rng = random.Random(seed)
    specs = [
        spec(f"j{number}", SCHEDULES[number % len(SCHEDULES)], catch_up="all", overlap="queue")
        for number in range(20)
    ]
    async with office(store) as here:
        await here.cron.sync(specs)
        crons = [here.cron, *(SessionManager(here.path.core).cron for _ in range(2))]

        async def looks(cron: object, wait: int) -> int:
            for _ in range(wait):
                await asyncio.sleep(0)
            return await cron.fire()  # type: ignore[attr-defined, no-any-return]

        begun = 0
        until_now = EIGHT
        while until_now < EIGHT + 30 * MINUTE:
            until_now += MINUTE
            here.clock.now = until_now
            rounds = [looks(cron, rng.randrange(6)) for cron in crons for _ in range(rng.randrange(1, 3))]
            begun += sum(await asyncio.gather(*rounds))

        async def ended() -> bool:
            return not await here.path.rows("SELECT 1 FROM job_run WHERE state IN ('waiting', 'running')")

        await until(ended, 60.0)
        rows = await here.path.rows(
            "SELECT j.name, r.planned, r.state, count(t.id) FROM job_run r JOIN job j ON j.id = r.job"
            " LEFT JOIN turn t ON t.job_run = r.id GROUP BY r.id"
        )
        minutes = {"* * * * *": 30, "*/2 * * * *": 15, "*/3 * * * *": 10, "every 1m": 30, "0 9 * * *": 0}
        assert begun == len(rows) == sum(minutes[each.schedule] for each in specs)
        assert len({(name, planned) for name, planned, *_ in rows}) == len(rows)
        assert {(state, turns) for _, _, state, turns in rows} == {("done", 1)}
        assert len(here.path.model.asked) == begun
