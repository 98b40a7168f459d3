"""Shortening what the model is told, looking at what was put away, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway import compaction, transcript, units
from gateway.billing import Booking
from gateway.drafts import Order, window
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.types.compactions import Cause, Compaction
from gateway.types.people import OPERATOR, Viewer
from gateway.types.sessions import Session
from gateway.types.usage import Weighed
from gateway.views import Compacted, ContextUsage, compacted_of

if TYPE_CHECKING:
    from storage import Unit

from gateway.manager.base import Base
from gateway.manager.choices import changed


class Compactions(Base):
    """The transcript stays whole whatever is done here.

    Each raises NotFound for a session the *viewer* may not see.
    """

    async def compact(
        self,
        id: str,
        cause: Cause = "manual",
        *,
        focus: str = "",
        identity: int | None = None,
        viewer: Viewer = OPERATOR,
    ) -> Compacted:
        """Put the earlier part away: old results of tools if that makes room, else all of it into notes; booked.

        *focus*: what the notes should attend to. *identity* pays. Raises Refused when a turn or another compaction is
        under way, when there is nothing to put away, and when it is stopped; ModelError when no notes came.
        """
        session = await self._store.read(units.session_named, id, viewer)
        place = await self._store.read(lambda unit: unit.places.get(session.conversation))
        done = await self.core.compactor.compact(
            Order(
                session=session,
                cause=cause,
                focus=focus,
                booking=Booking(
                    purpose="compaction",
                    channel=place.channel,
                    session=session.id,
                    conversation=place.id,
                    identity=identity,
                    trigger=session.triggered_by,
                ),
            )
        )
        if done is None:
            raise Refused(key="window.nothing")
        return compacted_of(done.row)

    async def maybe_auto_compact(self, id: str) -> Compacted | None:
        """`compact` if little room is left and the session is to be shortened unasked; None: it was not done."""
        session = await self._store.read(units.session_named, id)
        usual = self.core.runner.options.auto_compact
        if not compaction.automatic(session, usual) or not await self.is_near_limit(id):
            return None
        return await self.compact(id, "auto")

    async def compactions(self, id: str, *, viewer: Viewer = OPERATOR) -> list[Compacted]:
        """Oldest first, also those that were taken back."""

        async def work(unit: Unit) -> list[Compacted]:
            session = await units.session_named(unit, id, viewer)
            return [compacted_of(each) for each in await unit.compactions.of(session.id)]

        return await self._store.read(work)

    async def undo_compaction(self, id: str, *, viewer: Viewer = OPERATOR) -> Compacted:
        """Take the newest back: the model is told again what it was told before, and what was said since."""
        session = await self._store.read(units.session_named, id, viewer)
        return compacted_of(await self.core.compactor.undo(session))

    async def redo_compaction(self, id: str, *, viewer: Viewer = OPERATOR) -> Compacted:
        """Put back what was taken back last; refused when something was put away since."""
        session = await self._store.read(units.session_named, id, viewer)
        return compacted_of(await self.core.compactor.redo(session))

    async def auto_compact(self, id: str, *, viewer: Viewer = OPERATOR) -> tuple[bool, bool | None]:
        """(whether it is shortened unasked, what was said for this session; None: as configured)."""
        session = await self._store.read(units.session_named, id, viewer)
        said = {"on": True, "off": False}.get(str(session.settings.get("compact")))
        return compaction.automatic(session, self.core.runner.options.auto_compact), said

    async def set_auto_compact(self, id: str, automatic: bool | None, *, viewer: Viewer = OPERATOR) -> None:
        """Whether it is shortened unasked from now on; None: as configured."""
        said = None if automatic is None else "on" if automatic else "off"

        async def work(unit: Unit) -> None:
            session = await units.session_named(unit, id, viewer)
            await unit.sessions.set_settings(session.id, changed(session.settings, compact=said))

        await self._store.commit(Point.SESSION, work)

    async def record_compaction(
        self, id: str, trigger: str, pre_tokens: int, summary: str, messages_compacted: int
    ) -> None:
        """Write a compaction that was made elsewhere: the next prompt starts from its summary.

        Raises Refused while a turn or a compaction is under way, and for a summary that says nothing.
        """
        now = self.core.clock()
        if not summary.strip("\0 \t\r\n"):
            raise Refused(key="window.no_summary")

        async def work(unit: Unit) -> None:
            session = await units.at_rest(unit, id)
            self.core.compactor.flights.check(session.id)
            upto = session.next_seq
            body = transcript.summary(summary, upto=upto)
            seq = await unit.transcript.add(session.id, "summary", body, now=now)
            await unit.compactions.add(
                session.id,
                entry_seq=seq,
                cause=trigger,
                method="notes",
                from_seq=0,
                upto=upto,
                messages=messages_compacted,
                before=pre_tokens,
                after=len(summary.encode()) // compaction.BYTES,
                requests=0,
                cost=None,
                model=None,
                focus="",
                usage_uid=None,
                now=now,
            )

        await self._store.commit(Point.COMPACT, work)

    async def context_usage(self, id: str, *, viewer: Viewer = OPERATOR) -> ContextUsage:
        """Of the last exact request; after a compaction, or its being taken back, what the next one is estimated at."""

        async def work(unit: Unit) -> tuple[Session, Weighed | None, Compaction | None]:
            session = await units.session_named(unit, id, viewer)
            return session, await unit.ledger.context(session.id), await unit.compactions.latest(session.id)

        session, last, latest = await self._store.read(work)
        most = window(self._model(session), self.core.runner.options.context_window)
        used, estimated = (last.input + last.output if last is not None else 0), False
        if latest is not None and (last is None or latest.changed > last.at):
            after = latest.after if latest.after is not None else used
            used, estimated = after if latest.state == "on" else latest.before, True
        return ContextUsage(
            used_tokens=used,
            max_tokens=most,
            percent=100 * used / most,
            turns=session.next_turn,
            estimated=estimated,
        )

    async def is_near_limit(self, id: str) -> bool:
        """Whether the next requests may not fit: 80 % of the window is used."""
        return (await self.context_usage(id)).percent >= 100 * compaction.NEAR_LIMIT
