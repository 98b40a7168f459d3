"""What people choose: models, thinking, how we behave in a chat, the language we speak."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from gateway import log, units
from gateway.errors import DeliveryError, Refused
from gateway.failpoints import Point
from gateway.progress import think_of
from gateway.protocols.tool import ToolSpec
from gateway.sessions import gap_of
from gateway.types.json import Json
from gateway.types.people import Identity
from gateway.types.places import Address, Conversation
from gateway.types.sessions import Session
from gateway.views import Offered, offered

if TYPE_CHECKING:
    from storage import Unit

from gateway.manager.base import Base


class Choices(Base):
    """Each holds from the next message on."""

    async def set_default_llm(self, ref: str) -> None:
        """The model of every session without one of its own, from the next request on; "provider:model".

        Until the next start or reload: then the configuration's holds again. Raises Refused for one that cannot
        be asked.
        """
        self.core.catalogue.swap(ref)

    async def get_llm_for_session(self, id: str) -> str:
        """ "provider:model" as it would be asked now."""
        return self._model(await self._store.read(units.session_named, id)).ref

    def models(self) -> list[Offered]:
        """The models people may choose, the default one first, with their prices now."""
        now, pricing = self.core.clock(), self.core.pricing
        return [offered(self.core.catalogue.get(ref), pricing, now) for ref in self.core.catalogue.allowed]

    async def set_model(
        self,
        conversation: int,
        ref: str | None,
        *,
        identity: Identity | None = None,
        named: int | None = None,
    ) -> None:
        """The model of the session there (or of the one *named*), from the next turn on; None: the default one."""
        if ref is not None:
            self.core.catalogue.get(ref)

        async def work(unit: Unit, session: Session) -> None:
            await unit.sessions.set_model(session.id, ref)

        await self._choose(conversation, work, identity, named, only_open=ref is None)

    async def thinking(self, conversation: int, *, named: int | None = None) -> str | None:
        """How long the model may think there: off, low, medium, high; None: as it does by itself."""
        session = await self._store.read(units.current_of, conversation, named)
        return think_of(session) if session is not None and session.state == "open" else None

    async def set_think(
        self,
        conversation: int,
        level: str | None,
        *,
        identity: Identity | None = None,
        named: int | None = None,
    ) -> None:
        """As in `thinking`. Raises Refused when the session's model cannot be told how long to think."""
        session = await self._store.read(units.current_of, conversation, named)
        ref = session.model if session is not None and session.state == "open" else None
        model = self.core.catalogue.chain(ref)[0]
        if level is not None and not await model.thinks():
            raise Refused(key="think.unsupported", model=f"`{model.ref}`")

        async def work(unit: Unit, session: Session) -> None:
            await unit.sessions.set_settings(session.id, changed(session.settings, think=level))

        await self._choose(conversation, work, identity, named, only_open=level is None)

    async def _choose(
        self,
        conversation: int,
        change: Callable[[Unit, Session], Awaitable[None]],
        identity: Identity | None,
        named: int | None,
        *,
        only_open: bool,
    ) -> None:
        """*only_open*: where no session is open, there is nothing to change."""
        now = self.core.clock()

        async def work(unit: Unit) -> None:
            current = await units.current_of(unit, conversation, named)
            if only_open and (current is None or current.state == "closed"):
                return
            place = await unit.places.get(conversation)
            gap = gap_of(place, self.usual_gap(place))
            await change(unit, await units.chosen_for(unit, conversation, named, gap, identity, now))

        await self._store.commit(Point.SESSION, work)

    async def set_place(self, conversation: int, **settings: object) -> None:
        """Change how we behave in one conversation, from the next message on; None: as configured."""

        async def work(unit: Unit) -> None:
            place = await unit.places.get(conversation)
            await unit.places.set(place.id, changed(place.settings, **settings))

        await self._store.commit(Point.SESSION, work)

    def usual(self, place: Conversation, key: str) -> object:
        """What holds there without a setting of its own: "queue", "context" (0 or 1); None: nothing is configured."""
        habits, account = self.core.dispatcher.habits, self.core.dispatcher.key_of(place)
        match key:
            case "queue":
                return habits.during.get(account, "queue")
            case "context":
                return int(habits.overheard.get(account, 0) > 0)
            case _:
                return None

    def usual_gap(self, place: Conversation) -> int | None:
        """The gap of the account, in minutes; None: explicit sessions."""
        return self.core.dispatcher.usual_gap(place)

    def tools(self) -> list[ToolSpec]:
        """What the agent may use."""
        return list(self.core.toolbox.specs)

    @property
    def most_searches(self) -> int:
        """How often a provider that can may search the web for one request; 0: never."""
        return self.core.toolbox.options.web_search

    async def set_lang(self, person: int, lang: str) -> None:
        """The language that person is spoken to in, as a BCP 47 tag; '': what their platform says."""
        await self._store.commit(Point.PEOPLE, lambda unit: unit.people.set_lang(person, lang))

    async def set_zone(self, person: int, zone: str) -> None:
        """The IANA time zone whose clock that person is shown; '': the gateway's."""
        await self._store.commit(Point.PEOPLE, lambda unit: unit.people.set_zone(person, zone))

    async def administers(self, address: Address, user_id: str) -> bool:
        """Whether the platform counts that person among the chat's administrators; False when it cannot be asked."""
        line = self.core.delivery.line(address.account)
        if line is None:
            return False
        try:
            return await line.channel.administers(address, user_id)
        except DeliveryError as error:
            log.warning("chat.administrators", kind=error.kind, error=str(error))
            return False


def changed(settings: Json, **changes: object) -> Json:
    """*settings* with the changes; None takes one out."""
    return {key: value for key, value in {**settings, **changes}.items() if value is not None}
