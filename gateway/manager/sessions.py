"""Sessions: which one a message belongs to, what is in it, opening and closing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from gateway import folding, rewinding, transcript, units
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.sessions import Continue, New, SessionDecision, title_of
from gateway.types.people import OPERATOR, Viewer
from gateway.types.sessions import Filter
from gateway.views import Message, SessionMeta, message_of, meta_of

if TYPE_CHECKING:
    from storage import Unit

from gateway.manager.base import Base


class Sessions(Base):
    """By code; a place by its channel and key."""

    async def resolve_session(
        self, channel: str, key: str, gap_minutes: int | None = None
    ) -> SessionDecision[str]:
        """Continue(id), or New(closed_session_id) after closing one that was idle for the gap or longer.

        *gap_minutes* None: explicit, continues however old.
        """
        return await self.resolve_session_for_user(channel, key, gap_minutes, "")

    async def resolve_session_for_user(
        self, channel: str, key: str, gap_minutes: int | None, user_id: str
    ) -> SessionDecision[str]:
        """The same for one member of a chat."""
        now = self.core.clock()

        async def work(unit: Unit) -> SessionDecision[str]:
            place = await units.place_of(unit, channel, key, user_id)
            return await units.resolved(unit, place, gap_minutes, now)

        return await self._store.commit(Point.SESSION, work)

    async def open_session(
        self, channel: str, key: str, gap_minutes: int | None = None, *, user_id: str = ""
    ) -> SessionMeta:
        """Resolve, and create if need be, in one transaction: two first messages at once give one session."""
        now = self.core.clock()

        async def work(unit: Unit) -> SessionMeta:
            place = await units.place_of(unit, channel, key, user_id)
            match await units.resolved(unit, place, gap_minutes, now):
                case Continue(id):
                    session = await unit.sessions.by_code(str(id))
                    assert session is not None
                    return meta_of(session, place)
                case New(_, _):
                    return meta_of(await units.created(unit, place, now, user_id=user_id), place)

        return await self._store.commit(Point.SESSION, work)

    async def create_session(self, channel: str, key: str) -> str:
        """A new current session for that place; one that was open there is closed. Gives its id."""
        return await self.create_session_full(channel, key)

    async def create_session_for_user(self, channel: str, key: str, user_id: str) -> str:
        return await self.create_session_full(channel, key, user_id=user_id)

    async def create_session_full(
        self, channel: str, key: str, *, user_id: str = "", triggered_by: str | None = None
    ) -> str:
        """*triggered_by*: the job that starts it, or None for a person."""
        now = self.core.clock()

        async def work(unit: Unit) -> str:
            place = await units.place_of(unit, channel, key, user_id)
            session = await units.created(unit, place, now, user_id=user_id, triggered_by=triggered_by)
            return session.code

        return await self._store.commit(Point.SESSION, work)

    async def close_session(self, id: str, summary: str | None = None, *, viewer: Viewer = OPERATOR) -> bool:
        """True when it was open. Raises NotFound for an unknown id, and Refused while it answers."""
        now = self.core.clock()

        async def work(unit: Unit) -> bool:
            session = await units.at_rest(unit, id, viewer)
            return await unit.sessions.close(session.id, reason="api", now=now, summary=summary)

        return await self._store.commit(Point.SESSION, work)

    async def touch_session(self, id: str) -> None:
        """A person has written: the gap is measured from now, the message counter goes up."""
        now = self.core.clock()

        async def work(unit: Unit) -> None:
            session = await units.session_named(unit, id)
            await unit.sessions.count(session.id, now=now, messages=1, person=now)

        await self._store.commit(Point.SESSION, work)

    async def set_title_if_empty(self, id: str, title: str) -> None:
        """One line of at most 60 characters; an existing title stays."""

        async def work(unit: Unit) -> None:
            session = await units.session_named(unit, id)
            if line := title_of(title):
                await unit.sessions.set_title_if_empty(session.id, line)

        await self._store.commit(Point.SESSION, work)

    async def save_message(self, id: str, role: Literal["user", "assistant", "note"], text: str) -> int:
        """Append to the transcript; gives the entry's seq. The first user message becomes the title."""
        now = self.core.clock()

        async def work(unit: Unit) -> int:
            session = await units.session_named(unit, id)
            match role:
                case "user":
                    await unit.sessions.set_title_if_empty(session.id, title_of(text))
                    body = transcript.user(text)
                case "assistant":
                    body = transcript.assistant((transcript.Text(text),))
                case "note":
                    body = transcript.note(text)
                case _:
                    raise Refused(f"role {role!r}: use user, assistant or note")
            return await unit.transcript.add(session.id, role, body, now=now)

        return await self._store.commit(Point.SESSION, work)

    async def get_messages(
        self, id: str, limit: int | None = None, *, viewer: Viewer = OPERATOR
    ) -> list[Message]:
        """What was said and not taken back, oldest first; the last *limit* of it if given."""

        async def work(unit: Unit) -> list[Message]:
            entries = await unit.transcript.all((await units.session_named(unit, id, viewer)).id)
            standing = rewinding.standing(entries)
            return [message for entry in standing if (message := message_of(entry)) is not None]

        messages = await self._store.read(work)
        return messages if limit is None else messages[-limit:] if limit > 0 else []

    async def history(self, id: str, *, viewer: Viewer = OPERATOR) -> list[Message]:
        """What the model would be sent now: after a compaction its summary and what came later."""

        async def work(unit: Unit) -> list[Message]:
            session = await units.session_named(unit, id, viewer)
            kept = folding.kept(await unit.transcript.live(session.id))
            return [message for entry in kept if (message := message_of(entry)) is not None]

        return await self._store.read(work)

    async def list_sessions(
        self, limit: int = 20, *, skip: int = 0, channel: str | None = None, conversation: int | None = None
    ) -> list[SessionMeta]:
        """Newest activity first; archived and deleted ones are left out."""

        async def work(unit: Unit) -> list[SessionMeta]:
            filter = Filter(channel=channel, conversation=conversation)
            found = await unit.listing.find(OPERATOR, filter, count=limit, skip=skip)
            return [meta_of(each, await unit.places.get(each.conversation)) for each in found]

        return await self._store.read(work)

    async def get_session(self, id: str, *, viewer: Viewer = OPERATOR) -> SessionMeta | None:
        """None when there is no such session."""

        async def work(unit: Unit) -> SessionMeta | None:
            session = await unit.listing.by_code(units.code_of(id), viewer)
            return None if session is None else await units.shown(unit, session)

        return await self._store.read(work)

    async def session_count(self, filter: Filter | None = None, *, viewer: Viewer = OPERATOR) -> int:
        """How many `list` would give; without a filter all that there are, archived ones as well."""
        if filter is None:
            every = (Filter(), Filter(state="archived"))
            return sum([await self.session_count(each, viewer=viewer) for each in every])
        return await self._store.read(lambda unit: unit.listing.count(viewer, filter))

    async def clear(self, id: str, *, viewer: Viewer = OPERATOR) -> None:
        """The model forgets what was said so far; the transcript and the usage stay."""
        now = self.core.clock()

        async def work(unit: Unit) -> None:
            session = await units.at_rest(unit, id, viewer)
            await unit.transcript.add(session.id, "mark", transcript.mark("clear"), now=now)

        await self._store.commit(Point.SESSION, work)
