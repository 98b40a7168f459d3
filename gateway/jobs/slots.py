"""Planned times become runs: which of them, and the next one; one run per job and planned time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway.errors import NotFound, Refused
from gateway.jobs import reasons
from gateway.jobs.spec import RETRY_AFTER, CatchUp
from gateway.schedule import Every, Schedule, missed, next_after, parse
from gateway.types.measures import DAY, HOUR, SECOND

if TYPE_CHECKING:
    from storage import Unit
    from storage.jobs import Job

LATEST = (
    2 * HOUR
)  # what `last` still makes up for; reasons.py says this, MOST_MADE_UP and MOST_QUEUED in words
HOWEVER_LATE = 366 * DAY  # what a digest does
MOST_MADE_UP = 3  # runs that `all` makes up for
MOST_NOTED = 100  # missed slots that are kept as rows, the latest ones
MOST_QUEUED = 10  # runs of one job that wait behind one another
BUSY_FOR = DAY  # a turn is kept for six hours at most: what is open for longer holds nothing up
MISSED: dict[CatchUp, str] = {
    "none": reasons.MISSED,
    "last": reasons.ONLY_LATEST,
    "all": reasons.ONLY_THREE,
}


def plan(text: str, zone: str, accepted: int) -> Schedule:
    """A stored schedule; *accepted* anchors an interval, and a time that is over is no error. Raises ScheduleError."""
    schedule = parse(text, zone, now=0)
    return Every(schedule.seconds, accepted) if isinstance(schedule, Every) else schedule


def plan_of(job: Job) -> Schedule:
    return plan(str(job.spec["schedule"]), job.zone, int(job.spec["accepted"]))


def on_schedule(job: Job, at: int) -> bool:
    """Whether that time is one of its schedule; False for a run that somebody asked for out of turn."""
    return missed(plan_of(job), at - 1, at, 1) == [at]


def judge(
    slots: Sequence[int], policy: CatchUp, *, now: int, on_time: int, late: int = LATEST
) -> list[tuple[int, str | None]]:
    """(planned time, why it is skipped or None to run it), oldest first. *on_time*: what is no older was not missed;
    *late*: how old the one may be that `last` makes up for."""
    oldest = now - (max(on_time, late) if policy == "last" else on_time)
    chosen = slots[-MOST_MADE_UP:] if policy == "all" else [at for at in slots[-1:] if at >= oldest]
    return [(at, None if at in chosen else MISSED[policy]) for at in slots]


async def take(unit: Unit, name: str, now: int, on_time: int) -> int:
    """A run for each slot of the job that has come, and its next time; gives how many are to begin."""
    job = await unit.jobs.get(name)
    if job is None or job.state != "on" or job.next_at is None or job.next_at > now:
        return 0
    schedule, begun = plan_of(job), 0
    queues = job.spec.get("overlap") == "queue"
    open = await _open(unit, job, now)
    full = reasons.STILL_RUNNING if open and not queues else None
    late, latest = (HOWEVER_LATE, reasons.ONLY_DIGEST) if job.kind == "digest" else (LATEST, MISSED["last"])
    for planned, reason in judge(
        missed(schedule, job.next_at - 1, now, MOST_NOTED),
        job.spec["catch_up"],
        now=now,
        on_time=on_time,
        late=late,
    ):
        reason = latest if reason == MISSED["last"] else reason
        if queues and open + begun >= MOST_QUEUED:
            full = reasons.TOO_MANY
        reason = reason or full
        state = "waiting" if reason is None else "skipped"
        run = await unit.jobs.add_run(job.id, planned, state=state, reason=reason)
        begun += run is not None and reason is None
    await unit.jobs.advance(job.id, next_after(schedule, now))
    return begun


async def take_manually(unit: Unit, job: Job, now: int) -> int:
    """A run that nobody planned; gives its id. Raises Refused while the job is running."""
    if await _open(unit, job, now):
        raise Refused(key="job.running", name=job.name)
    while (run := await unit.jobs.add_run(job.id, now, state="waiting")) is None:
        now += 1  # a microsecond that has its run already
    return run


async def replan(unit: Unit, now: int) -> None:
    """After the clock went back: nothing waits for a time that the right clock reaches much later."""
    for job in await unit.jobs.all():
        if job.state != "on":
            continue
        # What was skipped at a time that has not come was not missed at all.
        await unit.jobs.unskip(job.id, after=now)
        earlier = next_after(plan_of(job), now)
        if earlier is not None and (job.next_at is None or earlier < job.next_at):
            await unit.jobs.advance(job.id, earlier)
    await unit.jobs.hasten(now + RETRY_AFTER[-1] * SECOND)


async def _open(unit: Unit, job: Job, now: int) -> int:
    return await unit.jobs.open(job.id, since=now - BUSY_FOR)


async def known(unit: Unit, name: str) -> Job:
    """A job that is not removed. Raises NotFound."""
    job = await unit.jobs.get(name)
    if job is None or job.state == "removed":
        raise NotFound(key="job.none", name=name)
    return job
