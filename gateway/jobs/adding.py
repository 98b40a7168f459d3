"""A job that somebody makes: what it may be, and its row."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

from gateway.access import LOCAL
from gateway.addressee import HOME
from gateway.addressee import parse as parse_address
from gateway.errors import Refused
from gateway.jobs import phrases
from gateway.jobs.rights import Requester, identities
from gateway.jobs.spec import CHAT, LONGEST, MAIN, NAME, RETRY_AFTER, JobSpec, Source
from gateway.jobs.sync import put
from gateway.jobs.unreadable import Unreadable
from gateway.jobs.views import SHOWN
from gateway.lanes import askable
from gateway.schedule import Cron, Schedule, ScheduleError, parse, upcoming
from gateway.types.measures import DAY, MINUTE
from gateway.types.people import Identity

if TYPE_CHECKING:
    from storage import Unit
    from storage.jobs import Job

# Enough times to meet the closest two of a crontab line: a whole day of every five minutes, or a year.
LOOKED_AT = 300
LOOKED_FOR = 366 * DAY
TAKEN = frozenset({"next"})  # GET /v1/jobs/next is not a job


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What people may ask of the schedule; jobs of the configuration are not bounded.

    *interval* in microseconds between two planned times; *each*: jobs of one person; *model* raises Refused for one
    that they may not choose; *reached*: whether there is a bot of that platform here, or will be.
    """

    interval: int = 5 * MINUTE
    each: int = 20
    model: Callable[[str], None] = lambda ref: None
    reached: Callable[[str], bool] = lambda platform: True


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A job as it would be, and when it would run next (microseconds UTC)."""

    spec: JobSpec
    next_times: tuple[int, ...]


async def add(unit: Unit, spec: JobSpec, by: Requester, source: Source, bounds: Bounds, now: int) -> Job:
    """The new job's row. Raises Refused."""
    spec = (await plan(unit, spec, by, bounds, now)).spec
    await put(unit, spec, None, now, source=source, identity=by.identity, conversation=by.conversation)
    found = await unit.jobs.get(spec.name)
    assert found is not None
    return found


async def plan(unit: Unit, spec: JobSpec, by: Requester, bounds: Bounds, now: int) -> Planned:
    """What `add` would make of it; nothing is written. Raises Refused."""
    targets = spec.deliver_to
    spec = replace(
        spec,
        name=spec.name or await _free_name(unit),
        schedule=phrases.formal(spec.schedule, spec.zone, now),
        deliver_to=await _targets(unit, spec, by),
    )
    _check(spec, by, bounds)
    schedule = _schedule(spec, now)
    own = await identities(unit, by)
    mine = {each.id for each in own}
    if by.identity is not None and not by.admin:
        _check_pace(schedule, bounds, now)
        if sum(job.identity in mine for job in await unit.jobs.all()) >= bounds.each:
            raise Refused(key="job.too_many", count=bounds.each)
        _check_own(targets, own)
    old = await unit.jobs.get(spec.name)
    if old is not None and (
        old.state != "removed" or (old.identity not in mine and old.identity != by.identity)
    ):
        # A removed one's history is its maker's: nobody else goes on with it.
        raise Refused(key="job.taken", name=spec.name)
    return Planned(spec=spec, next_times=tuple(upcoming(schedule, now, SHOWN)))


async def _targets(unit: Unit, spec: JobSpec, by: Requester) -> tuple[str, ...]:
    """In the terminal this chat is where its sessions are shown."""
    if CHAT not in spec.deliver_to or by.conversation is None:
        return spec.deliver_to
    here = await unit.places.get(by.conversation)
    return tuple(MAIN if here.channel in LOCAL and to == CHAT else to for to in spec.deliver_to)


def _check(spec: JobSpec, by: Requester, bounds: Bounds) -> None:
    if not NAME.fullmatch(spec.name) or spec.name in TAKEN:
        raise Refused(key="job.bad_name", name=spec.name[:80])
    if not askable(spec.prompt):
        raise Refused(key="job.no_prompt")
    if spec.model:
        bounds.model(spec.model)
    if not 0 <= spec.retries <= len(RETRY_AFTER):
        raise Refused(key="job.retries", most=len(RETRY_AFTER))
    if spec.timeout is not None and not 0 < spec.timeout <= LONGEST:
        raise Refused(key="job.timeout", hours=LONGEST // 3600)
    if spec.session == "chat" and (len(spec.deliver_to) != 1 or spec.deliver_to[0] == MAIN):
        raise Refused(key="job.one_chat")
    for target in spec.deliver_to:
        _check_target(target, bounds)
    if CHAT in spec.deliver_to and not by.posts:
        raise Refused(key="job_line.group")
    if CHAT in spec.deliver_to and by.conversation is None:
        raise Refused(key="job.no_chat")
    if spec.mention and not by.admin:
        raise Refused(key="job.admins")


def _check_target(target: str, bounds: Bounds) -> None:
    if target in (CHAT, MAIN):
        return
    key = parse_address(target).key
    if key == HOME:
        raise Refused(key="job_line.home", text=target[:60])
    platform = key.partition(".")[0]
    if not bounds.reached(platform):
        raise Refused(key="job_line.unreached", name=platform[:40])


def _schedule(spec: JobSpec, now: int) -> Schedule:
    try:
        Cron("0 0 * * *", spec.zone)  # an interval goes by no clock, but its times are shown on one
        return parse(spec.schedule, spec.zone, now=now)
    except ScheduleError as error:
        raise Unreadable(error) from None


def _check_pace(schedule: Schedule, bounds: Bounds, now: int) -> None:
    times = [at for at in upcoming(schedule, now, LOOKED_AT) if at <= now + LOOKED_FOR]
    if any(later - earlier < bounds.interval for earlier, later in pairwise(times)):
        raise Refused(key="job.too_often", count=bounds.interval // MINUTE)


def _check_own(targets: Sequence[str], own: Sequence[Identity]) -> None:
    """Who is no admin sends to the chat they are in, or to themselves."""
    allowed = {CHAT, *(f"{each.channel}:{each.user_id}" for each in own)}
    if not allowed.issuperset(targets):
        raise Refused(key="job.targets")


async def _free_name(unit: Unit) -> str:
    number = 1
    while await unit.jobs.get(f"job-{number}") is not None:
        number += 1
    return f"job-{number}"
