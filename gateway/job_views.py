"""Jobs and their runs as callers see them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import NotFound
from gateway.jobs import JobSpec

if TYPE_CHECKING:
    from storage import Unit
    from storage.database import Row
    from storage.jobs import Job


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run. *state*: waiting, running, done, failed, skipped; *delivery*: none, waiting, sent, dead.

    *session* is its code; None before it has begun. Times are microseconds UTC.
    """

    id: int
    planned: int
    state: str
    delivery: str
    session: str | None
    reason: str | None
    started: int | None
    ended: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as it stands. *state*: on, paused; *next_at* None: never again; *last* None: has not run yet."""

    spec: JobSpec
    state: str
    next_at: int | None
    last: RunView | None


async def views(unit: Unit) -> list[JobView]:
    """Every job that is not removed, by name."""
    found: list[JobView] = []
    for job in await unit.jobs.all():
        last = [await _run_view(unit, row) for row in await unit.jobs.runs(job.name, 1)]
        view = JobView(spec=_spec(job), state=job.state, next_at=job.next_at, last=last[0] if last else None)
        found.append(view)
    return found


async def runs(unit: Unit, name: str, count: int) -> list[RunView]:
    """The latest runs of a job, newest first, also of a removed one. Raises NotFound."""
    if await unit.jobs.get(name) is None:
        raise NotFound(f"There is no job {name!r}.")
    return [await _run_view(unit, row) for row in await unit.jobs.runs(name, count)]


def _spec(job: Job) -> JobSpec:
    return JobSpec(
        name=job.name,
        schedule=job.spec["schedule"],
        zone=job.zone,
        prompt=job.spec["prompt"],
        deliver_to=tuple(job.spec["deliver_to"]),
        enabled=job.state == "on",
        catch_up=job.spec["catch_up"],
        model=job.spec["model"],
    )


async def _run_view(unit: Unit, row: Row) -> RunView:
    id, planned, state, delivery, session, reason, started, ended = row
    found = await unit.sessions.get(session) if session is not None else None
    return RunView(
        id=id,
        planned=planned,
        state=state,
        delivery=await _delivered(unit, id, delivery),
        session=found.code if found else None,
        reason=reason,
        started=started,
        ended=ended,
    )


async def _delivered(unit: Unit, run: int, noted: str) -> str:
    """How far the answer has come: the outbox knows; the run's own row says only whether it was to go anywhere."""
    states: set[str] = set()
    targets = 0
    while rows := await unit.outbox.of_origin(f"job:{run}:{targets}"):
        states.update(row.state for row in rows)
        targets += 1
    if not states:
        return noted
    return "dead" if "dead" in states else "sent" if states == {"sent"} else "waiting"
