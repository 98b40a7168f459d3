"""`parley chat`: talk to the gateway from a terminal or a script."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from gateway.cli import show
from gateway.cli.options import AsJson, Config
from gateway.errors import Refused

if TYPE_CHECKING:
    from gateway.settings import Settings

GOOD = ("done", "command")


def chat(
    message: Annotated[
        str | None,
        typer.Option(
            "--message", "-m", metavar="TEXT", help="Say this, print the answer and end; - reads stdin."
        ),
    ] = None,
    key: Annotated[str, typer.Option(help="The conversation's name; each has sessions of its own.")] = "main",
    session: Annotated[
        str | None, typer.Option(metavar="ID", help="Talk in this session, not in the current one.")
    ] = None,
    config: Config = None,
    json: AsJson = False,
) -> None:
    """Talk to the agent in this terminal, or from a script.

    Commands such as /help, /new and /usage work as on every channel. Uses the running gateway; without
    one, the command opens the database itself. With -m only the answer is
    printed on stdout; when there is none, the reason goes to stderr and the exit code is 1.

    \b
    Examples:
      parley chat
      parley chat -m "What did we decide on Monday?"
      git diff | parley chat -m - --key reviews
      parley chat -m "One word: yes or no?" --json | jq -r .text
    """
    from gateway.cli.client import settings_of

    settings = settings_of(config)
    if message is None and (json or not sys.stdin.isatty()):
        raise Refused("there is nothing to say; give it with -m TEXT, or -m - to read it from stdin")
    if message is None:
        asyncio.run(_interactive(settings, key, session))
        return
    answer = asyncio.run(_once(settings, sys.stdin.read() if message == "-" else message, key, session))
    if json:
        show.as_json(answer)
    elif answer["text"] and answer["state"] in GOOD:
        print(_shown(message, answer) if sys.stdout.isatty() else answer["text"])
    if answer["state"] not in GOOD:
        if not json:
            show.error(answer["error"] or answer["text"] or f"no answer: {answer['state']}")
        raise typer.Exit(1)


def _shown(asked: str, answer: dict[str, Any]) -> str:
    whole = answer["state"] == "command" and not show.is_document(asked)
    return show.safe(show.unmarked(answer["text"]) if whole else answer["text"])


async def _once(settings: Settings, text: str, key: str, session: str | None) -> dict[str, Any]:
    from gateway.cli.client import connect

    async with connect(settings) as gateway:
        answer: dict[str, Any] = await gateway.ask(
            "POST", "/v1/messages", text=text, key=key, session=session
        )
        return answer


async def _interactive(settings: Settings, key: str, session: str | None) -> None:
    from gateway.cli.client import connect
    from gateway.cli.prompt import aside, converse
    from gateway.cli.talk import Inside, Outside, Talk

    async with connect(settings) as gateway:
        talk: Talk
        if gateway.own is not None:
            talk = Inside(manager=gateway.own.manager, key=key, session=session)
            where = "no gateway is running: this command answers by itself"
        else:
            talk = Outside(gateway=gateway, key=key, session=session)
            where = "the running gateway"
        status = await gateway.ask("GET", "/v1/status")
        aside(f"{status['model']}, {where}. /help lists the commands, Ctrl-D ends.")
        await converse(talk, commands=COMMANDS, ends="this chat")


COMMANDS = [
    ("help", "List the commands, or explain one"),
    ("new", "Close this session and begin a new one"),
    ("resume", "Go back to an earlier session"),
    ("stop", "Stop the answer being written"),
    ("status", "Show model, session and what is going on"),
    ("usage", "Show tokens and cost of this session"),
    ("cost", "Show the bill"),
    ("compact", "Shorten this session, or undo that"),
    ("compactions", "Show what was put away of this session"),
    ("quit", "End this chat"),
]
