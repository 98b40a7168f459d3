"""What a command is, and how one that does not exist is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from gateway.access import enough
from gateway.calls import Call, Reply
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.manager import SessionManager, SessionMeta
from gateway.texts import say
from gateway.types.json import Json
from gateway.types.people import Role, Viewer

Handler = Callable[[SessionManager, Call], Awaitable[Reply]]
Press = Callable[[SessionManager, Json, Call], Awaitable[Reply]]
Rule = Literal["member", "asker", "admin"]
"""Who may use it where several people share a session: anybody there, who asked for the running answer, or the
administrators of that chat. The gateway's own admins may always."""


def member(args: str) -> Rule:
    return "member"


def admin(args: str) -> Rule:
    return "admin"


def changing(args: str) -> Rule:
    """Anybody may look, only administrators may set."""
    return "admin" if args.strip() else "member"


def asker(args: str) -> Rule:
    """What is said behind it takes in other people's messages."""
    return "admin" if args.strip() else "asker"


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """*mode*: 'now' never waits, 'between' waits for the running turn. *role* is the least that may use it.

    *private*: the answer is for the eyes of who asked. *shared* gives the rule of a shared chat for what stands
    behind the command. Its texts are summary.NAME and usage.NAME of the catalogue.
    """

    name: str
    mode: Literal["now", "between"]
    handler: Handler
    role: Role = "user"
    private: bool = False
    shared: Callable[[str], Rule] = member

    def summary(self, lang: str = "") -> str:
        """The line in the menu."""
        return say(f"summary.{self.name}", lang)

    def usage(self, lang: str = "") -> str:
        """What `/help name` shows."""
        return say(f"usage.{self.name}", lang)


def unknown(name: str, known: Iterable[str], aliases: Iterable[str]) -> Refused:
    """With the nearest name there is; an alias only when no name of ours is near."""
    near = get_close_matches(name, list(known), n=1) or get_close_matches(name, list(aliases), n=1)
    if near:
        return Refused(key="command.near", name=plain(name, 32), near=near[0])
    return Refused(key="command.none", name=plain(name, 32))


def alone(call: Call) -> None:
    """Raises Refused when something stands behind a command that takes nothing: it would be lost silently."""
    if call.args:
        raise Refused(key="command.alone", name=call.name)


def misread(call: Call, command: str) -> Refused:
    """What was behind the command cannot be meant."""
    return Refused(key="command.misread", name=command)


def together(call: Call) -> bool:
    """Whether others are in the same session."""
    return call.conversation.shared and not call.conversation.user_id


def name_of(call: Call) -> str:
    """Who gave the command, for others to read."""
    who = call.identity
    return plain(who.name or who.user_id) if who is not None else say("command.somebody", call.lang)


def by(call: Call, text: str) -> str:
    """*text*, and where others see what changed, who did it."""
    return say("command.by", call.lang, name=name_of(call), text=text) if together(call) else text


async def session_of(manager: SessionManager, call: Call) -> SessionMeta:
    """The session a call is about: the one it was sent to, else the current one. Raises Refused without one."""
    found = await manager.current_session(call.conversation.id, named=call.row.session)
    if found is None:
        raise Refused(key="session.none")
    return found


def viewer_of(call: Call) -> Viewer:
    """What of the sessions they see who give a command: in a shared chat those of that chat, for everybody reads on.

    In their own chat also their own of elsewhere; admins those of groups, and whoever has the machine all there are.
    """
    who, place = call.identity, call.conversation
    admin = enough(call.role, "admin")
    return Viewer(
        conversation=place.id,
        person=who.person if who is not None and not place.shared else None,
        groups=admin and not place.shared,
        everything=admin and place.channel == "main" and (who is None or who.channel == "main"),
        admin=admin,
        name=f"{who.channel}:{who.user_id}" if who is not None else place.channel,
    )
