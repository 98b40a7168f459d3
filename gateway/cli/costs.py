"""`parley costs`: the bill."""

from __future__ import annotations

import sys
import time
from datetime import date
from enum import StrEnum
from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.client import asked, settings_of
from gateway.cli.options import AsJson, Config
from gateway.errors import Refused

HEADINGS = ("requests", "turns", "input", "cache read", "cache write", "output", "cost")


class By(StrEnum):
    USER = "user"
    MODEL = "model"
    DAY = "day"
    CHANNEL = "channel"
    TRIGGER = "trigger"
    PURPOSE = "purpose"
    TOOL = "tool"


def costs(
    since: Annotated[
        str, typer.Option(help="today, 7d, 2026-11-01, 2026-11-01..2026-11-15 or all.", metavar="TIME")
    ] = "30d",
    by: Annotated[By, typer.Option(help="What the lines stand for.")] = By.MODEL,
    csv: Annotated[
        bool, typer.Option("--csv", help="Print CSV, for spreadsheets.", show_default=False)
    ] = False,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """What was spent, on what and by whom.

    Amounts are US dollars, at the prices of the day of each request.

    \b
    Examples:
      parley costs
      parley costs --since today --by user
      parley costs --since 2026-11-01 --by day --csv > november.csv
      parley costs --since all --json | jq .total.cost_usd
    """
    settings = settings_of(config)
    begin, end = bounds(since, settings.gateway.timezone, time.time_ns() // 1000)
    bill: dict[str, Any] = asked(settings, "GET", "/v1/costs", since=begin, until=end)
    if json:
        show.as_json(bill)
        return
    names, rows = lines(bill, by)
    if csv:
        _csv(names, rows)
        return
    total = bill["total"]
    if not total["requests"] and not rows:
        print(
            "Nothing was spent yet."
            if since == "all"
            else f"Nothing was spent ({since}). Earlier: --since all"
        )
        return
    if not rows:
        print("No tool was called in that time.")
        return
    shown = [[_cell(name, value) for name, value in zip(names, row, strict=True)] for row in rows]
    foot = ["total", *_sums(total)] if "requests" in names else []
    feet = [_cell(name, value) for name, value in zip(names, foot, strict=False)]
    if by is By.DAY:
        feet = ["total", show.dollars(total["cost"])]
    show.table(names, shown, right=range(1, len(names)), foot=feet)
    for note in notes(total):
        print(note)


def bounds(since: str, zone: str, now: int) -> tuple[int | None, int | None]:
    """From (inclusive) and until (exclusive) in microseconds UTC; None: no bound. Raises Refused."""
    from gateway.commands.period import asked as period
    from gateway.moments import midnight

    text = since.strip().lower()
    try:
        return midnight(date.fromisoformat(text), zone), None
    except ValueError:
        pass
    try:
        asked = period(text, now=now, zone=zone)
    except Refused:
        raise Refused(
            f"--since {since!r} is no time; write today, 7d, 2026-11-01, 2026-11-01..2026-11-15 or all"
        ) from None
    return asked.since, asked.until


def lines(bill: dict[str, Any], by: By) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Column names and rows; counts as numbers, cost in nano-dollars (None: not priced)."""
    found = bill[f"by_{by}"]
    if by is By.DAY:
        return ("day", "cost"), [(each["date"], each["cost"]) for each in found]
    if by is By.TOOL:
        return ("tool", "calls", "errors"), [
            (each["name"], each["invocations"], each["errors"]) for each in found
        ]
    return (by.value, *HEADINGS), [(_named(each["name"], by), *_sums(each["usage"])) for each in found]


def _named(name: str, by: By) -> str:
    return "(a person)" if by is By.TRIGGER and name in ("", "None") else name


def _sums(usage: dict[str, Any]) -> tuple[int | None, ...]:
    """*cost* None: no price is known for any of it."""
    tokens = usage["tokens"]
    sent = tokens["uncached"] + tokens["read"] + tokens["write_5m"] + tokens["write_1h"]
    cost = None if usage["unpriced"] and not usage["cost"] else usage["cost"]
    written = tokens["write_5m"] + tokens["write_1h"]
    return (usage["requests"], usage["turns"], sent, tokens["read"], written, tokens["output"], cost)


def _cell(name: str, value: Any) -> str:
    if name == "cost":
        return "unpriced" if value is None else show.dollars(value)
    return show.count(value) if isinstance(value, int) else str(value)


def notes(total: dict[str, Any]) -> list[str]:
    """What the sum leaves out or only estimates."""
    found = []
    if total["unpriced"]:
        found.append(
            f"No price is known for {show.many(total['unpriced'], 'request')}: not in the sum. "
            "Give the models a price in [providers.NAME.price]."
        )
    if total["estimated"]:
        found.append(f"Broken off: {show.many(total['estimated'], 'request')}; {_at_most(total)}.")
    return found


def _at_most(total: dict[str, Any]) -> str:
    if not total["estimated_cost"] and total["unpriced"]:  # what has no price cannot be said to cost nothing
        return "the tokens are the most that can have been used"
    return f"{show.dollars(total['estimated_cost'])} of the sum is the most that can have cost"


def _csv(names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Dollars in full, so that sums of lines are exact."""
    from csv import writer

    out = writer(sys.stdout, lineterminator="\n")
    out.writerow([f"{name}_usd" if name == "cost" else name.replace(" ", "_") for name in names])
    for row in rows:
        values = zip(names, row, strict=True)
        out.writerow([_exact(value) if name == "cost" else value for name, value in values])


def _exact(nano: int | None) -> str:
    from decimal import Decimal

    return "" if nano is None else f"{Decimal(nano) / show.NANO:f}"
