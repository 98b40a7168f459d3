"""Scheduled jobs: each planned time becomes one inbound event, whatever crashes, sleeps or changes clock."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from gateway import log
from gateway.failpoints import Point
from gateway.jobs import slots, sync
from gateway.jobs.carrier import Carrier
from gateway.jobs.reasons import DROPPED
from gateway.jobs.spec import JobSpec
from gateway.protocols.clock import Clock
from gateway.types.measures import MINUTE

if TYPE_CHECKING:
    from storage import Store

TICK = 60.0  # seconds on the monotonic clock, which no change of the wall clock touches
ON_TIME = 2 * MINUTE  # a slot seen within two ticks was not missed


class Cron:
    """Jobs are rows; APScheduler wakes us at the next planned time, and a tick each minute if the clock was changed."""

    def __init__(self, *, store: Store, carrier: Carrier, clock: Clock) -> None:
        self._store = store
        self._carrier = carrier
        self._clock = clock
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._scheduler: Any = None
        self._seen = sys.maxsize  # the clock at the last look; nobody knows what it did before the first

    async def sync(self, specs: Sequence[JobSpec]) -> None:
        """Take over the configuration's jobs. Raises ScheduleError: then nothing was changed."""
        now = self._clock()
        for spec in specs:
            slots.plan(spec.schedule, spec.zone, now)
        synced = await self._store.commit(Point.JOB, sync.sync, specs, now)
        for name in synced.over:
            log.warning("job.over", job=name, problem="its time is over: it will not run")
        for name in synced.taken:
            log.warning(
                "job.taken",
                job=name,
                problem="a job that was made in a chat has this name: the one in [[jobs]] does not run",
                remedy="give it another name, or remove that one",
            )
        self.wake()

    def wake(self) -> None:
        """A planned time may be another now."""
        self._bell.set()

    async def start(self) -> None:
        """Make up for what was missed, then wake at each planned time until `stop`."""
        await self._look(on_time=0)
        self._task = asyncio.create_task(self._run(), name="cron")

    async def stop(self) -> None:
        """A run that is on disk and was not handed over yet is so at the next start."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            await asyncio.sleep(0)  # it shuts down in the loop's next round
        self._task = self._scheduler = None

    async def fire(self) -> int:
        """Begin what is due; gives how many runs. Raises StoreError: the next tick tries again."""
        return await self._look(on_time=ON_TIME)

    async def _look(self, *, on_time: int) -> int:
        now = self._clock()
        if now < self._seen:
            await self._store.commit(Point.JOB, slots.replan, now)
        due = await self._store.read(lambda unit: unit.jobs.due(now=now))
        # Together: what the writer finds waiting for it goes into one commit.
        taking = (self._store.commit(Point.JOB_DUE, slots.take, job.name, now, on_time) for job in due)
        begun = await asyncio.gather(*taking)
        self._seen = now
        if await self._store.read(lambda unit: unit.jobs.owes(now=now)):
            await self._carrier.hand_over()
        return sum(begun)

    async def _tidy(self) -> None:
        """What is left over: runs that nothing will come of any more, answers that could not be placed."""
        now = self._clock()
        if dropped := await self._store.commit(
            Point.JOB, lambda unit: unit.jobs.reap(reason=DROPPED, now=now)
        ):
            log.warning("job.dropped", runs=dropped)
        await self._carrier.deliver()

    async def _run(self) -> None:
        while True:
            try:
                await self.fire()
                await self._tidy()
                await self._arm()
            except Exception as error:  # noqa: BLE001 - the edge of a task: one bad minute must not end all jobs
                log.crash("cron.failed", error)
            # Not wait_for: before Python 3.12 it may swallow a cancellation, and `stop` would wait for ever.
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await self._bell.wait()
            self._bell.clear()

    async def _arm(self) -> None:
        at = await self._store.read(lambda unit: unit.jobs.next_at(now=self._clock()))
        if at is None:
            return  # and APScheduler is not loaded for nothing
        from apscheduler.schedulers.asyncio import AsyncIOScheduler
        from apscheduler.triggers.date import DateTrigger

        if self._scheduler is None:
            self._scheduler = AsyncIOScheduler(timezone=UTC)
            self._scheduler.start()
        when = datetime.now(UTC) + timedelta(microseconds=max(0, at - self._clock()))
        # Several at once: the alarm may be set anew before APScheduler has seen the last one end.
        self._scheduler.add_job(
            self._ring,
            DateTrigger(when, UTC),
            id="next",
            replace_existing=True,
            misfire_grace_time=None,
            max_instances=8,
        )

    async def _ring(self) -> None:
        self._bell.set()
