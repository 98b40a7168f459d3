"""Units of work that make a session, or a person, be forgotten; the bill stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gateway import transcript
from gateway.errors import NotFound
from gateway.transcript import Text
from gateway.types import Identity, Json, Session

if TYPE_CHECKING:
    from storage import Unit

BITE = 500  # entries that one commit deletes, or writes over: some ten milliseconds
ERASED = "(erased)"


async def condemned(unit: Unit, session: Session, now: int) -> tuple[int, list[str]]:
    """From now on nobody finds it; its entries are still to be purged.

    A turn that waits to go on never will; one that runs must have been stopped.
    Gives (requests that stay on the bill, paths of files to remove).
    """
    latest = await unit.turns.latest(session.id)
    if latest is not None and latest.state in ("running", "parked"):
        await unit.turns.finish(latest.id, "cancelled", now=now, error_kind="deleted")
        await unit.inbox.settle_turn(latest.id, "refused")
    files = await unit.purging.media_of(session.id)
    for id, _ in files:
        await unit.media.deleted(id, now=now)
    await unit.tags.clear(session.id)
    await unit.turns.forget(session.id)
    kept = await unit.purging.session(session.id, session.code)
    await unit.places.leave(session.id)
    await unit.sessions.delete(session.id, now=now)
    return kept, [path for _, path in files]


async def purged(unit: Unit, session: int, now: int) -> int:
    """A bite of a deleted session's entries; gives how many there were. 0: there is nothing left of it."""
    count = await unit.transcript.purge(session, count=BITE)
    if not count:
        await unit.sessions.purged(session, now=now)
    return count


async def somebody(unit: Unit, channel: str, user_id: str) -> tuple[int | None, list[Identity]]:
    """(person, identities) behind an address. Raises NotFound."""
    found = await unit.people.identity(channel, user_id)
    if found is None:
        raise NotFound(key="erase.nobody", address=f"{channel}:{user_id}")
    if found.person is None:
        return None, [found]
    return found.person, await unit.people.of_person(found.person)


async def redacted(unit: Unit, identities: list[int]) -> int:
    """A bite of what they said and were answered where others talk too; gives how many entries."""
    said = await unit.purging.said_by(identities)
    done = 0
    for session, seq, kind in said:
        entry = await unit.transcript.at(session, seq)
        if entry is None or entry.body.get("erased"):
            continue
        await unit.transcript.redact(session, seq, *_blank(kind))
        done += 1
        if done == BITE:
            break
    return done


def _blank(kind: str) -> tuple[Literal["user", "assistant", "results"], Json]:
    """What stands in its place: a prompt with it is legal, and nothing of it can be told any more."""
    if kind == "user":
        return "user", {**transcript.user(ERASED), "erased": 1}
    if kind == "assistant":
        return "assistant", {**transcript.assistant((Text(ERASED),)), "erased": 1}
    return "results", {**transcript.results([]), "erased": 1}


async def resting(unit: Unit, session: Session) -> bool:
    """Whether nothing runs in it; what was put aside does not run."""
    latest = await unit.turns.latest(session.id)
    return latest is None or latest.state != "running"
