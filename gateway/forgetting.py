"""Units of work that make a session, or a person, be forgotten; the bill stays."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from gateway import transcript
from gateway.errors import NotFound
from gateway.sessions import title_of
from gateway.transcript import Text
from gateway.types import Identity, Json, Session

if TYPE_CHECKING:
    from storage import Unit

Kind = Literal["user", "assistant", "results", "summary"]
BITE = 500  # entries that one commit deletes, or writes over: some ten milliseconds
ERASED = "(erased)"
UNMERGED = "words"  # in meta: 1 while the index of words may still know what was deleted


@dataclass(frozen=True, slots=True, kw_only=True)
class Emptied:
    """What was around a session: *files* are still to be removed, by their paths; *requests* stay on the bill."""

    requests: int
    files: tuple[str, ...]


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


async def purged(unit: Unit, session: int, now: int) -> int:
    """A bite of a deleted session's entries; gives how many there were. 0: there is nothing left of it."""
    await unit.purging.wiping(True)
    count = await unit.transcript.purge(session, count=BITE)
    await unit.purging.wiping(False)
    if not count:
        await unit.sessions.purged(session, now=now)
        await unit.meta.put(UNMERGED, "1")
    return count


async def merged(unit: Unit, first: bool) -> bool:
    """A bite of leaving out of the index of words what was deleted; False when nothing is left to do."""
    await unit.purging.wiping(True)
    more = await unit.purging.merge_words(first=first)
    await unit.purging.wiping(False)
    await unit.meta.put(UNMERGED, "1" if more else "0")
    return more


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
    await unit.purging.wiping(True)
    for session, seq, kind in said:
        entry = await unit.transcript.at(session, seq)
        if entry is None or entry.body.get("erased"):
            continue
        await _unlabelled(unit, session, str(entry.body.get("text", "")))
        await unit.transcript.redact(session, seq, *_blank(kind, entry.body))
        if kind == "summary":
            await unit.compactions.forget(session, seq)
        done += 1
        if done == BITE:
            break
    await unit.purging.wiping(False)
    if done:
        await unit.meta.put(UNMERGED, "1")
    return done


async def _unlabelled(unit: Unit, id: int, text: str) -> None:
    """A title that was made of what they said, and a summary of it, go too."""
    session = await unit.sessions.get(id)
    if session is not None and (session.summary or (session.title and session.title == title_of(text))):
        title = None if session.title == title_of(text) else session.title
        await unit.sessions.unlabel(id, title)


def _blank(kind: str, body: Json) -> tuple[Kind, Json]:
    """What stands in its place: a prompt with it is legal, and nothing of it can be told any more."""
    match kind:
        case "assistant":
            return "assistant", {**transcript.assistant((Text(ERASED),)), "erased": 1}
        case "results":
            return "results", {**transcript.results([]), "erased": 1}
        case "summary":
            return "summary", {**transcript.summary(ERASED, upto=body["upto"]), "erased": 1}
        case _:
            return "user", {**transcript.user(ERASED), "erased": 1}


async def resting(unit: Unit, session: int) -> bool:
    """Whether nothing runs in it; what was put aside does not run."""
    latest = await unit.turns.latest(session)
    return latest is None or latest.state != "running"
