"""`parley jobs`: what runs by the clock."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import jobs_clock, jobs_making, show
from gateway.cli.client import asked
from gateway.cli.jobs_clock import CLOCK, clock, local, when
from gateway.cli.jobs_making import Name, quoted
from gateway.cli.options import AsJson, Config

app = typer.Typer(
    no_args_is_help=True,
    help="""What runs by the clock.

    Jobs are made here, by /job in a chat, and as [[jobs]] tables in parley.toml; `parley reload` takes over
    changes of those.
    """,
)

app.command()(jobs_making.add)


@app.command("list")
def all_jobs(config: Config = None, json: AsJson = False) -> None:
    """Every job, when it runs next, by its own clock, and how it went last.

    \b
    Examples:
      parley jobs list
      parley jobs list --json
    """
    show.listed(
        asked(config, "GET", "/v1/jobs"),
        ("name", "schedule", "zone", "next", "last", "of"),
        _row,
        none='No jobs. Make one: parley jobs add "every weekday at 8:00" "What is in the news?"',
        json=json,
    )


def _row(job: dict[str, Any]) -> tuple[str, ...]:
    last = job["last_run"]
    return (
        job["name"],
        job["schedule"],
        job["zone"],
        clock(job["next_at"], job["zone"]) if job["state"] == "on" else job["state"],
        _last(last) if last else "-",
        job["owner"] or ("parley.toml" if job["source"] == "config" else "operator"),
    )


@app.command("show")
def one(name: Name, config: Config = None, json: AsJson = False) -> None:
    """Everything about one job.

    \b
    Examples:
      parley jobs show morning
      parley jobs show morning --json
    """
    found: dict[str, Any] = asked(config, "GET", f"/v1/jobs/{quoted(name)}")
    if json:
        show.as_json(found)
        return
    rows = [
        ("runs", when(found)),
        ("schedule", f"{found['schedule']} ({found['zone']})"),
        ("state", found["state"] + (f", {found['failures']} failed in a row" if found["failures"] else "")),
        ("next", ", ".join(local(at, found["zone"]).strftime(CLOCK) for at in found["next_times"]) or "-"),
        ("last", "-" if found["last_run"] is None else _last(found["last_run"])),
        ("asks", found["prompt"]),
        ("delivers to", ", ".join(found["deliver_to"]) or "none: kept in its session"),
        (
            "made",
            f"{found['source']}, by {found['owner'] or 'the operator'}, {show.when(found['created_at'])}",
        ),
        ("session", found["session"]),
        ("catch_up", found["catch_up"]),
        ("overlap", found["overlap"]),
        ("retries", str(found["retries"])),
        ("timeout", "" if found["timeout"] is None else f"{found['timeout']:g} s"),
        ("model", found["model"]),
        ("silent", "yes" if found["silent"] else ""),
        ("mention", found["mention"]),
        *(
            (key, "" if found[key] is None else show.dollars(found[key]))
            for key in ("budget_day", "budget_month")
        ),
    ]
    show.table((found["name"], ""), [(key, text) for key, text in rows if text])


def _last(run: dict[str, Any]) -> str:
    return f"{run['state']}, {show.ago(run['finished_at'] or run['planned_at'])}"


Count = Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many.")]


@app.command()
def history(name: Name, count: Count = 20, config: Config = None, json: AsJson = False) -> None:
    """How a job went, latest first.

    Its runs, and the planned times that were skipped, with the reason; also of a job that was removed. By its clock.

    \b
    Examples:
      parley jobs history morning
      parley jobs history morning --json
    """
    _history(name, count, config, json)


@app.command()
def runs(name: Name, count: Count = 20, config: Config = None, json: AsJson = False) -> None:
    """The same as history.

    \b
    Examples:
      parley jobs runs morning
      parley jobs runs morning --json
    """
    _history(name, count, config, json)


def _history(name: str, count: int, config: Path | None, json: bool) -> None:
    show.listed(
        asked(config, "GET", f"/v1/jobs/{quoted(name)}/runs", count=count),
        ("planned", "state", "delivery", "session", "error"),
        _run_row,
        none=f"{name} has not run yet.",
        json=json,
    )


def _run_row(run: dict[str, Any]) -> tuple[str, ...]:
    return (
        clock(run["planned_at"], run["zone"]),
        run["state"],
        run["delivery"],
        run["session_id"] or "-",
        run["error"] or "",
    )


app.command()(jobs_making.run)
app.command()(jobs_making.pause)
app.command()(jobs_making.resume)
app.command()(jobs_making.rm)
app.command("next")(jobs_clock.next_times)
