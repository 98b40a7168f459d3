"""How many turns run at once, and that scheduled jobs never take the last of the places from people."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

KEPT = 4  # one place in so many is for people alone


class Seats:
    """*most* at once; with more than one, at least one is people's alone.

    Whose turn it is is asked only when little is left.
    """

    def __init__(self, most: int) -> None:
        self._free = most
        self._kept = min(most - 1, max(1, most // KEPT))
        self._people: deque[asyncio.Future[None]] = deque()
        self._jobs: deque[asyncio.Future[None]] = deque()

    @asynccontextmanager
    async def taken(self, scheduled: Callable[[], Awaitable[bool]]) -> AsyncIterator[None]:
        """A seat, when one is free. *scheduled*: whether it is for a job and not for a person."""
        await self._take(scheduled)
        try:
            yield
        finally:
            self._free += 1
            self._call()

    async def _take(self, scheduled: Callable[[], Awaitable[bool]]) -> None:
        if self._free > self._kept and not (self._people or self._jobs):
            self._free -= 1
            return
        line = self._jobs if await scheduled() else self._people
        waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.append(waiting)
        self._call()
        try:
            await waiting
        except asyncio.CancelledError:
            if waiting in line:
                line.remove(waiting)
            elif not waiting.cancelled():
                self._free += 1  # it was given one in the same moment
                self._call()
            raise

    def _call(self) -> None:
        """Give what is free to whoever is next: people before jobs."""
        while self._free > 0 and self._next():
            self._free -= 1

    def _next(self) -> bool:
        for line, left in ((self._people, 0), (self._jobs, self._kept)):
            while line and self._free > left:
                waiting = line.popleft()
                if not waiting.done():
                    waiting.set_result(None)
                    return True
        return False
