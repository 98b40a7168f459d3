"""The running of turns: which run, what the person sees meanwhile, and how they are stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from gateway import working
from gateway.access import LOCAL
from gateway.delivery import Delivery
from gateway.during import Busy
from gateway.endings import Endings
from gateway.failpoints import Point
from gateway.finish import Finished
from gateway.habits import Habits
from gateway.hub import Hub, Seen
from gateway.notices import notice
from gateway.preview import Preview
from gateway.progress import Outcome, Progress, Started, resumed
from gateway.protocols.clock import Clock
from gateway.reactions import Reactions
from gateway.room import Room
from gateway.turn import TurnRunner
from gateway.types.inbound import Waiting
from gateway.types.outbound import Reaction
from gateway.types.places import Conversation

if TYPE_CHECKING:
    from storage import Store


@dataclass(slots=True)
class Live:
    """A turn that is running in this process."""

    started: Started
    progress: Progress
    task: asyncio.Task[Outcome]
    stopped: bool = False  # by the person, not by our own end
    interrupted: bool = False  # by the person's next message
    moved_to: int | None = None  # the session its messages go back to


class Runs:
    """The turns that run in this process, at most one in each conversation."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        runner: TurnRunner,
        room: Room,
        hub: Hub,
        endings: Endings,
        reactions: Reactions,
        clock: Clock,
        habits: Callable[[], Habits],
        key: Callable[[Conversation], str],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        """*key* gives the name in the configuration of the account that speaks in a conversation."""
        self._store = store
        self._delivery = delivery
        self._runner = runner
        self._room = room
        self._hub = hub
        self._endings = endings
        self._reactions = reactions
        self._clock = clock
        self._habits = habits
        self._key = key
        self._spawn = spawn
        self._live: dict[int, Live] = {}
        self._steering: set[int] = set()  # conversations whose running turn has something to take in
        self._untold: dict[
            int, str
        ] = {}  # conversation -> what nobody was there to be told between two turns

    # -- what is running --------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Live]:
        return iter(list(self._live.values()))

    def get(self, conversation: int) -> Live | None:
        return self._live.get(conversation)

    def busy(self, conversation: int) -> Busy | None:
        """The turn that runs there, for who decides what becomes of a message meanwhile."""
        live = self._live.get(conversation)
        if live is None or live.task.done():
            return None
        return Busy(turn=live.started.turn.id, identity=live.started.turn.identity)

    def steer(self, conversation: int) -> None:
        """The turn that runs there has something to take in."""
        if conversation in self._live:
            self._steering.add(conversation)

    def steers(self, conversation: int) -> bool:
        return conversation in self._steering

    async def cancel(self, conversation: int, *, interrupted: bool = False) -> bool:
        """Stop the running turn there; False when none is running. *interrupted*: by the person's next message."""
        live = self._live.get(conversation)
        if live is None or live.task.done():
            return False
        live.stopped, live.interrupted = True, interrupted
        turn, now = live.started.turn.id, self._clock()
        await self._store.commit(Point.CONTROL, lambda unit: unit.turns.cancel(turn, now=now))
        live.task.cancel()
        return True

    def move(self, conversation: int, new: int, previous: int) -> bool:
        """Let the messages of the turn running in session *new* wait for session *previous* instead."""
        live = self._live.get(conversation)
        if live is None or live.task.done() or live.started.session.id != new:
            return False
        live.moved_to = previous
        live.task.cancel()
        return True

    def park(self) -> int:
        """Put everything aside that runs; gives how many turns that were."""
        running = [live for live in self._live.values() if not live.task.done()]
        for live in running:
            live.task.cancel()
        return len(running)

    # -- one turn ---------------------------------------------------------------------------------------------

    async def run(self, started: Started, parts: list[Any]) -> Finished | None:
        """Run a turn and store its end; None when it was put aside for later."""
        turn = started.turn
        preview = self._preview(started)
        working_on = self._working(started, preview)
        progress = resumed(started)
        ids = tuple(row.id for row in started.rows)
        place = turn.conversation
        self._hub.publish(
            Seen(kind="started", conversation=place, turn=turn.id, session=turn.session, inbox=ids)
        )
        if (untold := self._untold.pop(place, None)) is not None:
            self._hub.publish(Seen(kind="notice", conversation=place, text=untold))

        def show(text: str) -> None:
            if preview is not None:
                preview.text = text
            if self._hub.watched(place):
                self._hub.publish(Seen(kind="text", conversation=place, turn=turn.id, text=text, inbox=ids))

        if preview is not None:
            preview.start(parts)
        if working_on is not None:
            working_on.start()
        self._react(started, "seen")
        task = asyncio.create_task(self._runner.run(started, progress, show), name=f"turn-{turn.id}")
        live = self._live[place] = Live(started, progress, task)
        try:
            await asyncio.wait([task])
            if preview is not None:
                await preview.close()
            outcome = self._outcome(live)
            finished = await self._endings.store(started, outcome, progress, live.moved_to)
            self._react(started, "done" if outcome.state == "done" else "failed", progress.taken)
            return finished
        finally:
            if not task.done():
                task.cancel()
            self._live.pop(place, None)
            self._steering.discard(place)
            if working_on is not None:
                self._spawn(working_on.close(), f"tidy-{turn.id}")

    def _react(self, started: Started, reaction: Reaction, more: Sequence[Waiting] = ()) -> None:
        """Under every message of the turn, where that is wanted; else take away what said that it waits."""
        place = started.conversation
        shown = self._habits().reactions.get(self._key(place), "waiting")
        for row in (*started.rows, *more) if place.channel not in LOCAL else ():
            if shown == "all":
                self._reactions.mark(place.id, row.message_id, reaction)
            else:
                self._reactions.clear(place.id, row.message_id)

    def _outcome(self, live: Live) -> Outcome:
        """How the task ended. Raises what it raised."""
        if not live.task.cancelled():
            return live.task.result()
        if live.moved_to is not None:
            return Outcome(state="moved", request=live.progress.request)
        if live.stopped:
            return self._runner.cancelled(live.progress, interrupted=live.interrupted)
        return Outcome(state="parked", request=live.progress.request)

    async def tidy(self, started: Started, finished: Finished) -> None:
        """Between two turns: make room in the model's context where little is left; the person is told."""
        if finished.progress is None:
            return
        told = await self._room.after(started, finished.progress, finished.used)
        if told is None:
            return
        place, now = started.conversation, self._clock()
        if self._delivery.line(place.account) is not None:
            rows = await self._store.commit(
                Point.NOTICE,
                notice,
                place.account,
                place.id,
                told.origin,
                told.text,
                self._delivery.render,
                now,
            )
            self._delivery.enqueue(rows)
        elif self._hub.watched(place.id):
            self._hub.publish(Seen(kind="notice", conversation=place.id, text=told.text))
        else:
            self._untold[place.id] = told.text  # at a terminal nobody listens once the answer is there

    def _preview(self, started: Started) -> Preview | None:
        place = started.conversation
        line = self._delivery.line(place.account)
        if line is None or started.turn.job_run is not None:
            return None  # nobody waits for a job, and it may have nothing to report
        return Preview(
            store=self._store,
            delivery=self._delivery,
            line=line,
            address=place.address,
            turn=started.turn.id,
            session=started.session.id,
            clock=self._clock,
        )

    def _working(self, started: Started, preview: Preview | None) -> working.Working | None:
        place = started.conversation
        line = self._delivery.line(place.account)
        if line is None or preview is None:
            return None
        return working.Working(
            store=self._store,
            delivery=self._delivery,
            line=line,
            address=place.address,
            turn=started.turn,
            lang=started.lang,
            spoke=lambda: bool(preview.text),
            patience=self._habits().patience,
            clock=self._clock,
        )
