"""What a command is, and how one that does not exist is answered."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Literal

from gateway.calls import Call, Reply
from gateway.commands.quote import plain
from gateway.errors import Refused
from gateway.manager import SessionManager, SessionMeta
from gateway.types import Json

Handler = Callable[[SessionManager, Call], Awaitable[Reply]]
Press = Callable[[SessionManager, Json, Call], Awaitable[Reply]]

NO_SESSION = "There is no session here yet: your next message starts one."


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """*summary* is the line in the menu, *usage* what `/help name` shows; *admin*: not for role 'user'."""

    name: str
    summary: str
    mode: Literal["now", "between"]
    handler: Handler
    usage: str
    admin: bool = False


def unknown(name: str, known: Iterable[str]) -> Refused:
    """With the nearest name there is."""
    near = get_close_matches(name, list(known), n=1)
    hint = f" Did you mean /{near[0]}?" if near else ""
    return Refused(f"I do not know /{plain(name, 32)}.{hint} /help lists the commands I know.")


def alone(call: Call, hint: str) -> None:
    """Raises Refused when something stands behind a command that takes nothing: it would be lost silently."""
    if call.args:
        raise Refused(f"/{call.name} takes nothing behind it; nothing was changed. {hint}".rstrip())


async def session_of(manager: SessionManager, call: Call) -> SessionMeta:
    """The session a call is about: the one it was sent to, else the current one. Raises Refused without one."""
    found = await manager.current_session(call.conversation.id, named=call.row.session)
    if found is None:
        raise Refused(NO_SESSION)
    return found
