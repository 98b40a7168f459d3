"""`parley import`: what another gateway was told, as a parley.toml."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli.options import Config

if TYPE_CHECKING:
    from gateway.imports.plan import Plan

SECRETS = frozenset({"token", "api_key", "webhook_secret"})
HEAD = """\
# Parley's configuration, written by `parley import {system}`. It holds your keys: keep it to yourself.
# All settings, explained:  parley config show --example        Is it right?  parley config check"""

WRITTEN = """
{target} is written; only you can read it.
Stop {system} before you start Parley: one of them at a time can speak as a bot, and jobs would run in both.
Then:  parley config check -c {target}"""


class System(StrEnum):
    """Whose configuration it is."""

    OPENCLAW = "openclaw"
    NANOBOT = "nanobot"
    HERMES = "hermes"


def take_over(
    system: Annotated[System, typer.Argument(help="Whose configuration it is.", show_default=False)],
    path: Annotated[
        Path | None,
        typer.Argument(
            help="Its folder, or the main file in it. Left out: ~/.openclaw, ~/.nanobot or ~/.hermes.",
            show_default=False,
        ),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write it; else it is only shown.", show_default=False)
    ] = False,
    config: Config = None,
) -> None:
    """Take over what OpenClaw, nanobot or Hermes was told.

    That is bots, keys, models, who may come in, and jobs; conversations are not. It shows what it would do, and what
    it would leave behind and why; nothing is written without --write, and nothing of theirs is changed. Who lets
    everybody in there is closed here. A parley.toml that is there stays as it is: the new one is written beside it.

    \b
    Examples:
      parley import openclaw
      parley import hermes /srv/bot/.hermes --write
      parley import nanobot ~/.nanobot/config.json --write -c /etc/parley.toml
    """
    import importlib

    from gateway.imports.proof import prove
    from gateway.imports.sources import Sources

    module: Any = importlib.import_module(f"gateway.imports.{system.value}")
    plan = module.plan(Sources.at(path or Path(module.FOLDER), os.environ), datetime.now(UTC))
    prove(plan)
    text = _text(plan.tables, system.value)
    target = _free(config or Path("parley.toml"), system.value)
    print("\n".join(_shown(plan)))
    problems = _problems(text, target)
    for problem in problems:
        print(f"! {problem}")
    if problems:
        print("\nNothing was written: the configuration would not be right. Please tell us what is above.")
        raise typer.Exit(2)
    if not write:
        print(
            f"\nNothing was written. Write it to {target}:  parley import {_again(system, path, config)} --write"
        )
        return
    _write(target, text)
    print(WRITTEN.format(target=target, system=plan.system))


def _again(system: System, path: Path | None, config: Path | None) -> str:
    parts = [system.value, str(path or ""), f"-c {config}" if config else ""]
    return " ".join(part for part in parts if part)


def _free(target: Path, system: str) -> Path:
    """*target*, or a name beside it where something is there already."""
    if not target.exists():
        return target
    beside = target.with_name(f"{target.stem}.{system}{target.suffix}")
    return beside if not beside.exists() else beside.with_suffix(f".{time.strftime('%Y%m%d-%H%M%S')}.toml")


def _text(tables: dict[str, Any], system: str) -> str:
    from gateway.cli.config import toml

    return HEAD.format(system=system) + "\n" + "\n".join(toml(tables)) + "\n"


def _shown(plan: Plan) -> Iterator[str]:
    """What it would do; never a secret."""
    from gateway.cli.config import toml

    yield f"From {plan.system}, this would be in parley.toml:"
    for line in toml(_hidden(plan.tables)):
        yield f"    {line}" if line else ""
    if plan.taken:
        yield "\nTaken from:"
        yield from dict.fromkeys(f"  {_printable(f'{each.theirs}  ->  {each.ours}')}" for each in plan.taken)
    if plan.closed:
        yield "\nCLOSED, though it was open there:"
        yield from (f"  ! {_printable(text)}" for text in plan.closed)
    if plan.left:
        yield "\nNot taken over:"
        yield from (f"  - {_printable(f'{each.theirs}: {each.why}')}" for each in plan.left)


def _hidden(value: Any) -> Any:
    from gateway.config_secrets import HIDDEN, hidden

    if isinstance(value, dict):
        return {key: HIDDEN if key in SECRETS and each else _hidden(each) for key, each in value.items()}
    return [_hidden(each) for each in value] if isinstance(value, list) else hidden(value)


def _printable(text: str) -> str:
    """Names come from a file: nothing in them may command a terminal."""
    return "".join(char if char.isprintable() else "?" for char in text)


def _problems(text: str, target: Path) -> list[str]:
    """What `parley config check` would say of it."""
    from tempfile import TemporaryDirectory

    from gateway.cli import draft
    from gateway.config_file import SettingsError
    from gateway.settings import load

    with TemporaryDirectory() as folder:
        file = Path(folder, target.name)
        draft.write(file, text)
        try:
            load(file, environ={})
        except SettingsError as error:
            return [str(problem).replace(f"{folder}/", "") for problem in error.problems]
    return []


def _write(target: Path, text: str) -> None:
    from gateway.cli import draft
    from gateway.errors import Refused

    try:
        draft.write(target, text)
    except OSError as error:
        raise Refused(f"{target} cannot be written: {error.strerror}") from None
