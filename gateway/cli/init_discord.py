"""`parley init`, Discord: the token, who the owner is, and how the bot gets into servers."""

from __future__ import annotations

import asyncio
import re

import typer

from gateway.cli.asking import accepted
from gateway.cli.draft import Draft
from gateway.cli.portal import PORTAL, Application
from gateway.cli.show import safe
from gateway.errors import Refused

TOKEN = re.compile(r"[\x21-\x7e]+")


def address(url: str) -> str:
    """The API's address with its version; '' for Discord's own. Raises Refused."""
    from pydantic import ValidationError

    from gateway.config_bots import DiscordAccount

    try:
        return DiscordAccount(api_url=url).api_url if url else ""
    except ValidationError:
        raise Refused(
            f"--discord-url {url} is no http address; write it as in https://host/api/v10"
        ) from None


def choose(draft: Draft, token: str, yes: bool) -> None:
    """Ask for a token until one is taken, or none is given; nothing is asked with *yes*."""
    from gateway.cli import probe

    if not token and yes:
        return
    if not token:
        print(f"\n3. Discord. {PORTAL} makes a bot: New Application, Bot, Reset Token.")
    while True:
        if not token:
            token = str(
                typer.prompt("   The bot's token (hidden; Enter: no Discord)", default="", hide_input=True,
                             show_default=False)
            )  # fmt: skip
        token = token.strip().removeprefix("Bot ").strip()
        if not token:
            return
        if not TOKEN.fullmatch(token):
            taken = accepted("refused", "that is not a token; it is one long word", yes)
        else:
            found = asyncio.run(probe.discord(token, draft.discord_url))
            taken = accepted(found.state, found.text, yes)
            draft.application = found.application
        if taken:
            draft.discord_token = token
            break
        token = ""
    if draft.application is not None:
        _owner(draft, draft.application, yes)


def _owner(draft: Draft, application: Application, yes: bool) -> None:
    """Whom the application belongs to, once confirmed: unlike Telegram's, a bot here is told of no message yet."""
    if draft.discord_owners:
        return
    for person in application.people:
        name = f"{safe(person.name)} (id {person.id})"
        if yes:
            print(f"   It belongs to {name}. To make that the owner: --discord-owner {person.id}")
        elif typer.confirm(f"   It belongs to {name}. Is that you, the owner?", default=True):
            draft.discord_owners = (person.id,)
            return
    if not yes:
        print("   Nobody is owner then. /whoami tells your id: parley people allow discord:ID --role owner")


def links(application: Application) -> str:
    """How the bot comes to where people are, and what it reads there."""
    reads = (
        "Message Content Intent is on: in its channels it can read every message."
        if application.message_content
        else "Message Content Intent is off: it reads direct messages, mentions and replies to it only. "
        f"To switch it on: {application.switches}"
    )
    return (
        f"Discord: let the bot into a server with\n       {application.invite}\n"
        f"       or take its commands along everywhere with\n       {application.install}\n       {reads}"
    )
