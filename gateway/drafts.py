"""What a compaction of a session would be, before anything is stored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from gateway import bounds, compaction, history, log, transcript, usage
from gateway.billing import Biller, Booking
from gateway.errors import OPERATOR_FAULTS, RETRYABLE, ModelError, Refused
from gateway.folding import Prune
from gateway.notes import Notes, Wanted
from gateway.progress import Options
from gateway.protocols.messages import Message, UserMessage
from gateway.protocols.model import Asked, Model
from gateway.protocols.prompt import Prompt
from gateway.types.compactions import Cause, Compaction
from gateway.types.sessions import Session
from gateway.types.turns import Entry
from gateway.types.usage import Weighed

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
class Scene:
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
class Draft:
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


class Drafts:
    """Reads a session as it is, and drafts what could be put away of it. *prompt*: what the model would be sent now."""

    def __init__(
        self,
        *,
        store: Store,
        biller: Biller,
        chain: Callable[[str | None], Sequence[Model]],
        prompt: Callable[[Session, Sequence[Entry]], Prompt],
        options: Callable[[], Options],
    ) -> None:
        self._store = store
        self._biller = biller
        self._chain = chain
        self._prompt = prompt
        self._options = options

    async def scene(self, order: Order) -> Scene:
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
        return Scene(
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

    async def size(self, scene: Scene, draft: Draft) -> int:
        prompt = self._prompt(scene.order.session, [*scene.entries, draft.entry])
        return await self.bound(scene.model, prompt)

    async def _drafted(self, scene: Scene, entry: Entry, upto: int) -> Draft:
        draft = Draft(entry=entry, after=0, upto=upto)
        return replace(draft, after=compaction.estimated(await self.size(scene, draft), scene.weighed))

    async def pruned(self, scene: Scene, prune: Prune) -> Draft | None:
        """None: it would make nothing smaller."""
        if not compaction.prunable(scene.entries, prune):
            return None
        return await self._drafted(scene, compaction.marking(scene.entries, prune), prune.upto)

    async def noted(self, scene: Scene, messages: Sequence[Message], keep: int) -> Draft:
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


async def at_rest(unit: Unit, session: int) -> None:
    """Raises Refused while a turn is running in it, or parked."""
    latest = await unit.turns.latest(session)
    if latest is not None and latest.state in ("running", "parked"):
        raise Refused(key="session.busy")
