"""`parley run`: the gateway itself."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from gateway import __version__, heap, log
from gateway.cli.finding import table
from gateway.cli.options import Config
from gateway.cli.show import safe
from gateway.errors import Locked, NotFound

if TYPE_CHECKING:
    from gateway.app import App
    from gateway.manager import SessionMeta
    from gateway.settings import Settings

LOOK_EVERY = 0.5  # seconds
LOG = "parley.log"  # in the data folder, while the terminal is the prompt's


def run(
    no_prompt: Annotated[
        bool, typer.Option("--no-prompt", help="Only serve, also in a terminal.", show_default=False)
    ] = False,
    config: Config = None,
) -> None:
    """Start the gateway, with a prompt when this is a terminal.

    That is all channels, the jobs and the local API. Needs no set-up: without a key an offline demo
    answers. Ctrl-D or /quit ends it; as a service it ends on
    SIGTERM, reads its configuration again on SIGHUP and logs to stderr. Exit codes: 0 ended, 2 the
    configuration is wrong, 3 another Parley runs here, 4 the database cannot be used.

    \b
    Examples:
      parley run
      parley run -c /etc/parley.toml --no-prompt
      ANTHROPIC_API_KEY=sk-ant-... parley run
    """
    heap.grow()
    from gateway.cli.client import settings_of

    settings = settings_of(config)
    asyncio.run(_free(settings))
    prompt = not no_prompt and sys.stdin.isatty() and sys.stdout.isatty()
    file = settings.gateway.data_dir / LOG
    log.hide(settings.secrets())
    log.set_up(level=settings.gateway.log_level, file=file if prompt else None)
    print(report(settings, log_file=str(file) if prompt else "stderr"), flush=True)
    asyncio.run(_run(settings, prompt))
    if prompt:
        print("Ended.")


async def _free(settings: Settings) -> None:
    """Raises Locked at once when a gateway lives here; what ends by itself soon is waited for later."""
    from gateway.cli.client import answers, lock_holder
    from gateway.socket_path import socket_path

    holder = lock_holder(settings.database)
    if holder is not None and await answers(socket_path(settings.gateway.data_dir)):
        raise Locked(
            f"runs here already, as process {holder}. Talk to it: parley chat. End it: kill {holder}"
        )


async def _run(settings: Settings, prompt: bool) -> None:
    from gateway.process import run

    await run(settings, attached=_terminal if prompt else None)


async def _terminal(app: App) -> None:
    from gateway.cli.prompt import aside, converse
    from gateway.cli.talk import Inside

    if app.manager.halted:
        aside(f"Halted by {safe(app.manager.halted)}: no model is asked. To go on: /unhalt, or parley unhalt")
    watching = asyncio.create_task(_watch(app), name="watch")
    try:
        await converse(Inside(manager=app.manager), commands=_commands(app), ends="the gateway")
    finally:
        watching.cancel()
        if app.core.dispatcher.turns_running:
            aside("Ending: what is being answered may finish first. Ctrl-C ends at once; nothing is lost.")


def _commands(app: App) -> list[tuple[str, str]]:
    table = app.core.dispatcher.commands
    menu = table.menu() if table is not None else ()
    return [*((each.name, each.description) for each in menu), ("quit", "End the gateway")]


async def _watch(app: App) -> None:
    """Tell in the terminal when a channel comes up or goes down, and what jobs have to say on main."""
    from gateway.cli.prompt import aside

    told: dict[str, str] = {}
    known = {each.id for each in await _results(app)}
    while True:
        for each in app.platforms.channels:
            if each.state != told.get(each.name, "starting"):
                told[each.name] = each.state
                aside(_news(each.name, each.state, each.text, each.account.name if each.account else ""))
        for result in await _results(app):
            messages = await app.manager.get_messages(result.id, 1)
            if result.id not in known and messages and messages[-1].role == "assistant":
                known.add(result.id)
                aside(f"\njob {result.triggered_by}: {safe(messages[-1].text)}\n")
        await asyncio.sleep(LOOK_EVERY)


async def _results(app: App) -> list[SessionMeta]:
    """Sessions that jobs have written for main and nobody has read."""
    found = [each for each in await app.manager.list_sessions(20) if each.triggered_by and not each.is_read]
    names = {each.triggered_by for each in found if each.triggered_by}
    here = {name for name in names if await _comes_here(app, name)}
    return [each for each in found if each.triggered_by in here]


async def _comes_here(app: App, job: str) -> bool:
    try:
        return "main" in (await app.manager.jobs.show(job)).spec.deliver_to
    except NotFound:
        return False


def _news(name: str, state: str, text: str | None, account: str) -> str:
    match state:
        case "ok":
            return f"{name}: connected as {account}"
        case "auth":
            return f"{name}: the token was refused; `parley init` checks a new one"
        case "conflict":
            return f"{name}: another program polls with the same token; end that one"
        case _:
            return f"{name}: {state}" + (f" ({text})" if text else "")


def report(settings: Settings, *, log_file: str) -> str:
    """What is on, what is off and how to switch it on, and what to do next."""
    from gateway.configured import default_model
    from gateway.models.catalogue import DEMO
    from gateway.socket_path import socket_path

    source = settings.source or "no parley.toml here: the defaults"
    model = default_model(settings)
    web = settings.web
    on = sum(job.enabled for job in settings.jobs) + bool(settings.heartbeat.file)
    rows = [
        ("settings", str(source), ""),
        ("data", str(settings.gateway.data_dir), ""),
        ("log", log_file, ""),
        ("model", "offline demo", "for a real one: parley init, or set ANTHROPIC_API_KEY")
        if model == DEMO
        else ("model", model, ""),
        *_bots(settings),
        ("jobs", str(on), "") if on else ("jobs", "none", "to add one: /job add, or a [[jobs]] table"),
        ("local API", str(socket_path(settings.gateway.data_dir)), ""),
        ("HTTP", f"{web.host}:{web.port}", "")
        if web.port
        else ("HTTP", "off", "to switch it on: [web] port"),
    ]
    widest = max(len(value) for _, value, hint in rows if hint) if any(hint for *_, hint in rows) else 0
    names = max(len(name) for name, *_ in rows)
    lines = [f"  {name:{names}}  {value:{widest}}  {hint}".rstrip() for name, value, hint in rows]
    lines += [f"  ! {warning}" for warning in settings.warnings]
    return "\n".join([f"Parley {__version__}", *lines, "", _next(settings, log_file)])


def _bots(settings: Settings) -> Iterator[tuple[str, str, str]]:
    bots = dict(settings.channels.bots())
    for key, on in settings.channels.known().items():
        if not on:
            yield key, "off", f"to switch it on: parley init, or {table(key)} token"
            continue
        bot = bots[key]
        if bot.access == "open":
            yield key, "on", 'open to everybody: access = "open"'
        elif bot.access == "closed" and not (bot.owners or bot.allow):
            yield key, "on", "nobody is let in yet: parley people --help"
        else:
            yield key, "on", ""


def _next(settings: Settings, log_file: str) -> str:
    if log_file == "stderr":
        return "Talk to it from another terminal: parley chat"
    first = "Write here or to your bot." if any(settings.channels.known().values()) else "Write something."
    return f"{first} /help lists the commands, Ctrl-C stops an answer, Ctrl-D ends Parley.\n"
