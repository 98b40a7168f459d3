"""What a conversation is in, and going elsewhere; the surface of the chat commands."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import units
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.hub import Seen
from gateway.notices import notice
from gateway.reports import UsageSummary, usage_summary
from gateway.texts import say
from gateway.types.outbound import OutboxRow
from gateway.types.people import Viewer
from gateway.types.sessions import CloseReason, Session
from gateway.views import Resumed, SessionMeta, Standing, Stopped, meta_of

if TYPE_CHECKING:
    from storage import Unit

from gateway.manager.base import Base


class Here(Base):
    """A conversation is named by the number of its row."""

    async def current_session(self, conversation: int, *, named: int | None = None) -> SessionMeta | None:
        """The session a conversation is in (it may be closed by now); *named*: that one instead."""

        async def work(unit: Unit) -> SessionMeta | None:
            session = await units.current_of(unit, conversation, named)
            return None if session is None else meta_of(session, await unit.places.get(session.conversation))

        return await self._store.read(work)

    async def standing(self, conversation: int, *, named: int | None = None) -> Standing:
        """What is going on in a conversation; *named*: about that session instead of the current one."""
        dispatcher, now = self.core.dispatcher, self.core.clock()
        live = dispatcher.running(conversation)

        async def work(unit: Unit) -> Standing:
            session = await units.current_of(unit, conversation, named)
            model = session.model if session is not None else None
            return Standing(
                session=meta_of(session, await unit.places.get(session.conversation)) if session else None,
                model=model or self.core.catalogue.default,
                running_since=live.started.turn.started if live is not None else None,
                kept=await units.is_kept(unit, conversation),
                waiting=len(await unit.inbox.head(conversation, now=now, count=units.MOST_COUNTED)),
                held=(await unit.inbox.held(conversation))[0],
                outage_since=dispatcher.outage_since,
            )

        return await self._store.read(work)

    async def new_session(self, conversation: int) -> SessionMeta | None:
        """Close the current session there; the next message opens one. Gives what was closed; None: nothing was."""
        return await self._store.commit(Point.SESSION, units.leave, conversation, self.core.clock())

    async def resume(self, conversation: int, id: str, *, viewer: Viewer | None = None) -> Resumed:
        """Make a session current there, reopened if need be; who had it as current elsewhere is told.

        *id* may be the beginning of a code, if it is that of one only.

        *viewer* None: whoever sees no more than that place. Raises Refused, with one text for both, for a session
        that does not exist and for one that is not for their eyes; for an archived one; and while it is answering
        somewhere else.
        """
        seen = viewer or Viewer(conversation=conversation)

        async def work(unit: Unit) -> tuple[Resumed, int | None, list[OutboxRow]]:
            session = await units.meant(unit, id, seen)
            return await self._take_up(unit, conversation, session, "resumed")

        return await self._taken_up(work)

    async def continue_previous(self, conversation: int, *, previous: int, new: int) -> Resumed:
        """Back to the session that was closed for a pause; numbers of rows, as the button has them.

        Until the new one has answered, the message it is busy with goes back too. Raises Refused when the
        previous one is gone, or is answering somewhere else.
        """
        answered = await self._store.read(units.has_answered, new)
        moved = not answered and await self.core.dispatcher.move(conversation, new, previous)

        async def work(unit: Unit) -> tuple[Resumed, int | None, list[OutboxRow]]:
            session = await unit.sessions.get(previous)
            if session is None or session.deleted is not None:
                raise Refused(key="button.stale")
            if moved:  # the dispatcher does it, with the end of the turn
                place = await unit.places.get(session.conversation)
                return Resumed(session=meta_of(session, place), moved=True), None, []
            kept = not answered and await units.give_back(
                unit, conversation, new, previous, self.core.clock()
            )
            here = (await unit.places.get(conversation)).current_session
            reason: CloseReason = "moved" if here == new and not answered else "resumed"
            resumed, lost, rows = await self._take_up(unit, conversation, session, reason)
            return replace(resumed, moved=kept), lost, rows

        resumed = await self._taken_up(work)
        self.core.dispatcher.wake(conversation)
        return resumed

    async def stop_turn(self, conversation: int, *, waiting: bool = False) -> Stopped:
        """Stop the turn that runs there; *waiting*: drop the messages that wait, too."""
        dispatcher = self.core.dispatcher
        # First what waits: the end of the running turn would begin with it at once.
        dropped: tuple[int, ...] = ()
        if waiting:
            dropped = await self._store.commit(
                Point.CONTROL, units.drop_waiting, conversation, self.core.clock()
            )
        running = await dispatcher.cancel(conversation)
        if dropped:
            told = say("turn.stopped", dispatcher.habits.language)  # who waits in a terminal or on the API
            self.core.hub.publish(
                Seen(kind="done", conversation=conversation, text=told, state="cancelled", inbox=dropped)
            )
        standing = await self.standing(conversation)
        return Stopped(running=running, dropped=len(dropped), waiting=standing.waiting, kept=standing.kept)

    async def answer_held(self, conversation: int) -> int:
        """Answer what came while we were away; gives how many messages."""
        count = await self._store.commit(Point.CONTROL, lambda unit: unit.inbox.release_held(conversation))
        self.core.dispatcher.wake(conversation)
        return count

    async def drop_held(self, conversation: int) -> int:
        """Never answer what came while we were away; gives how many messages."""
        return await self._store.commit(Point.CONTROL, lambda unit: unit.inbox.drop_held(conversation))

    async def last_turn_usage(self, id: str) -> UsageSummary | None:
        """Of the latest turn of a session; None before the first."""

        async def work(unit: Unit) -> UsageSummary | None:
            turn = await unit.turns.latest((await units.session_named(unit, id)).id)
            if turn is None:
                return None
            return usage_summary(await unit.ledger.of_turn(turn.id))

        return await self._store.read(work)

    async def _take_up(
        self, unit: Unit, conversation: int, session: Session, reason: CloseReason
    ) -> tuple[Resumed, int | None, list[OutboxRow]]:
        """(what happened, the conversation that lost it, what that one is to be told)."""
        now = self.core.clock()
        place = await unit.places.get(session.conversation)
        if not await units.point_at(unit, conversation, session, reason, now):
            return Resumed(session=meta_of(session, place), already=True), None, []
        lost = await unit.places.point(conversation, session.id)
        rows: list[OutboxRow] = []
        if lost is not None:
            account, origin = (await unit.places.get(lost)).account, f"lost:{session.id}:{now}"
            text, render = units.taken_away(session, self._language), self.core.dispatcher.render
            rows = await notice(unit, account, lost, origin, text, render, now)
        if session.unread:  # whoever opens it reads it
            await unit.sessions.set_unread(session.id, False)
        again = await unit.sessions.get(session.id)
        assert again is not None
        return Resumed(session=meta_of(again, place)), lost, rows

    async def _taken_up(
        self, work: Callable[[Unit], Awaitable[tuple[Resumed, int | None, list[OutboxRow]]]]
    ) -> Resumed:
        """Carry it out, then tell the place that lost the session."""
        resumed, lost, rows = await self._store.commit(Point.SESSION, work)
        self.core.delivery.enqueue(rows)
        if lost is not None:
            text = units.taken_away(resumed.session, self._language)
            self.core.hub.publish(Seen(kind="notice", conversation=lost, text=text))
        return resumed
