"""`parley costs`: the bill."""

from __future__ import annotations

import sys
import time
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.client import asked, settings_of
from gateway.cli.options import AsJson, Config
from gateway.errors import Refused

SHOWN = ("requests", "turns", "input", "cache read", "cache write", "output", "cost")
HEADINGS = (*SHOWN, "saved", "estimated", "estimated cost", "unpriced")
MONEY = ("cost", "saved", "estimated cost")
BAR = 20  # characters of the dearest line
EIGHTHS = " ▏▎▍▌▋▊▉█"
USUAL = "30d"
TIMES = "today, 7d, 30d, 90d, all, 2026-11-01 or 2026-11-01..2026-11-15"


class By(StrEnum):
    USER = "user"
    MODEL = "model"
    DAY = "day"
    CHANNEL = "channel"
    CHAT = "chat"
    TRIGGER = "trigger"
    PURPOSE = "purpose"
    SESSION = "session"
    TURN = "turn"
    TOOL = "tool"


def costs(
    period: Annotated[
        str | None, typer.Argument(help=f"{TIMES}; {USUAL} when none is given.", show_default=False)
    ] = None,
    by: Annotated[By, typer.Option(help="What the lines stand for.")] = By.MODEL,
    since: Annotated[
        str | None, typer.Option(help="The same as PERIOD.", metavar="PERIOD", show_default=False)
    ] = None,
    csv: Annotated[
        str | None,
        typer.Option("--csv", help="Write CSV, for spreadsheets; - prints it.", metavar="FILE|-"),
    ] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """What was spent, on what and by whom.

    Amounts are US dollars, at the prices of the day of each request. Days are those of the gateway's time zone, both
    dates included. `parley costs reconcile FILE` compares them with what a provider says.

    \b
    Examples:
      parley costs
      parley costs today --by user
      parley costs 2026-11-01..2026-11-30 --by day --csv november.csv
      parley costs all --json | jq .total.cost_usd
    """
    if period and since:
        raise Refused("write the period once: as an argument or after --since")
    if csv is not None and json:
        raise Refused("write --csv or --json, not both")
    wanted = period or since or USUAL
    settings = settings_of(config)
    begin, end = bounds(wanted, settings.gateway.timezone, time.time_ns() // 1000)
    only = None if json and by is not By.TURN else by.value  # turns are told when they are asked for
    bill: dict[str, Any] = asked(settings, "GET", "/v1/costs", since=begin, until=end, by=only)
    if json:
        show.as_json(bill)
        return
    names, rows = lines(bill, by)
    if csv is not None:
        write_csv(csv, names, rows)
        return
    total = bill["total"]
    if not total["requests"] and not rows:
        ever = "Nothing was spent yet."
        print(ever if wanted == "all" else f"Nothing was spent ({wanted}). Earlier: parley costs all")
        return
    if not rows:
        print("No tool was called in that time.")
        return
    _table(names, rows, total)
    for note in notes(total):
        print(note)


def _table(names: tuple[str, ...], rows: list[tuple[Any, ...]], total: dict[str, Any]) -> None:
    count = 1 + len(SHOWN) if "requests" in names else len(names)
    heads = names[:count]
    shown = [[cell(name, value) for name, value in zip(heads, row, strict=False)] for row in rows]
    right = range(1, count)
    if "requests" not in names:
        show.table(heads, shown, right=right)
        return
    sums = ("total", *_sums(total))
    feet = [cell(name, value) for name, value in zip(heads, sums, strict=False)]
    amounts = [row[count - 1] or 0 for row in rows]
    bars = [bar(amount, max(amounts)) for amount in amounts]
    drawn = [[*row, each] for row, each in zip(shown, bars, strict=True)]
    show.table((*heads, ""), drawn, right=right, foot=[*feet, ""])


def bar(amount: int, most: int) -> str:
    """As long as *amount* is of *most*, to an eighth of a character; what is not 0 is never shown as nothing."""
    if most <= 0 or amount <= 0:
        return ""
    full, rest = divmod(max(round(amount * BAR * 8 / most), 1), 8)
    return "█" * full + EIGHTHS[rest].strip()


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
        raise Refused(f"{since!r} is no time; write {TIMES}") from None
    return asked.since, asked.until


def lines(bill: dict[str, Any], by: By) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """Column names and rows; counts as numbers, cost in nano-dollars (None: not priced)."""
    found = bill[f"by_{by}"]
    if by is By.DAY:
        return ("day", *HEADINGS), [(each["date"], *_sums(each["usage"])) for each in found]
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
    counted = (usage["requests"], usage["turns"], sent, tokens["read"], written, tokens["output"])
    return (*counted, cost, usage["saved"], usage["estimated"], usage["estimated_cost"], usage["unpriced"])


def cell(name: str, value: Any) -> str:
    if name in MONEY:
        return "unpriced" if value is None else show.dollars(value)
    return show.count(value) if isinstance(value, int) else str(value)


def notes(total: dict[str, Any]) -> list[str]:
    """What the sum leaves out or only estimates."""
    found = []
    if total["tokens"]["read"] or total["tokens"]["write_5m"] or total["tokens"]["write_1h"]:
        found.append(_cached(total))
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


def _cached(total: dict[str, Any]) -> str:
    read = f"Cache: {100 * (total['cache_share'] or 0):.0f} % of the input was read from it"
    saved = total["saved"] or 0
    if saved < 0:
        return f"{read}; writing it cost {show.dollars(-saved)} more than that saved."
    return f"{read}, which saved {show.dollars(saved)}."


def write_csv(path: str, names: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
    """Dollars in full, so that sums of lines are exact. Raises Refused when the file cannot be written."""
    from csv import writer
    from io import StringIO

    text = StringIO()
    out = writer(text, lineterminator="\n")
    out.writerow([(f"{name}_usd" if _money(name) else name).replace(" ", "_") for name in names])
    for row in rows:
        values = zip(names, row, strict=True)
        out.writerow([_exact(value) if _money(name) else _harmless(value) for name, value in values])
    if path == "-":
        sys.stdout.write(text.getvalue())
        return
    try:
        Path(path).write_text(text.getvalue(), "utf-8")
    except OSError as error:
        raise Refused(f"{path}: {error.strerror}") from None
    print(f"Written: {path} ({show.many(len(rows), 'line')})")


def _money(name: str) -> bool:
    return name in MONEY or name.endswith(" cost")


def _harmless(value: Any) -> Any:
    """A spreadsheet takes a text that begins so for a formula, and names are what people call themselves."""
    return (
        f"'{value}"
        if isinstance(value, str) and value.startswith(("=", "+", "-", "@", "\t", "\r"))
        else value
    )


def _exact(nano: int | None) -> str:
    from decimal import Decimal

    return "" if nano is None else f"{Decimal(nano) / show.NANO:f}"
