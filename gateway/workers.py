"""One worker per conversation that has something to do, and the tasks beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from functools import partial
from typing import Any

from gateway import log
from gateway.begin.interrupted import MOST_CRASHES
from gateway.endings import STORE_RETRY
from gateway.errors import LeaseLost, StoreError
from gateway.seats import Seats


class Workers:
    """Runs *step* in a conversation until there is nothing more to do there.

    *step*: (conversation, the fence still held or None) -> (the fence now held, whether there is more to do).
    *scheduled*: whether what comes next there is a job's, for which nobody waits.
    """

    def __init__(
        self,
        *,
        step: Callable[[int, int | None], Awaitable[tuple[int | None, bool]]],
        scheduled: Callable[[int], Awaitable[bool]],
        most: int,
        on_trouble: Callable[[str, str], None],
    ) -> None:
        self._step = step
        self._scheduled = scheduled
        self._seats = Seats(most)
        self._on_trouble = on_trouble
        self._working: dict[int, bool] = {}  # conversation -> something came in meanwhile
        self._tasks: set[asyncio.Task[None]] = set()
        self.stopping = False

    @property
    def tasks(self) -> list[str]:
        """The names of what is under way."""
        return [task.get_name() for task in self._tasks]

    def wake(self, conversation: int) -> None:
        """There may be something to do in that conversation."""
        if self.stopping:
            return
        if conversation in self._working:
            self._working[conversation] = True
        else:
            self._working[conversation] = False
            self.beside(self._work(conversation), f"work-{conversation}")

    def beside(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Do it in a task of its own, whose end the stop waits for."""
        task = asyncio.create_task(self._guarded(work, name), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, seconds: float, park: Callable[[], object]) -> None:
        """Begin nothing new, give what runs so long, then *park* the turns that are left."""
        self.stopping = True
        tasks = list(self._tasks)
        if tasks:
            await asyncio.wait(tasks, timeout=seconds)
        park()
        if self._tasks:
            _, late = await asyncio.wait(list(self._tasks), timeout=3.0)
            for task in late:
                task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _guarded(self, work: Coroutine[Any, Any, None], name: str) -> None:
        try:
            await work
        except Exception as error:  # noqa: BLE001 - the edge of a task: whatever nobody foresaw is told here
            log.crash("task.failed", error, task=name)
            self._on_trouble("internal", f"{name}: {type(error).__name__}: {error}")

    async def _work(self, conversation: int) -> None:
        fence: int | None = None
        failures = 0
        try:
            while not self.stopping:
                self._working[conversation] = False
                try:
                    async with self._seats.taken(partial(self._scheduled, conversation)):
                        fence, go_on = await self._step(conversation, fence)
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
                if not go_on and not self._working[conversation]:
                    return
        finally:
            again = self._working.pop(conversation, False)
            if again:
                self.wake(conversation)
