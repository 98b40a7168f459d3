"""`parley config`: what the gateway was told."""

from __future__ import annotations

from collections.abc import Iterator
from json import dumps
from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.client import settings_of
from gateway.cli.options import AsJson, Config

app = typer.Typer(
    no_args_is_help=True,
    help="""What the gateway was told.

    That is parley.toml, and PARLEY_... in the environment, which wins; the defaults hold for everything else.
    """,
)


@app.command()
def check(config: Config = None, json: AsJson = False) -> None:
    """Say what is wrong with the configuration.

    One line for each problem, with what to do; the exit code is 2 if there is any.

    \b
    Examples:
      parley config check
      parley config check -c /etc/parley.toml --json && systemctl reload parley
    """
    from gateway.config_file import SettingsError

    try:
        settings = settings_of(config)
    except SettingsError as error:
        if not json:
            raise
        show.as_json({"ok": False, "problems": [_fields(each) for each in error.problems], "warnings": []})
        raise typer.Exit(2) from None
    if json:
        show.as_json({"ok": True, "problems": [], "warnings": [_fields(each) for each in settings.warnings]})
        return
    for warning in settings.warnings:
        print(f"! {warning}")
    print(f"{settings.source or 'The defaults (there is no parley.toml here)'}: all right")


def _fields(problem: Any) -> dict[str, str]:
    return {"where": problem.where, "what": problem.what, "remedy": problem.remedy}


@app.command("show")
def effective(
    example: Annotated[
        bool, typer.Option("--example", help="Print every setting there is, explained.", show_default=False)
    ] = False,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """The settings as they hold, *** for secrets.

    \b
    Examples:
      parley config show
      parley config show --json | jq .channels.telegram.gap_minutes
      parley config show --example > parley.toml
    """
    from gateway.settings import example_text, redacted

    if example:
        print(example_text(), end="")
        return
    values = redacted(settings_of(config))
    if json:
        show.as_json(values)
    else:
        print("\n".join(toml(values)).strip())


def toml(values: dict[str, Any], path: str = "") -> Iterator[str]:
    """Lines of TOML; keys that are None are left out, as in a file."""
    tables = {name: value for name, value in values.items() if isinstance(value, dict)}
    lists = {name: value for name, value in values.items() if _of_tables(value)}
    for name, value in values.items():
        if name not in tables and name not in lists and value is not None:
            yield f"{_key(name)} = {dumps(value, ensure_ascii=False)}"
    for name, value in tables.items():
        inside = f"{path}{_key(name)}"
        if value:
            yield from (
                ("", f"[{inside}]") if not all(isinstance(each, dict) for each in value.values()) else ()
            )
            yield from toml(value, f"{inside}.")
    for name, value in lists.items():
        for each in value:
            yield from ("", f"[[{path}{_key(name)}]]")
            yield from toml(each, f"{path}{_key(name)}.")


def _of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(each, dict) for each in value)


def _key(name: str) -> str:
    return name if name.replace("-", "").replace("_", "").isalnum() and name.isascii() else dumps(name)
