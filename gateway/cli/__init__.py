"""The command line: one file for each group of commands. Everything heavy is imported inside functions."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from gateway import __version__
from gateway.cli import (
    budget,
    chat,
    config,
    digest,
    doctor,
    halt,
    imports,
    init,
    jobs,
    keys,
    people,
    prices,
    reconcile,
    run,
    send,
    service,
    sessions,
    tidy,
    upkeep,
)
from gateway.cli.options import Config
from gateway.errors import Locked, ParleyError, StoreError

ORDER = (
    "init",
    "import",
    "run",
    "chat",
    "send",
    "doctor",
    "people",
    "sessions",
    "costs",
    "budget",
    "prices",
    "jobs",
    "digest",
    "keys",
    "api",
    "config",
    "halt",
    "unhalt",
    "reload",
    "service",
    "backup",
    "restore",
    "tidy",
    "migrate",
)


class Commands(TyperGroup):
    """The commands in the order of a newcomer's needs; what fails on purpose is told in lines, without a trace."""

    def list_commands(self, ctx: Any) -> list[str]:
        return sorted(super().list_commands(ctx), key=ORDER.index)

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except ParleyError as error:
            print(f"parley: {error}" if exit_code(error) != 2 else str(error), file=sys.stderr)
            raise typer.Exit(exit_code(error)) from None


def exit_code(error: ParleyError) -> int:
    """2: the configuration; 3: another process has the data folder; 4: the database; 1: anything else."""
    from gateway.config_file import SettingsError

    if isinstance(error, SettingsError):
        return 2
    if isinstance(error, Locked):
        return 3
    return 4 if isinstance(error, StoreError) else 1


def _version(wanted: bool) -> None:
    if wanted:
        print(f"parley {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="parley",
    cls=Commands,
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: copies well, and comes without loading rich
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["--help", "-h"], "max_content_width": 110},
)


@app.callback()
def parley(
    config: Config = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", callback=_version, is_eager=True, show_default=False
        ),
    ] = False,
) -> None:
    """A gateway between people on chat platforms and an LLM agent.

    \b
    From nothing to an answer on Telegram:
      parley init      asks for your keys, checks them and writes parley.toml
      parley run       starts; write to your bot, or right here

    \b
    Without any set-up `parley run` answers in the terminal, by an offline demo.
    `parley COMMAND --help` explains each command with examples.
    """


app.command()(init.init)
app.command("import")(imports.take_over)
app.command()(run.run)
app.command()(chat.chat)
app.command()(send.send)
app.command()(doctor.doctor)
app.add_typer(people.app, name="people")
app.add_typer(sessions.app, name="sessions")
app.add_typer(reconcile.app, name="costs")
app.add_typer(budget.app, name="budget")
app.add_typer(prices.app, name="prices")
app.add_typer(jobs.app, name="jobs")
app.add_typer(digest.app, name="digest")
app.add_typer(keys.app, name="keys")
app.command()(keys.api)
app.add_typer(config.app, name="config")
app.command()(halt.halt)
app.command()(halt.unhalt)
app.command()(upkeep.reload)
app.add_typer(service.app, name="service")
app.command()(upkeep.backup)
app.command()(upkeep.restore)
app.command()(tidy.tidy)
app.command()(upkeep.migrate)


def main() -> None:
    """The command `parley`."""
    app(prog_name="parley")
