"""Units of work about all there is of somebody: written down, or made unreadable where others talk too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from gateway import archive, transcript
from gateway.errors import NotFound
from gateway.forgetting import BITE, SAID, UNMERGED, Bite
from gateway.jobs.spec import spec_of
from gateway.sessions import title_of
from gateway.transcript import Text
from gateway.types.json import Json
from gateway.types.people import Identity

if TYPE_CHECKING:
    from storage import Unit

Kind = Literal["user", "assistant", "results", "summary"]
ERASED = "(erased)"


async def somebody(unit: Unit, channel: str, user_id: str) -> tuple[int | None, list[Identity]]:
    """(person, identities) behind an address. Raises NotFound."""
    found = await unit.people.identity(channel, user_id)
    if found is None:
        raise NotFound(key="erase.nobody", address=f"{channel}:{user_id}")
    if found.person is None:
        return None, [found]
    return found.person, await unit.people.of_person(found.person)


async def everything(unit: Unit, person: int | None, identities: Sequence[Identity]) -> Json:
    """Who they are, their sessions, what they said with others, their files and jobs, each request on their bill."""
    mine = [each.id for each in identities]
    sessions: list[Json] = []
    for id in await unit.purging.sessions_of(person, mine):
        session = await unit.sessions.get(id)
        assert session is not None
        entries = await unit.transcript.all(id)
        sessions.append(archive.to_json(archive.document(session, await unit.tags.of(id), entries)))
    said = [
        {"created": entry.created, "text": str(entry.body.get("text", ""))}
        for session_id, seq, kind in await unit.purging.said_by(mine)
        if kind == "user" and (entry := await unit.transcript.at(session_id, seq)) is not None
    ]
    jobs = [spec_of(each) for each in await unit.jobs.all() if each.identity in mine]
    return {
        "parley": "person",
        "v": archive.VERSION,
        "identities": [_shown(each) for each in identities],
        "sessions": sessions,
        "said": said,
        "jobs": [{"name": each.name, "schedule": each.schedule, "prompt": each.prompt} for each in jobs],
        "files": [
            {"name": name, "type": type, "bytes": size, "created": created}
            for name, type, size, created in await unit.purging.files_of(mine)
        ],
        "bill": [
            {"at": at, "purpose": purpose, "model": model, "cost": cost}
            for at, purpose, model, cost in await unit.purging.bill_of(mine)
        ],
    }


def _shown(identity: Identity) -> Json:
    return {
        "address": f"{identity.channel}:{identity.user_id}",
        "name": identity.name,
        "state": identity.state,
        "role": identity.role,
        "language": identity.lang,
        "zone": identity.zone,
    }


async def redacted(unit: Unit, identities: Sequence[int]) -> Bite:
    """A bite of what they said and were answered where others talk too."""
    said = await unit.purging.said_by(identities)
    done = messages = 0
    await unit.purging.wiping(True)
    for session, seq, kind in said:
        entry = await unit.transcript.at(session, seq)
        if entry is None or entry.body.get("erased"):
            continue
        await _unlabelled(unit, session, str(entry.body.get("text", "")))
        await unit.transcript.redact(session, seq, *_blank(kind, entry.body))
        if kind == "summary":
            await unit.compactions.forget(session, seq)
        await unit.purging.unexported(session)
        done += 1
        messages += kind in SAID
        if done == BITE:
            break
    await unit.purging.wiping(False)
    if done:
        await unit.meta.put(UNMERGED, "1")
    return Bite(entries=done, messages=messages)


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
