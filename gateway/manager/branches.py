"""A copy of a session that a chat goes on in: in a thread of its own where the platform has them, else here."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import log
from gateway.errors import DeliveryError
from gateway.failpoints import Point
from gateway.manager.here import Here
from gateway.manager.turning import Turning
from gateway.notices import notice
from gateway.session_views import Forked
from gateway.texts import say
from gateway.types.outbound import OutboxRow
from gateway.types.people import OPERATOR, Viewer
from gateway.types.places import Conversation, Place
from gateway.views import SessionMeta

if TYPE_CHECKING:
    from storage import Unit


class Branches(Turning, Here):
    """*conversation* is the number of the chat's row."""

    async def fork_here(
        self,
        conversation: int,
        id: str,
        turn: int | None = None,
        name: str | None = None,
        *,
        viewer: Viewer = OPERATOR,
    ) -> Forked:
        """Fork a session and make the copy current: in a new thread, named as it is, or in this chat.

        Where no thread can be opened, for whatever reason, it is this chat. Raises as `fork` does.
        """
        copy = await self.fork(id, turn, name, viewer=viewer)
        place = await self._store.read(lambda unit: unit.places.get(conversation))
        there = await self._thread(place, copy)
        if there is None:
            await self.resume(conversation, copy.id, viewer=viewer)
            return Forked(session=copy, conversation=conversation, aside=False)
        told = say("turns.thread", self._language, title=copy.title or copy.id, code=id)

        async def work(unit: Unit) -> tuple[int, list[OutboxRow]]:
            account = await unit.people.account_by_id(place.account)
            assert account is not None
            new = await unit.places.at(account, there)
            origin, now = f"fork:{copy.id}", self.core.clock()
            return new.id, await notice(
                unit, place.account, new.id, origin, told, self.core.dispatcher.render, now
            )

        new, rows = await self._store.commit(Point.SESSION, work)
        await self.resume(new, copy.id, viewer=viewer)
        self.core.delivery.enqueue(rows)
        return Forked(session=copy, conversation=new, aside=True)

    async def _thread(self, place: Conversation, copy: SessionMeta) -> Place | None:
        line = self.core.delivery.line(place.account)
        if line is None or not line.channel.can.thread:
            return None
        try:
            opened = await line.channel.open_thread(place.address, copy.title or copy.id)
        except DeliveryError as error:
            log.info("thread.refused", kind=error.kind, error=str(error))
            return None
        return None if opened is None else replace(opened, user_id=place.user_id)
