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

USUAL = {"anthropic": "claude-sonnet-5", "openai": "gpt-5-mini"}
TITLES = {"anthropic": "Anthropic", "openai": "OpenAI"}
PLACES = {"anthropic": "https://console.anthropic.com", "openai": "https://platform.openai.com"}
CHOICES = """\
1. Which model shall answer?
     1  Anthropic (Claude)
     2  OpenAI
     3  another server that speaks OpenAI's API: Ollama, vLLM, OpenRouter ...
     4  none yet: an offline demo"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line said; '' means that it has to be asked for."""

    keys: dict[str, str]
    urls: dict[str, str]
    model: str
    yes: bool


def init(
    anthropic_key: Annotated[
        str, typer.Option(help="Your key, instead of being asked.", show_default=False)
    ] = "",
    openai_key: Annotated[str, typer.Option(help="The same for OpenAI.", show_default=False)] = "",
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
      parley init --openai-url http://127.0.0.1:11434/v1 --model qwen3:8b
      parley init --yes --data-dir /var/lib/parley -c /etc/parley.toml
    """
    target = config or Path("parley.toml")
    given = Given(
        keys={"anthropic": anthropic_key, "openai": openai_key},
        urls={"anthropic": anthropic_url.rstrip("/"), "openai": openai_url.rstrip("/")},
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
    named = [kind for kind in TITLES if given.keys[kind] or given.urls[kind]]
    found = [kind for kind in TITLES if os.environ.get(f"{kind.upper()}_API_KEY")]
    if named:
        kind = named[0]
        own = kind == "openai" and bool(given.urls[kind]) and not given.keys[kind]
        _provider(draft, given, kind, "local" if own else kind)
    elif given.yes:
        if found:
            _provider(draft, given, found[0], found[0])
    else:
        print(CHOICES)
        usual = {"anthropic": "1", "openai": "2"}[found[0]] if found else "1"
        choice = _pick(["1", "2", "3", "4"], usual)
        if choice in "12":
            _provider(draft, given, *({"1": ("anthropic",) * 2, "2": ("openai",) * 2}[choice]))
        elif choice == "3":
            _provider(draft, given, "openai", "local")


def _pick(choices: list[str], usual: str) -> str:
    while (choice := str(typer.prompt("   Your choice", default=usual)).strip()) not in choices:
        print(f"   Write one of {', '.join(choices)}.")
    return choice


def _provider(draft: Draft, given: Given, kind: str, name: str) -> None:
    """Fill in the provider's table once its server has taken the key; leave the demo if there is none."""
    from gateway.cli import probe

    base_url = given.urls[kind]
    if name == "local" and not base_url:
        base_url = (
            str(typer.prompt("   Address, with /v1", default="http://127.0.0.1:11434/v1")).strip().rstrip("/")
        )
    environment = "" if name == "local" else os.environ.get(f"{kind.upper()}_API_KEY", "")
    key = given.keys[kind] or environment
    while True:
        if not key and not given.yes and not (name == "local" and given.urls[kind]):
            key = _ask_key(kind, name)
        if not key and name != "local":
            print("   No key: the offline demo will answer.")
            return
        if key == environment and key:
            print(f"   Using the key in ${kind.upper()}_API_KEY.")
        found = asyncio.run(probe.provider("anthropic" if kind == "anthropic" else "openai", key, base_url))
        if accepted(found.state, found.text, given.yes):
            break
        key = ""
    draft.provider, draft.kind, draft.base_url = name, kind, base_url
    draft.key = "" if key == environment else key
    draft.model = f"{name}:{_model(given, kind, name, found.models)}"


def _ask_key(kind: str, name: str) -> str:
    if name == "local":
        question = "   API key (hidden; Enter if it needs none)"
    else:
        question = f"   {TITLES[kind]} API key from {PLACES[kind]} (hidden; Enter: none)"
    return str(typer.prompt(question, default="", hide_input=True, show_default=False)).strip()


def _model(given: Given, kind: str, name: str, models: tuple[str, ...]) -> str:
    usual = USUAL[kind]
    if given.model:
        return given.model
    if name != "local" and (not models or usual in models):
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
