"""Units of work that make a session be forgotten; the bill stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway.types.sessions import Session

if TYPE_CHECKING:
    from storage import Unit

SAID = frozenset({"user", "assistant"})  # kinds of entries that are messages to whoever reads them
BITE = 500  # entries that one commit deletes, or writes over: some ten milliseconds
UNMERGED = "words"  # in meta: 1 while the index of words may still know what was deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """What was around a session: *files* are still to be removed, by their paths; *requests* stay on the bill."""

    requests: int
    files: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Bite:
    """So many *entries* are gone with one commit; *messages* of them were said by people or the model."""

    entries: int
    messages: int


async def condemned(unit: Unit, session: Session, now: int) -> list[tuple[int, int]]:
    """From now on nobody finds it and nothing begins in it; what was said there is still to be purged.

    A turn that waits to go on never will; one that runs is still to be stopped. Gives (inbox row, conversation) of
    those who wait for an answer that will not come.
    """
    latest = await unit.turns.latest(session.id)
    parked = latest is not None and latest.state == "parked"
    waiting = await unit.purging.waiting_for(session.id, latest.id if latest is not None and parked else None)
    for row, _ in waiting:
        await unit.inbox.forget(row, error="session.gone")
    if latest is not None and parked:
        await unit.turns.finish(latest.id, "cancelled", now=now, error_kind="deleted")
    await unit.tags.clear(session.id)
    await unit.places.leave(session.id)
    await unit.sessions.delete(session.id, now=now)
    return waiting


async def emptied(unit: Unit, session: Session, now: int) -> Emptied:
    """Everything around it but its entries; whatever turn is not over there is over now."""
    latest = await unit.turns.latest(session.id)
    if latest is not None and latest.state in ("running", "parked"):
        await unit.turns.finish(latest.id, "cancelled", now=now, error_kind="deleted")
        await unit.inbox.settle_turn(latest.id, "refused")
    files = await unit.purging.media_of(session.id)
    for id, _ in files:
        await unit.media.deleted(id, now=now)
    await unit.turns.forget(session.id)
    await unit.purging.wiping(True)
    requests = await unit.purging.session(session.id, session.code)
    await unit.purging.wiping(False)
    return Emptied(requests=requests, files=tuple(path for _, path in files))


async def purged(unit: Unit, session: int, now: int) -> Bite:
    """A bite of a deleted session's entries. None in it: there is nothing left of it."""
    await unit.purging.wiping(True)
    kinds = await unit.transcript.purge(session, count=BITE)
    await unit.purging.wiping(False)
    if not kinds:
        await unit.sessions.purged(session, now=now)
        await unit.meta.put(UNMERGED, "1")
    return Bite(entries=len(kinds), messages=sum(kind in SAID for kind in kinds))


async def merged(unit: Unit, first: bool) -> bool:
    """A bite of leaving out of the index of words what was deleted; False when nothing is left to do."""
    await unit.purging.wiping(True)
    more = await unit.purging.merge_words(first=first)
    await unit.purging.wiping(False)
    await unit.meta.put(UNMERGED, "1" if more else "0")
    return more


async def resting(unit: Unit, session: int) -> bool:
    """Whether nothing runs in it; what was put aside does not run."""
    latest = await unit.turns.latest(session)
    return latest is None or latest.state != "running"
