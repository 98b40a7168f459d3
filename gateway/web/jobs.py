"""/v1/jobs: what is planned, what came of it, and a run out of turn."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Response

from gateway.app import App
from gateway.config_tables import Zone
from gateway.manager import JobView, RunView
from gateway.moments import local
from gateway.schedule import ScheduleError
from gateway.web.encoding import Json, plain
from gateway.web.span import BadField, moment


def routes(app: App) -> APIRouter:
    router = APIRouter(prefix="/v1/jobs")
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

    @router.get("/{name}/runs")
    async def runs(name: str, count: Annotated[int, Query(ge=1, le=1000)] = 20) -> Response:
        """The latest first."""
        return Json([_run(each) for each in await jobs.history(name, count)])

    @router.post("/{name}/run")
    async def run(name: str) -> Response:
        return Json({"run": await jobs.run_now(name)})

    return router


def _job(job: JobView) -> dict[str, Any]:
    """Times in microseconds UTC."""
    last = None if job.last is None else _run(job.last)
    return {**plain(job.spec), "state": job.state, "next_at": job.next_at, "last_run": last}


def _run(run: RunView) -> dict[str, Any]:
    return {
        "id": run.id,
        "planned_at": run.planned,
        "state": run.state,
        "delivery": run.delivery,
        "session_id": run.session,
        "error": run.reason,
        "started_at": run.started,
        "finished_at": run.ended,
    }
