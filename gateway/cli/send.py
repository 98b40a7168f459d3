"""`parley send`: post in the gateway's name."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from gateway.cli import show
from gateway.cli.options import AsJson, Config

PATIENCE = 10.0  # seconds for the platform to take it
LOOK_EVERY = 0.2  # seconds


def send(
    to: Annotated[
        str,
        typer.Argument(
            metavar="TARGET", help="telegram:12345, telegram:-100…/TOPIC, discord:CHANNEL, main:KEY."
        ),
    ],
    text: Annotated[str, typer.Argument(metavar="TEXT", help="Markdown; - reads stdin.")],
    id: Annotated[
        str | None,
        typer.Option(metavar="ID", help="The same one twice is sent once, so that a script may try again."),
    ] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Post a message to a chat, in the bot's name.

    Several bots: telegram.ACCOUNT:12345. The running gateway sends it; without one nothing is sent (only
    main:KEY works then too: a note in that session). Waits up to 10 s for the platform to take it, which is
    tried for a day; the exit code is 1 when it was refused.

    \b
    Examples:
      parley send telegram:12345 "The backup is done."
      df -h | parley send discord:112233445566778899 - --id "disk-$(date +%F)"
      parley send telegram.second:-1001234567890/7 "**Deployed** 2.4"
    """
    told = asyncio.run(_send(config, to, sys.stdin.read() if text == "-" else text, id))
    if json:
        show.as_json(told)
    elif told["state"] == "refused":
        show.error(f"{to} did not take it: {told['error']}")
    elif told["state"] == "sent":
        print(f"Sent to {to}" + (f", in {told['messages']} messages." if told["messages"] > 1 else "."))
    else:
        print(f"Accepted for {to}, which has not taken it yet; the gateway goes on trying.")
    if told["state"] == "refused":
        raise typer.Exit(1)


async def _send(config: Path | None, to: str, text: str, id: str | None) -> dict[str, Any]:
    from gateway.cli.client import connect, settings_of

    async with connect(settings_of(config)) as gateway:
        told: dict[str, Any] = await gateway.ask("POST", "/v1/send", to=to, text=text, id=id)
        until = time.monotonic() + PATIENCE
        while told["state"] == "waiting" and time.monotonic() < until:
            await asyncio.sleep(LOOK_EVERY)
            told = await gateway.ask("GET", f"/v1/send/{quote(told['id'], safe='')}")
        return told
