"""`parley digest`: who has yesterday summed up every day."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.client import asked
from gateway.cli.jobs_clock import clock
from gateway.cli.options import AsJson, Config

app = typer.Typer(
    no_args_is_help=True,
    help="""Who has yesterday summed up every day.

    A digest tells of conversations, unread results, what waits for an answer, what ran by itself and what it cost.
    People set theirs in a chat, with /digest on 8:00. Here the operator does it for somebody who has written to the
    gateway before, or for a group; a [[jobs]] table of kind "digest" in parley.toml does it for good.
    """,
)

To = Annotated[
    str, typer.Argument(metavar="ADDRESS", help="As telegram:12345, a person or a group; main: the terminal.")
]


@app.command("list")
def all_digests(config: Config = None, json: AsJson = False) -> None:
    """Every digest, for whom, and when it comes next.

    \b
    Examples:
      parley digest list
      parley digest list --json
    """
    show.listed(
        asked(config, "GET", "/v1/digests"),
        ("name", "for", "goes to", "zone", "next", "last"),
        _row,
        none="No digest is set. Set one with: parley digest on ADDRESS 8:00",
        json=json,
    )


def _row(digest: dict[str, Any]) -> tuple[str, ...]:
    return (
        digest["name"],
        digest["owner"] or "everybody there",
        digest["chat"],
        digest["zone"],
        clock(digest["next_at"], digest["zone"]) if digest["next_at"] is not None else "off",
        f"{digest['last_state']}, {show.ago(digest['last_planned_at'])}" if digest["last_state"] else "-",
    )


@app.command("on")
def turn_on(
    to: To,
    at: Annotated[
        str | None, typer.Argument(metavar="TIME", help="As 8:00. Left out: as it was, at first 8:00.")
    ] = None,
    zone: Annotated[
        str | None, typer.Option(help="IANA time zone. Left out: as it was, at first [gateway] timezone.")
    ] = None,
    bill: Annotated[
        bool, typer.Option("--bill", help="With everybody's bill, for admins in a private chat.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", help="Pass over a day on which nothing happened.")
    ] = False,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Have a digest come there every day.

    \b
    Examples:
      parley digest on telegram:12345 8:00 --zone Europe/Berlin
      parley digest on telegram:-100123 18:00 --quiet
      parley digest on main 7:30 --bill
    """
    found = asked(config, "POST", "/v1/digests", to=to, at=at, zone=zone, bill=bill, silent=quiet)
    next_at = clock(found["next_at"], found["zone"])
    show.told(
        found, f"{found['name']}: every day, by the clock of {found['zone']}; next {next_at}", json=json
    )


@app.command("off")
def turn_off(to: To, config: Config = None, json: AsJson = False) -> None:
    """Let none come there any more.

    \b
    Examples:
      parley digest off telegram:12345
    """
    found = asked(config, "POST", "/v1/digests/off", to=to)
    show.told(found, "It comes no more." if found["was_on"] else "None came there.", json=json)


@app.command("now")
def now(to: To, config: Config = None, json: AsJson = False) -> None:
    """Send one at once, of yesterday and today so far, also where none comes by itself.

    \b
    Examples:
      parley digest now telegram:12345
    """
    found = asked(config, "POST", "/v1/digests/now", to=to)
    show.told(found, "It is being made; what comes of it: parley digest list", json=json)
