"""What the gateway says of its own accord: to one chat, or to all."""

from __future__ import annotations

import uuid

from gateway import addressee, announcing, posting
from gateway.announcing import Audience
from gateway.errors import DeliveryError, NotFound, Refused
from gateway.failpoints import Point
from gateway.hub import Seen
from gateway.manager.base import Base
from gateway.posting import Posted
from gateway.types.people import Identity
from gateway.whereabouts import conversation_of


class Posting(Base):
    """Through the outbox, once for each id."""

    async def send(self, address: str, text: str, *, origin: str | None = None) -> Posted:
        """Post in the gateway's name: telegram:12345, telegram:-100…/TOPIC, discord:CHANNEL, telegram.second:123
        or main:KEY; through the outbox, as answers go.

        A repeat with the same *origin* posts nothing, and gives what became of the first. Raises Refused when
        there is nothing to post, when that bot is not connected, and for an origin of another place.
        """
        where, id, now = addressee.parse(address), origin or str(uuid.uuid4()), self.core.clock()
        if not text.strip():
            raise Refused("There is nothing to send.")
        named = f"{posting.ORIGIN}{id}"
        if where.key == addressee.HOME:
            place = await self._store.commit(Point.NOTICE, posting.leave, where.chat, named, text, now)
            if place is not None:
                self.core.hub.publish(Seen(kind="notice", conversation=place.id, text=text))
            return await self.posted(id)
        line = self.core.delivery.line_named(where.key)
        if line is None:
            raise Refused(f"{where.key} is not connected, so nothing was sent; `parley doctor` says why")
        chunks = line.channel.render(text)
        if not chunks:
            raise Refused("There is nothing to send.")
        try:
            there = await conversation_of(self._store, self.core.delivery, where.address)
        except DeliveryError as error:
            raise Refused(f"{address} could not be found, so nothing was sent: {error}") from None
        assert there is not None
        rows = await self._store.commit(Point.NOTICE, posting.post, there[1], named, chunks, now)
        self.core.delivery.enqueue(rows)
        return await self.posted(id)

    async def posted(self, id: str) -> Posted:
        """What has become of a message by its origin. Raises NotFound."""
        fate = await self._store.read(lambda unit: unit.outbox.fate(f"{posting.ORIGIN}{id}"))
        if not fate:
            raise NotFound(f"Nothing was sent as {id!r}.")
        return posting.summed(id, fate)

    async def audience(self) -> Audience:
        """Where an announcement would go now."""
        served, now = self._served, self.core.clock()
        return announcing.counted(await self._store.read(announcing.chats, served, now))

    async def announce(self, text: str, *, id: int) -> int:
        """Say it in each of these chats, behind what people wait for; gives in how many it was not said before.

        A repeat with the same *id* says nothing twice.
        """
        render, now = self.core.dispatcher.render, self.core.clock()
        rows = await self._store.commit(Point.NOTICE, announcing.enter, id, text, self._served, render, now)
        self.core.delivery.enqueue(rows)
        return len({row.conversation for row in rows})

    @property
    def _served(self) -> announcing.Served:
        delivery, policy = self.core.delivery, self.core.dispatcher.habits.policy

        def let_in(who: Identity) -> bool:
            if policy.owns(who.channel, who.user_id):
                return True
            named = policy.names(who.channel, who.user_id)
            return who.state == "allowed" or (named and who.state != "blocked")

        return announcing.Served(lambda account: delivery.line(account) is not None, let_in)
