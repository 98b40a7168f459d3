"""When a job runs, as the command line shows it, and `parley jobs next`."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from gateway.cli import show
from gateway.cli.client import settings_of
from gateway.cli.options import AsJson, Config
from gateway.errors import Refused

CLOCK = "%a %Y-%m-%d %H:%M %Z (%z)"


def when(job: dict[str, Any]) -> str:
    """In words."""
    from gateway.jobs.words import worded

    return worded(job["schedule"], job["zone"]).replace("`", "")


def times(job: dict[str, Any]) -> None:
    """Its next ones, a line each, on its own clock."""
    for at in job["next_times"]:
        print(f"  {local(at, job['zone']).strftime(CLOCK)}")


def next_times(
    schedule: Annotated[str, typer.Argument(metavar="SCHEDULE", help="As behind add; put it in quotes.")],
    zone: Annotated[str | None, typer.Option(help="IANA time zone. Left out: [gateway] timezone.")] = None,
    after: Annotated[
        str | None, typer.Option(metavar="TIME", help="As 2026-03-28T12:00. Left out: now.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100, help="How many times.")] = 5,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """When a schedule runs, to try it out.

    \b
    Examples:
      parley jobs next "0 9 * * MON-FRI"
      parley jobs next "every 90m" -n 3
      parley jobs next "30 2 * * *" --zone Europe/Berlin --after 2026-03-28
    """
    from gateway.jobs.phrases import formal
    from gateway.schedule import ScheduleError, parse, upcoming

    place = zone or settings_of(config).gateway.timezone
    now = int(time.time()) * show.SECOND
    try:
        parse("0 0 * * *", place, now=now)  # a wrong zone is told before a wrong time on its clock
        begin = _moment(after, place) if after is not None else now
        schedule = formal(schedule, place, begin)
        times = upcoming(parse(schedule, place, now=min(now, begin)), begin, count)
    except ScheduleError as error:
        raise Refused(str(error)) from None
    if json:
        show.as_json([{"at": at, "local": local(at, place).isoformat()} for at in times])
    elif not times:
        print("Never again.")
    for at in times if not json else ():
        print(local(at, place).strftime(CLOCK))


def clock(at: int | None, zone: str) -> str:
    """The date and the time there; - for None."""
    return "-" if at is None else local(at, zone).strftime("%Y-%m-%d %H:%M")


def local(at: int, zone: str) -> datetime:
    """Microseconds UTC on the clock of *zone*."""
    return datetime.fromtimestamp(at / show.SECOND, ZoneInfo(zone))


def _moment(text: str, zone: str) -> int:
    """Microseconds UTC; a time without an offset is on the clock of *zone*, which exists. Raises Refused."""
    try:
        moment = datetime.fromisoformat(text)
        there = moment if moment.tzinfo is not None else moment.replace(tzinfo=ZoneInfo(zone))
        return int(there.timestamp()) * show.SECOND
    except (ValueError, OverflowError):
        raise Refused(f"--after {text!r} is no time in {zone!r}; write it as 2026-03-28T12:00") from None
