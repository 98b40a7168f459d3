"""Where programs that keep their own history ask: each question enters at accept, in the session it belongs to."""

from __future__ import annotations

import asyncio
import uuid
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from gateway import units
from gateway.completions import lineage, placing
from gateway.completions.pictures import Pictures, Unshown
from gateway.completions.question import Accepted, Question
from gateway.completions.shown import Shown
from gateway.dispatcher import Dispatcher
from gateway.errors import ParleyError, Refused
from gateway.failpoints import Point
from gateway.hub import Hub, Seen
from gateway.lanes import askable
from gateway.models.catalogue import Catalogue
from gateway.protocols.clock import Clock
from gateway.reports import usage_summary
from gateway.texts import say
from gateway.types.inbound import Enclosed, Inbound, Kind
from gateway.types.people import Identity, Sender
from gateway.types.places import Place
from gateway.views import Generated

if TYPE_CHECKING:
    from storage import Store, Unit

LOCAL_USER = "local"


class Completions:
    """*generated* makes an answer of the event that ends its turn."""

    def __init__(
        self,
        *,
        store: Store,
        dispatcher: Dispatcher,
        hub: Hub,
        catalogue: Catalogue,
        clock: Clock,
        generated: Callable[[Seen], Awaitable[Generated]],
        pictures: Pictures,
    ) -> None:
        self._store = store
        self._pictures = pictures
        self._dispatcher = dispatcher
        self._hub = hub
        self._catalogue = catalogue
        self._clock = clock
        self._generated = generated
        # Events that somebody waits for, and how many do: from before they are placed until nobody does any more.
        self._watched: Counter[str] = Counter()

    def models(self) -> list[str]:
        """The models that may be named, as provider:model; the default one first."""
        return list(self._catalogue.allowed)

    async def ask(
        self, question: Question, *, who: Identity | None = None
    ) -> AsyncGenerator[Accepted | Seen | Generated]:
        """Accepted, then Seen(kind='text') with the whole text so far, then one Generated.

        *who*: as somebody from elsewhere, in their sessions only; None: whoever has the machine. Breaking off does not
        stop the turn; see `leave`. Raises Refused before Accepted; that is Unshown for a picture that will not do.
        """
        pictures = question.past.pictures()
        if not (askable(question.past.question) or (pictures and not question.past.question.strip())):
            raise Refused(key="message.too_long" if question.past.question.strip() else "message.empty")
        self._pictures.admit(pictures)
        event = f"chat:{who.id if who is not None else LOCAL_USER}:{question.key or uuid.uuid4()}"
        with ExitStack() as until_left:
            until_left.enter_context(self._watching(event))
            taken: dict[Shown, Enclosed | Unshown] = {}
            try:
                placed = await self._place(question, who, event, taken)
            except ParleyError:
                await self._pictures.drop(taken)
                raise
            until_left.enter_context(self._watching(placed.event))
            queue = until_left.enter_context(self._hub.listen(placed.place.id))
            row = await self._enter(placed, who)
            yield Accepted(
                session=placed.session.code,
                account=placed.account,
                conversation=placed.place.id,
                event=placed.event,
                row=row,
                lasting=question.key is not None,
            )
            found = await self._stored(placed)
            if found is not None:
                yield found
                return
            while True:
                seen = await queue.get()
                if row in seen.inbox and seen.kind == "done":
                    yield await self._generated(seen)
                    return
                if row in seen.inbox:
                    yield seen

    @contextmanager
    def _watching(self, event: str) -> Iterator[None]:
        self._watched[event] += 1
        try:
            yield
        finally:
            self._watched[event] -= 1
            if not self._watched[event]:
                del self._watched[event]

    async def told(self, accepted: Accepted, text: str) -> None:
        """The answer as it was sent: the next history is compared with it."""
        digest = lineage.digest(text)
        await self._store.commit(Point.SESSION, lambda unit: unit.asked.told(accepted.event, digest))

    def left(self, accepted: Accepted) -> None:
        """`leave`, by somebody who cannot wait for it."""
        self._dispatcher.beside(self.leave(accepted), f"left-{accepted.row}")

    async def leave(self, accepted: Accepted) -> None:
        """Whoever asked has gone: nobody would read the answer, so it is not made, unless they have a key for it."""
        if accepted.lasting or self._watched.get(accepted.event):
            return
        now = self._clock()
        account, event = accepted.account.id, accepted.event
        if await self._store.commit(Point.CONTROL, placing.withdraw, account, event, now):
            return
        for _ in range(3):
            live = self._dispatcher.running(accepted.conversation)
            if live is not None and any(row.id == accepted.row for row in live.started.rows):
                await self._dispatcher.cancel(accepted.conversation)
                return
            await asyncio.sleep(0)  # its turn is on disk and about to be run

    async def _place(
        self, question: Question, who: Identity | None, event: str, taken: dict[Shown, Enclosed | Unshown]
    ) -> placing.Placed:
        """Where it is known which pictures are needed, they are fetched, outside of any commit; then again."""
        while True:
            found = await self._placed(question, who, event, taken)
            if isinstance(found, placing.Placed):
                return found
            for each in found.pictures:
                taken[each] = await self._pictures.take(each)

    async def _placed(
        self, question: Question, who: Identity | None, event: str, taken: placing.Taken
    ) -> placing.Placed | placing.Wanting:
        now = self._clock()

        async def work(unit: Unit) -> placing.Placed | placing.Wanting:
            local = who or await unit.people.seen("main", LOCAL_USER, LOCAL_USER)
            asking = await unit.people.met(local, role="user" if who is not None else "owner", now=now)
            # As it is when its turn has come: a question that was placed just before is watched by then.
            watched = frozenset(self._watched)
            return await placing.place(
                unit, question, asking, who, event=event, watched=watched, taken=taken, now=now
            )

        return await self._store.commit(Point.SESSION, work)

    async def _enter(self, placed: placing.Placed, who: Identity | None) -> int:
        """The inbox row of the question."""
        if not placed.repeated:
            await self._dispatcher.accept(placed.account, [self._event(placed, who)])
        row = await self._store.read(lambda unit: unit.inbox.id_of(placed.account.id, placed.event))
        assert row is not None
        return row

    def _event(self, placed: placing.Placed, who: Identity | None) -> Inbound:
        place = placed.place
        return Inbound(
            event_id=placed.event,
            kind=Kind.API,
            place=Place(
                chat_id=place.chat_id, thread_id=place.thread_id, user_id=place.user_id, kind="client"
            ),
            sender=None if who is not None else Sender(user_id=LOCAL_USER, name=LOCAL_USER),
            identity=who.id if who is not None else None,
            text=placed.text,
            enclosed=placed.pictures,
            session=placed.session.id,
            sent=self._clock(),
            alone=True,
        )

    async def _stored(self, placed: placing.Placed) -> Generated | None:
        """What is known already: the answer, or that it is kept for later. None: it is being made."""
        halted = self._dispatcher.halted is not None

        async def work(unit: Unit) -> Generated | None:
            found = await units.answer_to(unit, placed.account.id, placed.event)
            if found is not None or not (halted or await units.is_kept(unit, placed.place.id)):
                return found
            text = say("halt.kept" if halted else "turn.kept")
            return Generated(
                text=text,
                session_id=placed.session.code,
                state="kept",
                error=None,
                usage=usage_summary([0] * 12),
            )

        return await self._store.read(work)
