"""Who may use a command: by role, and in a chat that several people share by what they are there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from gateway.access import enough
from gateway.calls import Call
from gateway.commands.command import Command, together
from gateway.errors import Refused
from gateway.types.people import Identity, Role
from gateway.types.places import Address

Administers = Callable[[Address, str], Awaitable[bool]]
"""(chat, user id): whether the platform counts that person among the chat's administrators."""


async def check(
    command: Command, call: Call, *, needed: Role, running: Identity | None, administers: Administers
) -> None:
    """Raises Refused, with who may; *running*: who asked for the running turn, None: nobody did."""
    if not enough(call.role, needed):
        raise Refused(key=f"rights.{needed}", name=command.name)
    rule = command.shared(call.args)
    if rule == "member" or not together(call) or enough(call.role, "admin"):
        return
    who = call.identity
    if rule == "asker" and (running is None or (who is not None and _same(who, running))):
        return
    if who is None or not await administers(call.conversation.address, who.user_id):
        raise Refused(key=f"rights.shared_{rule}", name=command.name)


def _same(one: Identity, other: Identity) -> bool:
    return one.id == other.id or (one.person is not None and one.person == other.person)
