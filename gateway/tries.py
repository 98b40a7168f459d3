"""Wrong codes: counted for who tries them, and five within an hour are enough."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gateway.types.measures import HOUR
from gateway.types.people import Identity

if TYPE_CHECKING:
    from storage import Unit

REMEMBERED = HOUR
MOST = 5


async def locked(unit: Unit, who: Identity | None, now: int) -> bool:
    """Whether that person tried too many; None is whoever sits at the machine, and nobody is locked out there."""
    if who is None:
        return False
    tried = await unit.pairings.latest(who.id, "guess")
    return tried is not None and tried.state == "locked" and now < tried.expires


async def missed(
    unit: Unit, kind: Literal["pair", "link"], *, who: Identity | None, account: int, actor: str, now: int
) -> None:
    """Note a wrong one, tried through that account."""
    await unit.audit.add(at=now, actor=actor, action=f"{kind} code", outcome="wrong")
    if who is None:
        return
    tried = await unit.pairings.latest(who.id, "guess")
    if tried is None or tried.expires <= now:
        expires = now + REMEMBERED
        id = await unit.pairings.add("guess", identity=who.id, account=account, now=now, expires=expires)
    else:
        id = tried.id
    if await unit.pairings.missed(id, most=MOST):
        await unit.audit.add(at=now, actor=actor, action=f"{kind} code", outcome="locked")
