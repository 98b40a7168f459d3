"""Events on their way to the disk: in order, and as few commits as they come in."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from channels.backoff import Backoff
from channels.discord.health import Health
from channels.discord.places import Spot
from gateway.errors import StoreError
from gateway.failpoints import Point, passing
from gateway.protocols.channel import Accept
from gateway.types.inbound import Inbound, Receipt
from gateway.types.places import Account

MOST = 100  # events in one commit


@dataclass(frozen=True, slots=True)
class Raw:
    """An event as it came. *spot*: where, if that is known already."""

    name: str
    data: Any
    spot: Spot | None = None


class Pages:
    """Gathers what arrives while a page is being stored into the next one.

    *read* makes events of what came (None: nothing for us), *taken* is told of each one that is on disk. What
    could not be stored comes first again.
    """

    def __init__(
        self,
        *,
        account: Account,
        accept: Accept,
        read: Callable[[Raw], Awaitable[Inbound | None]],
        taken: Callable[[Inbound, Receipt], None],
        health: Health,
        sleep: Callable[[float], Awaitable[object]],
    ) -> None:
        self._account, self._accept, self._read, self._taken = account, accept, read, taken
        self._health, self._sleep = health, sleep
        self._waiting: deque[Raw] = deque()
        self._some = asyncio.Event()
        self._outage = Backoff(0.2, 30.0)

    def put(self, raw: Raw) -> None:
        self._waiting.append(raw)
        self._some.set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def run(self) -> None:
        """Never comes back."""
        while True:
            await self._some.wait()
            page = [event for event in [await self._read(raw) for raw in self._next()] if event is not None]
            for event, receipt in zip(page, await self._stored(page), strict=False) if page else ():
                self._taken(event, receipt)

    def _next(self) -> list[Raw]:
        found = [self._waiting.popleft() for _ in range(min(MOST, len(self._waiting)))]
        if not self._waiting:
            self._some.clear()
        return found

    async def _stored(self, page: list[Inbound]) -> list[Receipt]:
        while True:
            passing(Point.POLL, "before")
            try:
                receipts = await self._accept(self._account, page)
            except StoreError as error:
                # Discord gives nothing twice: the page waits here, and what comes meanwhile behind it.
                self._health.not_stored(error)
                await self._sleep(self._outage.next())
            else:
                passing(Point.POLL, "after")
                self._outage.reset()
                self._health.stored()
                return receipts
