"""A compaction as it is made, and taken back: rows over a transcript that stays whole; one at a time in a session."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from gateway import bounds, compaction, folding, history, log, transcript, usage
from gateway.billing import Biller, Booking
from gateway.errors import OPERATOR_FAULTS, RETRYABLE, ModelError, Refused
from gateway.failpoints import Point
from gateway.flights import Flights, to_its_end
from gateway.folding import Prune
from gateway.message_size import bytes_of
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

    *model*: overrides the session's. *first*: of a running turn that needs room, its first entry; what is before it may
    go; None: between turns. *within*: what the tools gave in that turn may be cut, too. *unaided*: without a model.
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


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scene:
    """A session as it is found: what its next request comes to, in tokens, and by what that is reckoned.

    *next*: the number of the entry that comes next. *pruned*: old results were put away just now, and nothing was
    asked since.
    """

    order: Order
    model: Model
    window: int
    entries: Sequence[Entry]
    next: int
    weighed: Weighed
    density: float
    pruned: bool

    @property
    def before(self) -> int:
        return self.weighed.input


@dataclass(frozen=True, slots=True, kw_only=True)
class _Draft:
    """A compaction that is about to be stored: its *entry*, what the next request would come to with it."""

    entry: Entry
    after: int
    upto: int
    messages: int = 0
    notes: Notes | None = None

    @property
    def method(self) -> Literal["notes", "beginnings", "pruned"]:
        if self.notes is None:
            return "pruned"
        return "notes" if self.notes.parts else "beginnings"


class Compactor:
    """Makes compactions, and takes them back. *prompt* is what the model would be sent now."""

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
        scene = await self._scene(order)
        done: Done | None = None
        if order.within:
            draft = await self._pruned(scene, replace(compaction.WITHIN_TURN, upto=scene.next))
            if draft is not None:
                done = await self._stored(scene, draft)
                scene = replace(
                    scene,
                    entries=[*scene.entries, replace(draft.entry, seq=done.row.entry_seq)],
                    next=done.row.entry_seq + 1,
                    weighed=replace(scene.weighed, input=draft.after, bound=await self._bound(scene, draft)),
                )
        keep = compaction.keep_from(scene.entries, window=scene.window)
        if order.first is not None:
            keep = order.first if order.within else min(keep, order.first)
        covered = [each for each in folding.kept(scene.entries) if each.kind == "summary" or each.seq < keep]
        messages = history.build(covered, ask=False)
        pruned = await self._pruned(scene, Prune(upto=keep, over=compaction.PRUNED_OVER))
        if (
            pruned is not None
            and not (order.focus or scene.pruned)
            and compaction.enough(scene.before, pruned.after, scene.window)
        ):
            return await self._stored(scene, replace(pruned, messages=len(messages)))
        if not _worth(order, covered, messages):
            return done
        return await self._stored(scene, await self._noted(scene, messages, keep))

    async def _scene(self, order: Order) -> _Scene:
        session, options = order.session, self._options()

        async def found(unit: Unit) -> tuple[Session | None, list[Entry], Weighed | None, Compaction | None]:
            if order.first is None:
                await at_rest(unit, session.id)
            return (
                await unit.sessions.get(session.id),
                await unit.transcript.live(session.id),
                await unit.ledger.context(session.id),
                await unit.compactions.latest(session.id),
            )

        current, entries, last, latest = await self._store.read(found)
        model = self._chain(order.model or session.model)[0]
        bound = await self.bound(model, self._prompt(session, entries))
        size = compaction.estimated(bound, last)
        asked = last is not None and (latest is None or latest.changed < last.at)
        if order.first is None and last is not None and asked:
            size = last.input + last.output  # nothing was said since: that is exact
        return _Scene(
            order=order,
            model=model,
            window=window(model, options.context_window),
            entries=entries,
            next=(current or session).next_seq,
            weighed=Weighed(input=size, output=0, at=0, bound=bound),
            density=compaction.density(last),
            pruned=not asked and latest is not None and (latest.method, latest.state) == ("pruned", "on"),
        )

    async def bound(self, model: Model, prompt: Prompt) -> int:
        """The upper bound of what it would come to: pictures count where they are shown."""
        shows = any(isinstance(each, UserMessage) and each.pictures for each in prompt.messages)
        if shows and not await model.sees():
            prompt = replace(prompt, messages=history.with_pictures(prompt.messages, {}))
        return bounds.whole(model, prompt)

    async def _bound(self, scene: _Scene, draft: _Draft) -> int:
        prompt = self._prompt(scene.order.session, [*scene.entries, draft.entry])
        return await self.bound(scene.model, prompt)

    async def _drafted(self, scene: _Scene, entry: Entry, upto: int) -> _Draft:
        draft = _Draft(entry=entry, after=0, upto=upto)
        return replace(draft, after=compaction.estimated(await self._bound(scene, draft), scene.weighed))

    async def _pruned(self, scene: _Scene, prune: Prune) -> _Draft | None:
        """None: it would make nothing smaller."""
        if not compaction.prunable(scene.entries, prune):
            return None
        return await self._drafted(scene, compaction.marking(scene.entries, prune), prune.upto)

    async def _noted(self, scene: _Scene, messages: Sequence[Message], keep: int) -> _Draft:
        """As much as the models would write. Raises what they failed with where it is better left for later."""
        order, options = scene.order, self._options()
        notes = Notes(
            self._biller,
            Wanted(
                text=compaction.conversation(messages),
                models=() if order.unaided else self._writers(scene.model, options),
                booking=order.booking,
                output=options.max_output_tokens,
                window=lambda each: window(each, options.context_window),
                density=scene.density,
                # Whoever asks for it is told that it failed, and may ask again.
                retries=options.retries if order.cause in ("auto", "overflow") else 0,
                focus=" ".join(order.focus.split())[: compaction.FOCUS],
                check=order.check,
            ),
        )
        await notes.take()
        error = notes.error
        if error is not None and order.cause != "overflow":
            can_wait = isinstance(error, ModelError) and error.kind in LATER
            if can_wait or order.cause != "auto":
                raise error  # whoever asked for notes is told that there are none
        text = notes.text
        if notes.left:
            text = "\n\n".join([*([text] if text else []), compaction.beginnings(notes.left)])
        body = transcript.summary(text, upto=keep)
        entry = Entry(seq=scene.next, turn=None, kind="summary", body=body, created=0)
        return replace(await self._drafted(scene, entry, keep), messages=len(messages), notes=notes)

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

    async def _stored(self, scene: _Scene, draft: _Draft) -> Done:
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


async def at_rest(unit: Unit, session: int) -> None:
    """Raises Refused while a turn is running in it, or parked."""
    latest = await unit.turns.latest(session)
    if latest is not None and latest.state in ("running", "parked"):
        raise Refused(key="session.busy")


async def _unchanged(unit: Unit, scene: _Scene) -> None:
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
