"""/start, /help, /whoami: what this is, what it can do, and who is asking."""

from __future__ import annotations

from collections.abc import Iterable

from gateway.calls import Call, Reply
from gateway.commands.command import Command
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.manager import SessionManager


async def start(manager: SessionManager, call: Call) -> Reply:
    """Anything behind it is ignored: links that open a chat put their own words there (Bot API, deep linking)."""
    name = plain(call.identity.name) if call.identity else ""
    return Reply(
        text=(
            f"Hello{f', {name}' if name else ''}! I am Parley. Write to me, and the model {model(manager)} answers; "
            "every request it takes is on the bill.\n\n"
            "- /new — begin a new session\n"
            "- /usage — what this session has used and cost\n"
            "- /help — everything else I can do"
        )
    )


def model(manager: SessionManager) -> str:
    return f"`{manager.core.catalogue.default}`"


def listing(commands: Iterable[Command]) -> Reply:
    lines = [f"- /{each.name} — {each.summary}" for each in commands]
    return Reply(text="\n".join([*lines, "", "/help followed by a name, as in /help cost, says more."]))


def details(command: Command, aliases: Iterable[str]) -> Reply:
    same = "".join(f"\n\nThe same: /{alias}" for alias in aliases)
    return Reply(text=f"**/{command.name}** — {command.summary}\n\n{command.usage}{same}")


async def whoami(manager: SessionManager, call: Call) -> Reply:
    who = call.identity
    if who is None:
        raise Refused("I cannot see who you are here.")
    return Reply(
        text=(
            f"- channel: {who.channel}\n- id: {who.user_id}\n- name: {plain(who.name) or '(none)'}\n"
            f"- role: {call.role}\n- address: `{who.channel}:{who.user_id}`"
        )
    )
