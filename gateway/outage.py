"""A provider that refuses us: what waits for it, and when it is tried again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from gateway.protocols.clock import Clock
from gateway.types.measures import MINUTE, SECOND

PROBE_EVERY = MINUTE


class Outage:
    """While it lasts turns are kept on disk and one conversation a minute is tried. *since*: None when all is well."""

    def __init__(
        self,
        *,
        clock: Clock,
        wake: Callable[[int], None],
        spawn: Callable[[Coroutine[Any, Any, None], str], None],
    ) -> None:
        self._clock = clock
        self._wake = wake
        self._spawn = spawn
        self.since: int | None = None
        self._next_probe = 0
        self._parked: dict[int, None] = {}  # conversations, in the order in which they are tried

    def begin(self) -> None:
        """A provider has refused us; nothing new when we know already."""
        if self.since is None:
            self.since = self._clock()
            self._next_probe = self.since + PROBE_EVERY
            self._spawn(self._probe(), "probe")

    def keep(self, conversation: int) -> None:
        """A turn waits there for the end of it."""
        self._parked[conversation] = None

    def try_now(self) -> bool:
        """Whether a kept turn may be tried at this moment; one that may is the minute's only one."""
        if self.since is None:
            return True
        now = self._clock()
        if now < self._next_probe:
            return False
        self._next_probe = now + PROBE_EVERY
        return True

    def over(self) -> None:
        """A request was answered: everything kept goes on."""
        if self.since is None:
            return
        parked, self._parked, self.since = self._parked, {}, None
        for conversation in parked:
            self._wake(conversation)

    async def _probe(self) -> None:
        while self.since is not None:
            wait = max(0.0, (self._next_probe - self._clock()) / SECOND)
            await asyncio.sleep(min(wait, 1.0))
            if wait <= 0 and self.since is not None:
                if not self._parked:
                    self.since = None
                    return
                conversation = next(iter(self._parked))
                del self._parked[conversation]  # comes back, last in line, if it is refused again
                self._wake(conversation)
                await asyncio.sleep(0.05)
