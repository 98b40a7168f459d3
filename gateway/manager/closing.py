"""Sessions closed with a few words on what they were about."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from typing import TYPE_CHECKING

from gateway import epilogue, log, units
from gateway.billing import Booking, Request
from gateway.errors import ModelError, Refused
from gateway.failpoints import Point
from gateway.manager.base import Base
from gateway.protocols.answer import Answer
from gateway.session_views import Closed
from gateway.transcript import Text
from gateway.types.people import OPERATOR, Viewer
from gateway.types.sessions import Session
from gateway.types.turns import Entry

if TYPE_CHECKING:
    from storage import Unit

PATIENCE = 30.0  # seconds for the model's summary: whoever closes waits for it


class Closing(Base):
    """The next message in the chat opens a new session; `resume` goes back to the closed one."""

    async def close_with_summary(
        self,
        id: str,
        summary: str | None = None,
        *,
        identity: int | None = None,
        viewer: Viewer = OPERATOR,
    ) -> Closed:
        """Close it. *summary* None: `[agent] summary_model` writes it, booked, where one is set and the budget allows.

        Else, and where that fails, it is title and last exchange. *identity* pays. One that is closed already stays
        as it is. Raises NotFound, and Refused while it answers.
        """

        async def begin(unit: Unit) -> tuple[Session, list[Entry]]:
            session = await units.at_rest(unit, id, viewer)
            return session, await unit.transcript.live(session.id)

        session, entries = await self._store.read(begin)
        wanted = epilogue.given(summary) is None and session.state == "open"
        text = await self._summed_up(session, entries, identity) if wanted else None
        now = self.core.clock()

        async def work(unit: Unit) -> Closed:
            found = await units.at_rest(unit, id, viewer)
            # What was said since is in no summary of before.
            own = text if found.next_seq == session.next_seq else None
            standing = await unit.transcript.all(found.id)
            last = epilogue.given(summary) or own or epilogue.last_exchange(found.title, standing)
            was_open = await unit.sessions.close(found.id, reason="command", now=now, summary=last)
            return Closed(session=await units.shown(unit, found), was_open=was_open)

        return await self._store.commit(Point.SESSION, work)

    async def _summed_up(self, session: Session, entries: list[Entry], identity: int | None) -> str | None:
        """What the model wrote; None where none is to be asked, or has failed. Its request is settled."""
        ref = self.core.runner.options.summary_model
        prompt = epilogue.asking(entries) if ref else None
        if prompt is None:
            return None
        place = await self._store.read(lambda unit: unit.places.get(session.conversation))
        booking = Booking(
            purpose="summary",
            channel=place.channel,
            session=session.id,
            conversation=place.id,
            identity=identity,
            trigger=session.triggered_by,
        )
        request: Request | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                model = self.core.catalogue.chain(ref)[0]
                await model.ready()
                request = await self.core.biller.open(model, prompt, booking)
                async with aclosing(self.core.biller.stream(request, prompt)) as events:
                    async for event in events:
                        if isinstance(event, Answer):
                            said = "".join(part.text for part in event.parts if isinstance(part, Text))
                            return log.veiled(said.strip())[: epilogue.LONGEST] or None
            raise ModelError("the summary was cut off", kind="cut")
        except (ModelError, Refused, TimeoutError) as error:
            log.warning("close.summary", model=ref, error=str(error))
            return None
        finally:
            if request is not None and request.settled is not None:
                await self.core.biller.settle(request)
