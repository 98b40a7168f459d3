"""/start, /help, /whoami, /tools: what this is, what it can do, and who is asking."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.calls import Call, Reply
from gateway.commands.command import Command
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.texts import say
from gateway.types.people import Role

DESCRIPTION = 200  # characters


async def start(manager: SessionManager, call: Call) -> Reply:
    """Anything behind it is ignored: links that open a chat put their own words there (Bot API, deep linking)."""
    name = plain(call.identity.name) if call.identity else ""
    hello = say("about.hello_name", call.lang, name=name) if name else say("about.hello", call.lang)
    model = f"`{manager.core.catalogue.default}`"
    return Reply(text=say("about.start", call.lang, hello=hello, model=model))


def listing(commands: Iterable[Command], lang: str) -> Reply:
    lines = [f"- /{each.name} — {each.summary(lang)}" for each in commands]
    return Reply(text="\n".join([*lines, "", say("about.more", lang)]))


def details(command: Command, aliases: Iterable[str], needed: Role, lang: str) -> Reply:
    same = ", ".join(f"/{alias}" for alias in aliases)
    text = f"**/{command.name}** — {command.summary(lang)}\n\n{command.usage(lang)}"
    if needed != "user":
        text += f"\n\n{say(f'rights.{needed}', lang, name=command.name)}"
    return Reply(text=text + (f"\n\n{say('about.same', lang, names=same)}" if same else ""))


async def whoami(manager: SessionManager, call: Call) -> Reply:
    who = call.identity
    if who is None:
        raise Refused(key="about.nobody")
    name = plain(who.name) or say("about.no_name", call.lang)
    facts = {"channel": who.channel, "id": who.user_id, "name": name, "role": call.role}
    return Reply(text=say("about.whoami", call.lang, **facts))


async def tools(manager: SessionManager, call: Call) -> Reply:
    """What the agent may use for an answer here."""
    found, most = manager.tools(), manager.most_searches
    if not found and not most:
        return Reply(text=say("about.no_tools", call.lang))
    lines = [f"- `{each.name}` — {plain(each.description, DESCRIPTION)}" for each in found]
    if most:
        lines.append(f"- `web_search` — {say('search.tool', call.lang, most=most)}")
    return Reply(text="\n".join([say("about.tools", call.lang), "", *lines]))
