"""What a person sees while an answer is being made: typing, then the growing text, at the lowest priority."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import log
from gateway.delivery import Delivery, Line
from gateway.errors import DeliveryError, StoreError
from gateway.failpoints import Point
from gateway.notices import nonce
from gateway.opening import opening
from gateway.protocols.clock import Clock
from gateway.rate import Priority
from gateway.types.outbound import Chunk, OutboxRow
from gateway.types.places import Address

if TYPE_CHECKING:
    from storage import Store, Unit

QUIET = 0.25  # seconds before anything is shown: an answer that is ready by then needs no show
TICK = 0.2
OPENING = 80  # characters with which a message that is sent whole may begin
DRAFT_SECONDS = (
    20.0  # after which the same text is shown again: a draft lasts for 30 (Bot API, sendMessageDraft)
)
LONGEST_CALL = 30.0  # seconds to wait for a call that is under way when the answer is complete


class Preview:
    """Lives as long as one turn. `text` is set to the whole visible text so far; close() before the finish."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        line: Line,
        address: Address,
        turn: int,
        session: int,
        clock: Clock,
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._line = line
        self._address = address
        self._turn = turn
        self._session = session
        self._clock = clock
        self._parts: list[OutboxRow] = []
        self._closing = asyncio.Event()
        self._drafted: tuple[Chunk | None, float] = (None, 0.0)  # what is shown, and until when (loop time)
        self._lost = False
        self._task: asyncio.Task[None] | None = None
        self.text = ""

    def start(self, parts: list[OutboxRow]) -> None:
        """*parts*: what an interrupted run of this turn has already placed."""
        self._parts = parts
        self._task = asyncio.create_task(self._show(), name=f"preview-{self._turn}")

    async def close(self) -> None:
        """Stop showing. A call that is under way is waited for, so that its message id is known."""
        self._closing.set()
        if self._task is None:
            return
        done, _ = await asyncio.wait([self._task], timeout=LONGEST_CALL)
        if not done:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _show(self) -> None:
        next_typing = 0.0
        loop = asyncio.get_running_loop()
        try:
            await self._pause(QUIET)
            while not self._closing.is_set():
                if loop.time() >= next_typing:
                    next_typing = loop.time() + self._line.channel.limits.typing_every
                    await self._typing()
                elif self._line.channel.limits.stream and self.text and not self._lost:
                    await self._step()
                await self._pause(TICK)
        except StoreError as error:
            # The show ends; the answer itself is not touched by it.
            log.warning("preview.store", turn=self._turn, error=str(error))

    async def _pause(self, seconds: float) -> None:
        try:
            # Not wait_for: on Python 3.11 it can swallow a cancellation.
            async with asyncio.timeout(seconds):
                await self._closing.wait()
        except TimeoutError:
            return

    async def _typing(self) -> None:
        gate = self._line.gate
        if await gate.admit(self._address.chat_id, kind=self._address.kind, priority=Priority.TYPING):
            try:
                await self._line.channel.typing(self._address)
            except DeliveryError as error:
                self._flooded(error)

    async def _step(self) -> None:
        """Bring one message nearer to the text: a stale one is edited, a missing one is begun."""
        chunks = self._line.channel.render(self.text, growing=True)
        if chunks and self._drafts:
            await self._draft(chunks[-1])
            return
        for part, chunk in enumerate(chunks):
            if chunk.file is not None:
                return  # it comes with the end
            row = self._parts[part] if part < len(self._parts) else None
            # One whose id a crash has lost is placed anew, and before those that follow it.
            if row is None or row.message_id is None:
                if self._ready(chunk, last=part == len(chunks) - 1):
                    await self._place(part, chunk)
                return
            if self._delivery.shown.get(row.id) != chunk:
                await self._edit(row, chunk)
                return

    @property
    def _drafts(self) -> bool:
        """Whether the text is shown without a message. What an earlier run has placed is completed by edits."""
        direct = self._address.kind == "direct" and self._line.channel.limits.placing == "draft"
        return direct and not self._parts

    async def _draft(self, chunk: Chunk) -> None:
        """The newest part: what is complete before it is not shown, and nothing is placed until the end."""
        now = asyncio.get_running_loop().time()
        shown, until = self._drafted
        if shown == chunk and now < until:
            return
        gate = self._line.gate
        if not await gate.admit(self._address.chat_id, kind=self._address.kind, priority=Priority.EDIT):
            return
        try:
            await self._line.channel.draft(self._address, self._turn, chunk)
        except DeliveryError as error:
            self._flooded(error)
        self._drafted = (chunk, now + DRAFT_SECONDS)

    def _ready(self, chunk: Chunk, *, last: bool) -> bool:
        """Enough text for an opening that will not change, and nothing else on its way to this chat."""
        if not self._delivery.idle(self._address.conversation):
            return False
        if not last or opening(self._line.channel, chunk, self._address.kind) != chunk:
            return True
        # Sent whole, it will grow by edits: then the first sight of it should say something.
        return self._line.channel.limits.placing == "exact" and len(chunk.text) >= OPENING

    async def _edit(self, row: OutboxRow, chunk: Chunk) -> None:
        gate = self._line.gate
        if not await gate.admit(self._address.chat_id, kind=self._address.kind, priority=Priority.EDIT):
            return
        assert row.message_id is not None
        try:
            await self._line.channel.edit(self._address, row.message_id, chunk)
        except DeliveryError as error:
            if error.kind == "unchanged":
                self._delivery.shown[row.id] = chunk
            else:
                self._flooded(error)
        else:
            self._delivery.shown[row.id] = chunk

    async def _place(self, part: int, chunk: Chunk) -> None:
        gate = self._line.gate
        if not await gate.admit(self._address.chat_id, kind=self._address.kind, priority=Priority.EDIT):
            return
        first = opening(self._line.channel, chunk, self._address.kind)
        origin = f"turn:{self._turn}"

        async def work(unit: Unit) -> OutboxRow:
            return await unit.outbox.put(
                origin=origin,
                part=part,
                account=self._address.account,
                conversation=self._address.conversation,
                session=self._session,
                kind="answer",
                payload_=first,
                nonce=nonce(origin, part),
                state="placing",
                now=self._clock(),
            )

        row = await self._store.commit(Point.PLACING, work)
        if gate.blocked_for(self._address.chat_id) > 0:
            self._lost = True  # refused in the meantime: the final delivery waits and sends it
            return
        try:
            message_id = await self._line.channel.send(self._address, first, nonce=row.nonce)
        except DeliveryError as error:
            # The row stands as 'placing'; the final delivery decides what to do with it.
            self._flooded(error)
            self._lost = True
            return
        await self._store.commit(Point.PLACED, lambda unit: unit.outbox.placed(row.id, message_id))
        self._parts[part : part + 1] = [replace(row, state="placed", message_id=message_id)]
        self._delivery.shown[row.id] = first

    def _flooded(self, error: DeliveryError) -> None:
        if error.kind == "flood":
            self._line.gate.flooded(self._address.chat_id, error.retry_after or 1.0)
        elif error.kind in ("gone", "auth", "missing", "format"):
            self._lost = True
