"""Scheduled jobs over a real store and the real path: one run per planned time, whatever happens."""

import asyncio
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import pytest

from gateway import cron as cron_module
from gateway.access import Policy
from gateway.core import build
from gateway.cron import ON_TIME, Cron
from gateway.errors import DeliveryError, DiskFull, NotFound, Refused
from gateway.failpoints import Point
from gateway.habits import Habits
from gateway.jobs.book import Bounds, Jobs
from gateway.jobs.carrier import Carrier
from gateway.jobs.reasons import STILL_RUNNING
from gateway.jobs.slots import LATEST, MISSED, MOST_NOTED, judge
from gateway.jobs.spec import JobSpec
from gateway.models.demo import DemoModel
from gateway.pricing import Pricing
from gateway.progress import Options
from gateway.schedule import ScheduleError
from gateway.types.abilities import Capabilities, Limits
from gateway.types.measures import HOUR, MINUTE, SECOND
from gateway.types.outbound import Chunk
from gateway.types.places import Place


def at(text):
    """Microseconds of a UTC time such as 2026-03-02 09:00."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


MONDAY = at("2026-03-02 08:00")
NINE = at("2026-03-02 09:00")
DAILY = JobSpec(name="daily", schedule="0 9 * * *", zone="UTC", prompt="How is the weather?")
HOURLY = JobSpec(name="hourly", schedule="@hourly", zone="UTC", prompt="Anything new?", catch_up="all")


class HandClock:
    """A clock that stands still until it is set."""

    def __init__(self, now=MONDAY):
        self.now = now

    def __call__(self):
        return self.now


class RunningClock:
    """A clock that runs at the usual speed from *now* on, and can be set."""

    def __init__(self, now):
        self.set(now)

    def set(self, now):
        self.since, self.base = time.monotonic(), now

    def __call__(self):
        return self.base + int((time.monotonic() - self.since) * SECOND)


class Held(DemoModel):
    """The demo, which answers only while it is let."""

    def __init__(self):
        super().__init__()
        self.go = asyncio.Event()
        self.go.set()
        self.asked = 0

    async def ready(self):
        return

    async def stream(self, prompt):
        self.asked += 1
        await self.go.wait()
        async for event in super().stream(prompt):
            yield event


class OneModel:
    """As much of a catalogue as the path needs."""

    def __init__(self, model):
        self.model = model
        self.refs = []

    def chain(self, ref=None):
        self.refs.append(ref)
        return [self.model]

    def get(self, ref):
        return self.model


class Recorder:
    """A channel that keeps what it is given; it refuses for good while *broken*, and lets *slow* chats wait."""

    name = "telegram"
    can = Capabilities()
    limits = Limits()

    def __init__(self):
        self.sent = []
        self.broken = False
        self.slow = set()
        self.released = asyncio.Event()

    async def start(self):
        return "42", "bot"

    async def run(self, account, accept):
        await asyncio.Event().wait()

    def render(self, markdown, *, growing=False):
        return [Chunk(text=markdown)] if markdown else []

    def plain(self, chunk):
        return chunk

    def opening(self, chunk):
        return chunk

    def answering(self, chunk, press_id, *, whisper):
        return chunk

    def calling(self, chunks, role):
        return [Chunk(text=f"@{role}"), *chunks]

    async def place(self, id):
        return Place(chat_id=id, kind="group" if id.startswith("-") else "direct")

    async def send(self, address, chunk, *, nonce, tried=None, content=None):
        if self.broken:
            raise DeliveryError("no such chat", kind="rejected")
        if address.chat_id in self.slow:
            await self.released.wait()
        self.sent.append((address.chat_id, address.kind, chunk.text))
        return str(len(self.sent))

    async def edit(self, address, message_id, chunk):
        raise AssertionError("a job's answer is sent whole")

    async def typing(self, address):
        pass

    async def ack(self, press_id, text=""):
        pass

    async def close(self):
        pass


class Gateway:
    """A store, the path over it and its jobs. `restarted` gives other jobs over the same store."""

    def __init__(self, store, clock):
        self.store = store
        self.clock = clock
        self.model = Held()
        self.catalogue = OneModel(self.model)
        self.core = build(
            store=store,
            catalogue=self.catalogue,
            pricing=Pricing(),
            tools={},
            options=Options(retries=0),
            habits=Habits(policy=Policy(allow={}, owners={}), gap_minutes={}),
            clock=clock,
        )
        self.accept = self.core.dispatcher.accept
        self.cron = self.restarted()
        self.jobs = Jobs(
            store=store,
            clock=clock,
            zone="UTC",
            bounds=Bounds,
            changed=lambda: self.cron.wake(),
            hand_over=lambda: self.carrier.hand_over(),
        )

    def restarted(self, accept=None):
        self.carrier = Carrier(
            store=self.store,
            delivery=self.core.delivery,
            accept=accept or self.accept,
            clock=self.clock,
            ended=self.core.dispatcher.endings.ended,
        )
        cron = Cron(store=self.store, carrier=self.carrier, clock=self.clock)
        self.core.dispatcher.endings.on_run_ended = cron.wake
        return cron

    async def rows(self, sql):
        return await self.store.read(lambda unit: unit.tx.all(sql))

    async def runs(self, name):
        """(planned, state, reason) of each run, oldest first."""
        return [(run.planned, run.state, run.reason) for run in (await self.jobs.history(name, 1000))[::-1]]

    async def settled(self, name):
        """The same, once nothing is under way any more."""
        async with asyncio.timeout(10):
            while True:
                runs = await self.runs(name)
                if not any(state in ("waiting", "running") for _, state, _ in runs):
                    return runs
                await asyncio.sleep(0.005)

    async def next_at(self, name):
        return next(job.next_at for job in await self.jobs.list() if job.spec.name == name)

    async def events(self):
        return [row[0] for row in await self.rows("SELECT event_id FROM inbox ORDER BY id")]


@asynccontextmanager
async def gateway(store, clock=None):
    found = Gateway(store, clock or HandClock())
    try:
        yield found
    finally:
        await found.cron.stop()
        found.model.go.set()
        await found.core.dispatcher.stop(2.0)
        await found.core.delivery.drain(2.0)


@pytest.fixture
async def gate(store):
    async with gateway(store) as found:
        yield found


async def until(condition, seconds=5.0):
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.01)


# -- a run ----------------------------------------------------------------------------------------------------


async def test_a_due_job_opens_a_session_that_is_tagged_with_its_name(gate):
    await gate.cron.sync([DAILY])
    assert await gate.cron.fire() == 0

    gate.clock.now = NINE
    assert await gate.cron.fire() == 1

    assert await gate.settled("daily") == [(NINE, "done", None)]
    assert await gate.events() == [f"daily@{NINE}"]
    (session,) = await gate.rows("SELECT id, triggered_by, origin, unread FROM session")
    assert session[1:] == ("daily", "job", 1)
    assert await gate.rows("SELECT session, trigger FROM turn") == [(session[0], "daily")]
    assert await gate.rows("SELECT DISTINCT session, trigger FROM usage") == [(session[0], "daily")]
    entries = await gate.store.read(lambda unit: unit.transcript.live(session[0]))
    assert entries[0].body["text"] == DAILY.prompt


async def test_each_run_has_a_session_of_its_own(gate):
    await gate.cron.sync([DAILY])
    for day in (2, 3):
        gate.clock.now = at(f"2026-03-0{day} 09:00")
        await gate.cron.fire()
        await gate.settled("daily")
    sessions = [run.session for run in await gate.jobs.history("daily")]
    assert len(set(sessions)) == 2 and None not in sessions


async def test_a_run_knows_its_inbox_row_and_when_it_ran(gate):
    await gate.cron.sync([DAILY])
    gate.clock.now = NINE + 5 * SECOND
    await gate.cron.fire()
    await gate.settled("daily")
    (run,) = await gate.jobs.history("daily")
    assert (run.planned, run.started, run.ended) == (NINE, gate.clock.now, gate.clock.now)
    (linked,) = await gate.rows("SELECT i.event_id FROM job_run r JOIN inbox i ON i.id = r.inbox")
    assert linked == (f"daily@{NINE}",)


async def test_a_job_asks_its_own_model(gate):
    await gate.cron.sync(
        [JobSpec(name="a", schedule="0 9 * * *", zone="UTC", prompt="x", model="demo:other")]
    )
    gate.clock.now = NINE
    await gate.cron.fire()
    await gate.settled("a")
    assert "demo:other" in gate.catalogue.refs


async def test_planned_times_are_those_of_the_jobs_own_zone(gate):
    await gate.cron.sync(
        [JobSpec(name="tokyo", schedule="0 9 * * *", zone="Asia/Tokyo", prompt="Good morning")]
    )
    assert await gate.next_at("tokyo") == at("2026-03-03 00:00")


@pytest.mark.parametrize("prompt", ["   ", "x" * 300_000])
async def test_a_prompt_nobody_can_be_asked_fails_and_holds_nothing_up(gate, prompt):
    await gate.cron.sync([JobSpec(name="a", schedule="@hourly", zone="UTC", prompt=prompt)])
    for hour in (9, 10):
        gate.clock.now = at(f"2026-03-02 {hour:02}:00")
        await gate.cron.fire()
    assert [state for _, state, _ in await gate.settled("a")] == ["failed", "failed"]
    assert gate.model.asked == 0


# -- once per planned time ------------------------------------------------------------------------------------


async def test_firing_twice_at_once_and_again_later_begins_one_run(gate):
    await gate.cron.sync([DAILY])
    gate.clock.now = NINE
    counts = await asyncio.gather(gate.cron.fire(), gate.cron.fire())
    assert sorted(counts) == [0, 1]
    assert await gate.cron.fire() == 0
    await gate.settled("daily")
    assert gate.model.asked == 1 and len(await gate.events()) == 1


async def test_two_instances_begin_one_run_between_them(gate):
    await gate.cron.sync([DAILY])
    gate.clock.now = NINE
    other = gate.restarted()
    assert sum(await asyncio.gather(gate.cron.fire(), other.fire(), gate.restarted().fire())) == 1
    assert await gate.settled("daily") == [(NINE, "done", None)]
    assert gate.model.asked == 1


async def test_a_crash_before_the_run_was_handed_over_loses_nothing(gate):
    async def die(account, events):
        raise asyncio.CancelledError

    await gate.cron.sync([DAILY])
    gate.clock.now = NINE
    with pytest.raises(asyncio.CancelledError):
        await gate.restarted(accept=die).fire()
    assert await gate.runs("daily") == [(NINE, "waiting", None)]
    assert await gate.events() == []

    gate.clock.now += HOUR
    gate.cron = gate.restarted()
    await gate.cron.sync([DAILY])
    await gate.cron.start()
    assert await gate.settled("daily") == [(NINE, "done", None)]
    assert await gate.events() == [f"daily@{NINE}"]


async def test_a_crash_after_the_run_was_handed_over_does_nothing_twice(gate):
    async def die_after(account, events):
        await gate.accept(account, events)
        raise asyncio.CancelledError

    await gate.cron.sync([DAILY])
    gate.clock.now = NINE
    with pytest.raises(asyncio.CancelledError):
        await gate.restarted(accept=die_after).fire()
    await gate.settled("daily")
    assert await gate.rows("SELECT inbox FROM job_run") == [(None,)]

    gate.cron = gate.restarted()
    await gate.cron.start()
    assert await gate.settled("daily") == [(NINE, "done", None)]
    assert gate.model.asked == 1 and len(await gate.events()) == 1


async def test_a_run_that_waited_when_we_died_gets_its_inbox_row_linked(gate):
    async def die_after(account, events):
        await gate.accept(account, events)
        raise asyncio.CancelledError

    await gate.core.dispatcher.stop(0.0)  # no turn begins any more
    await gate.cron.sync([DAILY])
    gate.clock.now = NINE
    with pytest.raises(asyncio.CancelledError):
        await gate.restarted(accept=die_after).fire()
    await gate.restarted().fire()
    assert len(await gate.events()) == 1
    assert await gate.rows("SELECT i.event_id FROM job_run r JOIN inbox i ON i.id = r.inbox") == [
        (f"daily@{NINE}",)
    ]


async def test_a_run_the_full_disk_refused_is_handed_over_by_a_later_look(gate):
    full = True

    async def accept(account, events):
        if full:
            raise DiskFull("no space")
        return await gate.accept(account, events)

    cron = gate.restarted(accept=accept)
    await cron.sync([DAILY])
    gate.clock.now = NINE
    assert await cron.fire() == 1
    assert await gate.runs("daily") == [(NINE, "waiting", None)]
    full = False
    gate.clock.now += MINUTE
    assert await cron.fire() == 0
    assert await gate.settled("daily") == [(NINE, "done", None)]


async def test_a_clock_that_goes_back_does_not_run_a_job_twice(gate):
    await gate.cron.sync([DAILY])
    gate.clock.now = NINE + MINUTE
    await gate.cron.fire()
    await gate.settled("daily")
    gate.clock.now = NINE - MINUTE
    assert await gate.cron.fire() == 0
    gate.clock.now = NINE
    assert await gate.cron.fire() == 0
    assert await gate.runs("daily") == [(NINE, "done", None)]
    assert await gate.next_at("daily") == at("2026-03-03 09:00")


@pytest.mark.parametrize("restart", [False, True])
async def test_a_clock_that_was_years_ahead_for_a_while_does_not_silence_a_job(gate, restart):
    await gate.cron.sync([DAILY])
    gate.clock.now = at("2031-01-01 12:00")
    await gate.cron.fire()
    assert await gate.next_at("daily") == at("2031-01-02 09:00")

    gate.clock.now = MONDAY
    await (gate.restarted() if restart else gate.cron).fire()
    assert await gate.next_at("daily") == NINE


async def test_what_was_skipped_while_the_clock_was_ahead_runs_when_its_time_comes(gate):
    await gate.cron.sync([missing("none")])
    gate.clock.now = NINE + 10 * MINUTE
    await gate.cron.fire()
    assert await gate.runs("a") == [(NINE, "skipped", MISSED["none"])]

    gate.clock.now = MONDAY
    await gate.cron.fire()
    gate.clock.now = NINE
    assert await gate.cron.fire() == 1
    assert await gate.settled("a") == [(NINE, "done", None)]


async def test_so_does_a_single_time(gate):
    once = JobSpec(name="a", schedule="at 2026-03-02 09:00", zone="UTC", prompt="x")
    await gate.cron.sync([once])
    gate.clock.now = NINE + 3 * HOUR
    await gate.cron.fire()
    assert await gate.runs("a") == [(NINE, "skipped", MISSED["last"])]

    gate.clock.now = MONDAY
    await gate.cron.fire()
    gate.clock.now = NINE
    await gate.cron.fire()
    assert await gate.settled("a") == [(NINE, "done", None)]


async def test_a_job_whose_last_run_has_not_ended_is_skipped_and_says_why(gate):
    gate.model.go.clear()
    await gate.cron.sync([HOURLY])
    gate.clock.now = NINE
    assert await gate.cron.fire() == 1
    gate.clock.now = NINE + HOUR
    assert await gate.cron.fire() == 0
    gate.model.go.set()
    assert await gate.settled("hourly") == [(NINE, "done", None), (NINE + HOUR, "skipped", STILL_RUNNING)]

    gate.clock.now = NINE + 2 * HOUR
    assert await gate.cron.fire() == 1
    assert (await gate.settled("hourly"))[-1] == (NINE + 2 * HOUR, "done", None)


async def test_a_run_in_one_job_holds_up_no_other(gate):
    gate.model.go.clear()
    await gate.cron.sync([DAILY, HOURLY])
    gate.clock.now = NINE
    assert await gate.cron.fire() == 2


# -- what was missed ------------------------------------------------------------------------------------------


def missing(policy):
    return JobSpec(name="a", schedule="@hourly", zone="UTC", prompt="x", catch_up=policy)


async def after_a_night(gate, policy, now):
    """The runs of an hourly job that the gateway was not there for from 08:00 to *now*."""
    await gate.cron.sync([missing(policy)])
    gate.clock.now = now
    gate.cron = gate.restarted()
    await gate.cron.sync([missing(policy)])
    await gate.cron.start()
    return await gate.settled("a")


async def test_none_makes_up_for_nothing_and_keeps_each_slot_with_its_reason(gate):
    runs = await after_a_night(gate, "none", at("2026-03-02 11:00") + MINUTE)
    assert runs == [(NINE + n * HOUR, "skipped", MISSED["none"]) for n in range(3)]
    assert gate.model.asked == 0
    assert await gate.next_at("a") == at("2026-03-02 12:00")


async def test_last_makes_up_for_the_latest_slot(gate):
    runs = await after_a_night(gate, "last", at("2026-03-02 11:59"))
    assert [state for _, state, _ in runs] == ["skipped", "skipped", "done"]
    assert runs[0][2] == MISSED["last"] and runs[2][2] is None


async def test_all_makes_up_for_three_in_their_order(gate):
    runs = await after_a_night(gate, "all", at("2026-03-02 13:30"))
    assert [state for _, state, _ in runs] == ["skipped", "skipped", "done", "done", "done"]
    assert await gate.events() == [f"a@{planned}" for planned, _, _ in runs[2:]]
    assert gate.model.asked == 3


async def test_last_lets_a_slot_of_more_than_two_hours_ago_go(gate):
    await gate.cron.sync([DAILY])
    gate.clock.now = NINE + LATEST + SECOND
    await gate.cron.start()
    assert await gate.settled("daily") == [(NINE, "skipped", MISSED["last"])]


async def test_last_makes_up_for_a_slot_of_two_hours_ago(gate):
    await gate.cron.sync([DAILY])
    gate.clock.now = NINE + LATEST
    await gate.cron.start()
    assert await gate.settled("daily") == [(NINE, "done", None)]


async def test_what_is_made_up_for_is_not_made_up_for_again_at_the_next_start(gate):
    runs = await after_a_night(gate, "all", at("2026-03-02 13:30"))
    again = gate.restarted()
    await again.start()
    await again.stop()
    assert await gate.settled("a") == runs


async def test_of_a_long_absence_the_latest_missed_slots_are_kept(gate):
    spec = JobSpec(name="a", schedule="* * * * *", zone="UTC", prompt="x", catch_up="none")
    await gate.cron.sync([spec])
    gate.clock.now = at("2026-06-01 00:00") + SECOND
    await gate.cron.start()
    runs = await gate.runs("a")
    assert len(runs) == MOST_NOTED and runs[-1][0] == at("2026-06-01 00:00")
    assert {state for _, state, _ in runs} == {"skipped"}


async def test_a_slot_that_is_seen_a_little_late_was_not_missed(gate):
    await gate.cron.sync([missing("none")])
    gate.clock.now = NINE + ON_TIME
    assert await gate.cron.fire() == 1


async def test_a_machine_that_slept_makes_up_by_the_same_rule(gate):
    await gate.cron.sync([missing("none")])
    gate.clock.now = NINE + ON_TIME + SECOND
    assert await gate.cron.fire() == 0
    assert await gate.runs("a") == [(NINE, "skipped", MISSED["none"])]


@pytest.mark.parametrize(
    ("policy", "ages", "on_time", "run"),
    [
        ("none", [61, 1], 2, [1]),
        ("none", [61, 1], 0, []),
        ("none", [0], 0, [0]),
        ("last", [120, 60], 0, [60]),
        ("last", [121], 0, []),
        ("last", [], 0, []),
        ("all", [9000, 8000, 7000, 6000], 0, [8000, 7000, 6000]),
        ("all", [9000], 0, [9000]),
    ],
)
def test_the_policy_says_which_missed_slots_run(policy, ages, on_time, run):
    slots = [MONDAY - age * MINUTE for age in ages]
    judged = judge(slots, policy, now=MONDAY, on_time=on_time * MINUTE)
    assert [slot for slot, _ in judged] == slots
    assert [(MONDAY - slot) // MINUTE for slot, reason in judged if reason is None] == run
    assert {reason for _, reason in judged} <= {None, MISSED[policy]}


# -- changes of the configuration -----------------------------------------------------------------------------


async def test_an_unchanged_job_keeps_its_next_time_over_a_restart(gate):
    await gate.cron.sync([DAILY])
    gate.clock.now = NINE + HOUR
    await gate.restarted().sync([DAILY])
    assert await gate.next_at("daily") == NINE


async def test_an_interval_keeps_the_anchor_of_when_it_was_accepted(gate):
    spec = JobSpec(name="a", schedule="every 90m", zone="UTC", prompt="x", catch_up="none")
    await gate.cron.sync([spec])
    gate.clock.now = MONDAY + 100 * MINUTE
    cron = gate.restarted()
    await cron.sync([spec])
    await cron.start()
    await cron.stop()
    assert await gate.next_at("a") == MONDAY + 180 * MINUTE
    assert await gate.jobs.next_times("a", count=2) == [MONDAY + 180 * MINUTE, MONDAY + 270 * MINUTE]


async def test_another_prompt_leaves_the_time_alone_and_is_what_is_asked(gate):
    await gate.cron.sync([JobSpec(name="a", schedule="every 2h", zone="UTC", prompt="old")])
    gate.clock.now += HOUR
    await gate.cron.sync([JobSpec(name="a", schedule="every 2h", zone="UTC", prompt="new")])
    assert await gate.next_at("a") == MONDAY + 2 * HOUR
    gate.clock.now += HOUR
    await gate.cron.fire()
    await gate.settled("a")
    assert "new" in (await gate.rows("SELECT body FROM entry ORDER BY seq LIMIT 1"))[0][0]


@pytest.mark.parametrize(
    ("schedule", "zone", "expected"),
    [("0 10 * * *", "UTC", "2026-03-02 10:00"), ("0 9 * * *", "Europe/Berlin", "2026-03-03 08:00")],
)
async def test_another_schedule_or_zone_is_planned_anew(gate, schedule, zone, expected):
    await gate.cron.sync([DAILY])
    await gate.cron.sync([JobSpec(name="daily", schedule=schedule, zone=zone, prompt="x")])
    assert await gate.next_at("daily") == at(expected)


async def test_a_job_that_is_listed_no_more_is_removed_and_may_come_back(gate):
    await gate.cron.sync([DAILY, HOURLY])
    await gate.cron.sync([HOURLY])
    assert [job.spec.name for job in await gate.jobs.list()] == ["hourly"]
    gate.clock.now = at("2026-03-04 12:00")
    await gate.cron.fire()
    assert await gate.runs("daily") == [] != await gate.runs("hourly")

    await gate.cron.sync([DAILY, HOURLY])
    assert await gate.next_at("daily") == at("2026-03-05 09:00")


async def test_a_removed_jobs_run_that_was_not_handed_over_stays_undone(gate):
    async def die(account, events):
        raise asyncio.CancelledError

    await gate.cron.sync([DAILY])
    gate.clock.now = NINE
    with pytest.raises(asyncio.CancelledError):
        await gate.restarted(accept=die).fire()
    gate.cron = gate.restarted()
    await gate.cron.sync([])
    await gate.cron.start()
    assert await gate.runs("daily") == [(NINE, "skipped", "the job was removed")]
    assert await gate.events() == []


async def test_a_paused_job_does_not_run_and_makes_up_for_nothing_afterwards(gate):
    def switched(on):
        return JobSpec(name="a", schedule="every 2h", zone="UTC", prompt="x", enabled=on, catch_up="all")

    await gate.cron.sync([switched(True)])
    await gate.cron.sync([switched(False)])
    (job,) = await gate.jobs.list()
    assert (job.state, job.next_at, job.spec.enabled) == ("paused", None, False)
    gate.clock.now += 5 * HOUR
    assert await gate.cron.fire() == 0

    await gate.cron.sync([switched(True)])
    assert await gate.next_at("a") == MONDAY + 6 * HOUR
    assert await gate.cron.fire() == 0
    assert await gate.runs("a") == []


async def test_one_schedule_that_cannot_be_followed_changes_nothing(gate):
    await gate.cron.sync([DAILY])
    with pytest.raises(ScheduleError):
        await gate.cron.sync([HOURLY, JobSpec(name="b", schedule="0 25 * * *", zone="UTC", prompt="x")])
    assert [job.spec for job in await gate.jobs.list()] == [DAILY]


# -- a single time --------------------------------------------------------------------------------------------

ONCE = JobSpec(name="once", schedule="at 2026-03-02 09:00", zone="UTC", prompt="x", catch_up="all")


async def test_a_single_time_runs_once_for_ever(gate):
    await gate.cron.sync([ONCE])
    gate.clock.now = NINE
    assert await gate.cron.fire() == 1
    assert await gate.settled("once") == [(NINE, "done", None)]
    assert await gate.next_at("once") is None

    for now in (NINE + HOUR, MONDAY):
        gate.clock.now = now
        gate.cron = gate.restarted()
        await gate.cron.sync([ONCE])
        await gate.cron.start()
        await gate.cron.stop()
        assert await gate.cron.fire() == 0
    assert await gate.runs("once") == [(NINE, "done", None)]


async def test_a_single_time_that_was_over_before_it_was_written_never_runs_and_is_told(gate, caplog):
    gate.clock.now = NINE + HOUR
    await gate.cron.sync([ONCE])
    await gate.cron.start()
    assert await gate.runs("once") == [] and await gate.next_at("once") is None
    assert [record.getMessage() for record in caplog.records] == ["job.over"]


async def test_a_single_time_that_was_moved_runs_again(gate):
    await gate.cron.sync([ONCE])
    gate.clock.now = NINE
    await gate.cron.fire()
    await gate.settled("once")
    later = JobSpec(name="once", schedule="at 2026-03-02 10:00", zone="UTC", prompt="x")
    await gate.cron.sync([later])
    gate.clock.now = NINE + HOUR
    assert await gate.cron.fire() == 1


# -- delivery -------------------------------------------------------------------------------------------------


async def connected(gate):
    channel = Recorder()
    account = await gate.store.commit(Point.PEOPLE, lambda unit: unit.people.account("telegram", "42"))
    gate.core.delivery.register(account, channel)
    return channel


async def delivered(gate, *targets):
    await gate.cron.sync(
        [JobSpec(name="a", schedule="@hourly", zone="UTC", prompt="Sing.", deliver_to=targets)]
    )
    gate.clock.now = NINE
    await gate.cron.fire()
    await gate.settled("a")


async def test_the_answer_is_sent_to_each_chat_that_is_named(gate):
    channel = await connected(gate)
    await delivered(gate, "telegram:123", "main", "telegram:-100456")
    await until(lambda: _delivery_is(gate, "sent"))
    assert sorted((chat, kind) for chat, kind, _ in channel.sent) == [("-100456", "group"), ("123", "direct")]
    assert all("Sing." in text for _, _, text in channel.sent)


async def _delivery_is(gate, state):
    (run,) = await gate.jobs.history("a")
    return (run.state, run.delivery) == ("done", state)


async def test_a_run_is_done_though_its_answer_cannot_be_delivered(gate):
    channel = await connected(gate)
    channel.broken = True
    await delivered(gate, "telegram:123")
    await until(lambda: _delivery_is(gate, "dead"))


async def test_one_chat_that_has_not_got_the_answer_yet_shows_in_the_history(gate):
    channel = await connected(gate)
    channel.slow.add("2")
    await delivered(gate, "telegram:1", "telegram:2")
    await until(lambda: _sent_to(gate, "1"))
    assert (await gate.jobs.history("a"))[0].delivery == "waiting"
    channel.released.set()
    await until(lambda: _delivery_is(gate, "sent"))


async def _sent_to(gate, chat):
    return await gate.rows(
        f"SELECT 1 FROM outbox o JOIN conversation c ON c.id = o.conversation "
        f"WHERE c.chat_id = '{chat}' AND o.state = 'sent'"
    )


async def test_an_answer_for_main_is_kept_in_its_session_only(gate):
    channel = await connected(gate)
    await delivered(gate, "main")
    (run,) = await gate.jobs.history("a")
    assert (run.state, run.delivery, channel.sent) == ("done", "none", [])
    assert await gate.rows("SELECT unread FROM session") == [(1,)]


# -- by hand --------------------------------------------------------------------------------------------------


async def test_a_run_by_hand_is_tagged_alike_and_moves_no_planned_time(gate):
    await gate.cron.sync([DAILY])
    run = await gate.jobs.run_now("daily")
    assert await gate.settled("daily") == [(MONDAY, "done", None)]
    assert (await gate.jobs.history("daily"))[0].id == run
    assert await gate.rows("SELECT triggered_by FROM session") == [("daily",)]
    assert await gate.next_at("daily") == NINE

    assert await gate.jobs.run_now("daily") != run
    assert len(await gate.settled("daily")) == 2


async def test_a_paused_job_can_be_run_by_hand(gate):
    await gate.cron.sync([JobSpec(name="a", schedule="@daily", zone="UTC", prompt="x", enabled=False)])
    await gate.jobs.run_now("a")
    assert [state for _, state, _ in await gate.settled("a")] == ["done"]


async def test_a_job_that_is_running_cannot_be_run_by_hand(gate):
    gate.model.go.clear()
    await gate.cron.sync([DAILY])
    await gate.jobs.run_now("daily")
    gate.clock.now += SECOND
    with pytest.raises(Refused, match="still running"):
        await gate.jobs.run_now("daily")


async def test_a_run_that_never_came_to_an_end_holds_a_job_up_for_a_day_only(gate):
    await gate.cron.sync([HOURLY])
    await gate.store.commit(Point.JOB, lambda unit: unit.jobs.add_run(1, MONDAY, state="running"))
    gate.clock.now = MONDAY + 23 * HOUR
    assert await gate.cron.fire() == 0
    gate.clock.now = MONDAY + 25 * HOUR
    assert await gate.cron.fire() == 2


@pytest.mark.parametrize("removed", [False, True])
async def test_a_job_nobody_knows_is_not_run(gate, removed):
    if removed:
        await gate.cron.sync([DAILY])
        await gate.cron.sync([])
    with pytest.raises(NotFound, match="daily"):
        await gate.jobs.run_now("daily")


async def test_the_history_of_a_job_nobody_ever_knew_is_an_error(gate):
    with pytest.raises(NotFound, match="daily"):
        await gate.jobs.history("daily")


# -- what is shown --------------------------------------------------------------------------------------------


async def test_the_list_shows_each_job_as_it_was_written_with_its_last_run(gate):
    await gate.cron.sync([HOURLY, DAILY])
    gate.clock.now = NINE - HOUR // 2
    await gate.jobs.run_now("hourly")
    await gate.settled("hourly")
    daily, hourly = await gate.jobs.list()
    assert (daily.spec, daily.state, daily.next_at, daily.last) == (DAILY, "on", NINE, None)
    assert hourly.spec == HOURLY and hourly.last.planned == gate.clock.now and hourly.last.state == "done"


async def test_the_history_has_the_newest_first_and_no_more_than_was_asked(gate):
    await gate.cron.sync([missing("none")])
    gate.clock.now = at("2026-03-02 18:30")
    await gate.cron.start()
    assert [run.planned for run in await gate.jobs.history("a", 2)] == [
        at("2026-03-02 18:00"),
        at("2026-03-02 17:00"),
    ]


async def test_next_times_are_told_of_a_job_by_its_name_or_of_any_schedule(gate):
    await gate.cron.sync([JobSpec(name="a", schedule="0 9 * * *", zone="Asia/Tokyo", prompt="x")])
    assert await gate.jobs.next_times("a", count=2) == [at("2026-03-03 00:00"), at("2026-03-04 00:00")]
    assert await gate.jobs.next_times("0 9 * * *", "Asia/Tokyo", count=1) == [at("2026-03-03 00:00")]
    assert await gate.jobs.next_times("0 9 * * *", after=NINE, count=1) == [at("2026-03-03 09:00")]
    with pytest.raises(ScheduleError):
        await gate.jobs.next_times("b")


# -- waking ---------------------------------------------------------------------------------------------------


async def test_it_wakes_by_itself_at_the_planned_time(store):
    clock = RunningClock(NINE - SECOND // 4)
    async with gateway(store, clock) as gate:
        await gate.cron.sync([DAILY])
        await gate.cron.start()
        assert await gate.runs("daily") == []
        await until(lambda: gate.runs("daily"))
        (run,) = await gate.settled("daily")
        assert run == (NINE, "done", None)
        assert clock() - NINE < 2 * SECOND


async def test_a_job_that_comes_while_it_runs_is_woken_for_and_so_is_the_one_after(store):
    clock = RunningClock(NINE - SECOND // 4)
    async with gateway(store, clock) as gate:
        await gate.cron.start()
        await gate.cron.sync([HOURLY])
        await until(lambda: gate.runs("hourly"))
        await gate.settled("hourly")
        clock.set(NINE + HOUR - SECOND // 4)
        await gate.cron.sync([HOURLY])
        await until(lambda: _length(gate, "hourly", 2))


async def _length(gate, name, count):
    return len(await gate.runs(name)) >= count


async def test_a_clock_that_jumped_is_noticed_by_the_next_tick(gate, monkeypatch):
    monkeypatch.setattr(cron_module, "TICK", 0.02)
    await gate.cron.sync([DAILY])
    await gate.cron.start()
    await asyncio.sleep(0.1)
    gate.clock.now = NINE
    await until(lambda: gate.runs("daily"))


async def test_a_bad_minute_does_not_end_all_jobs(gate, monkeypatch, caplog):
    monkeypatch.setattr(cron_module, "TICK", 0.02)
    await gate.cron.sync([DAILY])
    await gate.cron.start()
    read, failed = gate.store.read, asyncio.Event()

    async def fail(work, *args):
        failed.set()
        raise DiskFull("no space")

    monkeypatch.setattr(gate.store, "read", fail)
    await failed.wait()
    monkeypatch.setattr(gate.store, "read", read)
    gate.clock.now = NINE
    await until(lambda: gate.runs("daily"))
    assert "cron.failed" in [record.getMessage() for record in caplog.records]


async def test_after_stop_nothing_wakes(store, caplog):
    caplog.set_level("INFO", "apscheduler")
    clock = RunningClock(NINE - SECOND // 5)
    store_tasks = asyncio.all_tasks()
    async with gateway(store, clock) as gate:
        await gate.cron.sync([DAILY])
        await gate.cron.start()
        await asyncio.sleep(0.05)
        await gate.cron.stop()
        await asyncio.sleep(0.3)
        assert clock() > NINE and await gate.runs("daily") == []
        assert "Scheduler has been shut down" in caplog.messages
        assert asyncio.all_tasks() - {asyncio.current_task()} - store_tasks == set()


@pytest.mark.parametrize("rounds", range(8))
async def test_it_stops_at_whatever_moment_it_is_told(gate, rounds):
    async with asyncio.timeout(10):
        for pause in range(20):
            await gate.cron.sync([DAILY])
            await gate.cron.start()
            for _ in range(pause + 20 * rounds):
                await asyncio.sleep(0)
            await gate.cron.stop()


IDLE = """
import asyncio, pathlib, sys
import gateway.cron
from gateway.jobs.carrier import Carrier
assert "apscheduler" not in sys.modules and "sqlite3" not in sys.modules

async def main():
    from storage import open_store
    store = await open_store(pathlib.Path(sys.argv[1]))
    carrier = Carrier(store=store, delivery=None, accept=None, clock=lambda: 1, ended=None)
    cron = gateway.cron.Cron(store=store, carrier=carrier, clock=lambda: 1)
    await cron.sync([])
    await cron.start()
    await asyncio.sleep(0.1)
    await cron.stop()
    await store.close()

asyncio.run(main())
assert "apscheduler" not in sys.modules
"""


def test_without_jobs_apscheduler_is_not_even_loaded(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", IDLE, str(tmp_path / "p.db")], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
