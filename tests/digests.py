"""People who have a digest, over the real path: a clock that stands still until it is set, on the days around the last
Sunday of March, when Berlin's clock goes from 2:00 to 3:00."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.jobs.book import RunView
from gateway.types.measures import SECOND
from storage import Store
from tests.chats import Chat, chatting
from tests.jobs import HandClock, Office, until
from tests.path import ANN, BOB

BERLIN = "Europe/Berlin"


def berlin(text: str) -> int:
    """Microseconds UTC of a time in Berlin such as 2026-03-28 09:12."""
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(BERLIN)).timestamp()) * SECOND


SATURDAY, SUNDAY, MONDAY = "2026-03-28", "2026-03-29", "2026-03-30"


@dataclass
class Readers(Office):
    """An office in which Ann and Bob talk, and have digests."""

    chat: Chat

    async def talk(self, text: str, when: str, *, user: str = ANN, answer: str = "You said:") -> None:
        self.clock.now = berlin(when)
        await self.chat.told(text, answer, user=user)

    async def group(self, text: str, when: str, *, user: str = ANN, answer: str = "You said:") -> None:
        self.clock.now = berlin(when)
        await self.chat.group(text, answer, user=user)

    async def digest(self, when: str, name: str = "digest") -> RunView:
        """What has become of the latest run after a look at the clock at that time in Berlin."""
        return (await self.fired(name, berlin(when)))[-1]

    async def digested(self, when: str, *, user: str = ANN, name: str = "digest") -> str:
        """The text of the digest that comes to a chat then."""
        before = len(self.texts(user))
        await self.digest(when, name)
        await self.delivered(name, "sent")
        return next(text for text in self.texts(user)[before:] if text.startswith("**"))


@asynccontextmanager
async def readers(store: Store, when: str = f"{SATURDAY} 08:10", **more: Any) -> AsyncIterator[Readers]:
    clock = HandClock(berlin(when))
    async with chatting(store, clock, **more) as chat:  # type: ignore[arg-type]
        found = Readers(chat.path, clock, chat.manager, chat)
        try:
            yield found
        finally:
            await found.cron.stop()


__all__ = ["ANN", "BERLIN", "BOB", "MONDAY", "SATURDAY", "SUNDAY", "Readers", "berlin", "readers", "until"]
