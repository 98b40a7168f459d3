"""`parley budget`: how much may be spent."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.client import asked
from gateway.cli.options import AsJson, Config

app = typer.Typer(
    no_args_is_help=True,
    help="""How much may be spent, by whom and how long.

    What is set here goes before [budgets] in the configuration, from the next request on, without a restart.
    What was spent is summed from the ledger.
    """,
)

Scope = Annotated[
    str, typer.Argument(metavar="SCOPE", help="person, chat, session, job, channel, gateway or request.")
]
Id = Annotated[
    str,
    typer.Argument(metavar="ID", help="An address, a session's code, a job's or channel's name; * for all."),
]


@app.command("show")
def show_budgets(
    scope: Annotated[str, typer.Argument(metavar="SCOPE", help="Left out: all.", show_default=False)] = "",
    id: Annotated[str, typer.Argument(metavar="ID", help="As for set.", show_default=False)] = "",
    config: Config = None,
    json: AsJson = False,
) -> None:
    """What is spent and left: of everything together and of all that was set by command, or of one.

    \b
    Examples:
      parley budget show
      parley budget show person telegram:12345
      parley budget show gateway "*" --json
    """
    found: list[dict[str, Any]] = asked(config, "GET", "/v1/budgets", scope=scope or None, id=id or None)
    if json:
        show.as_json(found)
    elif not found:
        print("No budget is set there. Set one with: parley budget set SCOPE ID PERIOD AMOUNT")
    else:
        rows = [(each["scope"], each["id"], each["period"], *_amounts(each), _origin(each)) for each in found]
        names = ("scope", "id", "period", "spent", "reserved", "left", "cap", "from")
        show.table(names, rows, right=(3, 4, 5, 6))


def _amounts(budget: dict[str, Any]) -> tuple[str, str, str, str]:
    """Spent, reserved, left and cap; of a cap for all nothing can be said to be spent."""
    spent, reserved, cap = budget["spent"], budget["reserved"], budget["cap"]
    if budget["id"] == "*" and budget["scope"] not in ("gateway", "request"):
        return "-", "-", "-", show.dollars(cap)
    left = max(0, cap - spent - reserved)
    return show.dollars(spent), show.dollars(reserved), show.dollars(left), show.dollars(cap)


def _origin(budget: dict[str, Any]) -> str:
    """Where the cap comes from."""
    named = {"own": "set", "all": "set for *", "role": f"role {budget['role']}", "config": "configuration"}
    return named[budget["source"]]


@app.command("set")
def set_budget(
    scope: Scope,
    id: Id,
    period: Annotated[
        str, typer.Argument(metavar="PERIOD", help="day or month; total of a session or a request.")
    ],
    amount: Annotated[
        str, typer.Argument(metavar="AMOUNT", help="US dollars; off: no cap; default: as configured.")
    ],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Set how much may be spent; it is noted in the audit trail.

    \b
    Examples:
      parley budget set person telegram:12345 day 2.50
      parley budget set person "*" month 20
      parley budget set chat telegram:-100123 day off
      parley budget set gateway "*" month default
    """
    done: dict[str, Any] = asked(
        config, "POST", "/v1/budgets", scope=scope, id=id, period=period, amount=amount
    )
    if json:
        show.as_json(done)
        return
    usual = "as configured" if done["configured"] else "no cap"
    cap = usual if done["cap"] is None else show.dollars(done["cap"])
    print(show.safe(f"{done['scope']} {done['id']} {done['period']}: {cap}"))
