"""What schedulers are known to get wrong, each as a test of its own."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from gateway import SessionManager
from gateway.errors import ModelError
from gateway.jobs.slots import MISSED
from gateway.types.measures import DAY, HOUR, MINUTE, SECOND
from storage import Store
from tests.crash.harness import stage
from tests.crash.jobs import Alarm
from tests.fakes.model import Script
from tests.jobs import NINE, Office, at, office, spec, until

NOON = at("2030-06-01 12:00")


@pytest.fixture
async def here(store: Store) -> AsyncIterator[Office]:
    async with office(store) as found:
        yield found


def broken() -> Script:
    return Script(error=ModelError("the server is on fire", kind="overloaded"))


async def dies_in_a_run(on: Alarm, *jobs: tuple[str, str]) -> None:
    """A gateway with jobs (name, schedule), of which what is due at noon has asked the model when it is killed."""
    told = [{"name": name, "schedule": schedule, "prompt": f"{name}00001 short"} for name, schedule in jobs]
    arguments = ("--jobs", json.dumps(told), "--prod", "tick")
    on.clock.set(NOON - HOUR)
    await on.start(*arguments)
    await on.polling()
    on.clock.set(NOON - SECOND // 4)
    await on.asked(1)
    await on.kill()
    await on.start(*arguments)
    await on.polling()


@pytest.mark.crash
async def test_death_in_a_run_leaves_a_job_its_next_time(tmp_path: Path) -> None:
    async with stage(tmp_path, kind=Alarm, chats=1, before=2.0) as on:
        assert isinstance(on, Alarm)
        await dies_in_a_run(on, ("a", "@hourly"))
        assert on.rows("SELECT next_at FROM job") == [(NOON + HOUR,)]
        await on.idle(NOON)
        await on.strikes(NOON + HOUR)
        assert on.slots() == {("a", NOON): ("done", None), ("a", NOON + HOUR): ("done", None)}


@pytest.mark.crash
async def test_a_run_that_was_cut_off_by_death_holds_up_no_other_job(tmp_path: Path) -> None:
    async with stage(tmp_path, kind=Alarm, chats=1, before=15.0) as on:
        assert isinstance(on, Alarm)
        await dies_in_a_run(on, ("a", "@hourly"), ("b", "30 12 * * *"))
        on.clock.set(NOON + 30 * MINUTE)
        await on.asked(3)  # a, the same again, and b meanwhile
        assert on.slots() == {("a", NOON): ("running", None), ("b", NOON + 30 * MINUTE): ("running", None)}


async def test_a_long_run_holds_up_no_other_job(here: Office) -> None:
    gate = asyncio.Event()
    await here.cron.sync([spec("long", prompt="Dig."), spec("brief", schedule="30 9 * * *")])
    here.path.model.queue = [Script(text="done", gate=gate)]
    here.clock.now = NINE
    await here.cron.fire()
    assert [run.state for run in await here.fired("brief", NINE + 30 * MINUTE)] == ["done"]
    assert [run.state for run in await here.runs("long")] == ["running"]
    gate.set()
    assert [run.state for run in await here.settled("long")] == ["done"]


async def test_a_run_is_stopped_at_its_time_while_another_goes_on(here: Office) -> None:
    gate = asyncio.Event()
    await here.cron.sync([spec("long"), spec("timed", schedule="30 9 * * *", timeout=0.05, retries=0)])
    here.path.model.queue = [Script(text="done", gate=gate), Script(text="never", gate=asyncio.Event())]
    here.clock.now = NINE
    await here.cron.fire()
    await until(lambda: _running(here, 1))
    (run,) = await here.fired("timed", NINE + 30 * MINUTE)
    assert (run.state, run.reason) == ("failed", "it took too long")
    assert here.path.model.running == 1  # its request was really ended; the other one's was not
    gate.set()
    assert [run.state for run in await here.settled("long")] == ["done"]


async def _running(here: Office, count: int) -> bool:
    return here.path.model.running == count


async def test_a_single_time_that_failed_is_tried_again(here: Office) -> None:
    await here.cron.sync([spec(schedule="at 2026-03-02 09:00")])
    here.path.model.queue = [broken(), Script(text="la la")]
    (run,) = await here.fired("a", NINE)
    assert (run.state, run.again) == ("waiting", NINE + 30 * SECOND)
    (run,) = await here.fired("a", NINE + 30 * SECOND)
    assert (run.state, run.attempt) == ("done", 2)


async def test_a_single_time_that_failed_for_good_is_still_there_with_its_reason(here: Office) -> None:
    await here.cron.sync([spec(schedule="at 2026-03-02 09:00", retries=0)])
    here.path.model.queue = [broken()]
    await here.fired("a", NINE)
    view = await here.jobs.show("a")
    assert view.last is not None
    assert (view.last.state, view.last.reason) == ("failed", "the server is on fire")
    assert view.next_times == ()


async def test_a_run_that_was_stopped_at_its_time_gets_another_attempt(here: Office) -> None:
    await here.cron.sync([spec(timeout=0.05)])
    here.path.model.queue = [Script(text="never", gate=asyncio.Event()), Script(text="la la")]
    (run,) = await here.fired("a", NINE)
    assert (run.state, run.again) == ("waiting", NINE + 30 * SECOND)
    (run,) = await here.fired("a", NINE + 30 * SECOND)
    assert (run.state, run.attempt) == ("done", 2)


async def test_a_job_whose_run_was_stopped_at_its_time_runs_at_the_next_one(here: Office) -> None:
    await here.cron.sync([spec(timeout=0.05, retries=0)])
    here.path.model.queue = [Script(text="never", gate=asyncio.Event()), Script(text="la la")]
    await here.fired("a", NINE)
    assert (await here.jobs.show("a")).next_at == NINE + HOUR
    assert [run.state for run in await here.fired("a", NINE + HOUR)] == ["failed", "done"]


async def test_another_schedule_counts_from_when_it_is_set(here: Office) -> None:
    await here.cron.sync([spec(schedule="0 9 * * *")])
    await here.cron.sync([spec(schedule="0 17 * * *")])
    assert await here.fired("a", NINE + HOUR) == []
    (run,) = await here.fired("a", at("2026-03-02 17:00"))
    assert (run.planned, run.state) == (at("2026-03-02 17:00"), "done")
    assert (await here.jobs.show("a")).next_at == at("2026-03-03 17:00")


# -- twice after a restart, missed after sleep, summer time, another zone -------------------------------------


async def test_a_restart_in_the_second_of_a_run_begins_no_second_one(here: Office) -> None:
    await here.cron.sync([spec()])
    await here.fired("a", NINE)
    for _ in range(3):
        again = SessionManager(here.path.core).cron
        await again.sync([spec()])
        await again.start()
        await again.stop()
    assert [run.state for run in await here.settled("a")] == ["done"]
    assert len(here.path.model.asked) == 1


async def test_what_a_night_asleep_has_missed_is_made_up_for_or_told(here: Office) -> None:
    await here.cron.sync([spec()])
    runs = await here.fired("a", NINE + 8 * HOUR + 10 * MINUTE)
    assert [run.reason for run in runs] == [MISSED["last"]] * 8 + [None]
    assert runs[-1].state == "done"


@pytest.mark.parametrize(
    ("night", "planned"),
    [("2026-03-28 22:00", "2026-03-29 01:00"), ("2026-10-24 22:00", "2026-10-25 00:30")],
)
async def test_a_nightly_job_runs_once_in_the_nights_when_clocks_are_set(
    here: Office, night: str, planned: str
) -> None:
    """Half past two in Berlin: skipped in March, so it is three; there twice in October."""
    here.clock.now = at(night)
    await here.cron.sync([spec(schedule="30 2 * * *", zone="Europe/Berlin")])
    for _ in range(12 * 4):
        here.clock.now += 15 * MINUTE
        await here.cron.fire()
    assert [run.planned for run in await here.settled("a")] == [at(planned)]


@pytest.fixture
def tokyo(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


async def test_a_machine_in_another_zone_moves_no_planned_time(here: Office, tokyo: None) -> None:
    await here.cron.sync([spec(schedule="0 9 * * *", zone="Europe/Berlin")])
    assert (await here.jobs.show("a")).next_at == at("2026-03-03 08:00")
    (run,) = await here.fired("a", at("2026-03-03 08:00"))
    assert (run.planned, run.state) == (at("2026-03-03 08:00"), "done")


async def test_a_job_that_is_moved_to_another_zone_misses_none_of_its_days_and_doubles_none(
    here: Office,
) -> None:
    """From Berlin to New York an hour before its time there: it runs at nine there that day, and daily from then."""
    here.clock.now = at("2026-06-01 06:00")
    await here.cron.sync([spec(schedule="0 9 * * *", zone="Europe/Berlin")])
    await here.cron.sync([spec(schedule="0 9 * * *", zone="America/New_York")])
    for _ in range(3 * 24):
        here.clock.now += HOUR
        await here.cron.fire()
    first = at("2026-06-01 13:00")
    assert [run.planned for run in await here.settled("a")] == [first, first + DAY, first + 2 * DAY]
