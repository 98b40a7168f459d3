"""The path of one message: accept, lease, run, finish. One worker per conversation that has something to do."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Literal

from gateway import intake, log
from gateway.access import LOCAL, role_in
from gateway.begin import begin
from gateway.begin.rules import Rules
from gateway.begin.steps import Ask, Collect, Command, Nothing, Poisoned, TurnedAway
from gateway.billing import Biller
from gateway.calls import Commands
from gateway.compacting import Compactor
from gateway.controls import Controls
from gateway.delivery import Delivery
from gateway.endings import Endings
from gateway.failpoints import Point
from gateway.habits import Habits
from gateway.halt import Halt
from gateway.hub import Hub, Seen
from gateway.kept import Kept
from gateway.media.enclosed import Enclosures
from gateway.outage import Outage
from gateway.progress import Outcome
from gateway.protocols.clock import Clock
from gateway.reactions import Reactions
from gateway.recovery import Recovery
from gateway.room import Room
from gateway.runs import Live, Runs
from gateway.sessions import gap_of
from gateway.texts import say
from gateway.turn import TurnRunner
from gateway.types.inbound import Inbound, Lane, Receipt
from gateway.types.measures import SECOND
from gateway.types.outbound import Chunk
from gateway.types.people import Identity, Role
from gateway.types.places import Account, Conversation
from gateway.types.usage import UsageSettled
from gateway.workers import Workers

if TYPE_CHECKING:
    from storage import Store, Unit


class Dispatcher:
    """Owns the order of things. Everything it must not forget is on disk before it acts."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        runner: TurnRunner,
        room: Room,
        compactor: Compactor,
        biller: Biller,
        halt: Halt,
        hub: Hub,
        habits: Habits,
        clock: Clock,
        model_kind: Callable[[str], tuple[str, str]],
        enclosures: Enclosures,
        on_trouble: Callable[[str, str], None] = lambda cause, text: None,
        on_stranger: Callable[[str, str], None] = lambda channel, user_id: None,
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._biller = biller
        self._compactor = compactor
        self._halt = halt
        self._hub = hub
        self.habits = habits
        self._clock = clock
        self._model_kind = model_kind
        self._enclosures = enclosures
        self._on_trouble = on_trouble
        self._on_stranger = on_stranger
        delivery.on_moved = self._moved
        self._controls = Controls(
            store=store,
            delivery=delivery,
            hub=hub,
            clock=clock,
            on_trouble=on_trouble,
            role=self._role,
            language=lambda: self.habits.language,
            zone=lambda: self.habits.zone,
        )
        self.expected: set[str] = set()  # platforms that are configured, connected or not
        self._owner = secrets.token_hex(8)
        self._workers = Workers(
            step=self._next, scheduled=self._scheduled, most=habits.most_turns, on_trouble=on_trouble
        )
        self._outage = Outage(clock=clock, wake=self.wake, spawn=self._workers.beside)
        self._reactions = Reactions(store=store, delivery=delivery, clock=clock)
        self._kept = Kept(
            store=store,
            delivery=delivery,
            hub=hub,
            halt=halt,
            outage=self._outage,
            clock=clock,
            habits=lambda: self.habits,
        )
        self.endings = Endings(
            store=store,
            delivery=delivery,
            hub=hub,
            outage=self._outage,
            kept=self._kept,
            clock=clock,
            habits=lambda: self.habits,
            on_trouble=on_trouble,
        )
        self.runs = Runs(
            store=store,
            delivery=delivery,
            runner=runner,
            room=room,
            hub=hub,
            endings=self.endings,
            reactions=self._reactions,
            clock=clock,
            habits=lambda: self.habits,
            key=self.key_of,
            spawn=self._workers.beside,
        )
        self.recovery = Recovery(
            store=store,
            delivery=delivery,
            halt=halt,
            workers=self._workers,
            clock=clock,
            habits=lambda: self.habits,
            settle=self._recovered,
            control=self._control,
        )

    @property
    def commands(self) -> Commands | None:
        """The table of commands; None until the gateway is wired."""
        return self._controls.commands

    @commands.setter
    def commands(self, commands: Commands | None) -> None:
        self._controls.commands = commands

    # -- in ---------------------------------------------------------------------------------------------------

    async def accept(self, account: Account, events: Sequence[Inbound]) -> list[Receipt]:
        """Put a page of events on disk, then set about them. Raises StoreError: then nothing was stored."""
        now = self._clock()
        key = account.key or account.channel
        door = intake.Door(
            policy=self.habits.policy,
            mode=self._mode,
            render=self.render,
            now=now,
            away_before=now - self.habits.away_after,
            busy=self.runs.busy,
            during=self.habits.during.get(key, "queue"),
            overheard=self.habits.overheard.get(key, 0),
            each_member=self.habits.each_member,
            limits=self.habits.limits,
            language=self.habits.language,
        )
        taken = await self._store.commit(Point.ACCEPT, intake.accept, account, events, door)
        self._delivery.enqueue(taken.notices)
        for kept, gone in taken.moved:
            self._moved(kept, gone)
        for stranger in taken.strangers:
            self._on_stranger(stranger.channel, stranger.user_id)
        self._set_about(taken.receipts)
        for event, receipt in zip(events, taken.receipts, strict=True):
            if receipt.during is not None:
                await self._meanwhile(event, receipt, key)
        return taken.receipts

    async def _meanwhile(self, event: Inbound, receipt: Receipt, key: str) -> None:
        """A message came while another is being answered: do what was decided, and say so; it is on disk."""
        conversation, during = receipt.conversation, receipt.during
        live = self.runs.get(conversation or 0)
        if conversation is None or during is None or live is None:
            return
        if during == "steer":
            self.runs.steer(conversation)
        lang = (event.sender.lang if event.sender else "") or self.habits.language
        self._reactions.told(
            conversation,
            event.message_id,
            during,
            turn=live.started.turn.id,
            shown=self.habits.reactions.get(key, "waiting"),
            line=say(f"during.{during}", lang),
        )
        if during == "interrupt":
            await self.runs.cancel(conversation, interrupted=True)

    def steers(self, conversation: int) -> bool:
        """Whether the turn that runs there has something to take in; asked before each of its requests."""
        return self.runs.steers(conversation)

    def _moved(self, kept: int, gone: int | None) -> None:
        """A chat has a new id; *gone* is the conversation that *kept* took in, with what was running there."""
        log.info("conversation.moved", conversation=kept, merged=gone)
        self._delivery.moved(kept)
        if gone is not None:
            self._delivery.moved(gone)
            live = self.runs.get(gone)
            if live is not None:
                live.task.cancel()
            self.wake(kept)

    def _set_about(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            if receipt.state == "held":
                self.recovery.tell_away_soon()
            if receipt.state != "waiting" or receipt.conversation is None or receipt.inbox_id is None:
                continue
            if receipt.lane is Lane.CONTROL:
                self._control(receipt.inbox_id)
            else:
                self.wake(receipt.conversation)

    def _control(self, id: int) -> None:
        self._workers.beside(self._controls.carry_out(id), f"control-{id}")

    def _mode(self, name: str) -> Literal["now", "between"] | None:
        return self.commands.mode(name) if self.commands else None

    def wake(self, conversation: int) -> None:
        """There may be something to do in that conversation."""
        self._workers.wake(conversation)

    def take_up(self, conversation: int) -> None:
        """As wake, but not by one who only looks in: then it waits for the gateway."""
        if not self.recovery.visiting:
            self.wake(conversation)

    def beside(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do it in a task of its own, whose end the stop waits for."""
        self._workers.beside(work, name)

    # -- start and stop ---------------------------------------------------------------------------------------

    async def sweep(self) -> int:
        """Close sessions that nobody came back to; the person is told with their next message. Gives how many."""
        now = self._clock()

        async def work(unit: Unit) -> int:
            closed = 0
            for account in await unit.people.accounts():
                gap = self.habits.gap(self._key(account.id, account.channel), account.channel)
                for session, _ in await unit.sessions.idle(account.id, gap=gap, now=now):
                    closed += await unit.sessions.close(session, reason="idle", now=now)
            return closed

        return await self._store.commit(Point.SWEEP, work)

    async def stop(self, seconds: float) -> None:
        """Begin nothing new, give running turns so long, park the rest; the next start finishes them."""
        self.recovery.stop()
        await self._workers.stop(seconds, self.runs.park)
        await self._reactions.stop()

    # -- what is going on -------------------------------------------------------------------------------------

    def running(self, conversation: int) -> Live | None:
        return self.runs.get(conversation)

    @property
    def under_way(self) -> list[str]:
        """The names of the tasks that have not ended."""
        return self._workers.tasks

    @property
    def turns_running(self) -> int:
        return len(self.runs)

    @property
    def outage_since(self) -> int | None:
        """When the provider began to refuse us; None when all is well."""
        return self._outage.since

    @property
    def halted(self) -> str | None:
        """Who has pulled the emergency stop, and why; None when it is not."""
        found = self._halt.now
        return None if found is None else f"{found.by}: {found.why}" if found.why else found.by

    async def halt(self, *, by: str, why: str = "") -> int:
        """No new request to any provider from now on; what runs is put aside. Gives how many turns that were.

        Raises Refused when it is so already.
        """
        await self._halt.pull(by, why, self._clock())
        turns = self.runs.park()
        self._compactor.flights.halt()
        log.warning("halted", by=by, why=why or None, turns=turns)
        return turns

    async def unhalt(self, *, by: str) -> None:
        """Go on with everything that was kept. Raises Refused when nothing was halted."""
        await self._halt.release(by, self._clock())
        log.warning("unhalted", by=by)
        if not self.recovery.visiting:
            await self.recovery.wake_all()

    async def cancel(self, conversation: int) -> bool:
        """Stop the running turn there, and a compaction; False when nothing is running."""
        compaction = self._compactor.flights.stop(conversation)
        return await self.runs.cancel(conversation) or compaction

    async def move(self, conversation: int, new: int, previous: int) -> bool:
        """Let the messages of the turn running in session *new* wait for session *previous* instead."""
        return self.runs.move(conversation, new, previous)

    # -- one conversation -------------------------------------------------------------------------------------

    async def _scheduled(self, conversation: int) -> bool:
        """Whether what comes next there is a job's, for which nobody waits."""
        return await self._store.read(lambda unit: unit.inbox.scheduled(conversation))

    async def _next(self, conversation: int, fence: int | None) -> tuple[int | None, bool]:
        """One step: (the fence we still hold, whether there is more to do)."""
        begun = await self._store.commit(Point.BEGIN, begin, conversation, fence, self._rules(conversation))
        match begun:
            case Nothing(parked=parked, due=due, halted=halted):
                if halted:
                    await self._kept.say(conversation)
                elif parked and self._outage.since is not None:
                    self._outage.keep(conversation)
                    await self._kept.say(conversation)
                if due is not None:
                    wait = max(0.0, (due - self._clock()) / SECOND)
                    asyncio.get_running_loop().call_later(wait, self.wake, conversation)
                return None, False
            case Poisoned(turn=turn, notices=put_aside, text=text, end=end):
                self._delivery.enqueue(put_aside)
                if end is not None:
                    self.endings.ended(end)
                self._on_trouble("dead-letter", f"turn {turn.id} was put aside: {say('turn.poison')}")
                rows = await self._store.read(lambda unit: unit.inbox.of_turn(turn.id))
                ids = tuple(row.id for row in rows)
                self.endings.publish(turn, Outcome(state="dead", text=text), ids)
                return None, True
            case Collect(rows=rows, conversation=place, fence=held, lang=lang):
                self._delivery.enqueue(await self._enclosures.collect(rows, place, held, lang))
                return held, True
            case Command(row=waiting, fence=held):
                await self._controls.command(waiting)
                return held, True
            case TurnedAway(rows=refused, fence=held, notices=told, text=text):
                self._delivery.enqueue(told)
                ids = tuple(row.id for row in refused)
                self._hub.publish(
                    Seen(kind="done", conversation=conversation, text=text, state="refused", inbox=ids)
                )
                return held, True
            case Ask(started=started, notices=notices, parts=parts):
                self.recovery.judged.discard(started.turn.id)
                for notice in notices:
                    seen = Seen(kind="notice", conversation=conversation, text=notice.payload.text)
                    self._hub.publish(seen)
                self._delivery.enqueue(notices)
                finished = await self.runs.run(started, list(parts))
                if finished is None:
                    return None, False
                await self.runs.tidy(started, finished)
                return (started.turn.fence if finished.more else None), finished.more
        raise AssertionError(begun)

    def _rules(self, conversation: int) -> Rules:
        now = self._clock()
        return Rules(
            owner=self._owner,
            now=now,
            policy=self.habits.policy,
            key=self._key,
            gap_minutes=lambda place: gap_of(place, self.usual_gap(place)),
            carry_over=self.habits.carry_over,
            render=self.render,
            token=lambda: secrets.token_urlsafe(16),
            recover=self._recovered,
            resume_parked=self._outage.try_now(),
            halted=self._halt.now is not None,
            overheard=lambda place: self.habits.hears(self.key_of(place), place),
            served=lambda account, channel: channel in LOCAL or self._delivery.line(account) is not None,
            judged=lambda turn: turn in self.recovery.judged,
            connecting=lambda channel: channel in self.expected and self._delivery.line_of(channel) is None,
            language=self.habits.language,
        )

    def _key(self, account: int, channel: str) -> str:
        line = self._delivery.line(account)
        return line.account.key if line is not None and line.account.key else channel

    def _role(self, place: Conversation, who: Identity | None) -> Role:
        """As what somebody acts there; who stands for nobody known is a user."""
        if who is None:
            return "user"
        return role_in(place, who, key=self.key_of(place), policy=self.habits.policy)

    def key_of(self, place: Conversation) -> str:
        """The name in the configuration of the account that speaks there."""
        return self._key(place.account, place.channel)

    def usual_gap(self, place: Conversation) -> int | None:
        """The gap of the account that speaks there, in minutes; None: explicit sessions."""
        return self.habits.gap(self.key_of(place), place.channel)

    def _recovered(self, row: tuple[Any, ...]) -> tuple[str, UsageSettled]:
        kind, base_url = self._model_kind(str(row[1]))
        return self._biller.recover(row, kind=kind, base_url=base_url)

    # -- out --------------------------------------------------------------------------------------------------

    def render(self, account: int, text: str) -> list[Chunk]:
        """As messages of that account's channel."""
        return self._delivery.render(account, text)
