"""Everything that can be asked of a scheduled job, by whichever door; who may is decided here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway.errors import NotFound
from gateway.failpoints import Point
from gateway.jobs import adding, phrases, rights, slots, views
from gateway.jobs.adding import Bounds, Planned
from gateway.jobs.rights import OPERATOR, Requester
from gateway.jobs.spec import JobSpec, Source
from gateway.jobs.views import JobView, RunView
from gateway.protocols.clock import Clock
from gateway.schedule import next_after, upcoming

if TYPE_CHECKING:
    from storage import Store, Unit
    from storage.jobs import Job

__all__ = ["OPERATOR", "Bounds", "JobSpec", "JobView", "Jobs", "Planned", "Requester", "RunView"]


class Jobs:
    """By name, which is unique in the whole gateway. Times are microseconds UTC.

    An owner handles what they made themselves, an admin (and the operator) all; of others' jobs everybody else is
    told that there is none. Jobs of the configuration can be paused, resumed and run, but not removed.
    """

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        zone: str,
        bounds: Callable[[], Bounds],
        changed: Callable[[], None],
        hand_over: Callable[[], Awaitable[None]],
    ) -> None:
        """*zone*: of schedules that name none. *changed* is told when a planned time may be another; *hand_over*
        begins the runs that were entered."""
        self._store = store
        self._clock = clock
        self._zone = zone
        self._bounds = bounds
        self._changed = changed
        self._hand_over = hand_over

    async def add(
        self,
        spec: JobSpec,
        by: Requester = OPERATOR,
        source: Source = "chat",
        *,
        asked: int | None = None,
    ) -> JobView:
        """A new job, with its next times. It is its maker's, who pays for it.

        `spec.name` '' finds a name, `spec.zone` '' is the gateway's; `spec.schedule` may also be a phrase such as
        "tomorrow at nine" (`jobs.phrases`). CHAT in `deliver_to` is the chat it is made in. Raises Refused, with the
        remedy: for a name that is taken, a schedule nobody can follow or that runs more often than allowed, a time
        that is over, too many jobs, a model that is not offered, and targets that only an admin may name.

        *asked*: when "tomorrow" was said, None: now.
        """
        now, bounds = self._clock(), self._bounds()
        spec = replace(spec, zone=spec.zone or self._zone)
        if asked is not None:
            spec = replace(spec, schedule=phrases.formal(spec.schedule, spec.zone, asked))
        job = await self._store.commit(Point.JOB, adding.add, spec, by, source, bounds, now)
        self._changed()
        return await self._store.read(views.view, job)

    async def check(self, spec: JobSpec, by: Requester = OPERATOR) -> Planned:
        """What `add` would make of it, and nothing is written. Raises Refused as `add` does."""
        now, bounds = self._clock(), self._bounds()
        spec = replace(spec, zone=spec.zone or self._zone)
        return await self._store.read(lambda unit: adding.plan(unit, spec, by, bounds, now))

    async def show(self, name: str, by: Requester = OPERATOR) -> JobView:
        """Raises NotFound."""
        return await self._store.read(_shown, name, by)

    async def pause(self, name: str, by: Requester = OPERATOR) -> JobView:
        """No planned time runs until `resume`, not even after a restart; what runs goes on. Raises NotFound."""

        async def work(unit: Unit) -> JobView:
            job = await rights.handled(unit, name, by)
            await unit.jobs.switch(job.id, "paused", next_at=None)
            return await _shown(unit, name, by)

        return await self._store.commit(Point.JOB, work)

    async def resume(self, name: str, by: Requester = OPERATOR) -> JobView:
        """From now on, also one that was disabled; nothing is made up for. Raises NotFound."""
        now = self._clock()

        async def work(unit: Unit) -> JobView:
            job = await rights.handled(unit, name, by)
            if job.state != "on":
                await unit.jobs.switch(job.id, "on", next_at=next_after(slots.plan_of(job), now))
            return await _shown(unit, name, by)

        found = await self._store.commit(Point.JOB, work)
        self._changed()
        return found

    async def remove(self, name: str, by: Requester = OPERATOR) -> None:
        """Its history stays; what runs goes on, without another attempt. Raises NotFound, and Refused for a job of
        the configuration."""

        async def work(unit: Unit) -> None:
            await unit.jobs.remove((await rights.removable(unit, name, by)).name)

        await self._store.commit(Point.JOB, work)

    async def run_now(self, name: str, by: Requester = OPERATOR) -> int:
        """A run out of turn, also of a paused job; gives its id. Raises NotFound, Refused while it is running."""
        now = self._clock()

        async def work(unit: Unit) -> int:
            return await slots.take_manually(unit, await rights.handled(unit, name, by), now)

        run = await self._store.commit(Point.JOB_DUE, work)
        await self._hand_over()
        return run

    async def history(self, name: str, count: int = 20, by: Requester = OPERATOR) -> list[RunView]:
        """The latest runs, newest first, also of a removed job and also those that were skipped. Raises NotFound."""

        async def work(unit: Unit) -> list[RunView]:
            job = await unit.jobs.get(name)
            if job is None or not (by.admin or await rights.owns(unit, job, by)):
                raise NotFound(key="job.none", name=name)
            return await views.runs(unit, name, count)

        return await self._store.read(work)

    async def next_times(
        self, name_or_expr: str, zone: str | None = None, after: int | None = None, count: int = 5
    ) -> list[int]:
        """When a job, or any schedule on the clock of *zone*, runs after *after* (now). Raises ScheduleError."""
        after = self._clock() if after is None else after
        job = await self._store.read(lambda unit: unit.jobs.get(name_or_expr))
        here = job is not None and job.state != "removed"
        if job is not None and here:
            return upcoming(slots.plan_of(job), after, count)
        place = zone or self._zone
        schedule = slots.plan(phrases.formal(name_or_expr, place, after), place, after)
        return upcoming(schedule, after, count)

    async def list(self, by: Requester = OPERATOR, *, everybody: bool = True) -> list[JobView]:
        """By name, those that are not removed. *everybody* False: their own; who is no admin sees no others."""

        async def work(unit: Unit) -> list[JobView]:
            mine = {each.id for each in await rights.identities(unit, by)}
            return [
                await views.view(unit, job)
                for job in await unit.jobs.all()
                if (everybody and by.admin) or job.identity in mine
            ]

        return await self._store.read(work)


async def _shown(unit: Unit, name: str, by: Requester) -> JobView:
    job: Job = await rights.handled(unit, name, by)
    return await views.view(unit, job)
