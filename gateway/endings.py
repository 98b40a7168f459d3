"""How a turn ends: its answer with all that belongs to it in one commit, then whoever waits for it is told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gateway import appeals, footer, log, targets
from gateway.access import Policy
from gateway.delivery import Delivery
from gateway.errors import DiskFull
from gateway.failpoints import Point
from gateway.finish import Finished, Run, Target, finish, move_back
from gateway.habits import Habits
from gateway.hub import Hub, Seen
from gateway.jobs import silence
from gateway.jobs.ends import Delivery as Delivered
from gateway.jobs.ends import End, Pen
from gateway.kept import Kept
from gateway.outage import Outage
from gateway.progress import Outcome, Progress, Started
from gateway.protocols.clock import Clock
from gateway.reports import usage_summary
from gateway.texts import say
from gateway.transcript import Text
from gateway.types.measures import HOUR
from gateway.types.outbound import Chunk
from gateway.types.turns import Turn

if TYPE_CHECKING:
    from storage import Store, Unit

KEEP_FOR = 6 * HOUR  # how long a message is kept for an operator to mend what is wrong
STORE_RETRY = 5.0  # seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class _Desk:
    """What admins are asked by; see appeals.Desk."""

    render: Callable[[int, str], list[Chunk]]
    now: int
    policy: Policy
    language: str


class Endings:
    """What is stored, delivered and told when a turn is over."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        hub: Hub,
        outage: Outage,
        kept: Kept,
        clock: Clock,
        habits: Callable[[], Habits],
        on_trouble: Callable[[str, str], None],
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._hub = hub
        self._outage = outage
        self._kept = kept
        self._clock = clock
        self._habits = habits
        self._on_trouble = on_trouble
        self.on_run_ended: Callable[[], None] = lambda: None  # of a job; set by who plans them

    async def store(
        self, started: Started, outcome: Outcome, progress: Progress, moved_to: int | None
    ) -> Finished | None:
        """None: it was put aside for later. *moved_to*: the session that its messages go back to."""
        now = self._clock()
        turn = started.turn
        if outcome.state == "kept" and now - turn.started >= KEEP_FOR:
            outcome = replace(outcome, state="failed", text=say("turn.gave_up", started.lang))
        if outcome.state in ("kept", "parked"):
            await self._kept.keep(started, outcome)
            return None
        if outcome.state == "moved":
            assert moved_to is not None
            rows = await self._store.commit(
                Point.FINISH, move_back, started, outcome, moved_to, self._delivery.render, now
            )
            self._delivery.enqueue(rows)
            return Finished(rows=rows, more=True)
        text = await self._shown(started, outcome)
        run: Run | None = None
        if turn.job_run is None:
            found = targets.targets(self._delivery, started, text, outcome.files)
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
        self.publish(turn, outcome, tuple(row.id for row in started.rows))
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

    async def _shown(self, started: Started, outcome: Outcome) -> str:
        """What the person is to read: the answer, and under it what /footer asks for."""
        what = started.conversation.settings.get("footer")
        if what not in ("tokens", "cost") or outcome.state != "done" or started.turn.trigger is not None:
            return outcome.text
        settled = outcome.request.settled if outcome.request else None
        earlier = await self._store.read(lambda unit: unit.ledger.of_turn(started.turn.id))
        return footer.under(outcome.text, what, usage_summary(earlier), settled, started.lang)

    def publish(self, turn: Turn, outcome: Outcome, ids: tuple[int, ...]) -> None:
        """Whoever watches is told of it; *ids*: of the messages in the inbox that the turn was of."""
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
