"""When a call to a platform may go out: one gate per account, for everything it says."""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left, insort
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import IntEnum
from itertools import count

from gateway.types.abilities import Limits
from gateway.types.places import PlaceKind

PENALTY = 600.0  # seconds at the documented pace after the server complained
TOGETHER = 60.0  # seconds within which complaints from two chats mean the whole account
BULK_PER_SECOND = 20.0  # leaves a third of the 30/s of an account (Bots FAQ, "hitting limits") to people
STREAMING = 3.0  # seconds in which edits that took half of the account's allowance fill it
SETTLING = (
    10.0  # seconds that answers keep the account's allowance after that: the streamed ones end together
)
FEW = 1024  # chats to remember before looking for idle ones
LONG_AGO = float("-inf")


class Priority(IntEnum):
    """What goes first where not everything can go; BULK is digests and results of jobs."""

    FINAL = 0
    APPROVAL = 1
    EDIT = 2
    TYPING = 3
    BULK = 4


class RateGate:
    """Asks for each call whether it may go out now; times in seconds of *clock*.

    Adaptive: an answer goes at once, `limits.burst` of them per chat, until the server complains; then the
    documented pace holds for ten minutes. Strict: the documented pace always. Edits, typing and bulk leave
    a quarter of every allowance to what people wait for, and never go beyond the account's; while edits take half of
    that, answers keep it too: what is shown for its looks must bring nobody a refusal.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._limits = limits
        self._clock = clock
        self._sleep = sleep
        self._chats: dict[str, _Chat] = {}
        self._crowded = FEW
        self._line = _Line()
        self._serials = count()
        self._overall = _window(limits.account_per_second, 1.0)
        self._overall.span += limits.slack
        self._bulk = _window(BULK_PER_SECOND, 1.0)
        self._edits = _window(limits.account_per_second / 2, 1.0, over=STREAMING)
        self._streaming_until = LONG_AGO
        self._paced_until = float("inf") if limits.strict else LONG_AGO
        self._floods: dict[str, float] = {}
        self._idle_after = max(
            limits.preview_direct,
            limits.preview_group,
            _window(limits.chat_per_second, 1.0).span,
            _window(limits.group_per_minute, 60.0).span,
        )

    async def admit(self, chat: str, *, kind: PlaceKind, priority: Priority) -> bool:
        """True: make this call now, it is counted. Finals, approvals and bulk wait for that as long as it takes.

        Edits and typing never wait: False means not now, come again later with what is newest then.
        """
        now = self._clock()
        place = self._chats.get(chat) or self._remember(chat, kind, now)
        if (
            place.ready_at(priority, now) <= now
            and not place.line.ahead(priority)
            and self._ready_at(priority, now) <= now
            and not self._line.ahead(priority)
        ):
            self._take(place, priority, now)
            return True
        if priority in (Priority.EDIT, Priority.TYPING):
            return False
        await self._wait(place, priority)
        return True

    def flooded(self, chat: str, retry_after: float) -> None:
        """The server refused a call to *chat* (429): silence there for *retry_after* seconds, then the slow pace."""
        now = self._clock()
        # A chat we know nothing of gets the slower pace of the two.
        place = self._chats.get(chat) or self._remember(chat, "group", now)
        place.refused(now + max(0.0, retry_after), self._limits)
        self._floods = {other: at for other, at in self._floods.items() if now - at <= TOGETHER}
        self._floods[chat] = now
        if len(self._floods) > 1:
            self._paced_until = max(self._paced_until, now + PENALTY)

    def blocked_for(self, chat: str) -> float:
        """Seconds that nothing at all may be sent to *chat*; 0 when it is not in a penalty window."""
        place = self._chats.get(chat)
        return max(0.0, place.blocked_until - self._clock()) if place else 0.0

    async def _wait(self, chat: _Chat, priority: Priority) -> None:
        waiter = _Waiter(priority, next(self._serials))
        chat.line.join(waiter)
        try:
            while True:
                await chat.line.turn(waiter)
                now = self._clock()
                late = chat.ready_at(priority, now) - now
                if late > 0:
                    await self._sleep(late)
                elif await self._pass(chat, waiter):
                    return
        finally:
            chat.line.leave(waiter)

    async def _pass(self, chat: _Chat, waiter: _Waiter) -> bool:
        """Wait for the account; False when by then the chat is not ready, or another goes first there."""
        priority = waiter.priority
        self._line.join(waiter)
        try:
            while True:
                await self._line.turn(waiter)
                now = self._clock()
                if not chat.line.first(waiter) or chat.ready_at(priority, now) > now:
                    return False
                late = self._ready_at(priority, now) - now
                if late <= 0:
                    # Counted in the same step as the caller goes on: a cancelled waiter has taken nothing.
                    self._take(chat, priority, now)
                    return True
                await self._sleep(late)
        finally:
            self._line.leave(waiter)

    def _ready_at(self, priority: Priority, now: float) -> float:
        """When the account as a whole lets such a call pass."""
        spare = _spare(priority)
        kept = spare or now < self._paced_until or now < self._streaming_until
        at = self._overall.free_at(spare) if kept else LONG_AGO
        return max(at, self._bulk.free_at(spare=False)) if priority is Priority.BULK else at

    def _take(self, chat: _Chat, priority: Priority, now: float) -> None:
        chat.take(priority, now)
        self._overall.take(now)
        if priority is Priority.EDIT:
            self._edits.take(now)
            if self._edits.free_at(spare=False) > now:
                self._streaming_until = now + SETTLING
        if priority is Priority.BULK:
            self._bulk.take(now)

    def _remember(self, chat: str, kind: PlaceKind, now: float) -> _Chat:
        if len(self._chats) >= self._crowded:
            self._chats = {
                name: place for name, place in self._chats.items() if not place.idle(now, self._idle_after)
            }
            self._crowded = max(FEW, 2 * len(self._chats))
        place = self._chats[chat] = _Chat(self._limits, kind, now)
        return place


class _Chat:
    """What one chat has had, and who waits for it."""

    __slots__ = (
        "blocked_until",
        "burst_room",
        "full_at",
        "gap",
        "group",
        "last",
        "line",
        "pace",
        "paced_until",
        "shown",
        "step",
    )

    def __init__(self, limits: Limits, kind: PlaceKind, now: float) -> None:
        self.group = kind in ("group", "thread")
        self.gap = limits.preview_group if self.group else limits.preview_direct
        # The burst is a bucket: each call makes it *step* seconds longer until the bucket is full again.
        self.step = 60.0 / limits.group_per_minute if self.group else 1.0 / limits.chat_per_second
        self.burst_room = tuple((max(1, limits.burst) - 1 - kept) * self.step for kept in _kept(limits.burst))
        self.full_at = now
        self.shown = LONG_AGO  # the last send or edit
        self.last = now  # the last call of any sort
        self.blocked_until = LONG_AGO
        self.paced_until = LONG_AGO
        self.pace: tuple[_Window, ...] = ()
        self.line = _Line()
        if limits.strict:
            self.paced_until = float("inf")
            self.pace = self._documented(limits)

    def ready_at(self, priority: Priority, now: float) -> float:
        """When such a call may go to this chat, whoever else is waiting."""
        if now < self.paced_until:
            at = max(self.blocked_until, *[window.free_at(_spare(priority)) for window in self.pace])
        else:
            at = self.full_at - self.burst_room[_spare(priority)]
        return max(at, self.shown + self.gap) if priority is Priority.EDIT else at

    def take(self, priority: Priority, now: float) -> None:
        self.full_at = max(self.full_at, now) + self.step
        self.last = now
        if priority is not Priority.TYPING:
            self.shown = now
        for window in self.pace:
            window.take(now)

    def refused(self, until: float, limits: Limits) -> None:
        self.pace = self.pace or self._documented(limits)
        self.blocked_until = max(self.blocked_until, until)
        self.paced_until = max(self.paced_until, self.blocked_until + PENALTY)
        for window in self.pace:
            window.exhaust(self.blocked_until)

    def idle(self, now: float, after: float) -> bool:
        """Nothing is known of it that a chat seen for the first time would not have."""
        flooded = now < self.blocked_until + PENALTY
        return not self.line and not flooded and now >= self.full_at and now - self.last >= after

    def _documented(self, limits: Limits) -> tuple[_Window, ...]:
        second = _window(limits.chat_per_second, 1.0)
        return (second, _window(limits.group_per_minute, 60.0)) if self.group else (second,)


class _Window:
    """At most *most* calls in any *span* seconds."""

    __slots__ = ("_room", "_times", "most", "span")

    def __init__(self, most: int, span: float) -> None:
        self.most = most
        self.span = span
        self._room = tuple(most - kept for kept in _kept(most))
        self._times: deque[float] = deque(maxlen=most)

    def free_at(self, spare: bool) -> float:
        """When there is room for one more; *spare*: without what is kept for finals and approvals."""
        index = len(self._times) - self._room[spare]
        return self._times[index] + self.span if index >= 0 else LONG_AGO

    def take(self, now: float) -> None:
        self._times.append(now)

    def exhaust(self, until: float) -> None:
        """Count as though all had just been used: one call at *until*, then one by one, evenly."""
        known = [LONG_AGO] * (self.most - len(self._times)) + list(self._times)
        even = [until - self.span + n * self.span / self.most for n in range(self.most)]
        self._times.extend([max(pair) for pair in zip(known, even, strict=True)])


@dataclass(order=True, slots=True)
class _Waiter:
    priority: Priority
    serial: int
    called: asyncio.Future[None] | None = field(default=None, compare=False)


class _Line:
    """Who waits: the best priority first, and among equals who came first."""

    __slots__ = ("_waiters",)

    def __init__(self) -> None:
        self._waiters: list[_Waiter] = []

    def __len__(self) -> int:
        return len(self._waiters)

    def ahead(self, priority: Priority) -> bool:
        """Whether a newcomer of that priority would not be the first."""
        return bool(self._waiters) and self._waiters[0].priority <= priority

    def first(self, waiter: _Waiter) -> bool:
        return self._waiters[0] is waiter

    def join(self, waiter: _Waiter) -> None:
        insort(self._waiters, waiter)

    def leave(self, waiter: _Waiter) -> None:
        del self._waiters[bisect_left(self._waiters, waiter)]
        if self._waiters:
            called = self._waiters[0].called
            if called is not None and not called.done():
                called.set_result(None)

    async def turn(self, waiter: _Waiter) -> None:
        """Return when *waiter* is the first."""
        while self._waiters[0] is not waiter:
            waiter.called = asyncio.get_running_loop().create_future()
            await waiter.called


def _window(rate: float, per: float, *, over: float = 1.0) -> _Window:
    """*rate* calls in *per* seconds, counted over *over* times as long; below one call the span is longer."""
    most = max(1, int(rate * over))
    return _Window(most, most * per / rate)


def _spare(priority: Priority) -> bool:
    """Whether nobody is waiting for such a call."""
    return priority > Priority.APPROVAL


def _kept(most: int) -> tuple[int, int]:
    """What an allowance keeps back: from finals and approvals nothing, from what can be spared a quarter."""
    return 0, most // 4
