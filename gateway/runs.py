"""The running of turns: what the person sees meanwhile, how each one ends, and what becomes of it when it cannot."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from gateway import appeals, footer, log, targets, working
from gateway.access import Policy
from gateway.delivery import Delivery
from gateway.during import Busy
from gateway.errors import DiskFull
from gateway.failpoints import Point
from gateway.finish import Finished, Run, Target, finish, keep, move_back
from gateway.habits import Habits
from gateway.halt import Halt
from gateway.hub import Hub, Seen
from gateway.jobs import silence
from gateway.jobs.ends import Delivery as Delivered
from gateway.jobs.ends import End, Pen
from gateway.lanes import LOCAL
from gateway.notices import notice
from gateway.outage import Outage
from gateway.preview import Preview
from gateway.progress import Outcome, Progress, Started, resumed
from gateway.protocols import Clock
from gateway.reactions import Reactions
from gateway.reports import usage_summary
from gateway.room import Room
from gateway.texts import say
from gateway.transcript import Text
from gateway.turn import TurnRunner
from gateway.types import HOUR, Chunk, Conversation, Reaction, Turn, Waiting

if TYPE_CHECKING:
    from storage import Store, Unit

KEEP_FOR = 6 * HOUR  # how long a message is kept for an operator to mend what is wrong
MOST_TOLD = 1000  # waiting messages of one conversation whose askers are told
STORE_RETRY = 5.0  # seconds


@dataclass(slots=True)
class Live:
    """A turn that is running in this process."""

    started: Started
    progress: Progress
    task: asyncio.Task[Outcome]
    stopped: bool = False  # by the person, not by our own end
    interrupted: bool = False  # by the person's next message
    moved_to: int | None = None  # the session its messages go back to


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What admins are asked by; see appeals.Desk."""

    render: Callable[[int, str], list[Chunk]]
    now: int
    policy: Policy
    language: str


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
        halt: Halt,
        outage: Outage,
        reactions: Reactions,
        clock: Clock,
        habits: Callable[[], Habits],
        key: Callable[[Conversation], str],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
        on_trouble: Callable[[str, str], None],
    ) -> None:
        """*key* gives the name in the configuration of the account that speaks in a conversation."""
        self._store = store
        self._delivery = delivery
        self._runner = runner
        self._room = room
        self._hub = hub
        self._halt = halt
        self._outage = outage
        self._reactions = reactions
        self._clock = clock
        self._habits = habits
        self._key = key
        self._spawn = spawn
        self._on_trouble = on_trouble
        self.on_run_ended: Callable[[], None] = lambda: None  # of a job; set by who plans them
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
            finished = await self._end(started, outcome, progress, preview)
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

    async def _end(
        self, started: Started, outcome: Outcome, progress: Progress, preview: Preview | None
    ) -> Finished | None:
        now = self._clock()
        turn = started.turn
        if outcome.state == "kept" and now - turn.started >= KEEP_FOR:
            outcome = replace(outcome, state="failed", text=say("turn.gave_up", started.lang))
        if outcome.state in ("kept", "parked"):
            await self._keep(started, outcome)
            return None
        if outcome.state == "moved":
            live = self._live[turn.conversation]
            assert live.moved_to is not None
            rows = await self._store.commit(
                Point.FINISH, move_back, started, outcome, live.moved_to, self._delivery.render, now
            )
            self._delivery.enqueue(rows)
            return Finished(rows=rows, more=True)
        text = await self._shown(started, outcome)
        placed = preview.placed if preview else 0
        run: Run | None = None
        if turn.job_run is None:
            found = targets.targets(self._delivery, started, text, outcome.files, placed)
            unread = not found and not self._hub.watched(turn.conversation)
        else:
            run, found = await self._scheduled(started, outcome, text, now)
            # Whoever reads what a job has to say finds it unread; a chat that it is part of has seen it.
            unread = started.session.triggered_by is not None and run.delivery != "silent"
        filed = appeals.filing(started, outcome)
        if filed is not None and filed.buttons:
            found = [replace(each, chunks=filed.under(each.chunks)) for each in found]

        async def work(unit: Unit) -> Finished:
            ended = await finish(unit, started, outcome, found, now, unread, self._delivery.shown, run)
            if filed is None:
                return ended
            told = await appeals.file(unit, started, filed, self._desk(now))
            return replace(ended, rows=[*ended.rows, *told])

        while True:
            try:
                finished = await self._store.commit(Point.FINISH, work)
                break
            except DiskFull as error:
                # The answer is made and paid for: hold on to it until there is space again.
                self._on_trouble("storage", str(error))
                await asyncio.sleep(STORE_RETRY)
        self._delivery.enqueue(finished.rows)
        if finished.end is not None:
            self.ended(finished.end)
        if outcome.state == "done" and outcome.model:  # a digest has asked nobody
            self._outage.over()
        self.publish_end(turn, outcome, tuple(row.id for row in started.rows))
        _log(started, outcome, progress, self._clock())
        settled = outcome.request.settled if outcome.request else None
        if outcome.state != "done" or settled is None or settled.state != "known" or settled.searched:
            return replace(finished, progress=progress)
        return replace(finished, progress=progress, used=settled.tokens.input + settled.tokens.output)

    def _desk(self, now: int) -> _Desk:
        habits = self._habits()
        return _Desk(render=self._delivery.render, now=now, policy=habits.policy, language=habits.language)

    async def _scheduled(
        self, started: Started, outcome: Outcome, text: str, now: int
    ) -> tuple[Run, list[Target]]:
        """The end of a job's run: what is delivered where. A failure is told to whoever made the job, not there."""
        turn, job = started.turn, started.job
        assert turn.job_run is not None
        pen = Pen(render=self._delivery.render, now=now, language=self._habits().language)
        delivery: Delivered = "none"
        found: list[Target] = []
        said = "".join(part.text for part in outcome.parts if isinstance(part, Text))
        if job is not None and outcome.state == "done":
            quiet = job.spec.silent or job.spec.kind == "digest"
            if quiet and not outcome.files and silence.nothing(said):
                delivery = "silent"
            else:
                found, later = await targets.of_job(self._store, self._delivery, started, text, outcome.files)
                delivery = "owed" if later else "waiting" if found else "none"
        return Run(id=turn.job_run, delivery=delivery, pen=pen), found

    def ended(self, end: End) -> None:
        """A job's run has ended: tell who is to know, and let the next attempt be planned."""
        self._delivery.enqueue(end.rows)
        if end.trouble is not None:
            self._on_trouble(*end.trouble)
        self.on_run_ended()

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

    async def _keep(self, started: Started, outcome: Outcome) -> None:
        now = self._clock()
        place = started.turn.conversation
        halted = self._halt.now is not None
        if outcome.state != "kept" and not halted:
            await self._store.commit(
                Point.FINISH, keep, started, outcome, self._delivery.render, now, None, ""
            )
            return
        if not halted:
            self._outage.begin()
            self._outage.keep(place)
        origin, text = self._kept_line(place, started.lang)
        rows = await self._store.commit(
            Point.FINISH, keep, started, outcome, self._delivery.render, now, origin, text
        )
        self._delivery.enqueue(rows)
        self._hub.publish(
            Seen(
                kind="done",
                conversation=place,
                turn=started.turn.id,
                session=started.turn.session,
                text=text,
                state="kept",
                error=outcome.error,
                inbox=tuple(row.id for row in started.rows),
            )
        )

    def _kept_line(self, conversation: int, lang: str) -> tuple[str, str]:
        """(origin, text) of what whoever writes now is told: one line a conversation and outage, or halt."""
        if self._halt.now is not None:
            return f"halted:{conversation}:{self._halt.now.at}", say("halt.kept", lang)
        return f"kept:{conversation}:{self._outage.since}", say("turn.kept", lang)

    async def say_kept(self, conversation: int) -> None:
        """Whoever writes while nothing can be asked is told once that it is kept."""
        lang = await self._store.read(lambda unit: unit.inbox.language(conversation, "waiting"))
        origin, text = self._kept_line(conversation, lang or self._habits().language)
        account = (await self._delivery.address(conversation)).account
        now = self._clock()
        rows = await self._store.commit(
            Point.NOTICE, notice, account, conversation, origin, text, self._delivery.render, now
        )
        self._delivery.enqueue(rows)
        if self._hub.watched(conversation):
            # Who waits for the answer at a terminal or a socket must not wait until the trouble is over.
            waiting = await self._store.read(
                lambda unit: unit.inbox.head(conversation, now=now, count=MOST_TOLD)
            )
            ids = tuple(row.id for row in waiting)
            self._hub.publish(
                Seen(kind="done", conversation=conversation, text=text, state="kept", inbox=ids)
            )

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

    async def _shown(self, started: Started, outcome: Outcome) -> str:
        """What the person is to read: the answer, and under it what /footer asks for."""
        what = started.conversation.settings.get("footer")
        if what not in ("tokens", "cost") or outcome.state != "done" or started.turn.trigger is not None:
            return outcome.text
        settled = outcome.request.settled if outcome.request else None
        earlier = await self._store.read(lambda unit: unit.ledger.of_turn(started.turn.id))
        return footer.under(outcome.text, what, usage_summary(earlier), settled, started.lang)

    def publish_end(self, turn: Turn, outcome: Outcome, ids: tuple[int, ...]) -> None:
        self._hub.publish(
            Seen(
                kind="done",
                conversation=turn.conversation,
                turn=turn.id,
                session=turn.session,
                text=outcome.text,
                state=outcome.state,
                error=outcome.error,
                inbox=ids,
                over=outcome.over,
            )
        )


def _log(started: Started, outcome: Outcome, progress: Progress, now: int) -> None:
    turn = started.turn
    settled = outcome.request.settled if outcome.request else None
    log.info(
        "turn.finished",
        turn=turn.id,
        session=turn.session,
        channel=started.conversation.channel,
        trigger=turn.trigger,
        state=outcome.state,
        error=outcome.error_kind,
        attempt=turn.attempt,
        model=outcome.model or None,
        requests=progress.requests,
        input_tokens=settled.tokens.input if settled else None,
        cache_read_tokens=settled.tokens.read if settled else None,
        output_tokens=settled.tokens.output if settled else None,
        cost_nano=settled.cost if settled else None,
        messages=len(started.rows),
        queued_ms=(turn.started - started.rows[0].received) // 1000 if started.rows else None,
        turn_ms=(now - turn.started) // 1000,
    )
