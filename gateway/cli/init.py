"""`parley init`: from nothing to a configuration that works."""

from __future__ import annotations

import asyncio
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from gateway.cli import draft as drafts
from gateway.cli.draft import Draft
from gateway.cli.options import Config, Yes
from gateway.errors import Refused

TOKEN = re.compile(r"[0-9]+:\S+")
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
    owner: Annotated[
        list[int] | None,
        typer.Option(help="Telegram id of who may do everything; repeatable.", show_default=False),
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
    @BotFather in Telegram makes for you in a minute.

    \b
    Examples:
      parley init
      parley init --anthropic-key sk-ant-... --telegram-token 123456:ABC-DEF
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
    draft = Draft(owners=tuple(owner or ()), data_dir=data_dir, telegram_url=telegram_url.rstrip("/"))
    _choose_model(draft, given)
    _choose_telegram(draft, telegram_token, yes)
    if aside is not None:
        target.rename(aside)
        print(f"The old {target.name} is now {aside}.")
    drafts.write(target, drafts.text(draft))
    if draft.token and not draft.owners and not yes:
        _find_owner(draft)
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
        if _accepted(found.state, found.text, given.yes):
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


def _accepted(state: str, text: str, yes: bool) -> bool:
    """Tell what the check gave. Raises Refused for a wrong key that nobody is there to correct."""
    if state == "ok":
        print(f"   ✓ {text}")
        return True
    print(f"   ✗ {text}")
    if state == "refused":
        if yes:
            raise Refused("the key given is wrong; nothing was written")
        print("   Copy it again, whole.")
        return False
    return yes or typer.confirm("   Use it all the same?", default=False)


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


# -- Telegram -------------------------------------------------------------------------------------------------


def _choose_telegram(draft: Draft, token: str, yes: bool) -> None:
    from gateway.cli import probe

    if not token and yes:
        return
    if not token:
        print("\n2. Telegram. @BotFather there makes a bot with /newbot and gives you its token.")
    while True:
        if not token:
            token = str(
                typer.prompt("   The bot's token (hidden; Enter: no Telegram)", default="", hide_input=True,
                             show_default=False)
            ).strip()  # fmt: skip
        if not token:
            return
        if not TOKEN.fullmatch(token):
            accepted = _accepted("refused", "that is not a token; it looks like 123456:ABC-DEF", yes)
        else:
            found = asyncio.run(probe.telegram(token, draft.telegram_url))
            accepted = _accepted(found.state, found.text, yes)
            draft.bot = found.name
        if accepted:
            draft.token = token
            return
        token = ""


def _find_owner(draft: Draft) -> None:
    """Whoever writes first and is confirmed. The message stays at Telegram, so that the gateway answers it."""
    name = f"{draft.bot} (https://t.me/{draft.bot[1:]})" if draft.bot else "your bot"
    print(f"\n3. Write anything to {name} in Telegram now, so that I see who you are. (Ctrl-C: later)")
    declined: set[int] = set()
    try:
        while not draft.owners:
            person = asyncio.run(_first(draft.token, draft.telegram_url, declined))
            if person is None:
                print("   Another program polls with this token, or it has a webhook; end that first.")
                return
            if typer.confirm(
                f"   {person.name} (id {person.id}) has written. Is that you, the owner?", default=True
            ):
                draft.owners = (person.id,)
            else:
                declined.add(person.id)
                print("   Then I wait for another message.")
    except KeyboardInterrupt:
        print("\n   Later: `parley people list` shows who has written.")
    except typer.Abort:
        print()


@dataclass(frozen=True, slots=True)
class Person:
    id: int
    name: str


async def _first(token: str, api_url: str, declined: set[int]) -> Person | None:
    """Who wrote to the bot in private and was not declined; None when another program is in the way.

    Bot API, getUpdates: without an offset nothing is confirmed, and everything comes again.
    """
    import aiohttp

    from gateway.cli.probe import TELEGRAM

    url = f"{api_url or TELEGRAM}/bot{token}/getUpdates"
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=40)) as session:
        while True:
            try:
                async with session.get(url, params={"timeout": "20"}) as answer:
                    if answer.status == 409:
                        return None
                    updates = (await answer.json(content_type=None)).get("result", [])
            except (aiohttp.ClientError, OSError, ValueError, AttributeError):
                updates = []
            for update in updates if isinstance(updates, list) else []:
                person = _writer(update.get("message") or {})
                if person is not None and person.id not in declined:
                    return person
            await asyncio.sleep(1.0)


def _writer(message: dict[str, dict[str, str]]) -> Person | None:
    sender, chat = message.get("from"), message.get("chat", {})
    if not sender or sender.get("is_bot") or chat.get("type") != "private":
        return None
    full = " ".join(filter(None, (sender.get("first_name"), sender.get("last_name"))))
    user = f" @{sender['username']}" if sender.get("username") else ""
    from gateway.cli.show import safe

    return Person(int(sender["id"]), safe(f"{full}{user}"))


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
