"""Finding sessions: lists, words, one by its code; and what there is to know of one."""

from __future__ import annotations

import builtins
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import compaction, log, rewinding, transcript, units
from gateway.errors import NotFound, Refused
from gateway.manager.base import Base
from gateway.manager.labels import tag_of
from gateway.progress import think_of
from gateway.reports import usage_summary
from gateway.roster import addressed
from gateway.session_views import Match, SessionDetails, snippet
from gateway.types.people import OPERATOR, Viewer
from gateway.types.sessions import Filter, Session
from gateway.views import Message, SessionMeta, message_of, meta_of
from gateway.words import searched

if TYPE_CHECKING:
    from storage import Unit

MOST = 1000  # sessions at once
LONGEST = 1000  # characters of what is searched by


class Listing(Base):
    """*viewer*: whose eyes; what they may not see is not there."""

    async def list(
        self, filter: Filter | None = None, *, limit: int = 20, skip: int = 0, viewer: Viewer = OPERATOR
    ) -> builtins.list[SessionMeta]:
        """Newest activity first; archived ones only where the filter asks for them."""

        wanted = _meant(filter)

        async def work(unit: Unit) -> builtins.list[SessionMeta]:
            found = await unit.listing.find(viewer, wanted, count=min(limit, MOST), skip=skip)
            return await _metas(unit, found)

        return await self._store.read(work)

    async def search(
        self,
        text: str,
        filter: Filter | None = None,
        *,
        limit: int = 20,
        skip: int = 0,
        viewer: Viewer = OPERATOR,
    ) -> builtins.list[Match]:
        """Sessions whose title or messages have all these words, newest activity first.

        "In quotes": one after another; word*: words that begin so, from three letters on. Case and accents do not
        count. Raises Refused when there is no word.
        """
        wanted = searched(text[:LONGEST])
        if not wanted.terms:
            raise Refused(key="session.no_words")
        only = _meant(filter)

        async def work(unit: Unit) -> builtins.list[Match]:
            found = await unit.listing.search(wanted.terms, viewer, only, count=min(limit, MOST), skip=skip)
            metas = await _metas(unit, [each[0] for each in found])
            return [
                Match(session=meta, seq=seq, snippet=snippet(await _text(unit, session, seq), wanted.words))
                for meta, (session, seq) in zip(metas, found, strict=True)
            ]

        return await self._store.read(work)

    async def get_all_sessions(self) -> builtins.list[SessionMeta]:
        """Every session that is not deleted, archived ones as well; newest activity first."""

        async def work(unit: Unit) -> builtins.list[SessionMeta]:
            every = Filter(), Filter(state="archived")
            found = [each for filter in every for each in await unit.listing.find(OPERATOR, filter, count=-1)]
            found.sort(key=lambda each: (each.last_active, each.id), reverse=True)
            return await _metas(unit, found)

        return await self._store.read(work)

    async def load_all_sessions(self) -> int:
        """Read every transcript once; gives how many can be gone on with. What cannot is logged and left alone."""
        readable = 0
        for meta in await self.get_all_sessions():
            try:
                await self.restore_session_by_id(meta.id)
            except (ValueError, KeyError, TypeError) as error:
                log.warning("session.unreadable", session=meta.id, error=str(error))
            else:
                readable += 1
        return readable

    async def restore_session_by_id(self, id: str) -> SessionMeta:
        """A session after a restart, with its transcript read; the same however often. Raises NotFound."""

        async def work(unit: Unit) -> SessionMeta:
            session = await units.session_named(unit, id)
            rewinding.turns(await unit.transcript.all(session.id))
            return await units.shown(unit, session)

        return await self._store.read(work)

    async def find(self, typed: str, *, viewer: Viewer = OPERATOR) -> SessionMeta:
        """The session whose code begins so. Raises NotFound for none, Refused for several."""

        async def work(unit: Unit) -> SessionMeta:
            return await units.shown(unit, await units.meant(unit, typed, viewer))

        return await self._store.read(work)

    async def person_of(self, address: str) -> int:
        """Whose number `Filter.person` takes. *address* as channel:number. Raises Refused, and NotFound."""
        channel, user_id = addressed(address)

        async def work(unit: Unit) -> int:
            found = await unit.people.identity(channel, user_id)
            if found is None or found.person is None:
                raise NotFound(key="erase.nobody", address=address)
            return found.person

        return await self._store.read(work)

    async def show(self, id: str, *, viewer: Viewer = OPERATOR) -> SessionDetails:
        """Everything but what was said. Raises NotFound."""
        now = self.core.clock()

        async def work(unit: Unit) -> tuple[Session, SessionDetails]:
            session = await units.session_named(unit, id, viewer)
            entries = await unit.transcript.all(session.id)
            parent = await unit.sessions.get(session.parent) if session.parent is not None else None
            return session, SessionDetails(
                session=await units.shown(unit, session),
                running=await units.is_busy(unit, session.id),
                turns=len(rewinding.turns(entries)),
                turns_run=session.next_turn,
                tool_calls=await unit.turns.calls_in(session.id),
                approvals=await unit.approvals.count(session.id),
                duration=(now if session.closed is None else session.closed) - session.created,
                effective_model=session.model or self.core.catalogue.default,
                thinking=think_of(session),
                auto_compact=compaction.automatic(session, self.core.runner.options.auto_compact),
                system_prompt=session.system_prompt if viewer.admin else None,
                parent=parent.code if parent is not None and parent.deleted is None else None,
                children=tuple(each.code for each in await unit.sessions.children(session.id)),
                forks=tuple(each.code for each in await unit.sessions.forks(session.id)),
                usage=usage_summary(await unit.ledger.of_session(session.id)),
                can_redo=rewinding.can_redo(entries),
            )

        return (await self._store.read(work))[1]

    async def last_messages(
        self, id: str, count: int, *, viewer: Viewer = OPERATOR
    ) -> builtins.list[Message]:
        """What people and the model said last, oldest first: at most *count*, [] for none."""

        async def work(unit: Unit) -> builtins.list[Message]:
            session = await units.session_named(unit, id, viewer)
            said = rewinding.standing(await unit.transcript.all(session.id))
            shown = (message_of(each) for each in said if each.kind in ("user", "assistant"))
            return [each for each in shown if each is not None][-count:] if count > 0 else []

        return await self._store.read(work)


def _meant(filter: Filter | None) -> Filter:
    """With its tag as it is stored. Raises Refused for what is none."""
    found = filter or Filter()
    return found if found.tag is None else replace(found, tag=tag_of(found.tag))


async def _metas(unit: Unit, found: builtins.list[Session]) -> builtins.list[SessionMeta]:
    tags = await unit.tags.of_all(each.id for each in found)
    places = {id: await unit.places.get(id) for id in {each.conversation for each in found}}
    return [meta_of(each, places[each.conversation], tags.get(each.id, ())) for each in found]


async def _text(unit: Unit, session: Session, seq: int | None) -> str:
    if seq is None:
        return session.title or ""
    entry = await unit.transcript.at(session.id, seq)
    if entry is None:
        return ""
    return transcript.visible(entry.body) if entry.kind == "assistant" else str(entry.body.get("text", ""))
