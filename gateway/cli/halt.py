"""`parley halt` and `unhalt`: the emergency stop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.options import AsJson, Config


def halt(
    why: Annotated[str | None, typer.Option(metavar="TEXT", help="For your own log.")] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Emergency stop: ask no model anything any more.

    Answers that are being written stop at once and nothing else is lost: what people write is kept and
    answered after `parley unhalt`, and they are told once. Holds over restarts; without a running gateway
    the next start is halted.

    \b
    Examples:
      parley halt
      parley halt --why "the bill explodes"
    """
    told, running = asyncio.run(_ask(config, "/v1/halt", why=why))
    if json:
        show.as_json(told)
    elif running:
        print(f"Halted; {show.many(told['stopped'], 'answer')} stopped. To go on: parley unhalt")
    else:
        print("No gateway is running; the next one starts halted. To undo: parley unhalt")


def unhalt(config: Config = None, json: AsJson = False) -> None:
    """End the emergency stop; what was kept is answered now.

    \b
    Examples:
      parley unhalt
    """
    told, running = asyncio.run(_ask(config, "/v1/unhalt"))
    if json:
        show.as_json(told)
    else:
        print("Going on; what was kept is answered" + ("." if running else " by the next start: parley run"))


async def _ask(config: Path | None, path: str, **fields: Any) -> tuple[dict[str, Any], bool]:
    """(what it said, whether a gateway is running)."""
    from gateway.cli.client import connect, settings_of

    async with connect(settings_of(config)) as gateway:
        told: dict[str, Any] = await gateway.ask("POST", path, **fields)
        return told, gateway.own is None
