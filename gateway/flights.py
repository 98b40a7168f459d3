"""What is made of a session while nothing else may be made of it: at most one in each session of this process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from gateway.errors import ModelError, Refused

T = TypeVar("T")
Why = Literal["", "stopped", "halted"]


@dataclass(slots=True)
class _Flight:
    """*why* it was called off."""

    conversation: int
    task: asyncio.Task[Any]
    why: Why = ""


class Flights:
    """A turn of the session waits for `landed` before it asks anything."""

    def __init__(self) -> None:
        self._flights: dict[int, _Flight] = {}  # by session

    async def fly(self, session: int, conversation: int, work: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Do it in a task of its own. *conversation*: where it is called off.

        Raises Refused when one is under way or it was called off, ModelError when halted, and what *work* raises.
        """
        self.check(session)
        task = asyncio.create_task(work(), name=f"compaction-{session}")
        flight = self._flights[session] = _Flight(conversation, task)
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            task.cancel()
            while not task.done():
                with suppress(asyncio.CancelledError):
                    await asyncio.wait([task])
            raise
        finally:
            del self._flights[session]
        if not task.cancelled():
            return task.result()
        if flight.why == "halted":
            raise ModelError("halted by the operator", kind="halted")
        raise Refused(key="window.stopped")

    def check(self, session: int) -> None:
        """Raises Refused while one is under way there."""
        if session in self._flights:
            raise Refused(key="window.busy")

    async def landed(self, session: int) -> bool:
        """Wait until none is under way there; False when none was."""
        waited = False
        while (flight := self._flights.get(session)) is not None:
            await asyncio.wait([flight.task])
            await asyncio.sleep(0)  # who made it takes it off the list
            waited = True
        return waited

    def stop(self, conversation: int) -> bool:
        """Call off what is made for that conversation; False when nothing is."""
        flights = [each for each in self._flights.values() if each.conversation == conversation]
        return _call_off(flights, "stopped")

    def stop_session(self, session: int) -> bool:
        """Call off what is made of that session; False when nothing is."""
        flight = self._flights.get(session)
        return flight is not None and _call_off([flight], "stopped")

    def halt(self) -> None:
        """Call off everything."""
        _call_off(list(self._flights.values()), "halted")


def _call_off(flights: list[_Flight], why: Why) -> bool:
    for flight in flights:
        flight.why = why
        flight.task.cancel()
    return bool(flights)


async def to_its_end(commit: Coroutine[Any, Any, T]) -> T:
    """A commit is not called back: who is cancelled meanwhile has come too late."""
    task = asyncio.ensure_future(commit)
    while not task.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([task])
    return task.result()
