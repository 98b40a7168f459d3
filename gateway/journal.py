"""Steps of a turn that are on disk before the next begins, under the turn's own lease."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from gateway.errors import LeaseLost
from gateway.types.turns import Turn

if TYPE_CHECKING:
    from storage import Unit

T = TypeVar("T")


async def whole(commit: Coroutine[Any, Any, T], stored: Callable[[T], None]) -> None:
    """Wait for a commit to its end, also when cancelled meanwhile, and note what it stored.

    It cannot be called back: who forgot what it has stored would store it again, as the last words of a turn.
    """
    task = asyncio.ensure_future(commit)
    try:
        await asyncio.wait([task])
    except asyncio.CancelledError:
        while not task.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([task])
        if task.exception() is None:
            stored(task.result())
        raise
    stored(task.result())


async def check(unit: Unit, turn: Turn) -> None:
    """Raises LeaseLost unless the turn still has its conversation: a stopped and woken process must store nothing."""
    if not await unit.places.holds(turn.conversation, turn.fence):
        raise LeaseLost(f"turn {turn.id} has lost its conversation")
