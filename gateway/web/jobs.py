"""/v1/jobs: what is planned, what came of it, a run out of turn; making, pausing and removing jobs."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import Field

from gateway.app import App
from gateway.config_tables import Budget, Model, RoleId, Seconds, Targets, Zone
from gateway.jobs.adding import Planned
from gateway.jobs.spec import CatchUp, Joins, Overlap
from gateway.manager import JobSpec, JobView, RunView
from gateway.moments import local
from gateway.schedule import ScheduleError
from gateway.types import DOLLAR
from gateway.web.body import Body
from gateway.web.encoding import Json, plain
from gateway.web.span import BadField, moment


class Making(Body):
    """As in a [[jobs]] table; *schedule* may also be a phrase such as "every weekday at 8:00". *name* '' finds one.

    *dry_run*: nothing is made; the answer is what it would be.
    """

    schedule: Annotated[str, Field(min_length=1, max_length=200)]
    prompt: Annotated[str, Field(min_length=1)]
    name: Annotated[str, Field(max_length=200)] = ""
    zone: Zone | None = None
    deliver_to: Targets = ("main",)
    mention: RoleId = ""
    silent: bool = False
    enabled: bool = True
    session: Joins = "isolated"
    catch_up: CatchUp = "last"
    overlap: Overlap = "skip"
    timeout_seconds: Seconds | None = None
    retries: Annotated[int, Field(ge=0, le=3)] = 3
    model: Model = ""
    budget_day: Budget | None = None
    budget_month: Budget | None = None
    dry_run: bool = False

    @property
    def spec(self) -> JobSpec:
        return JobSpec(
            name=self.name,
            schedule=self.schedule,
            zone=self.zone or "",
            prompt=self.prompt,
            deliver_to=self.deliver_to,
            mention=self.mention,
            silent=self.silent,
            enabled=self.enabled,
            session=self.session,
            catch_up=self.catch_up,
            overlap=self.overlap,
            timeout=self.timeout_seconds,
            retries=self.retries,
            model=self.model,
            budget_day=None if self.budget_day is None else int(self.budget_day * DOLLAR),
            budget_month=None if self.budget_month is None else int(self.budget_month * DOLLAR),
        )


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1/jobs")
    _reading(router, app)
    _acting(router, app)
    return router


def _reading(router: APIRouter, app: App) -> None:
    jobs = app.manager.jobs

    @router.get("")
    async def listed() -> Response:
        return Json([_job(each) for each in await jobs.list()])

    @router.get("/next")
    async def next_times(
        expr: Annotated[str, Query(min_length=1)],
        zone: Zone | None = None,
        after: str | None = None,
        count: Annotated[int, Query(ge=1, le=100)] = 5,
    ) -> Response:
        """When a job, or a schedule that is not one yet, runs next."""
        place = zone or app.manager.zone
        begin = moment(after, field="after", zone=app.manager.zone, now=app.clock()) if after else None
        try:
            times = await jobs.next_times(expr, zone, begin, count)
            return Json([{"at": at, "local": local(at, place).isoformat()} for at in times])
        except ScheduleError as error:
            raise BadField("expr", str(error)) from None

    @router.get("/{name}")
    async def one(name: str) -> Response:
        return Json(_job(await jobs.show(name)))

    @router.get("/{name}/runs")
    async def runs(name: str, count: Annotated[int, Query(ge=1, le=1000)] = 20) -> Response:
        """The latest first, also of a removed one."""
        return Json([_run(each) for each in await jobs.history(name, count)])


def _acting(router: APIRouter, app: App) -> None:
    jobs = app.manager.jobs

    @router.post("")
    async def made(making: Making) -> Response:
        """It is the operator's: 409 for what cannot be, with the remedy."""
        if making.dry_run:
            return Json(_planned(await jobs.check(making.spec)))
        return Json(_job(await jobs.add(making.spec, source="api")), status_code=201)

    @router.post("/{name}/run")
    async def run(name: str) -> Response:
        return Json({"run": await jobs.run_now(name)})

    @router.post("/{name}/pause")
    async def pause(name: str) -> Response:
        return Json(_job(await jobs.pause(name)))

    @router.post("/{name}/resume")
    async def resume(name: str) -> Response:
        return Json(_job(await jobs.resume(name)))

    @router.delete("/{name}")
    async def remove(name: str) -> Response:
        """Its runs stay."""
        await jobs.remove(name)
        return Json({"removed": name})


def _planned(planned: Planned) -> dict[str, Any]:
    return {**plain(planned.spec), "next_times": planned.next_times}


def _job(job: JobView) -> dict[str, Any]:
    """Times in microseconds UTC."""
    return {
        **plain(job.spec),
        "state": job.state,
        "next_at": job.next_at,
        "next_times": job.next_times,
        "last_run": None if job.last is None else _run(job.last),
        "source": job.source,
        "owner": job.owner,
        "chat": job.chat,
        "failures": job.failures,
        "created_at": job.created,
    }


def _run(run: RunView) -> dict[str, Any]:
    return {
        "id": run.id,
        "planned_at": run.planned,
        "state": run.state,
        "delivery": run.delivery,
        "session_id": run.session,
        "error": run.reason,
        "attempt": run.attempt,
        "again_at": run.again,
        "started_at": run.started,
        "finished_at": run.ended,
    }
