"""`parley init`: from nothing to a configuration that works."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import draft as drafts
from gateway.cli import init_discord, init_telegram
from gateway.cli.asking import accepted
from gateway.cli.draft import Draft
from gateway.cli.options import Config, Yes
from gateway.errors import Refused
from gateway.vendors import KINDS, VENDORS, Kind

LOCAL = "http://127.0.0.1:8080/v1"  # what is offered as the address of a server of one's own
CHOICES = """\
1. Which model shall answer?
     1  Anthropic (Claude)
     2  OpenAI
     3  Google (Gemini)
     4  OpenRouter
     5  Ollama, on a machine of yours
     6  another server that speaks OpenAI's API: vLLM, llama.cpp ...
     7  none yet: an offline demo"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line said, by kind; '' and what is not there have to be asked for."""

    keys: dict[str, str]
    urls: dict[str, str]
    model: str
    yes: bool


def init(
    anthropic_key: Annotated[
        str, typer.Option(help="Your key, instead of being asked.", show_default=False)
    ] = "",
    openai_key: Annotated[str, typer.Option(help="The same for OpenAI.", show_default=False)] = "",
    google_key: Annotated[str, typer.Option(help="The same for Gemini.", show_default=False)] = "",
    openrouter_key: Annotated[str, typer.Option(help="The same for OpenRouter.", show_default=False)] = "",
    telegram_token: Annotated[str, typer.Option(help="Your bot's token.", show_default=False)] = "",
    discord_token: Annotated[str, typer.Option(help="The same for Discord.", show_default=False)] = "",
    owner: Annotated[
        list[int] | None,
        typer.Option(help="Telegram id of who may do everything; repeatable.", show_default=False),
    ] = None,
    discord_owner: Annotated[
        list[int] | None, typer.Option(help="The same for Discord.", show_default=False)
    ] = None,
    model: Annotated[str, typer.Option(help="The model's name at the provider.", show_default=False)] = "",
    anthropic_url: Annotated[
        str, typer.Option(help="Another address, without /v1.", metavar="URL", show_default=False)
    ] = "",
    openai_url: Annotated[
        str,
        typer.Option(help="A server that speaks OpenAI's API, with /v1.", metavar="URL", show_default=False),
    ] = "",
    ollama_url: Annotated[
        str, typer.Option(help="Where your Ollama is, with /v1.", metavar="URL", show_default=False)
    ] = "",
    telegram_url: Annotated[
        str, typer.Option(help="Your own Bot API server.", metavar="URL", show_default=False)
    ] = "",
    discord_url: Annotated[
        str, typer.Option(help="Another server with Discord's API.", metavar="URL", show_default=False)
    ] = "",
    data_dir: Annotated[
        str,
        typer.Option(
            help="Where the database goes. Left out: ~/.parley.", metavar="FOLDER", show_default=False
        ),
    ] = "",
    config: Config = None,
    yes: Yes = False,
) -> None:
    """Ask for your keys, check them, write parley.toml.

    Nothing is needed beforehand: without a key an offline demo answers. For Telegram you need a bot, which
    @BotFather in Telegram makes for you in a minute; for Discord one from its developer portal.

    \b
    Examples:
      parley init
      parley init --anthropic-key sk-ant-... --telegram-token 123456:ABC-DEF
      parley init --discord-token MTA0... --discord-owner 104...
      parley init --ollama-url http://localhost:11434/v1 --model qwen3:8b
      parley init --yes --data-dir /var/lib/parley -c /etc/parley.toml
    """
    target = config or Path("parley.toml")
    given = Given(
        keys={
            "anthropic": anthropic_key,
            "openai": openai_key,
            "google": google_key,
            "openrouter": openrouter_key,
        },
        urls={
            "anthropic": anthropic_url.rstrip("/"),
            "openai": openai_url.rstrip("/"),
            "ollama": ollama_url.rstrip("/"),
        },
        model=model,
        yes=yes,
    )
    aside = _make_room(target, yes)
    draft = Draft(
        owners=tuple(owner or ()),
        data_dir=data_dir,
        telegram_url=telegram_url.rstrip("/"),
        discord_url=init_discord.address(discord_url),
        discord_owners=tuple(map(str, discord_owner or ())),
    )
    _choose_model(draft, given)
    init_telegram.choose(draft, telegram_token, yes)
    init_discord.choose(draft, discord_token, yes)
    if aside is not None:
        target.rename(aside)
        print(f"The old {target.name} is now {aside}.")
    drafts.write(target, drafts.text(draft))
    if draft.token and not draft.owners and not yes:
        init_telegram.find_owner(draft)
        drafts.write(target, drafts.text(draft))
    _finish(draft, target)


def _make_room(target: Path, yes: bool) -> Path | None:
    """The name that an existing file gets in the end; None when there is none. Raises Refused."""
    if not target.exists():
        return None
    if yes:
        raise Refused(f"{target} is there already; move it away, or run this without --yes")
    if not typer.confirm(
        f"{target} is there already. Write a new one? (The old one is kept.)", default=False
    ):
        raise typer.Exit(1)
    return target.with_name(f"{target.name}.{time.strftime('%Y%m%d-%H%M%S')}")


# -- the model ------------------------------------------------------------------------------------------------


def _choose_model(draft: Draft, given: Given) -> None:
    named = [kind for kind in KINDS if given.keys.get(kind) or given.urls.get(kind)]
    found = [kind for kind in KINDS if _environment(kind)[0]]
    if named:
        kind = named[0]
        own = kind == "openai" and bool(given.urls.get(kind)) and not given.keys.get(kind)
        _provider(draft, given, kind, "local" if own else kind)
    elif given.yes:
        if found:
            _provider(draft, given, found[0], found[0])
    else:
        print(CHOICES)
        choice = int(_pick([str(n) for n in range(1, 8)], str(KINDS.index(found[0]) + 1) if found else "1"))
        if choice <= len(KINDS):
            _provider(draft, given, KINDS[choice - 1], KINDS[choice - 1])
        elif choice == len(KINDS) + 1:
            _provider(draft, given, "openai", "local")


def _environment(kind: str) -> tuple[str, str]:
    """A vendor's key in the environment and its variable; ('', '') when there is none."""
    found = ((os.environ.get(name, ""), name) for name in VENDORS[kind].keys)
    return next((each for each in found if each[0]), ("", ""))


def _pick(choices: list[str], usual: str) -> str:
    while (choice := str(typer.prompt("   Your choice", default=usual)).strip()) not in choices:
        print(f"   Write one of {', '.join(choices)}.")
    return choice


def _provider(draft: Draft, given: Given, kind: Kind, name: str) -> None:
    """Fill in the provider's table once its server has taken the key; leave the demo if there is none."""
    from gateway.cli import probe

    own = name == "local" or VENDORS[kind].own
    base_url = given.urls.get(kind, "")
    if own and not base_url:
        usual = LOCAL if name == "local" else VENDORS[kind].url
        base_url = str(typer.prompt("   Address, with /v1", default=usual)).strip().rstrip("/")
    environment, variable = ("", "") if own else _environment(kind)
    key = given.keys.get(kind) or environment
    asks = not VENDORS[kind].own and not (own and given.urls.get(kind))
    while True:
        if not key and not given.yes and asks:
            key = _ask_key(kind, name)
        if not key and not own:
            print("   No key: the offline demo will answer.")
            return
        if key == environment and key:
            print(f"   Using the key in ${variable}.")
        found = asyncio.run(probe.provider(kind, key, base_url))
        if accepted(found.state, found.text, given.yes):
            break
        key, asks = "", True
    draft.provider, draft.kind, draft.base_url, draft.variable = name, kind, base_url, variable
    draft.key = "" if key == environment else key
    draft.model = f"{name}:{_model(given, kind, name, found.models)}"


def _ask_key(kind: str, name: str) -> str:
    if name == "local" or VENDORS[kind].own:
        question = "   API key (hidden; Enter if it needs none)"
    else:
        question = f"   {VENDORS[kind].title} API key from {VENDORS[kind].page} (hidden; Enter: none)"
    return str(typer.prompt(question, default="", hide_input=True, show_default=False)).strip()


def _model(given: Given, kind: str, name: str, models: tuple[str, ...]) -> str:
    usual = VENDORS[kind].usual
    if given.model:
        return given.model
    if usual and name != "local" and (not models or usual in models):
        return usual
    first = models[0] if models else usual
    if given.yes or len(models) == 1:
        return first
    print("   It has: " + ", ".join(models[:12]) + (" ..." if len(models) > 12 else ""))
    return str(typer.prompt("   Model", default=first)).strip()


def _finish(draft: Draft, target: Path) -> None:
    from gateway.cli.client import settings_of

    settings_of(target)
    option = "" if target == Path("parley.toml") else f" -c {target}"
    print(f"\n✓ {target} is written (only you can read it).")
    print(f"\nNext:  parley run{option}")
    if draft.token and draft.owners:
        print("       What you wrote to your bot is answered then.")
    elif draft.token:
        print("       Then write to your bot: it tells you your number, and how to be let in.")
    if draft.application is not None:
        print("\n" + init_discord.links(draft.application))
