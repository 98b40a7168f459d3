"""`parley jobs add`, `run`, `pause`, `resume`, `rm`: what changes something about a job."""

from __future__ import annotations

import sys
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli import show
from gateway.cli.client import asked
from gateway.cli.jobs_clock import times, when
from gateway.cli.options import AsJson, Config

Name = Annotated[str, typer.Argument(metavar="NAME", help="The job's name.")]
Schedule = Annotated[
    str,
    typer.Argument(
        metavar="SCHEDULE",
        help='"0 9 * * MON-FRI", "@daily", "every 90m", "at 2026-12-01 09:00", "every weekday at 8:00".',
    ),
]


def add(
    schedule: Schedule,
    prompt: Annotated[
        str, typer.Argument(metavar="PROMPT", help="What the agent is asked; - reads it from stdin.")
    ],
    name: Annotated[str | None, typer.Option(help="Unique. Left out: one is found.")] = None,
    zone: Annotated[str | None, typer.Option(help="IANA time zone. Left out: [gateway] timezone.")] = None,
    to: Annotated[
        list[str] | None,
        typer.Option(
            metavar="TARGET",
            help="Where the answer goes: telegram:12345, discord:CHANNEL, main, none; may be repeated. Left out: main.",
        ),
    ] = None,
    session: Annotated[
        str | None,
        typer.Option(help="isolated: each run has its own. chat: that of the one chat it delivers to."),
    ] = None,
    catch_up: Annotated[
        str | None,
        typer.Option(help="What becomes of missed times: none, last (within 2 h) or all (up to 3)."),
    ] = None,
    overlap: Annotated[str | None, typer.Option(help="While the run before goes on: skip or queue.")] = None,
    timeout: Annotated[float | None, typer.Option(help="Seconds that a run may take.")] = None,
    retries: Annotated[int | None, typer.Option(help="After a failure: 0 to 3.")] = None,
    model: Annotated[str | None, typer.Option(help="As provider:model. Left out: the usual one.")] = None,
    mention: Annotated[
        str | None, typer.Option(help="Id of the role that the answer calls on Discord.")
    ] = None,
    silent: Annotated[
        bool,
        typer.Option("--silent", help="Deliver nothing when there is nothing to report.", show_default=False),
    ] = False,
    paused: Annotated[bool, typer.Option("--paused", help="Do not run it yet.", show_default=False)] = False,
    budget_day: Annotated[
        str | None, typer.Option(metavar="DOLLARS", help="What it may cost in a day.")
    ] = None,
    budget_month: Annotated[
        str | None, typer.Option(metavar="DOLLARS", help="What it may cost in a month.")
    ] = None,
    check: Annotated[
        bool, typer.Option("--check", help="Make nothing; show what it would be.", show_default=False)
    ] = False,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Make a job, and show when it runs next.

    It is the operator's: no limits of people hold for it.

    \b
    Examples:
      parley jobs add "every weekday at 8:00" "What is in the news?" --zone Europe/Berlin
      parley jobs add "0 9 1 * *" "Sum up the month." --name report --to telegram:12345 --to main
      parley jobs add "in 20m" "Tell me to stretch." --check
    """
    targets = None if to is None else [each for each in to if each != "none"]
    made: dict[str, Any] = asked(
        config,
        "POST",
        "/v1/jobs/check" if check else "/v1/jobs",
        schedule=schedule,
        prompt=sys.stdin.read() if prompt == "-" else prompt,
        name=name,
        zone=zone,
        deliver_to=targets,
        session=session,
        catch_up=catch_up,
        overlap=overlap,
        timeout_seconds=timeout,
        retries=retries,
        model=model,
        mention=mention,
        silent=silent or None,
        enabled=False if paused else None,
        budget_day=budget_day,
        budget_month=budget_month,
    )
    if json:
        show.as_json(made)
        return
    print(f"{made['name']} {'would run' if check else 'runs'} {when(made)}.")
    times(made)
    if not check:
        print(f"Try it now: parley jobs run {made['name']}")


def run(
    name: Name,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Run a job now, besides its schedule.

    \b
    Examples:
      parley jobs run morning
    """
    found = asked(config, "POST", f"/v1/jobs/{quoted(name)}/run")
    show.told(found, f"{name} is running; what comes of it: parley jobs history {name}", json=json)


def pause(name: Name, config: Config = None, json: AsJson = False) -> None:
    """Let a job run no more until it is resumed.

    It holds over restarts. What is running goes on; `parley jobs run` still runs it by hand.

    \b
    Examples:
      parley jobs pause morning
    """
    found = asked(config, "POST", f"/v1/jobs/{quoted(name)}/pause")
    show.told(found, f"{name} is paused. Go on with: parley jobs resume {name}", json=json)


def resume(name: Name, config: Config = None, json: AsJson = False) -> None:
    """Let a paused or disabled job run again.

    From now on: what was missed meanwhile is not made up for.

    \b
    Examples:
      parley jobs resume morning
    """
    found = asked(config, "POST", f"/v1/jobs/{quoted(name)}/resume")
    if json:
        show.as_json(found)
        return
    print(f"{name} runs {when(found)}.")
    times(found)


def rm(name: Name, config: Config = None, json: AsJson = False) -> None:
    """Remove a job. What it did stays in its history; one of parley.toml is removed there.

    \b
    Examples:
      parley jobs rm morning
    """
    found = asked(config, "DELETE", f"/v1/jobs/{quoted(name)}")
    show.told(found, f"{name} is removed. What it did: parley jobs history {name}", json=json)


def quoted(name: str) -> str:
    """As a part of a path."""
    return quote(name, safe="")
