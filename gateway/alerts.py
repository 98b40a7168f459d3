"""Who is told of trouble: once per cause and hour, and once when it is over."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING

from gateway import log
from gateway.delivery import Delivery
from gateway.errors import DeliveryError, StoreError
from gateway.failpoints import Point
from gateway.notices import notice
from gateway.protocols.clock import Clock
from gateway.types.measures import HOUR
from gateway.whereabouts import conversation_of

if TYPE_CHECKING:
    from storage import Store

OVER = "-over"  # a cause with this ending says that the trouble is over


class Alerts:
    """*addresses* gives whom to tell, as telegram:12345; each alert is a log line in any case."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        clock: Clock,
        addresses: Callable[[], Awaitable[Sequence[str]]],
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._clock = clock
        self._addresses = addresses
        self._told: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_turn = (
            asyncio.Lock()
        )  # in the order in which they were told: an end never before its trouble

    def tell(self, cause: str, text: str) -> None:
        """Trouble (or the end of it); never raises, never waits."""
        now = self._clock()
        if cause.endswith(OVER):
            if self._told.pop(cause.removesuffix(OVER), None) is None:
                return
            log.info("trouble.over", cause=cause.removesuffix(OVER), text=text)
        elif now - self._told.get(cause, -HOUR) < HOUR:
            return
        else:
            self._told[cause] = now
            log.warning("trouble", cause=cause, text=text)
        task = asyncio.get_running_loop().create_task(self._send(cause, text, now))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def over(self, cause: str, text: str) -> None:
        """The trouble of that cause has ended; told once, and only if it had been told."""
        self.tell(cause + OVER, text)

    async def drain(self, seconds: float) -> None:
        if self._tasks:
            await asyncio.wait(list(self._tasks), timeout=seconds)

    async def _send(self, cause: str, text: str, now: int) -> None:
        async with self._in_turn:
            await self._send_to_all(cause, text, now)

    async def _send_to_all(self, cause: str, text: str, now: int) -> None:
        said = log.clean(text if cause.endswith(OVER) else f"⚠ {text}")
        for address in await self._addresses():
            try:
                there = await conversation_of(self._store, self._delivery, address)
                if there is None:
                    continue
                line, place = there
                rows = await self._store.commit(
                    Point.NOTICE,
                    notice,
                    line.account.id,
                    place.id,
                    f"alert:{cause}:{now}:{address}",
                    said,
                    self._delivery.render,
                    now,
                )
                self._delivery.enqueue(rows)
            except (StoreError, DeliveryError) as error:
                log.error("alert.undelivered", cause=cause, to=address, error=str(error))
