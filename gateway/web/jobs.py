"""/v1/jobs: what is planned and what came of it; jobs are made, run out of turn, paused and removed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from decimal import Decimal
from typing import Annotated, Any

from fastapi import Query
from pydantic import Field

from gateway.access import enough
from gateway.app import App
from gateway.config_values import Address, Model, Seconds, Zone
from gateway.jobs.spec import MAIN, CatchUp, Joins, Overlap
from gateway.manager import OPERATOR, JobSpec, JobView, Requester, RunView
from gateway.moments import local
from gateway.schedule import ScheduleError
from gateway.types.measures import DOLLAR
from gateway.web.body import Body, Id, When
from gateway.web.caller import Caller, Calling
from gateway.web.routes import Routes
from gateway.web.span import BadField, moment

Dollars = Annotated[str, Field(pattern=r"^[0-9]{1,6}(\.[0-9]{1,9})?$")]
"""As "1.50"."""


class NewJob(Body):
    """As in a [[jobs]] table. *schedule* may also be a phrase such as "every weekday at 8:00"; *name* "" finds one.

    *deliver_to* null: main, or the private chat of the person whose key it is; []: kept in its session.
    """

    schedule: Annotated[str, Field(min_length=1, max_length=200, examples=["every weekday at 8:00"])]
    prompt: Annotated[str, Field(min_length=1, max_length=262_144)]
    name: Annotated[str, Field(max_length=200)] = ""
    zone: Zone | None = None
    deliver_to: Annotated[list[Address], Field(max_length=20, examples=[["main:desk"], []])] | None = None
    mention: Annotated[str, Field(pattern=r"^([0-9]{1,20})?$")] = ""  # a role's number on Discord
    silent: bool = False
    enabled: bool = True
    session: Joins = "isolated"
    catch_up: CatchUp = "last"
    overlap: Overlap = "skip"
    timeout_seconds: Seconds | None = None
    retries: Annotated[int, Field(ge=0, le=3)] = 3
    model: Model = ""
    budget_day: Dollars | None = None
    budget_month: Dollars | None = None

    def spec(self, caller: Caller) -> JobSpec:
        to = [_own(caller)] if self.deliver_to is None else self.deliver_to
        return JobSpec(
            name=self.name,
            schedule=self.schedule,
            zone=self.zone or (caller.identity.zone if caller.identity is not None else ""),
            prompt=self.prompt,
            deliver_to=tuple(to),
            mention=self.mention,
            silent=self.silent,
            enabled=self.enabled,
            session=self.session,
            catch_up=self.catch_up,
            overlap=self.overlap,
            timeout=self.timeout_seconds,
            retries=self.retries,
            model=self.model,
            budget_day=_nano(self.budget_day),
            budget_month=_nano(self.budget_month),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Times in microseconds UTC. *session_id* None: it has not begun. *error*: why it was skipped or has failed.

    *attempt* counts from 1; *again_at*: when the next one begins, None: there is none to come. *zone*: that of its job.
    """

    id: int
    planned_at: int
    zone: str
    state: str
    delivery: str
    session_id: str | None
    error: str | None
    attempt: int
    again_at: int | None
    started_at: int | None
    finished_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned(JobSpec):
    """As it would be; *next_times* in microseconds UTC."""

    next_times: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Job(Planned):
    """As it was written, and how it stands. *next_at* None: never again; *last_run* None: not yet.

    *source*: config, chat, api. *owner* and *chat*, where it was made, as telegram:12345; None: the operator, nowhere.
    *failures*: failed runs in a row.
    """

    state: str
    next_at: int | None
    last_run: Run | None
    source: str
    owner: str | None
    chat: str | None
    failures: int
    created_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Time:
    """*at* in microseconds UTC; *local* as ISO 8601."""

    at: int
    local: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """*run*: its number."""

    run: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """*removed*: its name."""

    removed: str


def routes(app: App) -> Routes:
    routes = Routes("/v1/jobs")
    _reading(routes, app)
    _acting(routes, app)
    return routes


def _reading(routes: Routes, app: App) -> None:
    jobs = app.manager.jobs

    @routes.get("", who="user")
    async def listed(caller: Calling) -> list[Job]:
        """By name; an admin's are everybody's."""
        return [_job(each) for each in await jobs.list(_by(caller))]

    @routes.get("/next", who="user")
    async def next_times(
        expr: Annotated[str, Query(min_length=1, max_length=200, examples=["0 8 * * *"])],
        zone: Zone | None = None,
        after: When | None = None,
        count: Annotated[int, Query(ge=1, le=100)] = 5,
    ) -> list[Time]:
        """When a schedule that may not be a job's yet runs next."""
        place = zone or app.manager.zone
        begin = moment(after, field="after", zone=app.manager.zone, now=app.clock()) if after else None
        try:
            times = await jobs.next_times(expr, zone, begin, count)
            return [Time(at=at, local=local(at, place).isoformat()) for at in times]
        except ScheduleError as error:
            raise BadField("expr", str(error)) from None

    @routes.get("/{name}", who="user", faults=(404,))
    async def one(name: Id, caller: Calling) -> Job:
        """One that is not removed."""
        return _job(await jobs.show(name, _by(caller)))

    @routes.get("/{name}/runs", who="user", faults=(404,))
    async def runs(name: Id, caller: Calling, count: Annotated[int, Query(ge=1, le=1000)] = 20) -> list[Run]:
        """The latest first, also of a job that was removed, and also the times that were skipped."""
        return [_run(each) for each in await jobs.history(name, count, _by(caller))]


def _acting(routes: Routes, app: App) -> None:
    jobs = app.manager.jobs

    @routes.post("", who="user", status=201, faults=(409,))
    async def made(job: NewJob, caller: Calling) -> Job:
        """It is the operator's, or of the person whose key it is."""
        return _job(await jobs.add(job.spec(caller), _by(caller), "api"))

    @routes.post("/check", scope="read", who="user", faults=(409,))
    async def check(job: NewJob, caller: Calling) -> Planned:
        """What would be made; nothing is."""
        found = await jobs.check(job.spec(caller), _by(caller))
        return Planned(**_written(found.spec), next_times=found.next_times)

    @routes.post("/{name}/run", who="user", faults=(404, 409))
    async def run(name: Id, caller: Calling) -> Begun:
        """Now, out of turn, also of a paused one."""
        return Begun(run=await jobs.run_now(name, _by(caller)))

    @routes.post("/{name}/pause", who="user", faults=(404,))
    async def pause(name: Id, caller: Calling) -> Job:
        """No planned time runs until it is resumed."""
        return _job(await jobs.pause(name, _by(caller)))

    @routes.post("/{name}/resume", who="user", faults=(404,))
    async def resume(name: Id, caller: Calling) -> Job:
        """From now on, also one that was disabled."""
        return _job(await jobs.resume(name, _by(caller)))

    @routes.delete("/{name}", who="user", faults=(404, 409))
    async def remove(name: Id, caller: Calling) -> Removed:
        """Its runs stay. One of the configuration is removed there."""
        await jobs.remove(name, _by(caller))
        return Removed(removed=name)


def _by(caller: Caller) -> Requester:
    if caller.identity is None:
        return OPERATOR
    return Requester(identity=caller.identity.id, admin=enough(caller.role, "admin"))


def _own(caller: Caller) -> str:
    """Where an answer goes of which nothing is said."""
    who = caller.identity
    return MAIN if who is None or who.channel == MAIN else f"{who.channel}:{who.user_id}"


def _nano(dollars: str | None) -> int | None:
    return None if dollars is None else int(Decimal(dollars) * DOLLAR)


def _written(spec: JobSpec) -> dict[str, Any]:
    return {each.name: getattr(spec, each.name) for each in fields(spec)}


def _job(job: JobView) -> Job:
    return Job(
        **_written(job.spec),
        next_times=job.next_times,
        state=job.state,
        next_at=job.next_at,
        last_run=None if job.last is None else _run(job.last),
        source=job.source,
        owner=job.owner,
        chat=job.chat,
        failures=job.failures,
        created_at=job.created,
    )


def _run(run: RunView) -> Run:
    return Run(
        id=run.id,
        planned_at=run.planned,
        zone=run.zone,
        state=run.state,
        delivery=run.delivery,
        session_id=run.session,
        error=run.reason,
        attempt=run.attempt,
        again_at=run.again,
        started_at=run.started,
        finished_at=run.ended,
    )
