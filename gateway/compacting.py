"""A compaction as it is made, and taken back: rows over a transcript that stays whole; one at a time in a session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from gateway import compaction, history, log, transcript, usage
from gateway.billing import Biller, Booking, worst_case
from gateway.errors import OPERATOR_FAULTS, RETRYABLE, ModelError, Refused
from gateway.failpoints import Point
from gateway.folding import Prune, kept
from gateway.notes import Notes, Wanted
from gateway.progress import Options
from gateway.protocols import Asked, Clock, Message, Model, Prompt, UserMessage
from gateway.types import Cause, Compaction, Entry, Session, Weighed

if TYPE_CHECKING:
    from storage import Store, Unit

DEFAULT_WINDOW = 200_000  # tokens, where nobody knows the model's
# With one of these it is left for later, as long as nobody waits for room: poor notes are no better than none.
LATER = RETRYABLE | OPERATOR_FAULTS | {"budget"}


def window(model: Asked, configured: int | None) -> int:
    """How many tokens a model takes: as configured, else as listed, else what most take."""
    return configured or usage.context_window(model.model, provider_kind=model.kind) or DEFAULT_WINDOW


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be shortened and why, on whose bill.

    *model*: overrides the session's. *turn* is the running turn that needs room, None between turns; what is before
    the entry *first* may go. *within*: what the tools gave in that turn may be cut, too. *unaided*: without a model.
    *check* runs in each commit and may raise.
    """

    session: Session
    cause: Cause
    booking: Booking
    model: str | None = None
    focus: str = ""
    first: int | None = None
    within: bool = False
    unaided: bool = False
    check: Callable[[Unit], Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A compaction that was made; *vain*: it has made no room to speak of. *failed*: models were asked for notes and
    wrote none, or not all.
    """

    row: Compaction
    vain: bool
    failed: bool = False


@dataclass(slots=True)
class Flight:
    """A compaction that is being made in this process. *why* it was called off."""

    conversation: int
    task: asyncio.Task[Done | None]
    why: Literal["", "stopped", "halted"] = ""


class Compactor:
    """Makes compactions; a turn of the session waits for `landed`, and nothing else is put away meanwhile.

    *prompt* is what the model would be sent now.
    """

    def __init__(
        self,
        *,
        store: Store,
        biller: Biller,
        chain: Callable[[str | None], Sequence[Model]],
        prompt: Callable[[Session, Sequence[Entry]], Prompt],
        options: Callable[[], Options],
        clock: Clock,
    ) -> None:
        self._store = store
        self._biller = biller
        self._chain = chain
        self._prompt = prompt
        self._options = options
        self._clock = clock
        self._flights: dict[int, Flight] = {}  # by session

    # -- one at a time ----------------------------------------------------------------------------------------

    async def compact(self, order: Order) -> Done | None:
        """None: there is nothing to put away.

        Raises Refused when a turn is running, when one is being made already, and when it was called off; ModelError
        when no notes came and it can wait, and when halted.
        """
        id = order.session.id
        if id in self._flights:
            raise Refused(key="window.busy")
        task = asyncio.create_task(self._made(order), name=f"compaction-{id}")
        flight = self._flights[id] = Flight(order.booking.conversation or 0, task)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            while not task.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
            raise
        finally:
            del self._flights[id]
        if not task.cancelled():
            return task.result()
        if flight.why == "halted":
            raise ModelError("halted by the operator", kind="halted")
        raise Refused(key="window.stopped")

    async def landed(self, session: int) -> bool:
        """Wait until nothing is being put away there; False when nothing was."""
        waited = False
        while (flight := self._flights.get(session)) is not None:
            await asyncio.wait([flight.task])
            await asyncio.sleep(0)  # who made it takes it off the list
            waited = True
        return waited

    def stop(self, conversation: int) -> bool:
        """Call off what is being made for that conversation; False when nothing is."""
        return self._call_off(
            [each for each in self._flights.values() if each.conversation == conversation], "stopped"
        )

    def halt(self) -> None:
        """Call off everything."""
        self._call_off(list(self._flights.values()), "halted")

    def _call_off(self, flights: Sequence[Flight], why: Literal["stopped", "halted"]) -> bool:
        for flight in flights:
            flight.why = why
            flight.task.cancel()
        return bool(flights)

    # -- made -------------------------------------------------------------------------------------------------

    async def _made(self, order: Order) -> Done | None:
        session, options = order.session, self._options()
        model = self._chain(order.model or session.model)[0]
        most = window(model, options.context_window)

        async def begin(unit: Unit) -> tuple[list[Entry], Weighed | None, Compaction | None]:
            if order.first is None:
                await at_rest(unit, session.id)
            rows = unit.compactions
            return (
                await unit.transcript.live(session.id),
                await unit.ledger.context(session.id),
                await rows.latest(session.id),
            )

        entries, last, latest = await self._store.read(begin)
        bound = await self.bound(model, session, entries)
        before = compaction.estimated(bound, last)
        if order.first is None and last is not None and (latest is None or latest.changed < last.at):
            before = last.input + last.output
        now = Weighed(input=before, output=0, at=0, bound=bound)

        async def after(added: Entry) -> int:
            return compaction.estimated(await self.bound(model, session, [*entries, added]), now)

        keep = compaction.keep_from(entries, window=most)
        if order.first is not None:
            keep = order.first if order.within else min(keep, order.first)
        done: Done | None = None
        if order.within:
            prune = replace(compaction.WITHIN_TURN, upto=_behind(entries))
            if compaction.prunable(entries, prune):
                mark = compaction.marking(entries, prune)
                done = await self._stored(order, mark, before, await after(mark), most, upto=prune.upto)
                entries, before = [*entries, mark], done.row.after or before
        prune = Prune(upto=keep, over=compaction.PRUNED_OVER)
        covered = [entry for entry in kept(entries) if entry.kind == "summary" or entry.seq < keep]
        messages = history.build(covered, ask=False)
        if compaction.prunable(entries, prune):
            mark = compaction.marking(entries, prune)
            left = await after(mark)
            if compaction.enough(before, left, most) and not order.focus:
                return await self._stored(order, mark, before, left, most, upto=keep, messages=messages)
        if not _worth(order, covered, messages):
            return done
        notes = await self._noted(order, messages, model, options)
        text, aided = notes.text, bool(notes.parts)
        if notes.left:
            text = "\n\n".join([*([text] if text else []), compaction.beginnings(notes.left)])
        entry = Entry(
            seq=_behind(entries),
            turn=None,
            kind="summary",
            body=transcript.summary(text, upto=keep),
            created=0,
        )
        left = await after(entry)
        return await self._stored(
            order, entry, before, left, most, upto=keep, messages=messages, notes=notes, aided=aided
        )

    async def bound(self, model: Model, session: Session, entries: Sequence[Entry]) -> int:
        """The upper bound of what a request would come to now."""
        prompt = self._prompt(session, entries)
        if (
            any(isinstance(each, UserMessage) and each.pictures for each in prompt.messages)
            and not await model.sees()
        ):
            prompt = replace(prompt, messages=history.with_pictures(prompt.messages, {}))
        return worst_case(model, prompt).input

    async def _noted(
        self, order: Order, messages: Sequence[Message], model: Model, options: Options
    ) -> Notes:
        """As much as the models would write. Raises what they failed with where it is better left for later."""
        notes = Notes(
            self._biller,
            Wanted(
                text=compaction.conversation(messages),
                models=() if order.unaided else self._writers(model, options),
                booking=order.booking,
                output=options.max_output_tokens,
                window=lambda each: window(each, options.context_window),
                # Whoever asks for it is told that it failed, and may ask again.
                retries=options.retries if order.cause in ("auto", "overflow") else 0,
                focus=" ".join(order.focus.split())[: compaction.FOCUS],
                check=order.check,
            ),
        )
        await notes.take()
        error = notes.error
        if error is not None and order.cause != "overflow":
            later = isinstance(error, ModelError) and error.kind in LATER
            if order.cause != "auto" or later:
                raise error
        return notes

    def _writers(self, model: Model, options: Options) -> list[Model]:
        """The model of choice, then the session's."""
        if not options.summary_model:
            return [model]
        try:
            chosen = self._chain(options.summary_model)[0]
        except Refused as error:
            log.warning("compaction.model", model=options.summary_model, error=str(error))
            return [model]
        return [chosen] if chosen.ref == model.ref else [chosen, model]

    async def _stored(
        self,
        order: Order,
        entry: Entry,
        before: int,
        after: int,
        most: int,
        *,
        upto: int,
        messages: Sequence[Message] = (),
        notes: Notes | None = None,
        aided: bool = False,
    ) -> Done:
        """In one commit, which is not called back once it is under way."""
        session, now = order.session, self._clock()
        method = "pruned" if notes is None else "notes" if aided else "beginnings"
        request = notes.request if notes is not None else None
        costs = list(notes.costs) if notes is not None else []
        if request is not None and request.settled is not None:
            costs.append(request.settled.cost)

        async def work(unit: Unit) -> Compaction:
            if order.check is not None:
                await order.check(unit)
            if request is not None and request.settled is not None:
                await unit.ledger.settle(request.uid, request.settled)
            seq = await unit.transcript.add(session.id, entry.kind, entry.body, now=now)
            await unit.compactions.add(
                session.id,
                entry_seq=seq,
                cause=order.cause,
                method=method,
                from_seq=0,
                upto=upto,
                messages=len(messages),
                before=before,
                after=after,
                requests=len(costs),
                cost=sum(each for each in costs if each is not None) if None not in costs else None,
                model=notes.model if notes is not None else None,
                focus=order.focus,
                usage_uid=request.uid if request is not None else None,
                now=now,
            )
            if order.cause in ("manual", "api"):
                await unit.compactions.set_pause(session.id, vain=0, turn=0)  # somebody has looked after it
            found = await unit.compactions.latest(session.id)
            assert found is not None
            return found

        try:
            row = await _to_its_end(self._store.commit(Point.COMPACT, work))
        except BaseException:
            if notes is not None:
                await notes.settle()
            raise
        log.info(
            "compacted", session=session.id, cause=order.cause, method=method, messages=len(messages),
            before=before, after=after, model=row.model,
        )  # fmt: skip
        failed = notes is not None and notes.error is not None
        return Done(row=row, vain=compaction.in_vain(before, after, most), failed=failed)

    # -- taken back -------------------------------------------------------------------------------------------

    async def undo(self, session: Session) -> Compaction:
        """Take the newest back: the next prompt is what it was before, with what was said since."""
        return await self._turned(session, "off")

    async def redo(self, session: Session) -> Compaction:
        """Put back what was taken back last. Raises Refused when something was put away since."""
        return await self._turned(session, "on")

    async def _turned(self, session: Session, state: Literal["on", "off"]) -> Compaction:
        if session.id in self._flights:
            raise Refused(key="window.busy")
        now = self._clock()

        async def work(unit: Unit) -> Compaction:
            await at_rest(unit, session.id)
            rows = unit.compactions
            found = await (rows.undoable(session.id) if state == "off" else rows.redoable(session.id))
            if found is None:
                raise Refused(key="window.no_undo" if state == "off" else "window.no_redo")
            op = "uncompact" if state == "off" else "recompact"
            await unit.transcript.add(session.id, "mark", transcript.mark(op, seq=found.entry_seq), now=now)
            await rows.set_state(found.id, state, now=now)
            return replace(found, state=state, changed=now)

        return await self._store.commit(Point.COMPACT, work)


async def at_rest(unit: Unit, session: int) -> None:
    """Raises Refused while a turn is running in it, or parked."""
    latest = await unit.turns.latest(session)
    if latest is not None and latest.state in ("running", "parked"):
        raise Refused(key="session.busy")


def _behind(entries: Sequence[Entry]) -> int:
    return max((entry.seq for entry in entries), default=-1) + 1


def _worth(order: Order, covered: Sequence[Entry], messages: Sequence[Message]) -> bool:
    """Whether there is something to take notes of: notes alone only where they are long, as the last resort."""
    if all(entry.kind == "summary" for entry in covered):
        return order.within and history.size(messages) > compaction.LONG_NOTES
    return len(messages) >= (1 if order.cause == "overflow" else 2)


async def _to_its_end(commit: Any) -> Compaction:
    """A commit is not called back: who is cancelled meanwhile has come too late."""
    task: asyncio.Task[Compaction] = asyncio.ensure_future(commit)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return task.result()
