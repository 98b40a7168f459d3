"""Who is watching a conversation right now: the terminal, streaming API calls, the Python API."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from gateway.budgets import Shortfall

MOST_PENDING = 1000  # events a slow listener may fall behind before it loses the oldest


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Something that just happened in a conversation.

    *inbox* are the rows a turn answers. 'text' carries the whole visible text so far; 'done' the final one.
    *over*: the budget that was in the way, if one was.
    """

    kind: Literal["started", "text", "tool", "done", "notice"]
    conversation: int
    text: str = ""
    turn: int | None = None
    session: int | None = None
    state: str = ""
    error: str | None = None
    inbox: tuple[int, ...] = ()
    over: Shortfall | None = None


class Hub:
    """Publish and listen, in this process only: what must not be lost is in the database."""

    def __init__(self) -> None:
        self._listeners: dict[int, list[asyncio.Queue[Seen]]] = {}

    def watched(self, conversation: int) -> bool:
        return conversation in self._listeners

    def publish(self, seen: Seen) -> None:
        for queue in self._listeners.get(seen.conversation, ()):
            if queue.full():
                queue.get_nowait()
            queue.put_nowait(seen)

    @contextmanager
    def listen(self, conversation: int) -> Iterator[asyncio.Queue[Seen]]:
        queue: asyncio.Queue[Seen] = asyncio.Queue(MOST_PENDING)
        self._listeners.setdefault(conversation, []).append(queue)
        try:
            yield queue
        finally:
            self._listeners[conversation].remove(queue)
            if not self._listeners[conversation]:
                del self._listeners[conversation]
