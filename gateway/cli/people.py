"""`parley people`: who may talk to the gateway."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.client import asked
from gateway.cli.options import AsJson, Config, Yes

app = typer.Typer(
    no_args_is_help=True,
    help="""Who may talk to the gateway, and as what.

    A person is named by channel and number, as telegram:12345; names change hands. Somebody who is not let in
    is told their own number by the bot, or a code where access = "pairing". Changes hold from the next message
    on, without a restart.
    """,
)

Who = Annotated[str, typer.Argument(metavar="ADDRESS", help="channel:number, as telegram:12345.")]


@app.command("list")
def everybody(config: Config = None, json: AsJson = False) -> None:
    """Everybody who ever wrote, and everybody who was let in.

    \b
    Examples:
      parley people list
      parley people list --json | jq -r '.[] | select(.state == "new") | .address'
    """
    members: list[dict[str, Any]] = asked(config, "GET", "/v1/people")
    if json:
        show.as_json(members)
    elif not members:
        print(
            "Nobody yet. Somebody who writes to the bot turns up here; let them in with: parley people allow ADDRESS"
        )
    else:
        rows = [
            (each["address"], each["name"] or "-", _state(each["state"]), each["role"] or "-")
            for each in members
        ]
        show.table(("address", "name", "state", "role"), rows)


@app.command()
def allow(
    address: Who,
    role: Annotated[str, typer.Option(help="owner (everything), admin or user.")] = "user",
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Let somebody in, also before they have ever written; or a group, in which those let in may then write.

    \b
    Examples:
      parley people allow telegram:12345
      parley people allow telegram:-100123
      parley people allow telegram:12345 --role owner
    """
    _told(asked(config, "POST", "/v1/people/allow", address=address, role=role), json)


@app.command()
def block(address: Who, config: Config = None, json: AsJson = False) -> None:
    """Answer this person no more, whatever the configuration allows.

    \b
    Examples:
      parley people block telegram:12345
      parley people allow telegram:12345      lets them in again
    """
    _told(asked(config, "POST", "/v1/people/block", address=address), json)


@app.command()
def role(
    address: Who,
    role: Annotated[str, typer.Argument(metavar="ROLE", help="owner, admin or user.")],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Give somebody who was let in another role.

    \b
    Examples:
      parley people role telegram:12345 admin
    """
    _told(asked(config, "POST", "/v1/people/role", address=address, role=role), json)


@app.command()
def requests(config: Config = None, json: AsJson = False) -> None:
    """Who asks to be let in, where access = "pairing".

    \b
    Examples:
      parley people requests
    """
    found: list[dict[str, Any]] = asked(config, "GET", "/v1/people/requests")
    if json:
        show.as_json(found)
    elif not found:
        print("Nobody asks to be let in.")
    else:
        rows = [(str(each["id"]), each["address"], each["name"] or "-") for each in found]
        show.table(("number", "address", "name"), rows)


@app.command()
def approve(
    code: Annotated[str, typer.Argument(metavar="CODE", help="What who asks was told by the bot.")],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Let in whoever was given that code.

    \b
    Examples:
      parley people approve ABCD2345
    """
    done = asked(config, "POST", "/v1/people/approve", code=code)
    _request(done, "is let in", json)


@app.command()
def refuse(
    number: Annotated[int, typer.Argument(metavar="NUMBER", help="As parley people requests shows it.")],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Do not let in who asks; they may ask again after a day.

    \b
    Examples:
      parley people refuse 3
    """
    done = asked(config, "POST", "/v1/people/refuse", request=number)
    _request(done, "is not let in", json)


@app.command()
def link(
    address: Who,
    to: Annotated[str, typer.Argument(metavar="PERSON", help="channel:number of who that is already.")],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Say that two accounts are one person: one role, one bill.

    \b
    Examples:
      parley people link discord:67890 telegram:12345
    """
    _told(asked(config, "POST", "/v1/people/link", address=address, to=to), json)


@app.command()
def unlink(address: Who, config: Config = None, json: AsJson = False) -> None:
    """Make an account what it was before it was linked.

    \b
    Examples:
      parley people unlink discord:67890
    """
    _told(asked(config, "POST", "/v1/people/unlink", address=address), json)


def _request(done: dict[str, Any], what: str, json: bool) -> None:
    if json:
        show.as_json(done)
    else:
        named = f" ({done['name']})" if done["name"] else ""
        print(f"{done['address']}{named} {what}")


def _told(member: dict[str, Any], json: bool) -> None:
    if json:
        show.as_json(member)
    else:
        named = f" ({member['name']})" if member["name"] else ""
        print(
            f"{member['address']}{named}: {_state(member['state'])}"
            + (f", {member['role']}" if member["role"] else "")
        )


def _state(state: str) -> str:
    return "not let in" if state == "new" else state


@app.command()
def export(address: Who, config: Config = None) -> None:
    """Everything there is of somebody, as JSON: who they are, their sessions, what they said in groups.

    \b
    Example:
      parley people export telegram:12345 > ann.json
    """
    show.as_json(asked(config, "GET", "/v1/data", address=address))


@app.command()
def erase(address: Who, yes: Yes = False, config: Config = None, json: AsJson = False) -> None:
    """Delete everything there is of somebody, for good. The bill stays, under a number; prints a receipt."""
    if not yes:
        typer.confirm(f"Delete everything there is of {address} for good?", abort=True)
    done: dict[str, Any] = asked(config, "DELETE", "/v1/data", address=address)
    if json:
        show.as_json(done)
        return
    gone = ", ".join(show.many(done[f"{noun}s"], noun) for noun in ("session", "message", "file"))
    kept = show.many(done["requests_kept"], "request")
    print(f"Deleted: {gone}. The bill keeps {kept}, as number {done['number']}.")
    if done["audit_kept"]:
        print(f"The audit trail keeps the address, in {show.many(done['audit_kept'], 'line')}.")
