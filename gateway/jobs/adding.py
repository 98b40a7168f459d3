"""A job that somebody makes: what it may be, and its row."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from gateway.errors import Refused
from gateway.jobs.asker import Asker
from gateway.jobs.spec import CHAT, LONGEST, NAME, RETRY_AFTER, JobSpec, Source
from gateway.jobs.sync import put
from gateway.lanes import askable
from gateway.schedule import Schedule, ScheduleError, parse, upcoming
from gateway.types import DAY, MINUTE

if TYPE_CHECKING:
    from storage import Unit
    from storage.jobs import Job

# Enough times to meet the closest two of a crontab line: a whole day of every five minutes, or a year.
LOOKED_AT = 300
LOOKED_FOR = 366 * DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What people may ask of the schedule; jobs of the configuration are not bounded.

    *interval* in microseconds between two planned times; *each*: jobs of one person; *model* raises Refused for one
    that they may not choose.
    """

    interval: int = 5 * MINUTE
    each: int = 20
    model: Callable[[str], None] = lambda ref: None


async def add(unit: Unit, spec: JobSpec, by: Asker, source: Source, bounds: Bounds, now: int) -> Job:
    """The new job's row. Raises Refused."""
    spec = replace(spec, name=spec.name or await _free_name(unit))
    _check(spec, by, bounds)
    schedule = _plan(spec, now)
    if by.identity is not None and not by.admin:
        _check_pace(schedule, bounds, now)
        mine = [job for job in await unit.jobs.all() if job.identity == by.identity]
        if len(mine) >= bounds.each:
            raise Refused(key="job.too_many", count=bounds.each)
    await _check_targets(unit, spec, by)
    old = await unit.jobs.get(spec.name)
    if old is not None and (old.state != "removed" or old.identity != by.identity):
        # A removed one's history is its maker's: nobody else goes on with it.
        raise Refused(key="job.taken", name=spec.name)
    await put(unit, spec, None, now, source=source, identity=by.identity, conversation=by.conversation)
    found = await unit.jobs.get(spec.name)
    assert found is not None
    return found


def _check(spec: JobSpec, by: Asker, bounds: Bounds) -> None:
    if not NAME.fullmatch(spec.name):
        raise Refused(key="job.bad_name", name=spec.name[:80])
    if not askable(spec.prompt):
        raise Refused(key="job.no_prompt")
    if spec.model:
        bounds.model(spec.model)
    if not 0 <= spec.retries <= len(RETRY_AFTER):
        raise Refused(key="job.retries", most=len(RETRY_AFTER))
    if spec.timeout is not None and not 0 < spec.timeout <= LONGEST:
        raise Refused(key="job.timeout", hours=LONGEST // 3600)
    if spec.session == "chat" and len(spec.deliver_to) != 1:
        raise Refused(key="job.one_chat")
    if CHAT in spec.deliver_to and by.conversation is None:
        raise Refused(key="job.no_chat")
    if spec.mention and not by.admin:
        raise Refused(key="job.admins")


def _plan(spec: JobSpec, now: int) -> Schedule:
    try:
        return parse(spec.schedule, spec.zone, now=now)
    except ScheduleError as error:
        raise Refused(key="job.schedule", problem=str(error)) from None


def _check_pace(schedule: Schedule, bounds: Bounds, now: int) -> None:
    times = [at for at in upcoming(schedule, now, LOOKED_AT) if at <= now + LOOKED_FOR]
    if any(later - earlier < bounds.interval for earlier, later in pairwise(times)):
        raise Refused(key="job.too_often", count=bounds.interval // MINUTE)


async def _check_targets(unit: Unit, spec: JobSpec, by: Asker) -> None:
    """Who is no admin sends to the chat they are in, or to themselves."""
    if by.admin or by.identity is None:
        return
    who = await unit.people.identity_by_id(by.identity)
    own = [who] if who is None or who.person is None else await unit.people.of_person(who.person)
    allowed = {CHAT, *(f"{each.channel}:{each.user_id}" for each in own if each is not None)}
    if not allowed.issuperset(spec.deliver_to):
        raise Refused(key="job.targets")


async def _free_name(unit: Unit) -> str:
    number = 1
    while await unit.jobs.get(f"job-{number}") is not None:
        number += 1
    return f"job-{number}"
