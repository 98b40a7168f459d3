"""Deleting sessions: the content goes for good, the bill stays; there is a receipt."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from gateway import forgetting, units
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.hub import Seen
from gateway.manager.base import Base
from gateway.session_views import Deleted
from gateway.shelf import Shelf, name_of
from gateway.texts import say
from gateway.types.people import OPERATOR, Viewer
from gateway.types.sessions import Session

if TYPE_CHECKING:
    from storage import Unit

PATIENCE = 10.0  # seconds for a stopped turn to end
PAUSE = 0.02  # seconds between two looks whether it has


class Forgetting(Base):
    """What is deleted is found no more at once; its content is gone when the call returns, or after the next start."""

    async def delete(self, id: str, *, viewer: Viewer = OPERATOR) -> Deleted:
        """A session and what was said in it, files as well; a running turn is stopped first. Raises NotFound.

        Its rows on the ledger stay, and so does its number. Sessions that work for it go too, its forks do not.
        """
        session = await self._store.read(units.session_named, id, viewer)
        for child in await self._store.read(lambda unit: unit.sessions.children(session.id)):
            await self.delete(child.code)
        now = self.core.clock()

        async def work(unit: Unit) -> list[tuple[int, int]]:
            found = await units.session_named(unit, id, viewer)
            await unit.audit.add(
                at=now, actor=viewer.name, action=f"delete session {found.code}", outcome="done"
            )
            return await forgetting.condemned(unit, found, now)

        self._turn_away(session.id, await self._store.commit(Point.SESSION, work))
        await self._stop(session.id)
        return await self._purge(session)

    async def destroy_session(self, id: str) -> bool:
        """The same; True when there was one."""
        if await self._store.read(lambda unit: unit.sessions.by_code(units.code_of(id))) is None:
            return False
        await self.delete(id)
        return True

    async def purge_deleted(self, count: int = 1) -> int:
        """Go on with what an earlier process had begun to delete; gives how many sessions that were."""
        left = await self._store.read(lambda unit: unit.sessions.unpurged(count))
        resting = [each for each in left if await self._store.read(forgetting.resting, each.id)]
        for session in resting:
            await self._purge(session)
        return len(resting)

    async def forget_words(self) -> bool:
        """Leave out of the index of words what was deleted, bite by bite; False when there was nothing to do.

        A running gateway does that within a minute; nobody finds anything by those words anyhow.
        """
        if await self._store.read(lambda unit: unit.meta.get(forgetting.UNMERGED)) != "1":
            return False
        first = True
        while await self._store.commit(Point.SWEEP, forgetting.merged, first):
            first = False
        return True

    def _turn_away(self, session: int, waiting: Sequence[tuple[int, int]]) -> None:
        """Who waits for an answer hears that none will come; what waits behind them goes on."""
        told = say("session.gone", self._language)
        for row, place in waiting:
            seen = Seen(
                kind="done", conversation=place, text=told, session=session, state="refused", inbox=(row,)
            )
            self.core.hub.publish(seen)
        for place in {place for _, place in waiting}:
            self.core.dispatcher.wake(place)

    async def _stop(self, session: int) -> None:
        """Stop the turn that runs in it, and wait until that has ended on disk.

        Raises Refused when it does not: then the rest is purged at the next start.
        """
        dispatcher = self.core.dispatcher
        try:
            async with asyncio.timeout(PATIENCE):
                while not await self._store.read(forgetting.resting, session):
                    if dispatcher.recovery.visiting:
                        return  # an earlier process has left it, and none will go on with it
                    for live in dispatcher.runs:
                        if live.started.session.id == session:
                            await dispatcher.cancel(live.started.turn.conversation)
                    await asyncio.sleep(PAUSE)
        except TimeoutError:
            raise Refused(key="session.busy") from None

    async def _purge(self, session: Session) -> Deleted:
        """Bite by bite, so that nobody's message waits."""
        now, messages = self.core.clock(), 0
        gone = await self._store.commit(Point.SWEEP, forgetting.emptied, session, now)
        await self.core.gallery.remove(gone.files)
        folder = self.exports()
        if folder is not None:
            await asyncio.to_thread(Shelf(folder).remove, name_of(session))
        while (bite := await self._store.commit(Point.SWEEP, forgetting.purged, session.id, now)).entries:
            messages += bite.messages
        return Deleted(
            id=session.code, at=now, messages=messages, files=len(gone.files), requests_kept=gone.requests
        )
