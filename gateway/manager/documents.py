"""Sessions as documents: written out, read in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, get_args

from gateway import archive, units
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.manager.base import Base
from gateway.manager.labels import MOST_TAGS, tag_of
from gateway.sessions import new_code, title_of
from gateway.types import OPERATOR, Json, Session, Viewer

if TYPE_CHECKING:
    from storage import Unit

Form = Literal["markdown", "json"]
FORMS: tuple[Form, ...] = get_args(Form)


class Documents(Base):
    """Files that came with messages are named in them, and not part of them."""

    async def export_session(self, id: str, form: Form = "markdown", *, viewer: Viewer = OPERATOR) -> str:
        """Markdown is what was said and stands; JSON has everything, and can be read in again. Raises NotFound."""
        if form not in FORMS:
            raise Refused(key="export.form", forms=", ".join(FORMS))
        document = await self._document(id, viewer)
        if form == "json":
            return archive.dump(archive.to_json(document))
        return archive.to_markdown(document, zone=self.zone)

    async def import_session(
        self, told: object, *, channel: str = "main", key: str = "main", user_id: str = ""
    ) -> str:
        """A new session of that place made of what the JSON form says, as a value; gives its id.

        Nobody is in it yet, and its usage begins at 0. Raises Refused for what was not exported by us.
        """
        document = archive.read(told)

        async def work(unit: Unit) -> str:
            return (await self._entered(unit, document, new_code(), channel, key, user_id)).code

        return await self._store.commit(Point.SESSION, work)

    async def save(self, told: object, *, channel: str = "main", key: str = "main", user_id: str = "") -> str:
        """Create or update: the session of the document's own id gets what the JSON form says; gives that id.

        Entries it has stay as they are, later ones are added. Raises Refused when it has others under the same
        numbers, and while it answers.
        """
        document = archive.read(told)
        code = units.code_of(document.code)
        if not units.is_code(code):
            raise Refused(key="import.code", code=title_of(code))

        async def work(unit: Unit) -> str:
            there = await unit.listing.by_code(code, OPERATOR)
            if there is None:
                return (await self._entered(unit, document, code, channel, key, user_id)).code
            session = await units.at_rest(unit, code)
            have = archive.document(session, (), await unit.transcript.all(session.id)).entries
            if have != document.entries[: len(have)] or session.next_seq > document.next_seq:
                raise Refused(key="import.other", code=code)
            await unit.transcript.put(session.id, document.entries[len(have) :], next_seq=document.next_seq)
            await _described(unit, session.id, document)
            return code

        return await self._store.commit(Point.SESSION, work)

    async def _document(self, id: str, viewer: Viewer) -> archive.Document:
        async def work(unit: Unit) -> archive.Document:
            session = await units.session_named(unit, id, viewer)
            tags, entries = await unit.tags.of(session.id), await unit.transcript.all(session.id)
            return archive.document(session, tags, entries)

        return await self._store.read(work)

    async def _entered(
        self, unit: Unit, document: archive.Document, code: str, channel: str, key: str, user_id: str
    ) -> Session:
        place = await units.place_of(unit, channel, key, user_id)
        who = await unit.people.seen(place.channel, user_id) if user_id else None
        session = await unit.sessions.add(
            code=code,
            conversation=place.id,
            owner=who.person if who else None,
            now=self.core.clock(),
            origin="import",
        )
        await unit.transcript.put(session.id, document.entries, next_seq=document.next_seq)
        await _described(unit, session.id, document)
        return session


async def _described(unit: Unit, id: int, document: archive.Document) -> None:
    """What is written on it. What it is told of itself is an admin's to say, and was one's who exported it."""
    await unit.sessions.described(
        id,
        title=title_of(document.title or "") or None,
        summary=document.summary,
        system_prompt=document.system_prompt,
        model=document.model,
        triggered_by=document.triggered_by,
        created=document.created,
        last_active=document.last_active,
        closed=document.last_active if document.closed else None,
    )
    await unit.sessions.set_settings(id, document.settings)
    await unit.tags.clear(id)
    for tag in document.tags[:MOST_TAGS]:
        await unit.tags.add(id, tag_of(tag))


def parsed(text: str) -> Json:
    """The JSON form as a value. Raises Refused for what is no JSON."""
    import json

    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(key="import.none") from None
    return found if isinstance(found, dict) else {}
