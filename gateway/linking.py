"""One person on several platforms: a code from the one joins an identity on the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import tries
from gateway.access import Policy, enough
from gateway.codes import digest, matching, new_code
from gateway.plain import plain
from gateway.types.measures import HOUR
from gateway.types.people import Identity

if TYPE_CHECKING:
    from storage import Unit

VALID = HOUR


@dataclass(frozen=True, slots=True, kw_only=True)
class Linked:
    """*text* is the key of what to say; *name* is the person's. *done*: the identities are one person now."""

    text: str
    name: str = ""
    done: bool = False


async def give(unit: Unit, who: Identity, *, account: int, now: int) -> str:
    """A code for that person, in place of an earlier one."""
    code = new_code()
    await unit.pairings.add(
        "link", identity=who.id, account=account, code_hash=digest(code), now=now, expires=now + VALID
    )
    return code


async def redeem(
    unit: Unit, who: Identity, code: str, *, account: int, policy: Policy, now: int, known: bool = False
) -> Linked:
    """Make *who* the person that the code came from. *known*: they are let in here already.

    A stranger is let in by it, where the code came from somebody who was named or let in: not from one who
    came through an open door. Nobody loses a higher role by it, and nobody gains more than the person has.
    """
    actor = address(who)
    if await tries.locked(unit, who, now):
        return Linked(text="code.wrong")
    found = matching(code, await unit.pairings.open("link", now=now))
    holder = await unit.people.identity_by_id(found.identity) if found is not None else None
    if holder is None or holder.person is None or not _counts(holder, policy, stranger=not known):
        # The same for a wrong, a late and a used one: the answer must not tell them apart.
        await tries.missed(unit, "link", who=who, account=account, actor=actor, now=now)
        return Linked(text="code.wrong")
    if holder.channel == who.channel:
        return Linked(text="link.same")  # else whoever is let in could let in anybody on their own platform
    stored = await unit.people.identity_by_id(who.id)
    if stored is None or not enough(holder.role or "user", stored.role or "user"):
        return Linked(text="link.higher")
    assert found is not None
    await unit.pairings.settle(found.id, "used")
    await unit.people.join(who, holder.person, let_in=not known)
    await unit.audit.add(at=now, actor=actor, action=f"link {address(holder)}", outcome="joined")
    return Linked(text="link.done", name=named(holder), done=True)


async def undo(unit: Unit, who: Identity, *, actor: str, now: int) -> bool:
    """Make *who* what they were before /link; False when they were not linked."""
    if not await unit.people.part(who, now=now):
        return False
    await unit.audit.add(at=now, actor=actor, action=f"unlink {address(who)}", outcome="parted")
    return True


def _counts(holder: Identity, policy: Policy, *, stranger: bool) -> bool:
    """Whether somebody's code does: not of who was blocked since, and to let in a stranger they must be known."""
    if holder.state == "blocked":
        return policy.owns(holder.channel, holder.user_id)
    return not stranger or holder.state == "allowed" or policy.names(holder.channel, holder.user_id)


def address(who: Identity) -> str:
    return f"{who.channel}:{who.user_id}"


def named(who: Identity) -> str:
    """For the inside of a line of ours."""
    return plain(who.name) or address(who)
