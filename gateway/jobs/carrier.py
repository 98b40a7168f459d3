"""What carries runs into the inbox, and their answers to chats that could not be found when they were made."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from gateway import heartbeat, log, notices, transcript
from gateway.delivery import Delivery
from gateway.errors import StoreError
from gateway.failpoints import Point
from gateway.jobs import places, reasons, runs
from gateway.jobs.ends import End, Pen
from gateway.jobs.places import Spot
from gateway.jobs.runs import Owed
from gateway.jobs.spec import JobSpec, spec_of
from gateway.protocols.channel import Accept
from gateway.protocols.clock import Clock
from gateway.types.measures import DAY, MINUTE
from gateway.types.outbound import Chunk, File, OutboxRow

if TYPE_CHECKING:
    from storage import Store, Unit
    from storage.jobs import Undelivered

LOOK_AGAIN = MINUTE  # for a chat that could not be found
GIVE_UP_AFTER = DAY  # a chat that was not found for so long is given up


class Carrier:
    """Both can be repeated at any time: what is there already is a duplicate and changes nothing."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        accept: Accept,
        clock: Clock,
        ended: Callable[[End], None],
        language: Callable[[], str] = lambda: "",
    ) -> None:
        """*ended* is told of runs that no turn will come of; *language*: of whoever's own is not known."""
        self._store = store
        self._delivery = delivery
        self._accept = accept
        self._clock = clock
        self._ended = ended
        self._language = language
        self._handing = asyncio.Lock()

    async def hand_over(self) -> None:
        """Accept every run that is due and has no inbox row yet. Never raises StoreError: the next look goes on."""
        async with self._handing:
            try:
                while await self._page() == runs.AT_ONCE:
                    pass
            except StoreError as error:
                log.warning("job.put-off", error=str(error))

    async def _page(self) -> int:
        """Some of them, the oldest first; gives how many were owed."""
        now = self._clock()
        account, owed = await self._store.commit(Point.JOB, runs.owed, now)
        if not owed:
            return 0
        events, lost = [], []
        for each in owed:
            if each.spec.kind == "heartbeat":
                try:
                    each = await heartbeat.beat(self._store, each, now)
                except heartbeat.Idle as idle:
                    await self._store.commit(Point.JOB, _left_out, each.run, str(idle), now)
                    continue
            joins = None
            if each.spec.session == "chat":
                found, _ = await places.spots(self._store, self._delivery, each.spec.deliver_to, each.made_in)
                if not found:
                    lost.append(each)
                    continue
                joins = found[0].place.id
            events.append((each, runs.event(each, joins)))
        if lost:
            await self._store.commit(Point.JOB, self._put_off, lost, now)
        if events:
            receipts = await self._accept(account, [event for _, event in events])
            pen = Pen(render=self._delivery.render, now=now, language=self._language())
            for end in await self._store.commit(Point.JOB, runs.link, account, events, receipts, pen):
                self._ended(end)
        return len(owed)

    async def _put_off(self, unit: Unit, lost: Sequence[Owed], now: int) -> None:
        for each in lost:
            if now - each.planned < GIVE_UP_AFTER:
                await unit.jobs.put_off(each.run, due=now + LOOK_AGAIN, reason=reasons.NOT_FOUND_YET)
            else:
                await unit.jobs.run_state(each.run, "failed", reason=reasons.UNREACHED, ended=now)

    async def deliver(self) -> int:
        """Try again to find the chats that answers are owed to; gives to how many runs something was added.

        Raises StoreError.
        """
        added = 0
        for each in await self._store.read(lambda unit: unit.jobs.undelivered()):
            spec = spec_of(each.job)
            found, later = await places.spots(
                self._store, self._delivery, spec.deliver_to, each.job.conversation
            )
            now = self._clock()
            state = "waiting" if found else "dead"
            if later and now - each.ended < GIVE_UP_AFTER:
                state = "owed"
            elif later:
                log.warning("job.undelivered", job=spec.name, run=each.run, error=reasons.UNREACHED)
                state = "dead"
            rows = await self._store.commit(Point.JOB, _enter, each, spec, found, state, now)
            self._delivery.enqueue(rows)
            added += bool(rows)
        return added


async def _left_out(unit: Unit, run: int, reason: str, now: int) -> None:
    await unit.jobs.run_state(run, "skipped", reason=reason, ended=now)


async def _enter(
    unit: Unit, owed: Undelivered, spec: JobSpec, spots: Sequence[Spot], state: str, now: int
) -> list[OutboxRow]:
    """What was said, from the transcript, into the outbox for each place that has not got it."""
    said = [
        entry for entry in await unit.transcript.of_turn(owed.session, owed.turn) if entry.kind == "assistant"
    ]
    text = "\n\n".join(filter(None, (transcript.visible(entry.body) for entry in said)))
    files = [
        Chunk(text="", file=File(name=str(file["name"]), type=str(file["type"]), media=int(file["media"])))
        for entry in said
        for file in entry.body.get("files", ())
    ]
    rows: list[OutboxRow] = []
    for spot in spots:
        rows += await notices.put(
            unit,
            account=spot.line.account.id,
            conversation=spot.place.id,
            origin=spot.origin(owed.run),
            chunks=places.chunks(spot.line, spec, text, files),
            now=now,
            session=owed.session,
            kind="job",
        )
    await unit.jobs.delivery(owed.run, state)
    return rows
