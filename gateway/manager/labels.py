"""What is written on a session: its title, its tags, whether it is read, paused, put into the archive."""

from __future__ import annotations

import unicodedata
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from gateway import units
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.manager.base import Base
from gateway.sessions import title_of
from gateway.types.people import OPERATOR, Viewer
from gateway.types.sessions import Session
from gateway.views import SessionMeta

if TYPE_CHECKING:
    from storage import Unit

LONGEST_TAG = 32  # characters
MOST_TAGS = 32  # of one session


class Labels(Base):
    """None of it changes what was said. Each raises NotFound for a session the *viewer* may not see."""

    async def rename(self, id: str, title: str, *, viewer: Viewer = OPERATOR) -> SessionMeta:
        """One line of at most 60 characters. Raises Refused when nothing of it shows."""
        line = title_of(title)
        if not line:
            raise Refused(key="session.no_title")

        async def work(unit: Unit, session: Session) -> None:
            await unit.sessions.rename(session.id, line)

        return await self._label(id, work, viewer)

    async def tag(self, id: str, tags: Sequence[str], *, viewer: Viewer = OPERATOR) -> SessionMeta:
        """Add tags behind those it has; one that is there already stays where it is. Raises Refused."""
        wanted = [tag_of(each) for each in tags]

        async def work(unit: Unit, session: Session) -> None:
            for each in wanted:
                await unit.tags.add(session.id, each)
            if len(await unit.tags.of(session.id)) > MOST_TAGS:
                raise Refused(key="session.many_tags", most=MOST_TAGS)

        return await self._label(id, work, viewer)

    async def untag(
        self, id: str, tags: Sequence[str] | None = None, *, viewer: Viewer = OPERATOR
    ) -> SessionMeta:
        """Take tags off; None: all of them. One that is not there is no error."""
        wanted = None if tags is None else [tag_of(each) for each in tags]

        async def work(unit: Unit, session: Session) -> None:
            if wanted is None:
                await unit.tags.clear(session.id)
            for each in wanted or ():
                await unit.tags.remove(session.id, each)

        return await self._label(id, work, viewer)

    async def mark_read(self, id: str, read: bool = True, *, viewer: Viewer = OPERATOR) -> SessionMeta:
        """A session whose answer nobody has seen yet is unread."""

        async def work(unit: Unit, session: Session) -> None:
            await unit.sessions.set_unread(session.id, not read)

        return await self._label(id, work, viewer)

    async def pause_session(self, id: str, *, viewer: Viewer = OPERATOR) -> bool:
        """No new turn in it from now on; a running one goes on. True when that is a change."""
        return await self._pause(id, True, viewer)

    async def resume_session(self, id: str, *, viewer: Viewer = OPERATOR) -> bool:
        """The end of a pause. True when that is a change."""
        return await self._pause(id, False, viewer)

    async def archive(self, id: str, *, viewer: Viewer = OPERATOR) -> SessionMeta:
        """Out of the lists, and closed: it can be read, and is not continued. Raises Refused while it answers."""
        now = self.core.clock()

        async def work(unit: Unit) -> SessionMeta:
            session = await units.at_rest(unit, id, viewer)
            await archived(unit, session.id, now)
            return await units.shown(unit, session)

        return await self._store.commit(Point.SESSION, work)

    async def unarchive(self, id: str, *, viewer: Viewer = OPERATOR) -> SessionMeta:
        """Back in the lists; it stays closed until somebody goes back to it."""

        async def work(unit: Unit, session: Session) -> None:
            await unit.sessions.unarchive(session.id)

        return await self._label(id, work, viewer)

    async def _label(
        self, id: str, change: Callable[[Unit, Session], Awaitable[None]], viewer: Viewer
    ) -> SessionMeta:
        async def work(unit: Unit) -> SessionMeta:
            session = await units.session_named(unit, id, viewer)
            await change(unit, session)
            return await units.shown(unit, session)

        return await self._store.commit(Point.SESSION, work)

    async def _pause(self, id: str, paused: bool, viewer: Viewer) -> bool:
        now = self.core.clock()

        async def work(unit: Unit) -> bool:
            session = await units.session_named(unit, id, viewer)
            done = await unit.sessions.pause(session.id, paused)
            if done and not paused:  # going on is a person's doing: the gap is measured from now
                await unit.sessions.count(session.id, now=now, person=now)
            return done

        return await self._store.commit(Point.SESSION, work)


async def archived(unit: Unit, id: int, now: int) -> None:
    """Nobody is in it any more."""
    await unit.sessions.archive(id, now=now)
    await unit.sessions.close(id, reason="archived", now=now)
    await unit.places.leave(id)


def tag_of(text: str) -> str:
    """A tag as it is stored: without the #, in small letters, without blanks. Raises Refused for what is none."""
    tag = unicodedata.normalize("NFC", text.strip().lstrip("#")).lower()
    if not tag or len(tag) > LONGEST_TAG or not all(char.isalnum() or char in "-_./+:" for char in tag):
        raise Refused(key="session.no_tag", tag=title_of(text, LONGEST_TAG), longest=LONGEST_TAG)
    return tag
