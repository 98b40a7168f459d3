"""Sessions as documents: written out, read in."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, get_args

from gateway import archive, branching, units
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.manager.base import Base
from gateway.manager.labels import MOST_TAGS, tag_of
from gateway.sessions import new_code, title_of
from gateway.shelf import Shelf, name_of
from gateway.types.json import Json
from gateway.types.people import OPERATOR, Viewer
from gateway.types.places import Conversation
from gateway.types.sessions import Session
from gateway.views import SessionMeta

if TYPE_CHECKING:
    from storage import Unit

Form = Literal["markdown", "json"]
FORMS: tuple[Form, ...] = get_args(Form)


class Documents(Base):
    """Files that came with messages are named in them, and not part of them."""

    async def export_session(self, id: str, form: Form = "markdown", *, viewer: Viewer = OPERATOR) -> str:
        """Markdown is what was said and stands; JSON has everything, and can be read in again. Raises NotFound.

        What a session is told of itself is in it for admins only.
        """
        if form not in FORMS:
            raise Refused(key="export.form", forms=", ".join(FORMS))
        document = await self._document(id, viewer)
        if form == "json":
            return archive.dump(archive.to_json(document))
        return archive.to_markdown(document, zone=self.zone)

    async def export_json(self, id: str, *, viewer: Viewer = OPERATOR) -> Json:
        """The JSON form as a value. Raises NotFound."""
        return archive.to_json(await self._document(id, viewer))

    async def import_session(
        self,
        told: object,
        *,
        conversation: int | None = None,
        channel: str = "main",
        key: str = "main",
        user_id: str = "",
        owner: int | None = None,
        viewer: Viewer = OPERATOR,
    ) -> SessionMeta:
        """A new session made of what the JSON form says, as a value (`parsed` makes it of text).

        It is one of the chat with the number *conversation*, where that is given, else of that channel and key; *owner*
        as a person's number. Nobody is in it yet, and its usage begins at 0. A model that may not be chosen, and, for
        who is no admin, what it is told of itself, are left out. Raises Refused for what was not exported by us.
        """
        document = self._allowed(archive.read(told), viewer)

        async def work(unit: Unit) -> SessionMeta:
            if conversation is not None:
                place, person = await unit.places.get(conversation), owner
            else:
                place, person = await _place(unit, channel, key, user_id)
            session = await self._entered(
                unit, document, new_code(), place, owner if person is None else person
            )
            return await units.shown(unit, session)

        return await self._store.commit(Point.SESSION, work)

    async def save(
        self, told: object, *, channel: str = "main", key: str = "main", user_id: str = ""
    ) -> SessionMeta:
        """Create or update: the session of the document's own id gets what the JSON form says.

        Entries it has stay as they are, later ones are added. Raises Refused when it has others under the same
        numbers, and while it answers. It is for whoever has the machine: there is no *viewer*.
        """
        document = self._allowed(archive.read(told), OPERATOR)
        code = units.code_of(document.code)
        if not units.is_code(code):
            raise Refused(key="import.code", code=title_of(code))

        async def work(unit: Unit) -> SessionMeta:
            there = await unit.listing.by_code(code, OPERATOR)
            if there is None and await unit.sessions.taken(code):
                raise Refused(key="import.deleted", code=code)
            if there is None:
                place, person = await _place(unit, channel, key, user_id)
                return await units.shown(unit, await self._entered(unit, document, code, place, person))
            session = await units.at_rest(unit, code)
            have = archive.document(session, (), await unit.transcript.all(session.id)).entries
            if have != document.entries[: len(have)] or session.next_seq > document.next_seq:
                raise Refused(key="import.other", code=code)
            await unit.transcript.put(session.id, document.entries[len(have) :], next_seq=document.next_seq)
            await branching.recounted(unit, session.id)
            await _described(unit, session.id, document)
            return await units.shown(unit, session)

        return await self._store.commit(Point.SESSION, work)

    async def export_closed(self, count: int = 20) -> int:
        """Write closed sessions that were not written yet, oldest first, into the folder for that; gives how many.

        0 where no folder is configured. Raises OSError when it cannot be written to.
        """
        folder = self.exports()
        if folder is None:
            return 0
        codes = await self._store.read(lambda unit: unit.purging.to_export(count))
        for code in codes:
            await self._shelved(Shelf(folder), code)
        return len(codes)

    async def _shelved(self, shelf: Shelf, code: str) -> None:
        now = self.core.clock()

        async def work(unit: Unit) -> tuple[Session, archive.Document]:
            session = await units.session_named(unit, code)
            tags, entries = await unit.tags.of(session.id), await unit.transcript.all(session.id)
            return session, archive.document(session, tags, entries)

        session, document = await self._store.read(work)
        name = name_of(session)
        await asyncio.to_thread(shelf.put, name, archive.to_markdown(document, zone=self.zone))
        if not await self._store.commit(Point.SESSION, lambda unit: unit.purging.exported(code, now=now)):
            await asyncio.to_thread(shelf.remove, name)  # it was deleted meanwhile

    async def _document(self, id: str, viewer: Viewer) -> archive.Document:
        async def work(unit: Unit) -> archive.Document:
            session = await units.session_named(unit, id, viewer)
            tags, entries = await unit.tags.of(session.id), await unit.transcript.all(session.id)
            found = archive.document(session, tags, entries)
            return found if viewer.admin else replace(found, system_prompt=None)

        return await self._store.read(work)

    def _allowed(self, document: archive.Document, viewer: Viewer) -> archive.Document:
        model = document.model if document.model in self.core.catalogue.allowed else None
        return replace(document, model=model, system_prompt=document.system_prompt if viewer.admin else None)

    async def _entered(
        self, unit: Unit, document: archive.Document, code: str, place: Conversation, owner: int | None
    ) -> Session:
        session = await unit.sessions.add(
            code=code, conversation=place.id, owner=owner, now=self.core.clock(), origin="import"
        )
        await unit.transcript.put(session.id, document.entries, next_seq=document.next_seq)
        await branching.recounted(unit, session.id)
        await _described(unit, session.id, document)
        return session


async def _place(unit: Unit, channel: str, key: str, user_id: str) -> tuple[Conversation, int | None]:
    """(the place, whose session of it is meant)."""
    place = await units.place_of(unit, channel, key, user_id)
    who = await unit.people.seen(place.channel, user_id) if user_id else None
    return place, who.person if who else None


async def _described(unit: Unit, id: int, document: archive.Document) -> None:
    """What is written on it."""
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
    try:
        found: Any = json.loads(text)
    except (ValueError, RecursionError):
        raise Refused(key="import.none") from None
    return found if isinstance(found, dict) else {}
