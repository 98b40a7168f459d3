"""/v1/jobs: what is planned, what came of it, and a run out of turn."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Annotated

from fastapi import Query

from gateway.app import App
from gateway.config_tables import Zone
from gateway.manager import JobSpec, JobView, RunView
from gateway.moments import local
from gateway.schedule import ScheduleError
from gateway.web.body import Id, When
from gateway.web.routes import Routes
from gateway.web.span import BadField, moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Times in microseconds UTC. *session_id* None: it has not begun."""

    id: int
    planned_at: int
    state: str
    delivery: str
    session_id: str | None
    error: str | None
    started_at: int | None
    finished_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(JobSpec):
    """As it was written, and how it stands. *next_at* None: never again; *last_run* None: not yet."""

    state: str
    next_at: int | None
    last_run: Run | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """*at* in microseconds UTC; *local* as ISO 8601."""

    at: int
    local: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """*run*: its number."""

    run: int


def routes(app: App) -> Routes:
    routes = Routes("/v1/jobs")
    jobs = app.manager.jobs

    @routes.get("")
    async def listed() -> list[Job]:
        """By name."""
        return [_job(each) for each in await jobs.list()]

    @routes.get("/next")
    async def next_times(
        expr: Annotated[str, Query(min_length=1, max_length=200)],
        zone: Zone | None = None,
        after: When | None = None,
        count: Annotated[int, Query(ge=1, le=100)] = 5,
    ) -> list[Time]:
        """When a job, or a schedule that is not one yet, runs next."""
        place = zone or app.manager.zone
        begin = moment(after, field="after", zone=app.manager.zone, now=app.clock()) if after else None
        try:
            times = await jobs.next_times(expr, zone, begin, count)
            return [Time(at=at, local=local(at, place).isoformat()) for at in times]
        except ScheduleError as error:
            raise BadField("expr", str(error)) from None

    @routes.get("/{name}/runs", faults=(404,))
    async def runs(name: Id, count: Annotated[int, Query(ge=1, le=1000)] = 20) -> list[Run]:
        """The latest first."""
        return [_run(each) for each in await jobs.history(name, count)]

    @routes.post("/{name}/run", faults=(404, 409))
    async def run(name: Id) -> Begun:
        """Now, out of turn, also of a paused one."""
        return Begun(run=await jobs.run_now(name))

    return routes


def _job(job: JobView) -> Job:
    written = {each.name: getattr(job.spec, each.name) for each in fields(job.spec)}
    last = None if job.last is None else _run(job.last)
    return Job(**written, state=job.state, next_at=job.next_at, last_run=last)


def _run(run: RunView) -> Run:
    return Run(
        id=run.id,
        planned_at=run.planned,
        state=run.state,
        delivery=run.delivery,
        session_id=run.session,
        error=run.reason,
        started_at=run.started,
        finished_at=run.ended,
    )
