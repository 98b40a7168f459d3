"""`python -m tests.crash.jobs`: kill -9 around planned times, a long sleep, a clock that goes back and ahead.

Each planned time of each job must have exactly one row, in the state that its catch-up policy gives it, and each run
must be delivered once.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, closing
from pathlib import Path

from gateway.jobs.slots import MISSED
from gateway.schedule import Cron, missed
from gateway.types.measures import HOUR, MINUTE, SECOND
from tests.crash.harness import Stage, Stuck, stage
from tests.crash.judge import judge
from tests.jobs import at

POLICIES = ("none", "last", "all")
ZONE = "Europe/Berlin"  # its clock is set forward at 01:00 UTC on 2030-03-31
EVE = at("2030-03-30 12:10")
EDGE = SECOND // 2  # before a planned time: long enough to look at the clock, and to be killed

# name, schedule, what is made up for
JOBS = (*((policy, "0 * * * *", policy) for policy in POLICIES), ("night", "30 2 * * *", "last"))

# What became of a slot: (job, planned time) -> (state, reason)
Slots = dict[tuple[str, int], tuple[str, str | None]]


class Alarm(Stage):
    """The stage with an hourly job of each policy and one at half past two, each with a chat of its own."""

    async def boot(self) -> None:
        """A gateway whose jobs are planned."""
        jobs = [
            {
                "name": name,
                "schedule": schedule,
                "zone": ZONE,
                "prompt": f"{name}00001 medium",
                "catch_up": catch_up,
                "overlap": "queue",
                "deliver_to": [f"telegram:{chat}"],
            }
            for (name, schedule, catch_up), chat in zip(JOBS, self.chats, strict=True)
        ]
        await self.start("--jobs", json.dumps(jobs), "--prod", "tick")
        await self.polling()

    async def strikes(self, planned: int) -> None:
        """The clock comes to a planned time while the gateway runs."""
        self.clock.set(planned - EDGE)
        await asyncio.sleep(2 * EDGE / SECOND)
        await self.idle(planned)

    async def idle(self, planned: int) -> None:
        """Until every job has dealt with what was planned until then, and no run is under way."""

        def done() -> bool:
            rows = self.rows(
                "SELECT (SELECT count(*) FROM job WHERE next_at <= ?) + (SELECT count(*) FROM job_run"
                " WHERE state IN ('waiting', 'running') OR delivery IN ('owed', 'waiting'))",
                planned,
            )
            return rows == [(0,)]

        await self.until(done, 30.0, "a run does not end")

    def rows(self, sql: str, *values: object) -> list[tuple]:
        with closing(sqlite3.connect(f"{self.evidence.database.as_uri()}?mode=ro", uri=True)) as db:
            return db.execute(sql, values).fetchall()

    def slots(self) -> Slots:
        found = self.rows(
            "SELECT j.name, r.planned, r.state, r.reason FROM job_run r JOIN job j ON j.id = r.job ORDER BY r.planned"
        )
        assert len({(name, planned) for name, planned, *_ in found}) == len(found)
        return {(name, planned): (state, reason) for name, planned, state, reason in found}

    async def verdict(self) -> list[str]:
        """What is wrong in the end, of what is always looked at, and of deliveries."""
        await self.settled()
        await self.stop()
        wrong = judge(await self.collect()).wrong
        # That no message is there twice, the judge has seen; here it is that none is missing.
        for name, planned, sent in self.rows(
            "SELECT j.name, r.planned, (SELECT count(*) FROM outbox o WHERE o.origin = 'job:' || r.id || ':0'"
            " AND o.state = 'sent') FROM job_run r JOIN job j ON j.id = r.job WHERE r.state = 'done'"
        ):
            if sent != 1:
                wrong.append(f"the run of {name} at {planned} has {sent} messages")
        return wrong


@asynccontextmanager
async def alarm(folder: Path) -> AsyncIterator[Alarm]:
    async with stage(folder, kind=Alarm, chats=len(POLICIES) + 1, delivery="placeholder") as on:
        assert isinstance(on, Alarm)
        for chat in on.chats:
            await on.control("chat", {"chat_id": chat})
        on.clock.set(EVE)
        await on.boot()
        yield on


async def besiege(on: Alarm, kills: int, rng: random.Random) -> list[str]:
    """So many planned times an hour apart, and death within three seconds of each; what is wrong in the end."""
    planned, held = EVE, True
    for _ in range(kills):
        planned = (planned // HOUR + 1) * HOUR
        moment = rng.uniform(-3.0, 3.0)  # seconds
        on.clock.set(planned + int(min(moment, 0.0) * SECOND) - EDGE)
        await asyncio.sleep(EDGE / SECOND + max(moment, 0.0))
        await on.kill()
        await on.boot()
        # A turn that dies three times running is put aside, by design: not two lives in a row that wait for nothing.
        held = not held or rng.random() < 0.7
        if held:
            await on.idle(planned)
    await on.idle(planned)
    return astray(on.slots(), EVE, planned) + await on.verdict()


def astray(slots: Slots, after: int, until: int) -> list[str]:
    """Planned times in (after, until] without a row, or with one that nothing explains; rows that nobody planned."""
    wrong = []
    expected = set()
    for name, schedule, _ in JOBS:
        for planned in missed(Cron(schedule, ZONE), after, until, 100_000):
            expected.add((name, planned))
            state, reason = slots.get((name, planned), ("no row", None))
            # The one that makes up for nothing was down, or it was not.
            fine = state == "done" or (name == "none" and reason == MISSED["none"])
            if not fine:
                wrong.append(f"{name} at {planned}: {state}, {reason}")
    return wrong + [f"{key} was not planned" for key in slots.keys() - expected]


def told(slots: Slots) -> dict[str, str]:
    """What became of the hourly jobs' slots, as a letter each in their order: x ran, - was skipped."""
    letters = {"done": "x", "skipped": "-"}
    found = dict.fromkeys(POLICIES, "")
    for (name, _), (state, reason) in slots.items():
        if name in found:
            assert reason is None or reason == MISSED[name]  # type: ignore[index]
            found[name] += letters.get(state, "?")
    return found


async def sleeps(on: Alarm, *, down: bool) -> list[str]:
    """Eight hours pass at once, while it runs (the machine slept) or is down; then it is killed, and starts again."""
    if down:
        await on.kill()
        on.clock.move(8 * HOUR)
        await on.boot()
    else:
        on.clock.move(8 * HOUR)
    await on.idle(on.clock())
    found = told(on.slots())
    await on.kill()
    await on.boot()
    await on.idle(on.clock())
    meant = {"none": "--------", "last": "-------x", "all": "-----xxx"}
    wrong = [] if found == told(on.slots()) == meant else [f"{found}, then {told(on.slots())}; meant {meant}"]
    return wrong + await on.verdict()


async def swings(on: Alarm) -> list[str]:
    """An hour back and the same hour again, an hour ahead and back; with a death after each."""
    noon = EVE // HOUR * HOUR
    wrong = []

    async def so(what: str, **meant: str) -> None:
        if (found := told(on.slots())) != meant:
            wrong.append(f"{what}: {found}, meant {meant}")

    async def struck() -> None:
        await on.kill()
        await on.boot()

    await on.strikes(noon + HOUR)
    await so("on time", none="x", last="x", all="x")
    on.clock.move(-HOUR)
    await struck()
    await on.strikes(noon + HOUR)
    await so("the same hour again", none="x", last="x", all="x")
    await on.strikes(noon + 2 * HOUR)
    await so("and the next one", none="xx", last="xx", all="xx")
    on.clock.set(noon + 3 * HOUR + 10 * MINUTE)
    await on.idle(noon + 3 * HOUR)
    await so("ahead", none="xx-", last="xxx", all="xxx")
    await struck()
    on.clock.move(-HOUR)
    await struck()
    await on.strikes(noon + 3 * HOUR)
    await so("and back: what had been skipped was not missed", none="xxx", last="xxx", all="xxx")
    return wrong + await on.verdict()


Course = Callable[[Alarm], Awaitable[list[str]]]


def courses(kills: int, seed: int) -> dict[str, Course]:
    return {
        f"{kills} kills within 3 s of planned times": lambda on: besiege(on, kills, random.Random(seed)),
        "8 h asleep": lambda on: sleeps(on, down=False),
        "8 h down": lambda on: sleeps(on, down=True),
        "the clock 1 h back, 1 h ahead": swings,
    }


async def proved(course: Course, folder: Path) -> list[str]:
    """What is wrong, in a folder of its own."""
    async with alarm(folder) as on:
        try:
            return await course(on)
        except Stuck as stuck:
            return [f"stuck: {stuck}"]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.jobs", description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, help="none: a new one, which is printed")
    chosen = parser.parse_args()
    seed = chosen.seed if chosen.seed is not None else random.randrange(1_000_000)
    top = Path(tempfile.mkdtemp(prefix="parley-jobs-"))
    print(f"jobs, seed {seed}, in {top}", flush=True)
    good = True
    for number, (name, course) in enumerate(courses(chosen.kills, seed).items()):
        (top / str(number)).mkdir()
        began = time.monotonic()
        wrong = asyncio.run(proved(course, top / str(number)))
        print(f"  {name:40}{time.monotonic() - began:5.0f} s  {'BROKEN' if wrong else 'ok'}", flush=True)
        for each in wrong[:20]:
            print(f"      {each[:500]}", flush=True)
        good = good and not wrong
    if good:
        shutil.rmtree(top, ignore_errors=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
