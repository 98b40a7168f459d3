"""The path of one message: accept, lease, run, finish. One worker per conversation that has something to do."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

from gateway import away, footer, intake, log, targets, working
from gateway.access import Policy, role_of
from gateway.begin import MOST_CRASHES, Ask, Command, Nothing, Poisoned, Rules, begin
from gateway.billing import Biller
from gateway.calls import Commands
from gateway.controls import Controls
from gateway.delivery import Delivery, nonce
from gateway.during import Busy, During
from gateway.errors import DiskFull, LeaseLost, StoreError
from gateway.failpoints import Point
from gateway.finish import Finished, finish, keep, move_back, notice
from gateway.floods import Limits
from gateway.halt import Halt
from gateway.hub import Hub, Seen
from gateway.lanes import LOCAL
from gateway.outage import Outage
from gateway.preview import Preview
from gateway.protocols import Clock
from gateway.reactions import Reactions, Shown
from gateway.reports import usage_summary
from gateway.sessions import gap_of
from gateway.texts import say
from gateway.turn import Outcome, Progress, Started, TurnRunner, resumed
from gateway.types import (
    HOUR,
    SECOND,
    Account,
    Chunk,
    Conversation,
    Identity,
    Inbound,
    Lane,
    Reaction,
    Receipt,
    Role,
    Turn,
    UsageSettled,
    Waiting,
)

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
class Habits:
    """What the operator has set about conversations; swapped whole on reload. Times in microseconds."""

    policy: Policy
    gap_minutes: dict[str, int | None]  # by the account's name in the configuration, or the channel's
    carry_over: bool = True
    each_member: bool = False  # each member of a group has a session of their own
    during: Mapping[str, During] = field(default_factory=dict)  # a message during a turn, by account's key
    overheard: Mapping[str, int] = field(
        default_factory=dict
    )  # messages of a group not meant for us, likewise
    reactions: Mapping[str, Shown] = field(default_factory=dict)
    away_after: int = 2 * HOUR
    zone: str = "UTC"
    most_turns: int = 64
    limits: Limits = field(default_factory=Limits)
    language: str = ""  # BCP 47 tag, of people whose own is not known
    patience: float = working.PATIENCE  # seconds without a word until “still working”


class Dispatcher:
    """Owns the order of things. Everything it must not forget is on disk before it acts."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        runner: TurnRunner,
        biller: Biller,
        halt: Halt,
        hub: Hub,
        habits: Habits,
        clock: Clock,
        model_kind: Callable[[str], tuple[str, str]],
        on_trouble: Callable[[str, str], None] = lambda cause, text: None,
        on_stranger: Callable[[str, str], None] = lambda channel, user_id: None,
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._runner = runner
        self._biller = biller
        self._halt = halt
        self._visiting = False  # for one command: what waits is the gateway's
        self._hub = hub
        self.habits = habits
        self._clock = clock
        self._model_kind = model_kind
        self._on_trouble = on_trouble
        self._on_stranger = on_stranger
        self._controls = Controls(
            store=store,
            delivery=delivery,
            hub=hub,
            clock=clock,
            on_trouble=on_trouble,
            role=self._role,
            language=lambda: self.habits.language,
        )
        self.expected: set[str] = set()  # platforms that are configured, connected or not
        self._owner = secrets.token_hex(8)
        self._workers: dict[int, bool] = {}  # conversation -> something came in meanwhile
        self._live: dict[int, Live] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._seats = asyncio.Semaphore(habits.most_turns)
        self._outage = Outage(clock=clock, wake=self.wake, spawn=self._spawn)
        self._reactions = Reactions(store=store, delivery=delivery, clock=clock)
        self._steering: set[int] = set()  # conversations whose running turn has something to take in
        self._owed: dict[int, list[int]] = {}  # account -> control rows of an earlier process
        self._judged: set[int] = set()  # turns of an earlier process that were not taken up yet
        self._stopping = False
        self._away_timer: asyncio.TimerHandle | None = None
        self._booted = clock()
        self._last_alive = self._booted

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
            nonce=nonce,
            now=now,
            away_before=now - self.habits.away_after,
            busy=self._busy,
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

    def _busy(self, conversation: int) -> Busy | None:
        live = self._live.get(conversation)
        if live is None or live.task.done():
            return None
        return Busy(turn=live.started.turn.id, identity=live.started.turn.identity)

    async def _meanwhile(self, event: Inbound, receipt: Receipt, key: str) -> None:
        """A message came while another is being answered: do what was decided, and say so; it is on disk."""
        conversation, during = receipt.conversation, receipt.during
        live = self._live.get(conversation or 0)
        if conversation is None or during is None or live is None:
            return
        if during == "steer":
            self._steering.add(conversation)
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
            live.interrupted = True
            await self.cancel(conversation)

    def steers(self, conversation: int) -> bool:
        """Whether the turn that runs there has something to take in; asked before each of its requests."""
        return conversation in self._steering

    def _moved(self, kept: int, gone: int | None) -> None:
        """A chat has a new id; *gone* is the conversation that *kept* took in, with what was running there."""
        log.info("conversation.moved", conversation=kept, merged=gone)
        self._delivery.moved(kept)
        if gone is not None:
            live = self._live.get(gone)
            if live is not None:
                live.task.cancel()
            self.wake(kept)

    def _set_about(self, receipts: Sequence[Receipt]) -> None:
        for receipt in receipts:
            if receipt.state == "held":
                self._tell_away_soon()
            if receipt.state != "waiting" or receipt.conversation is None or receipt.inbox_id is None:
                continue
            if receipt.lane is Lane.CONTROL:
                self._spawn(self._controls.carry_out(receipt.inbox_id), f"control-{receipt.inbox_id}")
            else:
                self.wake(receipt.conversation)

    def _mode(self, name: str) -> Literal["now", "between"] | None:
        return self.commands.mode(name) if self.commands else None

    def wake(self, conversation: int) -> None:
        """There may be something to do in that conversation."""
        if self._stopping:
            return
        if conversation in self._workers:
            self._workers[conversation] = True
        else:
            self._workers[conversation] = False
            self._spawn(self._work(conversation), f"work-{conversation}")

    def _spawn(self, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(self._guarded(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _guarded(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the edge of a task: whatever nobody foresaw is told here
            log.crash("task.failed", error, task=name)
            self._on_trouble("internal", f"{name}: {type(error).__name__}: {error}")

    # -- start and stop ---------------------------------------------------------------------------------------

    async def recover(self) -> None:
        """Take up what an earlier process left. The instance lock says that no other owner lives."""
        await self._halt.load()
        now = self._clock()

        async def work(unit: Unit) -> tuple[list[int], list[Waiting], set[int], int]:
            await unit.places.release_all()
            await unit.inbox.loosen()
            alive = int(await unit.meta.get("alive") or now)
            await unit.meta.put("alive", str(now))
            await unit.inbox.hold_old(before=now - self.habits.away_after)
            unfinished = await unit.turns.open()
            self._judged = {turn.id for turn in unfinished if turn.state == "running"}
            await unit.turns.blame()
            for row in await unit.ledger.open_rows():
                await unit.ledger.settle(*self._recovered(row))
            places = {turn.conversation for turn in unfinished}
            places.update(await unit.inbox.waiting_places())
            controls = await unit.inbox.open_control()
            local = {
                row.account
                for row in controls
                if row.conversation is None or (await unit.places.get(row.conversation)).channel in LOCAL
            }
            return sorted(places), controls, local, alive

        places, controls, local, self._last_alive = await self._store.commit(Point.RECOVER, work)
        for row in controls:
            self._owed.setdefault(row.account, []).append(row.id)
        for account in local:
            self._take_up_controls(account)
        for place in places:
            self.wake(place)
        self._tell_away_soon()

    async def void_leases(self) -> None:
        """What `recover` does for one who only looks in: nothing of an earlier process is taken up."""
        self._visiting = True
        await self._halt.load()
        await self._store.commit(Point.RECOVER, lambda unit: unit.places.release_all())

    def _take_up_controls(self, account: int) -> None:
        """Commands and buttons that an earlier process left: not before a reply to them can be sent."""
        for id in self._owed.pop(account, ()):
            self._spawn(self._controls.carry_out(id), f"control-{id}")

    async def alive(self) -> None:
        """A sign of life on disk, so that the next start knows how long we were away; call it each minute."""
        await self._store.commit(Point.META, _alive, str(self._clock()))

    async def sweep(self) -> int:
        """Close sessions that nobody came back to; the person is told with their next message. Gives how many."""
        now = self._clock()

        async def work(unit: Unit) -> int:
            closed = 0
            for account in await unit.people.accounts():
                gap = self._usual_gap(account.id, account.channel)
                for session, _ in await unit.sessions.idle(account.id, gap=gap, now=now):
                    closed += await unit.sessions.close(session, reason="idle", now=now)
            return closed

        return await self._store.commit(Point.SWEEP, work)

    async def stop(self, seconds: float) -> None:
        """Begin nothing new, give running turns so long, park the rest; the next start finishes them."""
        self._stopping = True
        if self._away_timer is not None:
            self._away_timer.cancel()
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        for live in list(self._live.values()):
            live.task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks), timeout=3.0)
            for task in late:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._reactions.stop()

    # -- what is going on -------------------------------------------------------------------------------------

    def running(self, conversation: int) -> Live | None:
        return self._live.get(conversation)

    @property
    def turns_running(self) -> int:
        return len(self._live)

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
        running = [live for live in self._live.values() if not live.task.done()]
        for live in running:
            live.task.cancel()
        log.warning("halted", by=by, why=why or None, turns=len(running))
        return len(running)

    async def unhalt(self, *, by: str) -> None:
        """Go on with everything that was kept. Raises Refused when nothing was halted."""
        await self._halt.release(by, self._clock())
        log.warning("unhalted", by=by)
        if not self._visiting:
            await self._wake_all()

    async def cancel(self, conversation: int) -> bool:
        """Stop the running turn there; False when none is running."""
        live = self._live.get(conversation)
        if live is None or live.task.done():
            return False
        live.stopped = True
        await self._store.commit(Point.CONTROL, _cancel, live.started.turn.id, self._clock())
        live.task.cancel()
        return True

    async def move(self, conversation: int, new: int, previous: int) -> bool:
        """Let the messages of the turn running in session *new* wait for session *previous* instead."""
        live = self._live.get(conversation)
        if live is None or live.task.done() or live.started.session.id != new:
            return False
        live.moved_to = previous
        live.task.cancel()
        return True

    async def connected(self, account: int) -> None:
        """An account can speak now: deliver what it left, and go on with its conversations."""
        await self._delivery.recover(account)
        self._take_up_controls(account)
        await self._wake_all()
        self._tell_away_soon()
        await self._take_back_notices(account)

    async def _take_back_notices(self, account: int) -> None:
        """“Still working”, of turns whose end an earlier process did not live to see tidied up."""
        line = self._delivery.line(account)
        if line is None:
            return
        left = await self._store.read(lambda unit: unit.outbox.left_over(account, working.ORIGIN))
        for conversation, turn in left:
            address = await self._delivery.address(conversation)
            await working.take_back(self._store, line, address, turn)

    async def _wake_all(self) -> None:
        async def work(unit: Unit) -> list[int]:
            unfinished = [turn.conversation for turn in await unit.turns.open()]
            waiting = await unit.inbox.waiting_places()
            return sorted({*unfinished, *waiting})

        for place in await self._store.read(work):
            self.wake(place)

    # -- one conversation -------------------------------------------------------------------------------------

    async def _work(self, conversation: int) -> None:
        fence: int | None = None
        failures = 0
        try:
            while not self._stopping:
                self._workers[conversation] = False
                try:
                    async with self._seats:
                        fence, go_on = await self._next(conversation, fence)
                except LeaseLost as error:
                    log.warning("lease.lost", conversation=conversation, error=str(error))
                    return
                except StoreError as error:
                    self._on_trouble("storage", str(error))
                    await asyncio.sleep(STORE_RETRY)
                    fence, go_on = None, True
                except Exception as error:  # noqa: BLE001 - the edge of a conversation: the turn is tried again
                    failures += 1
                    log.crash("conversation.failed", error, conversation=conversation)
                    self._on_trouble(
                        "internal", f"{type(error).__name__} in conversation {conversation}: {error}"
                    )
                    # Three attempts put a turn aside with a word to the person; what fails otherwise ends here.
                    if failures > 2 * MOST_CRASHES:
                        return
                    await asyncio.sleep(0.5 * failures)
                    fence, go_on = None, True
                if not go_on and not self._workers[conversation]:
                    return
        finally:
            again = self._workers.pop(conversation, False)
            if again and not self._stopping:
                self.wake(conversation)

    async def _next(self, conversation: int, fence: int | None) -> tuple[int | None, bool]:
        """One step: (the fence we still hold, whether there is more to do)."""
        begun = await self._store.commit(Point.BEGIN, begin, conversation, fence, self._rules(conversation))
        match begun:
            case Nothing(parked=parked, due=due, halted=halted):
                if halted:
                    await self._say_kept(conversation)
                elif parked and self._outage.since is not None:
                    self._outage.keep(conversation)
                    await self._say_kept(conversation)
                if due is not None:
                    wait = max(0.0, (due - self._clock()) / SECOND)
                    asyncio.get_running_loop().call_later(wait, self.wake, conversation)
                return None, False
            case Poisoned(turn=turn, notices=put_aside, text=text):
                self._delivery.enqueue(put_aside)
                self._on_trouble("dead-letter", f"turn {turn.id} was put aside: {say('turn.poison')}")
                self._publish_end(turn, Outcome(state="dead", text=text), ())
                return None, True
            case Command(row=waiting, fence=held):
                await self._controls.command(waiting)
                return held, True
            case Ask(started=started, notices=notices, parts=parts):
                self._judged.discard(started.turn.id)
                for told in notices:
                    seen = Seen(kind="notice", conversation=conversation, text=told.payload.text)
                    self._hub.publish(seen)
                self._delivery.enqueue(notices)
                finished = await self._run(started, list(parts))
                if finished is None:
                    return None, False
                return (started.turn.fence if finished.more else None), finished.more
        raise AssertionError(begun)

    def _rules(self, conversation: int) -> Rules:
        now = self._clock()
        return Rules(
            owner=self._owner,
            now=now,
            policy=self.habits.policy,
            key=self._key,
            gap_minutes=lambda place: gap_of(place, self._usual_gap(place.account, place.channel)),
            carry_over=self.habits.carry_over,
            render=self.render,
            nonce=nonce,
            token=lambda: secrets.token_urlsafe(16),
            recover=self._recovered,
            resume_parked=self._outage.try_now(),
            halted=self._halt.now is not None,
            overheard=self._overhears,
            served=lambda account, channel: channel in LOCAL or self._delivery.line(account) is not None,
            judged=lambda turn: turn in self._judged,
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
        return role_of(
            channel=place.channel,
            key=self._key(place.account, place.channel),
            user_id=who.user_id,
            role=who.role,
            policy=self.habits.policy,
        )

    def key_of(self, place: Conversation) -> str:
        """The name in the configuration of the account that speaks there."""
        return self._key(place.account, place.channel)

    def usual_gap(self, place: Conversation) -> int | None:
        """The gap of the account that speaks there, in minutes; None: explicit sessions."""
        return self._usual_gap(place.account, place.channel)

    def _usual_gap(self, account: int, channel: str) -> int | None:
        gaps = self.habits.gap_minutes
        return gaps.get(self._key(account, channel), gaps.get(channel))

    def _overhears(self, place: Conversation) -> int:
        usual = self.habits.overheard.get(self._key(place.account, place.channel), 0)
        return 0 if place.settings.get("context") == 0 else usual

    def _recovered(self, row: tuple[Any, ...]) -> tuple[str, UsageSettled]:
        kind, base_url = self._model_kind(str(row[1]))
        return self._biller.recover(row, kind=kind, base_url=base_url)

    async def _run(self, started: Started, parts: list[Any]) -> Finished | None:
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
        shown = self.habits.reactions.get(self._key(place.account, place.channel), "waiting")
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
                Point.FINISH, move_back, started, outcome, live.moved_to, self.render, now
            )
            self._delivery.enqueue(rows)
            return Finished(rows=rows, more=True)
        text = await self._shown(started, outcome)
        placed = preview.placed if preview else 0
        found = await targets.targets(self._store, self._delivery, started, text, placed)
        unread = turn.job_run is not None or (not found and not self._hub.watched(turn.conversation))
        while True:
            try:
                finished = await self._store.commit(
                    Point.FINISH, finish, started, outcome, found, now, unread, self._delivery.shown
                )
                break
            except DiskFull as error:
                # The answer is made and paid for: hold on to it until there is space again.
                self._on_trouble("storage", str(error))
                await asyncio.sleep(STORE_RETRY)
        self._delivery.enqueue(finished.rows)
        if outcome.state == "done":
            self._outage.over()
        self._publish_end(turn, outcome, tuple(row.id for row in started.rows))
        self._log(started, outcome, progress)
        return finished

    async def _keep(self, started: Started, outcome: Outcome) -> None:
        now = self._clock()
        place = started.turn.conversation
        halted = self._halt.now is not None
        if outcome.state != "kept" and not halted:
            await self._store.commit(Point.FINISH, keep, started, outcome, self.render, now, None, "")
            return
        if not halted:
            self._outage.begin()
            self._outage.keep(place)
        origin, text = self._kept_line(place, started.lang)
        rows = await self._store.commit(Point.FINISH, keep, started, outcome, self.render, now, origin, text)
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

    async def _say_kept(self, conversation: int) -> None:
        """Whoever writes while nothing can be asked is told once that it is kept."""
        lang = await self._store.read(lambda unit: unit.inbox.language(conversation, "waiting"))
        origin, text = self._kept_line(conversation, lang or self.habits.language)
        account = (await self._delivery.address(conversation)).account
        now = self._clock()
        rows = await self._store.commit(
            Point.NOTICE, notice, account, conversation, origin, text, self.render, now
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

    # -- out --------------------------------------------------------------------------------------------------

    def render(self, account: int, text: str) -> list[Chunk]:
        """As messages of that account's channel."""
        return self._delivery.render(account, text)

    def _preview(self, started: Started) -> Preview | None:
        place = started.conversation
        line = self._delivery.line(place.account)
        if line is None:
            return None
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
            patience=self.habits.patience,
            clock=self._clock,
        )

    async def _shown(self, started: Started, outcome: Outcome) -> str:
        """What the person is to read: the answer, and under it what /footer asks for."""
        what = started.conversation.settings.get("footer")
        if what not in ("tokens", "cost") or outcome.state != "done" or started.turn.trigger is not None:
            return outcome.text
        settled = outcome.request.settled if outcome.request else None
        earlier = await self._store.read(lambda unit: unit.ledger.of_turn(started.turn.id))
        return footer.under(outcome.text, what, usage_summary(earlier), settled)

    def _publish_end(self, turn: Turn, outcome: Outcome, ids: tuple[int, ...]) -> None:
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
            )
        )

    def _log(self, started: Started, outcome: Outcome, progress: Progress) -> None:
        turn, now = started.turn, self._clock()
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

    # -- away -------------------------------------------------------------------------------------------------

    def _tell_away_soon(self) -> None:
        if self._away_timer is not None:
            self._away_timer.cancel()
        loop = asyncio.get_running_loop()
        self._away_timer = loop.call_later(away.NOTICE_AFTER, lambda: self._spawn(self._tell_away(), "away"))

    async def _tell_away(self) -> None:
        since, until = (away.clock_time(at, self.habits.zone) for at in (self._last_alive, self._booted))
        rows = await self._store.commit(
            Point.NOTICE, away.tell, since, until, self.render, self._clock(), self.habits.language
        )
        self._delivery.enqueue(rows)


async def _alive(unit: Unit, now: str) -> None:
    await unit.meta.put("alive", now)


async def _cancel(unit: Unit, turn: int, now: int) -> None:
    await unit.turns.cancel(turn, now=now)
