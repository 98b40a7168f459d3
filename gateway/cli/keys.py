"""`parley keys`: who may come in over HTTP; `parley api`: what they can ask there."""

from __future__ import annotations

import re
from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.client import asked
from gateway.cli.options import AsJson, Config
from gateway.errors import Refused

app = typer.Typer(
    no_args_is_help=True,
    help="""Keys of the HTTP API.

    Over TCP ([web] port) a program shows its key as the header Authorization: Bearer KEY. A key belongs to a
    person: what is asked with it is asked as that person, on their bill and with their rights. From the first
    key on, nobody comes in over TCP without one. The Unix socket in the data folder needs none.
    """,
)


@app.command("list")
def everything(config: Config = None, json: AsJson = False) -> None:
    """All keys that were ever made, without their secrets.

    \b
    Examples:
      parley keys list
      parley keys list --json | jq -r '.[] | select(.state == "valid") | .prefix'
    """
    keys: list[dict[str, Any]] = asked(config, "GET", "/v1/keys")
    if json:
        show.as_json(keys)
    elif not keys:
        print("No key was made yet. Make one with: parley keys add --name WHAT-FOR")
    else:
        rows = [
            (
                each["prefix"],
                each["name"] or "-",
                each["who"],
                each["scope"],
                each["state"],
                show.when(each["expires"]) if each["expires"] else "never",
                show.ago(each["used"]) if each["used"] else "never",
            )
            for each in keys
        ]
        show.table(("key", "name", "whose", "scope", "state", "expires", "used"), rows)


@app.command()
def add(
    scope: Annotated[
        str,
        typer.Option(
            metavar="SCOPE",
            help="read looks; operate does what a person in a chat may do; admin changes the gateway.",
        ),
    ] = "read",
    who: Annotated[
        str,
        typer.Option(
            "--for",
            metavar="ADDRESS",
            help="Whose it is, as telegram:12345; left out: yours, who have the machine.",
            show_default=False,
        ),
    ] = "",
    name: Annotated[
        str, typer.Option(metavar="TEXT", help="What it is for, shown in the list.", show_default=False)
    ] = "",
    expires: Annotated[
        str,
        typer.Option(
            metavar="WHEN",
            help="90d, 12h or YYYY-MM-DD; left out: it holds until it is revoked.",
            show_default=False,
        ),
    ] = "",
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Make a key. Its secret is printed this once; nobody can show it again.

    \b
    Examples:
      parley keys add --name grafana --expires 365d
      parley keys add --for telegram:12345 --scope operate --name "Ada's editor"
      KEY=$(parley keys add --scope operate --json | jq -r .secret)
    """
    made: dict[str, Any] = asked(
        config, "POST", "/v1/keys", scope=scope, who=who or None, name=name, expires=expires or None
    )
    if json:
        show.as_json(made)
        return
    key = made["key"]
    print(made["secret"])
    until = f"until {show.when(key['expires'])}" if key["expires"] else "until it is revoked"
    show.error(
        f"This is shown once. {key['scope']}, for {key['who']}, {until}: parley keys revoke {key['prefix']}"
    )


@app.command()
def revoke(
    prefix: Annotated[
        str, typer.Argument(metavar="KEY", help="The eight characters by which the list calls it.")
    ],
    config: Config = None,
    json: AsJson = False,
) -> None:
    """No request with that key is let in any more, from the next one on.

    \b
    Examples:
      parley keys revoke k3jd92mx
      parley keys revoke parley_k3jd92mx_9kX...
    """
    key: dict[str, Any] = asked(config, "POST", f"/v1/keys/{_part(prefix)}/revoke")
    if json:
        show.as_json(key)
    else:
        print(f"{key['prefix']} of {key['who']} is revoked.")


def api(config: Config = None) -> None:
    """Print the description of the HTTP API, an OpenAPI 3.1 document.

    \b
    Examples:
      parley api > openapi.json
      parley api | jq '.paths | keys'
    """
    show.as_json(asked(config, "GET", "/v1/openapi.json"))


def _part(typed: str) -> str:
    """What the key is called by, also of a whole one: the rest of it is to stand in nobody's log of requests."""
    found = re.fullmatch(r"(?:parley_)?([a-z0-9]+)(?:_[\w-]*)?", typed.strip(), re.ASCII)
    if found is None:
        raise Refused(f"There is no key {typed[:40]!r}; see: parley keys list")
    return found[1]
