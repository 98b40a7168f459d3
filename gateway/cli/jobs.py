"""`parley jobs`: what runs by the clock."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import typer

from gateway.cli import show
from gateway.cli.client import asked, settings_of
from gateway.cli.options import AsJson, Config
from gateway.errors import Refused

app = typer.Typer(
    no_args_is_help=True,
    help="""What runs by the clock. Jobs are [[jobs]] tables in parley.toml; `parley reload` takes over changes.""",
)


@app.command("list")
def all_jobs(config: Config = None, json: AsJson = False) -> None:
    """Every job, when it runs next and how it went last.

    \b
    Examples:
      parley jobs list
      parley jobs list --json
    """
    found: list[dict[str, Any]] = asked(config, "GET", "/v1/jobs")
    if json:
        show.as_json(found)
    elif not found:
        print("No jobs. Add a [[jobs]] table to parley.toml; `parley config show --example` has one.")
    else:
        show.table(("name", "schedule", "zone", "next", "last"), [_row(each) for each in found])


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    last = job["last_run"]
    return (
        job["name"],
        job["schedule"],
        job["zone"],
        show.when(job["next_at"]) if job["state"] == "on" else job["state"],
        f"{last['state']}, {show.ago(last['finished_at'] or last['planned_at'])}" if last else "-",
    )


@app.command("next")
def next_times(
    schedule: Annotated[
        str, typer.Argument(metavar="SCHEDULE", help="As in [[jobs]] schedule; put it in quotes.")
    ],
    zone: Annotated[str | None, typer.Option(help="IANA time zone. Left out: [gateway] timezone.")] = None,
    after: Annotated[
        str | None, typer.Option(metavar="TIME", help="As 2026-03-28T12:00. Left out: now.")
    ] = None,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=100, help="How many times.")] = 5,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """When a schedule runs: try it out before it goes into parley.toml.

    \b
    Examples:
      parley jobs next "0 9 * * MON-FRI"
      parley jobs next "every 90m" -n 3
      parley jobs next "30 2 * * *" --zone Europe/Berlin --after 2026-03-28
    """
    from gateway.schedule import ScheduleError, parse, upcoming

    place = zone or settings_of(config).gateway.timezone
    now = int(time.time()) * show.SECOND
    try:
        begin = _moment(after, place) if after is not None else now
        times = upcoming(parse(schedule, place, now=min(now, begin)), begin, count)
    except ScheduleError as error:
        raise Refused(str(error)) from None
    if json:
        show.as_json([{"at": at, "local": _local(at, place).isoformat()} for at in times])
    elif not times:
        print("Never again.")
    for at in times if not json else ():
        print(_local(at, place).strftime("%a %Y-%m-%d %H:%M %Z (%z)"))


def _local(at: int, zone: str) -> datetime:
    return datetime.fromtimestamp(at / show.SECOND, ZoneInfo(zone))


def _moment(text: str, zone: str) -> int:
    """Microseconds UTC of a time written without a zone, on the clock of *zone*. Raises Refused."""
    try:
        return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()) * show.SECOND
    except (ValueError, OSError):
        raise Refused(f"--after {text!r} is no time in {zone!r}; write it as 2026-03-28T12:00") from None


@app.command()
def run(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The job's name.")],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Run a job now, besides its schedule.

    \b
    Examples:
      parley jobs run morning
    """
    found = asked(config, "POST", f"/v1/jobs/{name}/run")
    if json:
        show.as_json(found)
    else:
        print(f"{name} is running; what comes of it: parley jobs runs {name}")


@app.command()
def runs(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The job's name.")],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """How a job went, latest first.

    \b
    Examples:
      parley jobs runs morning
      parley jobs runs morning --json
    """
    found: list[dict[str, Any]] = asked(config, "GET", f"/v1/jobs/{name}/runs")
    if json:
        show.as_json(found)
    elif not found:
        print(f"{name} has not run yet.")
    else:
        show.table(("planned", "state", "delivery", "session", "error"), [_run_row(each) for each in found])


def _run_row(run: dict[str, Any]) -> tuple[str, ...]:
    return (
        show.when(run["planned_at"]),
        run["state"],
        run["delivery"],
        run["session_id"] or "-",
        run["error"] or "",
    )
