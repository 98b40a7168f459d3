"""What the gateway does by itself once a day: each chore at its planned time, later when it was down then."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gateway import log
from gateway.alerts import OVER
from gateway.errors import Refused, StoreError
from gateway.failpoints import Point
from gateway.protocols.clock import Clock
from gateway.schedule import Cron, missed
from gateway.types.measures import HOUR

if TYPE_CHECKING:
    from storage import Store

TICK = 60.0  # seconds on the monotonic clock
AGAIN = HOUR  # after a failure


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """*work* gets the planned time (microseconds UTC) and gives what to log; *fails* tells people what has failed.

    It is repeated when the process dies in it. What it raises is told, and it is tried again in an hour.
    """

    name: str
    schedule: Cron
    work: Callable[[int], Awaitable[str]]
    fails: str
    works: str


class Nightly:
    """One chore after another; the latest planned time that was done stands in the database."""

    def __init__(
        self,
        *,
        store: Store,
        clock: Clock,
        chores: Callable[[], Sequence[Chore]],
        tell: Callable[[str, str], None],
    ) -> None:
        """*chores* as they are configured now; *tell* gets trouble (cause, text) and its end."""
        self._store = store
        self._clock = clock
        self._chores = chores
        self._tell = tell
        self._again: dict[str, int] = {}  # when a chore that failed may be tried again

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            try:
                await self.look()
            except StoreError as error:
                self._tell("storage", f"nothing can be stored: {error}")
            with suppress(TimeoutError):
                async with asyncio.timeout(TICK):
                    await asyncio.Event().wait()

    async def look(self) -> int:
        """Do what is due; gives how many chores that were. Raises StoreError when it cannot be told what is due."""
        done = 0
        for chore in self._chores():
            now = self._clock()
            planned = await self._due(chore, now)
            if planned is None or now < self._again.get(chore.name, now):
                continue
            done += await self._do(chore, planned)
        return done

    async def _due(self, chore: Chore, now: int) -> int | None:
        """The latest planned time that is not done. The first is that after the first look."""
        key = f"nightly:{chore.name}"
        stored = await self._store.read(lambda unit: unit.meta.get(key))
        last = int(stored) if stored is not None else None
        if last is None or last > now:  # by a clock that was ahead
            await self._store.commit(Point.META, lambda unit: unit.meta.put(key, str(now)))
            return None
        times = missed(chore.schedule, last, now, 1)
        return times[0] if times else None

    async def _do(self, chore: Chore, planned: int) -> bool:
        cause = f"nightly:{chore.name}"
        try:
            said = await chore.work(planned)
        except Exception as error:  # noqa: BLE001 - the edge of a chore: what is wrong with it must not end the others
            if not isinstance(error, StoreError | Refused):
                log.crash("nightly.failed", error, chore=chore.name)
            self._again[chore.name] = self._clock() + AGAIN
            self._tell(cause, f"{chore.fails}: {error}")
            return False
        log.info("nightly", chore=chore.name, done=said)
        await self._store.commit(
            Point.META, lambda unit: unit.meta.put(f"nightly:{chore.name}", str(planned))
        )
        if self._again.pop(chore.name, None) is not None:
            self._tell(cause + OVER, chore.works)
        return True
