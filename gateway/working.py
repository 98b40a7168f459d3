"""“Still working (45 s) [Stop]”: said when a person has seen nothing of an answer for a while, taken back with it."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from gateway import log
from gateway.delivery import Delivery, Line
from gateway.errors import DeliveryError, StoreError
from gateway.failpoints import Point
from gateway.notices import put
from gateway.rate import Priority
from gateway.texts import say
from gateway.texts.forms import length
from gateway.types.measures import SECOND
from gateway.types.outbound import Button, Chunk, OutboxRow
from gateway.types.places import Address
from gateway.types.turns import Turn

if TYPE_CHECKING:
    from gateway.protocols.clock import Clock
    from storage import Store, Unit

PATIENCE = 20.0  # seconds without a word
EVERY = 15.0  # seconds between two new numbers
ORIGIN = "working:"


class Working:
    """One turn's notice. *spoke*: whether the person sees something of the answer already."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        line: Line,
        address: Address,
        turn: Turn,
        lang: str,
        spoke: Callable[[], bool],
        clock: Clock,
        patience: float = PATIENCE,
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._line = line
        self._address = address
        self._turn = turn
        self._lang = lang
        self._spoke = spoke
        self._clock = clock
        self._patience = patience
        self._token = secrets.token_urlsafe(16) if line.channel.can.button else None
        self._task: asyncio.Task[None] | None = None
        self._said = turn.attempt > 1  # an earlier life may have said it

    def start(self) -> None:
        self._task = asyncio.create_task(self._watch(), name=f"working-{self._turn.id}")

    async def close(self) -> None:
        """Say nothing more, and take back what was said."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if not self._said:
            return
        try:
            await self._delivery.take_back(f"{ORIGIN}{self._turn.id}")
        except StoreError as error:
            log.warning("working.store", turn=self._turn.id, error=str(error))

    async def _watch(self) -> None:
        try:
            await asyncio.sleep(self._patience)
            if self._spoke():
                return
            await self._say()
            while not self._spoke():
                await asyncio.sleep(EVERY)
                await self._renew()
        except StoreError as error:
            log.warning("working.store", turn=self._turn.id, error=str(error))

    def _chunk(self, token: str | None) -> Chunk | None:
        seconds = (self._clock() - self._turn.started) // SECOND
        chunks = self._line.channel.render(say("working.still", self._lang, span=length(seconds)))
        if not chunks:
            return None
        if token is None:
            return chunks[0]
        return replace(chunks[0], buttons=(Button(label=say("working.stop", self._lang), token=token),))

    async def _say(self) -> None:
        token = self._token
        chunk = self._chunk(token)
        if chunk is None:
            return

        async def work(unit: Unit) -> list[OutboxRow]:
            place = self._address.conversation
            rows = await put(
                unit,
                account=self._address.account,
                conversation=place,
                origin=f"{ORIGIN}{self._turn.id}",
                chunks=[chunk],
                now=self._clock(),
            )
            if rows and token is not None:
                args = {"v": 1, "turn": self._turn.id}
                await unit.outbox.button(token, action="stop", args=args, conversation=place)
            return rows

        self._said = True
        self._delivery.enqueue(await self._store.commit(Point.NOTICE, work))

    async def _renew(self) -> None:
        """A new number, if the gate lets it pass."""
        if not self._line.channel.can.edit or self._spoke():
            return
        found = await self._store.read(lambda unit: unit.outbox.of_origin(f"{ORIGIN}{self._turn.id}"))
        chunk = self._chunk(self._token)
        if not found or found[0].state != "sent" or found[0].message_id is None or chunk is None:
            return
        gate = self._line.gate
        if await gate.admit(self._address.chat_id, kind=self._address.kind, priority=Priority.EDIT):
            try:
                await self._line.channel.edit(self._address, found[0].message_id, chunk)
            except DeliveryError as error:
                if error.kind == "flood":
                    gate.flooded(self._address.chat_id, error.retry_after or 1.0)
