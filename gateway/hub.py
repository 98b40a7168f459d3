"""Who is watching a conversation right now: the terminal, streaming API calls, the Python API."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

from gateway.budgets import Shortfall

MOST_PENDING = 1000  # events a slow listener may fall behind before it loses the oldest
MOST_RECENT = 30  # events of a conversation that are kept for who comes back
MOST_CONVERSATIONS = 64  # of which events are kept: those that were watched last


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """Something that just happened in a conversation.

    *inbox* are the rows a turn answers. 'text' carries the whole visible text so far; 'done' the final one.
    *over*: the budget that was in the way, if one was. *seq* grows with every event, over restarts too.
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
    seq: int = 0


@dataclass(slots=True)
class _Recent:
    """The latest events of a conversation, all there were after *since*."""

    since: int
    events: deque[Seen] = field(default_factory=deque)

    def add(self, seen: Seen) -> None:
        last = self.events[-1] if self.events else None
        # A newer text says all that the older one said.
        if last is not None and last.kind == seen.kind == "text" and last.turn == seen.turn:
            self.events.pop()
        self.events.append(seen)
        if len(self.events) > MOST_RECENT:
            self.since = self.events.popleft().seq


class Hub:
    """Publish and listen, in this process only: what must not be lost is in the database.

    *clock*: now, in microseconds UTC.
    """

    def __init__(self, clock: Callable[[], int] = lambda: time.time_ns() // 1000) -> None:
        self._clock = clock
        self._listeners: dict[int, list[asyncio.Queue[Seen]]] = {}
        self._recent: dict[int, _Recent] = {}
        self._seq = 0
        self.ended: Counter[str] = Counter()  # turns by their state, since the start

    def watched(self, conversation: int) -> bool:
        return conversation in self._listeners

    def publish(self, seen: Seen) -> None:
        if seen.kind == "done" and seen.turn is not None:
            self.ended[seen.state] += 1
        recent = self._recent.get(seen.conversation)
        if recent is None:
            return  # nobody watches, or did a while ago
        seen = replace(seen, seq=self._next())
        recent.add(seen)
        for queue in self._listeners.get(seen.conversation, ()):
            _put(queue, seen)

    @contextmanager
    def listen(self, conversation: int, *, after: int | None = None) -> Iterator[asyncio.Queue[Seen]]:
        """What happens from now on; *after*: first what is still known to have happened after that event."""
        queue: asyncio.Queue[Seen] = asyncio.Queue(MOST_PENDING)
        recent = self._remember(conversation)
        for seen in recent.events if after is not None else ():
            if seen.seq > (after or 0):
                _put(queue, seen)
        self._listeners.setdefault(conversation, []).append(queue)
        try:
            yield queue
        finally:
            self._listeners[conversation].remove(queue)
            if not self._listeners[conversation]:
                del self._listeners[conversation]

    def knows(self, conversation: int, after: int) -> bool:
        """Whether all that happened after that event is still known."""
        recent = self._recent.get(conversation)
        return recent is not None and recent.since <= after

    def _remember(self, conversation: int) -> _Recent:
        recent = self._recent.pop(conversation, None) or _Recent(since=self._next())
        self._recent[conversation] = recent
        for other in list(self._recent):
            if len(self._recent) <= MOST_CONVERSATIONS:
                break
            if other not in self._listeners and other != conversation:
                del self._recent[other]
        return recent

    def _next(self) -> int:
        self._seq = max(self._seq + 1, self._clock())
        return self._seq


def _put(queue: asyncio.Queue[Seen], seen: Seen) -> None:
    if queue.full():
        queue.get_nowait()
    queue.put_nowait(seen)
