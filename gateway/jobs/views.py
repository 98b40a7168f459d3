"""Jobs and their runs as callers see them. Times are microseconds UTC."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.errors import NotFound
from gateway.jobs.slots import plan_of
from gateway.jobs.spec import JobSpec, spec_of
from gateway.schedule import upcoming

if TYPE_CHECKING:
    from storage import Unit
    from storage.database import Row
    from storage.jobs import Job

SHOWN = 3  # next times of a job


@dataclass(frozen=True, slots=True, kw_only=True)
class RunView:
    """A run. *state*: waiting, running, done, failed, skipped; *reason*: why it is skipped or has failed, or failed
    the last time.

    *delivery*: none, silent (there was nothing to report), owed (a chat could not be found yet; it is tried again),
    waiting, sent, dead. *session* is its code; None before it has begun. *attempt* counts from 1; *again* is when
    the next one begins, None: there is none to come. *zone*: that of its job.
    """

    id: int
    planned: int
    zone: str
    state: str
    delivery: str
    session: str | None
    reason: str | None
    started: int | None
    ended: int | None
    attempt: int = 1
    again: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """A job as it stands. *state*: on, paused, disabled (after too many failures, which *failures* counts).

    *source*: config, chat, api. *owner* as channel:id, *owner_name* for display; None: the operator. *chat*: where
    it was made, as channel:id; None: in none. *next_times*: when it runs next, () when never again; *next_at* is the
    first. *last* None: it has not run yet.
    """

    spec: JobSpec
    state: str
    next_at: int | None
    last: RunView | None
    source: str = "config"
    owner: str | None = None
    owner_name: str = ""
    chat: str | None = None
    next_times: tuple[int, ...] = ()
    failures: int = 0
    created: int = 0


async def view(unit: Unit, job: Job) -> JobView:
    last = [await _run_view(unit, row, job.zone) for row in await unit.jobs.runs(job.name, 1)]
    who = await unit.people.identity_by_id(job.identity) if job.identity is not None else None
    where = await unit.places.get(job.conversation) if job.conversation is not None else None
    times: tuple[int, ...] = ()
    if job.next_at is not None:
        times = (job.next_at, *upcoming(plan_of(job), job.next_at, SHOWN - 1))
    return JobView(
        spec=spec_of(job),
        state=job.state,
        next_at=job.next_at,
        last=last[0] if last else None,
        source=job.source,
        owner=f"{who.channel}:{who.user_id}" if who is not None else None,
        owner_name=who.name if who is not None else "",
        chat=None if where is None else f"{where.channel}:{where.chat_id}" + _topic(where.thread_id),
        next_times=times,
        failures=job.failures,
        created=job.created,
    )


def _topic(thread: str) -> str:
    return f"/{thread}" if thread else ""


async def runs(unit: Unit, name: str, count: int) -> list[RunView]:
    """The latest runs of a job, newest first, also of a removed one. Raises NotFound."""
    job = await unit.jobs.get(name)
    if job is None:
        raise NotFound(key="job.none", name=name)
    return [await _run_view(unit, row, job.zone) for row in await unit.jobs.runs(name, count)]


async def _run_view(unit: Unit, row: Row, zone: str) -> RunView:
    id, planned, state, delivery, session, reason, started, ended, attempt, due = row
    found = await unit.sessions.get(session) if session is not None else None
    return RunView(
        id=id,
        planned=planned,
        zone=zone,
        state=state,
        delivery=await _delivered(unit, id, delivery),
        session=found.code if found else None,
        reason=reason,
        started=started,
        ended=ended,
        attempt=attempt,
        again=due if state == "waiting" and attempt > 1 else None,
    )


async def _delivered(unit: Unit, run: int, noted: str) -> str:
    """How far the answer has come: the outbox knows; the run's own row says only whether it was to go anywhere."""
    if noted in ("none", "silent", "owed"):
        return noted
    states: set[str] = set()
    for target in range(len(await unit.jobs.targets(run))):
        states.update(row.state for row in await unit.outbox.of_origin(f"job:{run}:{target}"))
    if not states:
        return noted
    return "dead" if "dead" in states else "sent" if states == {"sent"} else "waiting"
