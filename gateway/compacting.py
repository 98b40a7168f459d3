"""A compaction as it is made, and taken back: rows over a transcript that stays whole; one at a time in a session."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from gateway import compaction, folding, history, log, transcript
from gateway.drafts import Draft, Drafts, Order, Scene, at_rest
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.flights import Flights, to_its_end
from gateway.folding import Prune
from gateway.message_size import bytes_of
from gateway.protocols.clock import Clock
from gateway.protocols.messages import Message
from gateway.types.compactions import Compaction
from gateway.types.sessions import Session
from gateway.types.turns import Entry

if TYPE_CHECKING:
    from storage import Store, Unit


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A compaction that was made; *vain*: it has made no room to speak of. *failed*: models were asked for notes and
    wrote none, or not all.
    """

    row: Compaction
    vain: bool
    failed: bool = False


class Compactor:
    """Makes compactions, and takes them back."""

    def __init__(self, *, store: Store, drafts: Drafts, clock: Clock) -> None:
        self._store = store
        self._drafts = drafts
        self._clock = clock
        self.flights = Flights()

    # -- made -------------------------------------------------------------------------------------------------

    async def compact(self, order: Order) -> Done | None:
        """None: there is nothing to put away.

        Raises Refused when a turn is running, when one is being made already, when it was called off, and when the
        session became another meanwhile; ModelError when no notes came and it can wait, and when halted.
        """
        where = order.booking.conversation or 0
        return await self.flights.fly(order.session.id, where, lambda: self._made(order))

    async def _made(self, order: Order) -> Done | None:
        scene = await self._drafts.scene(order)
        done: Done | None = None
        if order.within:
            draft = await self._drafts.pruned(scene, replace(compaction.WITHIN_TURN, upto=scene.next))
            if draft is not None:
                done = await self._stored(scene, draft)
                scene = replace(
                    scene,
                    entries=[*scene.entries, replace(draft.entry, seq=done.row.entry_seq)],
                    next=done.row.entry_seq + 1,
                    weighed=replace(
                        scene.weighed, input=draft.after, bound=await self._drafts.size(scene, draft)
                    ),
                )
        keep = compaction.keep_from(scene.entries, window=scene.window)
        if order.first is not None:
            keep = order.first if order.within else min(keep, order.first)
        covered = [each for each in folding.kept(scene.entries) if each.kind == "summary" or each.seq < keep]
        messages = history.build(covered, ask=False)
        pruned = await self._drafts.pruned(scene, Prune(upto=keep, over=compaction.PRUNED_OVER))
        if (
            pruned is not None
            and not (order.focus or scene.pruned)
            and compaction.enough(scene.before, pruned.after, scene.window)
        ):
            return await self._stored(scene, replace(pruned, messages=len(messages)))
        if not _worth(order, covered, messages):
            return done
        return await self._stored(scene, await self._drafts.noted(scene, messages, keep))

    async def _stored(self, scene: Scene, draft: Draft) -> Done:
        """In one commit, which is not called back once it is under way."""
        order, notes, now = scene.order, draft.notes, self._clock()
        session = order.session.id
        request = notes.request if notes is not None else None
        costs = list(notes.costs) if notes is not None else []
        if request is not None and request.settled is not None:
            costs.append(request.settled.cost)

        async def work(unit: Unit) -> Compaction:
            if order.check is not None:
                await order.check(unit)
            await _unchanged(unit, scene)
            if request is not None and request.settled is not None:
                await unit.ledger.settle(request.uid, request.settled)
            seq = await unit.transcript.add(session, draft.entry.kind, draft.entry.body, now=now)
            await unit.compactions.add(
                session,
                entry_seq=seq,
                cause=order.cause,
                method=draft.method,
                from_seq=0,
                upto=draft.upto,
                messages=draft.messages,
                before=scene.before,
                after=draft.after,
                requests=len(costs),
                cost=sum(each for each in costs if each is not None) if None not in costs else None,
                model=notes.model if notes is not None else None,
                focus=order.focus,
                usage_uid=request.uid if request is not None else None,
                now=now,
            )
            if order.cause in ("manual", "api"):
                await unit.compactions.set_pause(session, vain=0, turn=0)  # somebody has looked after it
            found = await unit.compactions.latest(session)
            assert found is not None
            return found

        try:
            row = await to_its_end(self._store.commit(Point.COMPACT, work))
        except BaseException:  # whatever ends it: what the notes have cost is on the bill
            if notes is not None:
                await notes.settle()
            raise
        log.info(
            "compacted", session=session, cause=order.cause, method=draft.method, messages=draft.messages,
            before=scene.before, after=draft.after, model=row.model,
        )  # fmt: skip
        return Done(
            row=row,
            vain=compaction.in_vain(scene.before, draft.after, scene.window),
            failed=notes is not None and notes.error is not None,
        )

    # -- taken back -------------------------------------------------------------------------------------------

    async def undo(self, session: Session) -> Compaction:
        """Take the newest back: the next prompt is what it was before, with what was said since.

        Raises Refused when there is none, or a turn or a compaction is under way.
        """
        return await self._turned(session, "off")

    async def redo(self, session: Session) -> Compaction:
        """Put back what was taken back last. Raises Refused when something was put away since."""
        return await self._turned(session, "on")

    async def _turned(self, session: Session, state: Literal["on", "off"]) -> Compaction:
        self.flights.check(session.id)
        now = self._clock()

        async def work(unit: Unit) -> Compaction:
            await at_rest(unit, session.id)
            rows = await unit.compactions.of(session.id)
            # What belongs to turns that were taken back, or forgotten, is in no prompt either way.
            present = folding.present(await unit.transcript.all(session.id))
            wanted = [each for each in rows if each.entry_seq in present and each.state != "gone"]
            if state == "off":
                found = next((each for each in reversed(wanted) if each.state == "on"), None)
            else:
                found = next((each for each in wanted if each.state == "off"), None)
            if found is None:
                raise Refused(key="window.no_undo" if state == "off" else "window.no_redo")
            op = "uncompact" if state == "off" else "recompact"
            await unit.transcript.add(session.id, "mark", transcript.mark(op, seq=found.entry_seq), now=now)
            await unit.compactions.set_state(found.id, state, now=now)
            return replace(found, state=state, changed=now)

        return await self._store.commit(Point.COMPACT, work)


async def _unchanged(unit: Unit, scene: Scene) -> None:
    """Raises Refused when what was to be put away is no longer there: turns were taken back, or it was deleted."""
    session = await unit.sessions.get(scene.order.session.id)
    if session is None or session.deleted is not None:
        raise Refused(key="window.changed")
    since = await unit.transcript.all(session.id, since=scene.next)
    if any(each.kind in ("mark", "summary") for each in since):
        raise Refused(key="window.changed")


def _worth(order: Order, covered: Sequence[Entry], messages: Sequence[Message]) -> bool:
    """Whether there is something to take notes of: notes alone only where they are long, as the last resort."""
    if all(entry.kind == "summary" for entry in covered):
        return order.within and bytes_of(messages) > compaction.LONG_NOTES
    return len(messages) >= (1 if order.cause == "overflow" else 2)
