"""The agent: asking, stopping; the emergency stop."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import approvals, branching, units
from gateway.errors import NotFound, Refused
from gateway.failpoints import Point
from gateway.hub import Seen
from gateway.reports import usage_summary
from gateway.texts import say
from gateway.types.inbound import Inbound, Kind
from gateway.types.people import OPERATOR, Identity, Sender, Viewer
from gateway.types.places import Account, Place
from gateway.types.sessions import Session
from gateway.views import Generated

if TYPE_CHECKING:
    from storage import Unit

from gateway.manager.sessions import Sessions

LOOK_AGAIN = 2.0  # seconds without a word, after which a waiting client's message is looked at
OUT = "You are not let in any more."
LOCAL_USER = "local"  # who speaks through the terminal and the local API


class Agent(Sessions):
    """Everything asked goes through accept, as from a platform."""

    async def generate(self, id: str, prompt: str, *, timeout: float | None = None) -> Generated:
        """Ask in that session and wait for the whole answer; enters at accept like any message."""
        async with asyncio.timeout(timeout), aclosing(self.generate_streaming(id, prompt)) as events:
            async for event in events:
                if isinstance(event, Generated):
                    return event
        raise Refused(key="message.internal")

    async def generate_streaming(self, id: str, prompt: str) -> AsyncGenerator[Seen | Generated]:
        """Seen(kind='text') with the whole text so far, then one Generated. Breaking off does not stop the turn."""
        meta = await self.get_session(id)
        if meta is None:
            raise NotFound(f"There is no session {id}.")
        async with aclosing(self.say(prompt, session=meta.id)) as events:
            async for event in events:
                yield event

    async def say(
        self,
        text: str,
        *,
        key: str = "main",
        session: str | None = None,
        event_id: str | None = None,
        who: Identity | None = None,
    ) -> AsyncGenerator[Seen | Generated]:
        """A local person's message or command on `main`, under *key*; what happens, then one Generated.

        *session*: run there instead of in the key's current session. *event_id* makes a repeat harmless: what
        was answered before is given again. *who*: as somebody from elsewhere, with keys and event ids of their own
        and their sessions only; None: whoever has the machine.
        """
        if not text.strip():
            raise Refused(key="message.empty")
        mine = f"{who.channel}:{who.user_id}" if who is not None else ""
        inside = await self._store.read(units.theirs, session, who) if session is not None else None
        account, place = await self._store.commit(Point.PEOPLE, units.local_place, key, mine)
        dispatcher, hub = self.core.dispatcher, self.core.hub
        event = Inbound(
            event_id=f"{mine} {event_id}" if mine and event_id else event_id or str(uuid.uuid4()),
            kind=Kind.COMMAND if text.startswith("/") else Kind.API,
            place=Place(chat_id=key, user_id=mine, kind="client"),
            sender=None if who is not None else Sender(user_id=LOCAL_USER, name="local"),
            identity=who.id if who is not None else None,
            text=text,
            session=inside.id if inside else None,
            sent=self.core.clock(),
        )
        with hub.listen(place.id) as queue:
            (receipt,) = await dispatcher.accept(account, [event])
            row = receipt.inbox_id
            if receipt.state == "refused":
                raise Refused(OUT)
            if row is None:
                yield await self._answered(account, event.event_id)
                return
            while True:
                try:
                    async with asyncio.timeout(LOOK_AGAIN):
                        seen = await queue.get()
                except TimeoutError:
                    # Of whoever was blocked while they waited nothing is published.
                    found = await self._store.read(units.answer_to, account.id, event.event_id)
                    if found is not None and found.state == "refused":
                        raise Refused(OUT) from None
                    continue
                if row in seen.inbox and seen.kind == "done":
                    again = await self._asked_again(account, row) if seen.state == "command" else None
                    if again is None:
                        yield await self._generated(seen)
                        return
                    row = again
                    yield replace(seen, kind="notice")
                    continue
                if row in seen.inbox or seen.kind == "notice":
                    yield seen

    async def _asked_again(self, account: Account, row: int) -> int | None:
        """The message that waits for a new answer since that command; None: it was no /retry."""
        origin = branching.event_of(str(row), 0)
        return await self._store.read(lambda unit: unit.inbox.id_of(account.id, origin))

    async def cancel_operation(self, id: str, *, viewer: Viewer = OPERATOR) -> bool:
        """Say no to what waits for a person's yes, then stop what runs: turn, compaction; False: nothing was."""
        now = self.core.clock()

        async def work(unit: Unit) -> tuple[Session, int]:
            session = await units.session_named(unit, id, viewer)
            return session, await approvals.denied(unit, session.id, now)

        session, refused = await self._store.commit(Point.CONTROL, work)
        live = next(
            (each for each in self.core.dispatcher.runs if each.started.session.id == session.id), None
        )
        shortening = self.core.compactor.flights.stop_session(session.id)
        stopped = live is not None and await self.core.dispatcher.cancel(live.started.turn.conversation)
        return stopped or shortening or refused > 0

    @property
    def halted(self) -> str | None:
        """Who has pulled the emergency stop, and why; None when it is not pulled."""
        return self.core.dispatcher.halted

    async def halt(self, *, by: str, why: str = "") -> int:
        """The emergency stop: no new request to any provider, running ones are cancelled, messages are kept.

        *by* as channel:id, or cli. Gives how many running answers were put aside. Raises Refused when it is so
        already. It holds over restarts.
        """
        return await self.core.dispatcher.halt(by=by, why=why)

    async def unhalt(self, *, by: str) -> None:
        """Go on with everything that was kept. Raises Refused when nothing was halted."""
        await self.core.dispatcher.unhalt(by=by)

    async def _generated(self, seen: Seen) -> Generated:
        if seen.session is None:
            return Generated(
                text=seen.text,
                session_id="",
                state=seen.state,
                error=seen.error,
                usage=usage_summary([0] * 12),
            )

        async def work(unit: Unit) -> Generated:
            session = await unit.sessions.get(seen.session or 0)
            return Generated(
                text=seen.text,
                session_id=session.code if session else "",
                state=seen.state,
                error=seen.error,
                usage=usage_summary(await unit.ledger.of_turn(seen.turn or 0)),
                over=seen.over,
            )

        return await self._store.read(work)

    async def _answered(self, account: Account, event_id: str) -> Generated:
        """What a repeated event was answered the first time; waits while that is still being made.

        State kept while nothing can be asked: it is answered later.
        """
        dispatcher = self.core.dispatcher
        while True:
            found = await self._store.read(units.answer_to, account.id, event_id)
            if found is not None:
                return found
            if dispatcher.halted or dispatcher.outage_since is not None:
                text = say("halt.kept" if dispatcher.halted else "turn.kept", self._language)
                nothing = usage_summary([0] * 12)
                return Generated(text=text, session_id="", state="kept", error=None, usage=nothing)
            await asyncio.sleep(0.2)
