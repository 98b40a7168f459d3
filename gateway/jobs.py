"""What a job is, which of its planned times run, and the units of work over its rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway.errors import NotFound, Refused
from gateway.schedule import Every, Schedule, missed, next_after, parse
from gateway.types import DAY, HOUR, Account, Inbound, Json, Kind, Lane, Place, Receipt

if TYPE_CHECKING:
    from storage import Unit
    from storage.jobs import Job

CatchUp = Literal["none", "last", "all"]

LATEST = 2 * HOUR  # what `last` still makes up for
MOST_MADE_UP = 3  # runs that `all` makes up for
MOST_NOTED = 100  # missed slots that are kept as rows, the latest ones
BUSY_FOR = DAY  # a turn is kept for six hours at most: what is open for longer holds nothing up
STILL_RUNNING = "still running"
MISSED: dict[CatchUp, str] = {
    "none": "missed",
    "last": "missed; only the latest is made up for, within 2 hours",
    "all": f"missed; only the latest {MOST_MADE_UP} are made up for",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """A job as the configuration has it. *deliver_to* (): kept in its session; *model* '': the usual one."""

    name: str
    schedule: str
    zone: str
    prompt: str
    deliver_to: tuple[str, ...] = ()
    enabled: bool = True
    catch_up: CatchUp = "last"
    model: str = ""


def plan(text: str, zone: str, accepted: int) -> Schedule:
    """A stored schedule; *accepted* anchors an interval, and a time that is over is no error. Raises ScheduleError."""
    schedule = parse(text, zone, now=0)
    return Every(schedule.seconds, accepted) if isinstance(schedule, Every) else schedule


def plan_of(job: Job) -> Schedule:
    return plan(str(job.spec["schedule"]), job.zone, int(job.spec["accepted"]))


def judge(slots: Sequence[int], policy: CatchUp, *, now: int, on_time: int) -> list[tuple[int, str | None]]:
    """(planned time, why it is skipped or None to run it), oldest first. *on_time*: what is no older was not missed."""
    oldest = now - (max(on_time, LATEST) if policy == "last" else on_time)
    chosen = slots[-MOST_MADE_UP:] if policy == "all" else [at for at in slots[-1:] if at >= oldest]
    return [(at, None if at in chosen else MISSED[policy]) for at in slots]


async def sync(unit: Unit, specs: Sequence[JobSpec], now: int) -> list[str]:
    """The configuration's jobs as rows; gives the names of new ones that will never run."""
    known = {job.name: job for job in await unit.jobs.all()}
    over = [spec.name for spec in specs if await _put(unit, spec, known.pop(spec.name, None), now)]
    for job in known.values():
        if job.source == "config":
            await unit.jobs.remove(job.name)
    return over


async def _put(unit: Unit, spec: JobSpec, old: Job | None, now: int) -> bool:
    """True when it is new and its time is over."""
    same = old is not None and (old.spec["schedule"], old.zone) == (spec.schedule, spec.zone)
    accepted = int(old.spec["accepted"]) if old and same else now
    on_before = old is not None and same and old.state == "on"
    next_at = old.next_at if old and on_before else next_after(plan(spec.schedule, spec.zone, accepted), now)
    body: Json = {
        "v": 1,
        "schedule": spec.schedule,
        "prompt": spec.prompt,
        "deliver_to": list(spec.deliver_to),
        "catch_up": spec.catch_up,
        "model": spec.model,
        "accepted": accepted,
    }
    state, planned = ("on", next_at) if spec.enabled else ("paused", None)
    await unit.jobs.put(name=spec.name, spec=body, zone=spec.zone, next_at=planned, state=state)
    return spec.enabled and next_at is None and not on_before


async def replan(unit: Unit, now: int) -> None:
    """After the clock went back: nothing waits for a time that the right clock reaches much later."""
    for job in await unit.jobs.all():
        if job.state == "on" and job.next_at is not None and job.next_at > now:
            earlier = next_after(plan_of(job), now)
            if earlier is not None and earlier < job.next_at:
                await unit.jobs.advance(job.id, earlier)


async def take(unit: Unit, name: str, now: int, on_time: int) -> int:
    """A run for each slot of the job that has come, and its next time; gives how many are to begin."""
    job = await unit.jobs.get(name)
    if job is None or job.state != "on" or job.next_at is None or job.next_at > now:
        return 0
    schedule, begun = plan_of(job), 0
    busy = await _busy(unit, job, now)
    slots = missed(schedule, job.next_at - 1, now, MOST_NOTED)
    for planned, reason in judge(slots, job.spec["catch_up"], now=now, on_time=on_time):
        reason = STILL_RUNNING if busy and reason is None else reason
        state = "waiting" if reason is None else "skipped"
        run = await unit.jobs.add_run(job.id, planned, state=state, reason=reason)
        begun += run is not None and reason is None
    await unit.jobs.advance(job.id, next_after(schedule, now))
    return begun


async def take_manually(unit: Unit, name: str, now: int) -> int:
    """A run that nobody planned; gives its id. Raises NotFound, and Refused while the job is running."""
    job = await unit.jobs.get(name)
    if job is None or job.state == "removed":
        raise NotFound(f"There is no job {name!r}.")
    if await _busy(unit, job, now):
        raise Refused(f"The job {name!r} is still running; try again when it is done.")
    while (run := await unit.jobs.add_run(job.id, now, state="waiting")) is None:
        now += 1  # a microsecond that has its run already
    return run


async def _busy(unit: Unit, job: Job, now: int) -> bool:
    return await unit.jobs.busy(job.id, since=now - BUSY_FOR)


async def owed(unit: Unit, after: int) -> tuple[Account, list[tuple[int, Inbound]]]:
    """The account jobs come in by, and the runs later than run *after* that lack their inbox row, as events."""
    account = await unit.people.account("job", "job")
    runs: list[tuple[int, Inbound]] = []
    for id, planned, name, state, spec in await unit.jobs.owed(after=after):
        if state == "removed":
            await unit.jobs.run_state(id, "skipped", reason="the job was removed")
            continue
        event = Inbound(
            event_id=f"{name}@{planned}",
            kind=Kind.JOB,
            place=Place(chat_id=name, kind="job"),
            text=spec["prompt"],
            trigger=name,
            job_run=id,
            fresh=True,
        )
        runs.append((id, event))
    return account, runs


async def link(
    unit: Unit, account: Account, runs: Sequence[tuple[int, Inbound]], receipts: Sequence[Receipt], now: int
) -> None:
    """Each run knows its inbox row, and has failed if no turn will come of it."""
    for (id, event), receipt in zip(runs, receipts, strict=True):
        await unit.jobs.link(id, account=account.id, event_id=event.event_id)
        if receipt.lane is not Lane.TURN:
            await unit.jobs.run_state(id, "failed", reason="the prompt is empty or too long", ended=now)
