"""`parley costs reconcile`: the ledger beside what a provider says was used."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway.cli import costs, show
from gateway.cli.client import asked, settings_of
from gateway.cli.options import AsJson, Config
from gateway.errors import Locked, Refused, StoreError

LARGEST = 1_040_000  # bytes as JSON; the gateway takes 1 MiB in one request
KINDS = {
    "uncached": "input",
    "read": "cache read",
    "write_5m": "cache write (5 min)",
    "write_1h": "cache write (1 h)",
    "output": "output",
}
VERDICTS = {
    "estimated": "within what was estimated",
    "differs": "differs",
    "theirs": "only they have it",
    "ours": "only we have it",
}
NAMES = ("day", "model", "what", "theirs", "ours", "estimated", "difference", "")


class Bill(TyperGroup):
    """`parley costs today` is `parley costs show today`."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        return super().parse_args(ctx, args if args and args[0] in self.commands else ["show", *args])


app = typer.Typer(cls=Bill, help="What was spent, and whether the provider agrees.")
app.command("show")(costs.costs)


@app.command()
def reconcile(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The export; - reads it from standard input.")],
    zone: Annotated[
        str,
        typer.Option(help="Whose days to compare. Another one than UTC needs an export by hour or minute."),
    ] = "UTC",
    provider: Annotated[
        list[str] | None,
        typer.Option(
            help="A provider of yours to compare with, instead of those at the vendor's own address. May be repeated.",
            metavar="NAME",
            show_default=False,
        ),
    ] = None,
    all: Annotated[bool, typer.Option("--all", help="Also show what is equal.")] = False,
    csv: Annotated[
        str | None, typer.Option("--csv", help="Write all lines as CSV; - prints it.", metavar="FILE|-")
    ] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Compare the bill with a provider's usage or cost export, by day and model.

    Understood are, by content: Anthropic's usage report (messages) and cost report (Admin API, JSON), the Console's
    usage and cost CSV; OpenAI's usage of completions and costs (API, JSON), and their CSV. Several JSON answers in one
    file are one export. Ask for them by model (group_by model, description or line_item); else whole days are compared.

    Requests that were broken off are estimated from above: what the provider says may be less, and is no difference
    then. Snapshots of a model count as the model. A request at midnight may be on another day there.

    The exit code is 0 if both agree, 1 if they differ, 2 if the export cannot be read.

    \b
    Examples:
      parley costs reconcile claude_api_tokens_2026_11.csv
      parley costs reconcile costs.json --all
      parley costs reconcile usage.json --provider proxy --json | jq .agrees
      curl -s "$URL" -H "x-api-key: $ADMIN_KEY" -H "anthropic-version: 2023-06-01" | parley costs reconcile -
    where URL is https://api.anthropic.com/v1/organizations/usage_report/messages?group_by[]=model&limit=31 and
    &starting_at=2026-11-01T00:00:00Z behind it
    """
    try:
        if csv is not None and json:
            raise Refused("write --csv or --json, not both")
        settings = settings_of(config)
        found: dict[str, Any] = asked(
            settings, "POST", "/v1/costs/reconcile", export=_text(file), zone=zone, providers=provider or []
        )
    except Refused as error:
        if isinstance(error, Locked | StoreError):
            raise
        show.error(f"parley: {file}: {str(error).removeprefix('export: ')}")
        raise typer.Exit(2) from None
    if json:
        show.as_json(found)
    elif csv is not None:
        names, rows = table(found["lines"])
        costs.write_csv(csv, names, rows)
    else:
        _print(found, everything=all)
    if not found["agrees"]:
        raise typer.Exit(1)


def _text(file: Path) -> str:
    """Raises Refused."""
    try:
        data = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        if len(data) > LARGEST:
            raise Refused(
                f"it is larger than {show.size(LARGEST)}; export by the day, or fewer days at a time"
            )
        return data.decode("utf-8-sig")
    except OSError as error:
        raise Refused(error.strerror or "cannot be read") from None
    except UnicodeDecodeError:
        raise Refused("it is no text in UTF-8; a spreadsheet must be saved as CSV in UTF-8") from None


def _print(found: dict[str, Any], *, everything: bool) -> None:
    names = ", ".join(found["providers"])
    print(f"{found['title'][0].upper()}{found['title'][1:]} beside the ledger of: {names}")
    print(f"{found['first']} to {found['last']}, days of {found['zone']}\n")
    shown = [line for line in found["lines"] if everything or line["verdict"] != "equal"]
    rows = [row for line in shown for row in rows_of(line, everything=everything)]
    if rows:
        show.table(NAMES, rows, right=range(3, 7))
    print(summary(found["lines"]))
    for note in found["notes"]:
        print(show.safe(note))


def rows_of(line: dict[str, Any], *, everything: bool = False) -> Iterator[tuple[str, ...]]:
    """A row for each kind of token, and for money, that is not equal."""
    verdict = VERDICTS.get(line["verdict"], "")
    for what, theirs, known, rough in _measures(line):
        unpriced = what == "cost" and (line["known"]["unpriced"] or line["estimated"]["unpriced"])
        off = abs(theirs - known) > (line["slack"] if what == "cost" else 0)
        if not (off or rough or unpriced or everything):
            continue
        told = costs.cell(what, theirs), costs.cell(what, known), costs.cell(what, rough) if rough else ""
        shown = f"{'+' if theirs > known else '-'}{costs.cell(what, abs(theirs - known))}" if off else ""
        remark = f"{show.many(unpriced, 'request')} unpriced" if unpriced else verdict
        yield line["day"], line["model"] or "(all models)", KINDS.get(what, what), *told, shown, remark


def _measures(line: dict[str, Any]) -> Iterator[tuple[str, int, int, int]]:
    """(what, theirs, ours known, ours estimated) of all that the export tells of."""
    sides = [line[side] for side in ("theirs", "known", "estimated")]
    if line["theirs"]["tokens"] is not None:
        for kind in KINDS:
            yield kind, *(side["tokens"][kind] for side in sides)
    if line["theirs"]["cost"] is not None:
        yield "cost", *(side["cost"] for side in sides)


def summary(lines: list[dict[str, Any]]) -> str:
    counted = {name: sum(line["verdict"] == name for line in lines) for name in ("equal", *VERDICTS)}
    if not lines:
        return "Nothing was used, says either side."
    parts = [f"{counted['equal']} equal"] if counted["equal"] else []
    parts += [f"{counted[name]} {text}" for name, text in VERDICTS.items() if counted[name]]
    return f"{show.many(len(lines), 'line')} (a model on a day): {', '.join(parts)}."


def table(lines: list[dict[str, Any]]) -> tuple[tuple[str, ...], list[tuple[Any, ...]]]:
    """For spreadsheets: every line with all that is known of it."""
    sides = ("theirs", "known", "estimated")
    names = (
        "day",
        "model",
        "verdict",
        *(f"{side} {what}" for side in sides for what in (*KINDS, "requests", "cost")),
    )
    rows = []
    for line in lines:
        cells: list[Any] = [line["day"], line["model"], line["verdict"]]
        for side in sides:
            tokens = line[side]["tokens"]
            cells += ["" if tokens is None else tokens[kind] for kind in KINDS]
            cells += [line[side]["requests"], line[side]["cost"]]
        rows.append(tuple(cells))
    return names, rows
