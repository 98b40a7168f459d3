"""The outbox: chunks leave in order per conversation, each step on disk before the call it announces."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from gateway import log
from gateway.errors import DeliveryError, DeliveryErrorKind, NotFound, StoreError
from gateway.failpoints import Point
from gateway.opening import opening
from gateway.outgoing import (
    OVER,
    chat_moved,
    repaid,
    taken_back,
    to_dead,
    to_later,
    to_placed,
    to_sent,
    to_state,
)
from gateway.protocols.channel import Channel
from gateway.protocols.clock import Clock
from gateway.rate import Priority, RateGate
from gateway.types.measures import DAY, SECOND
from gateway.types.outbound import Chunk, File, OutboxRow
from gateway.types.places import Account, Address

if TYPE_CHECKING:
    from storage import Store, Unit


LONGEST_WAIT = 60.0  # seconds between two tries
GIVE_UP_AFTER = DAY  # the platform keeps inbound for a day; we keep outbound as long
MOST_RECENT = 1_000  # rows that are remembered as done with
MOST_LOST = 5  # ambiguous sends of one chunk before it is given up


@dataclass(frozen=True, slots=True)
class Line:
    """An account that is connected: its channel and its rate gate."""

    account: Account
    channel: Channel
    gate: RateGate


class Delivery:
    """Sends what is in the outbox; the only caller of Channel.send and Channel.edit besides the preview."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        content: Callable[[File], Awaitable[bytes]],
        on_gone: Callable[[str], None] = lambda text: None,
    ) -> None:
        """*content* gives what is in a file that is to be sent; it raises NotFound."""
        self._store = store
        self._content = content
        self._clock = clock
        self._on_gone = on_gone
        self._lines: dict[int, Line] = {}
        self._queues: dict[int, deque[OutboxRow]] = {}
        self._senders: dict[int, asyncio.Task[None]] = {}
        self._queued: set[int] = set()  # rows
        self._recent: dict[int, None] = {}  # the latest rows that are done with, oldest first
        self._renewed: set[int] = set()  # queued rows that somebody has changed on disk
        self._lost: Counter[int] = Counter()  # row -> sends of it that may have arrived
        self._following: set[asyncio.Task[None]] = set()
        self._addresses: dict[int, Address] = {}
        self.on_moved: Callable[[int, int | None], None] = lambda kept, gone: None  # set by who runs turns
        # What the person sees in a message right now, where we know it: saves an edit that changes nothing.
        self.shown: dict[int, Chunk] = {}

    def register(self, account: Account, channel: Channel) -> Line:
        # The gate waits by the loop's timers, so it reads the loop's clock.
        gate = RateGate(channel.limits, clock=asyncio.get_running_loop().time)
        line = Line(account, channel, gate)
        self._lines[account.id] = line
        return line

    def line(self, account: int) -> Line | None:
        """None: that account is not connected (or needs no delivery)."""
        return self._lines.get(account)

    def line_of(self, channel: str) -> Line | None:
        """The first connected account of a platform."""
        return next((line for line in self._lines.values() if line.account.channel == channel), None)

    def line_named(self, key: str) -> Line | None:
        """The connected account of that name in the configuration, as telegram.second."""
        return next(
            (line for line in self._lines.values() if (line.account.key or line.account.channel) == key), None
        )

    def render(self, account: int, text: str) -> list[Chunk]:
        """[] for accounts that need no delivery: whoever listens there reads the transcript."""
        line = self._lines.get(account)
        return line.channel.render(text) if line else []

    def idle(self, conversation: int) -> bool:
        return conversation not in self._senders

    def enqueue(self, rows: Sequence[OutboxRow]) -> None:
        """Send rows that were just committed; each once, whoever else has found it on disk meanwhile."""
        for row in rows:
            if row.account not in self._lines or row.state in ("sent", "dead"):
                continue
            if row.id in self._queued or row.id in self._recent:
                continue
            self._queued.add(row.id)
            self._queues.setdefault(row.conversation, deque()).append(row)
            if row.conversation not in self._senders:
                task = asyncio.create_task(self._send_all(row.conversation), name=f"send-{row.conversation}")
                self._senders[row.conversation] = task

    async def recover(self, account: int) -> int:
        """Queue everything an earlier process left undelivered on that account; gives how many chunks."""

        async def work(unit: Unit) -> list[OutboxRow]:
            # What belongs to a turn that is still to be finished is that turn's to complete.
            unfinished = {f"turn:{turn.id}" for turn in await unit.turns.open()}
            found: list[OutboxRow] = []
            for conversation in await unit.outbox.open_places():
                rows = await unit.outbox.open(conversation)
                found += [row for row in rows if row.account == account and row.origin not in unfinished]
            return found

        known = self._queued | self._recent.keys()
        rows = [row for row in await self._store.read(work) if row.id not in known]
        self.enqueue(rows)
        return len(rows)

    async def drain(self, seconds: float) -> None:
        """Let what is under way go out, for at most so long; the rest is on disk."""
        if self._senders:
            await asyncio.wait(list(self._senders.values()), timeout=seconds)
        for task in self._senders.values():
            task.cancel()
        await asyncio.gather(*self._senders.values(), return_exceptions=True)

    async def take_back(self, origin: str) -> None:
        """Let nothing of it stay to be seen, or appear later; a second time does nothing.

        What is on its way this moment is taken back when it has arrived: only its sender knows its message id.
        """
        rows = await self._store.commit(Point.NOTICE, taken_back, origin)
        for row in rows:
            self._recent.pop(row.id, None)
            if row.id in self._queued:
                self._renewed.add(row.id)
        self.enqueue(rows)

    def moved(self, conversation: int) -> None:
        """The address of a conversation is another now, or it is gone: look it up again."""
        self._addresses.pop(conversation, None)

    async def address(self, conversation: int) -> Address:
        if conversation not in self._addresses:
            if len(self._addresses) > 10_000:
                self._addresses.clear()
            found = await self._store.read(lambda unit: unit.places.get(conversation))
            self._addresses[conversation] = found.address
        return self._addresses[conversation]

    async def farewell(self, address: Address, text: str) -> None:
        """Say something of which nothing may be kept: once, past the outbox. What cannot be said is logged."""
        line = self.line(address.account)
        for chunk in line.channel.render(text) if line is not None else ():
            assert line is not None
            try:
                await line.channel.send(address, chunk, nonce=secrets.token_hex(8))
            except DeliveryError as error:
                log.warning("farewell.lost", kind=error.kind, error=str(error))
                return

    async def _send_all(self, conversation: int) -> None:
        queue = self._queues[conversation]
        elsewhere: list[int] = []
        try:
            while queue:
                try:
                    address = await self.address(conversation)  # it may have moved
                except LookupError:  # another one has taken it in, with all its rows
                    elsewhere = [row.id for row in queue]
                    return
                again = await self._tried(self._lines[queue[0].account], address, queue[0])
                if again is None and queue[0].id in self._renewed:
                    again = await self._still_open(queue[0].id)
                self._renewed.discard(queue[0].id)
                if again is None:
                    self._done(queue.popleft())
                else:
                    queue[0] = again
        except StoreError as error:
            # On disk it stands as it was: the next start, or the next answer here, takes it up again.
            log.error("delivery.store", conversation=conversation, error=str(error))
        finally:
            del self._senders[conversation]
            left = {row.id for row in self._queues.pop(conversation)}
            self._queued -= left
            self._renewed -= left
            for id in left:
                self._lost.pop(id, None)
            if left:
                self.shown = {id: chunk for id, chunk in self.shown.items() if id not in left}
            if elsewhere:
                task = asyncio.create_task(self._follow(elsewhere), name=f"follow-{conversation}")
                self._following.add(task)
                task.add_done_callback(self._following.discard)

    async def _follow(self, ids: Sequence[int]) -> None:
        """Send rows from the conversation in which they are by now."""
        try:
            found = [await self._still_open(id) for id in ids]
        except StoreError as error:
            log.error("delivery.store", error=str(error))
            return
        self.enqueue([row for row in found if row is not None])

    async def _still_open(self, id: int) -> OutboxRow | None:
        row = await self._store.read(lambda unit: unit.outbox.get(id))
        return None if row is None or row.state in ("sent", "dead") else row

    async def _tried(self, line: Line, address: Address, row: OutboxRow) -> OutboxRow | None:
        """As `_send`. A fault that nobody foresaw is one of this chunk: what waits behind it goes on."""
        try:
            return await self._send(line, address, row)
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 - the edge of a chunk: whatever nobody foresaw is told here
            log.crash("delivery.failed", error, origin=row.origin, part=row.part)
            kind: DeliveryErrorKind = "lost" if self._lost[row.id] < MOST_LOST else "rejected"
            unforeseen = DeliveryError(f"{type(error).__name__}: {error}", kind=kind)
            return await self._failed(line, address, row, unforeseen)

    def _done(self, row: OutboxRow) -> None:
        self.shown.pop(row.id, None)
        self._queued.discard(row.id)
        self._lost.pop(row.id, None)
        self._recent[row.id] = None
        if len(self._recent) > MOST_RECENT:
            del self._recent[next(iter(self._recent))]

    async def _send(self, line: Line, address: Address, row: OutboxRow) -> OutboxRow | None:
        """One step with one row; None when it is done with, else the row as it is now."""
        wait = (row.not_before - self._clock()) / SECOND
        if wait > 0:
            await asyncio.sleep(wait)
        try:
            if row.payload == OVER and row.message_id is None and line.channel.limits.placing != "exact":
                # Whether it was ever there cannot be known: nothing is better than a dash.
                return await self._store.commit(Point.SENT, to_sent, row, self._clock(), None)
            if row.state != "placed":
                return await self._place(line, address, row)
            return await self._complete(line, address, row)
        except DeliveryError as error:
            return await self._failed(line, address, row, error)
        except NotFound as error:
            return await self._failed(line, address, row, DeliveryError(str(error), kind="rejected"))

    async def _place(self, line: Line, address: Address, row: OutboxRow) -> OutboxRow | None:
        """Send the whole, where that can be done, or the opening that edits will complete."""
        first = opening(line.channel, row.payload, address.kind)
        # A preview has begun it with less text: what the platform recognises as a repeat is that, not this.
        begun = row.state == "placing" and line.channel.limits.placing == "exact"
        whole = first == row.payload and not begun
        state: Literal["sending", "placing"] = "sending" if whole else "placing"
        if row.state != state or row.attempts:
            wanted = await self._store.commit(Point.PLACING, to_state, row.id, state, self._clock())
            if wanted is None:
                return None
            if wanted != row.payload:
                return replace(row, payload=wanted, state=state)
        row = replace(row, state=state, attempts=row.attempts + 1)
        bulk = row.kind == "job"
        await line.gate.admit(
            address.chat_id, kind=address.kind, priority=Priority.BULK if bulk else Priority.FINAL
        )
        content = None if first.file is None else await self._content(first.file)
        message_id = await line.channel.send(
            address, first, nonce=row.nonce, tried=row.first_try, content=content
        )
        if whole:
            return await self._store.commit(Point.SENT, to_sent, row, self._clock(), message_id)
        return await self._store.commit(Point.PLACED, to_placed, row, message_id)

    async def _complete(self, line: Line, address: Address, row: OutboxRow) -> OutboxRow | None:
        """The final text into a message whose id is on disk: can be repeated without harm."""
        assert row.message_id is not None
        if row.payload == OVER and line.channel.can.delete:
            await line.gate.admit(address.chat_id, kind=address.kind, priority=Priority.FINAL)
            await line.channel.delete(address, row.message_id)
        elif self.shown.get(row.id) != row.payload:
            await line.gate.admit(address.chat_id, kind=address.kind, priority=Priority.FINAL)
            try:
                await line.channel.edit(address, row.message_id, row.payload)
            except DeliveryError as error:
                if error.kind != "unchanged":
                    raise
        return await self._store.commit(Point.SENT, to_sent, row, self._clock(), None)

    async def _failed(
        self, line: Line, address: Address, row: OutboxRow, error: DeliveryError
    ) -> OutboxRow | None:
        """What to do next with a chunk that did not go out."""
        now = self._clock()
        started = row.first_try or now
        match error.kind:
            case "flood":
                seconds = error.retry_after or 1.0
                line.gate.flooded(address.chat_id, seconds)
                return await self._put_off(row, seconds, error)
            case "format":
                plain = line.channel.plain(row.payload)
                if plain != row.payload:
                    await self._store.commit(Point.PUT_OFF, repaid, row.id, plain)
                    return replace(row, payload=plain)
            case "missing" if row.payload == OVER:
                pass
            case "missing":
                # The person deleted the message we were filling: say it anew.
                if self._again(row):
                    put_off = await self._put_off(row, 0.0, error, state="ready")
                    return put_off and replace(put_off, message_id=None)
            case "connect" | "server" | "auth":
                if now - started < GIVE_UP_AFTER:
                    return await self._put_off(row, min(LONGEST_WAIT, 0.5 * 2 ** min(row.attempts, 7)), error)
            case "lost":
                # It may have arrived. What can be repeated is an opening or a mark, or a nonce that is recognised.
                known = row.state == "placed" or line.channel.limits.placing == "exact"
                soon = self._again(row)
                if soon or (known and now - started < GIVE_UP_AFTER):
                    return await self._put_off(row, 1.0 if soon else LONGEST_WAIT, error)
            case "moved" if error.moved_to:
                found = await self._store.commit(Point.PUT_OFF, chat_moved, address, error.moved_to)
                self.moved(row.conversation)
                for kept, gone in found:
                    self.on_moved(kept, gone)
                return await self._put_off(row, 0.0, error)
            case _:
                pass
        await self._store.commit(Point.PUT_OFF, to_dead, row, _said(error), error.kind == "gone", now)
        log.warning("delivery.dead", origin=row.origin, part=row.part, kind=error.kind, error=str(error))
        if error.kind != "gone":
            self._on_gone(f"{row.origin} part {row.part} could not be delivered: {error}")
        return None

    def _again(self, row: OutboxRow) -> bool:
        """Whether what may have arrived is sent once more; counted."""
        self._lost[row.id] += 1
        return self._lost[row.id] <= MOST_LOST

    async def _put_off(
        self, row: OutboxRow, seconds: float, error: DeliveryError, *, state: str | None = None
    ) -> OutboxRow | None:
        """None when it was given up meanwhile.

        One that is placed, or that a preview has begun, stays what it is: its message must be found again.
        """
        until = self._clock() + int(seconds * SECOND)
        now_state = state or (row.state if row.state in ("placed", "placing") else "ready")
        wanted = await self._store.commit(Point.PUT_OFF, to_later, row.id, until, now_state, _said(error))
        if wanted is None:
            return None
        return replace(
            row,
            payload=wanted,
            not_before=until,
            state=now_state,  # type: ignore[arg-type]
            attempts=row.attempts + 1,
            first_try=row.first_try or self._clock(),
        )


def _said(error: DeliveryError) -> str:
    """What is kept of an error; a platform's may have the bot's token in it, as part of an address."""
    return log.clean(f"{error.kind}: {error}")
