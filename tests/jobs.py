"""Jobs over the real path: a person in a chat who makes them, a clock that stands still until it is set."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway import SessionManager
from gateway.cron import Cron
from gateway.jobs.book import Jobs, JobSpec, Requester, RunView
from gateway.types.measures import HOUR, SECOND
from gateway.types.people import Identity
from storage import Store
from tests.path import ANN, BOB, Path, path


def at(text: str) -> int:
    """Microseconds of a UTC time such as 2026-03-02 09:00."""
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND


EIGHT = at("2026-03-02 08:00")
NINE = EIGHT + HOUR


class HandClock:
    """A clock that stands still until it is set."""

    def __init__(self, now: int = EIGHT) -> None:
        self.now = now

    def __call__(self) -> int:
        return self.now


@dataclass
class Office:
    """A gateway with one bot, and what it takes to look at its jobs."""

    path: Path
    clock: HandClock
    manager: SessionManager

    @property
    def cron(self) -> Cron:
        return self.manager.cron

    @property
    def jobs(self) -> Jobs:
        return self.manager.jobs

    async def who(self, user: str = ANN) -> Identity:
        found = await self.path.store.read(lambda unit: unit.people.identity("telegram", user))
        assert found is not None
        return found

    async def by(self, user: str = ANN, *, admin: bool = False) -> Requester:
        """As somebody who asks in their own chat."""
        who = await self.who(user)
        ((conversation,),) = await self.path.rows(f"SELECT id FROM conversation WHERE chat_id = '{user}'")
        return Requester(identity=who.id, admin=admin, conversation=conversation)  # type: ignore[arg-type]

    async def met(self, *users: str) -> None:
        """They have written to the bot, and were answered."""
        for user in users or (ANN,):
            await self.path.says("hello", user=user)
            await self.path.channel.until(user, "You said: hello")

    async def runs(self, name: str) -> list[RunView]:
        """Oldest first."""
        return (await self.jobs.history(name, 1000))[::-1]

    async def settled(self, name: str) -> list[RunView]:
        """The same, once no attempt is under way any more."""

        async def quiet() -> bool:
            return not any(
                run.state == "running" or (run.state == "waiting" and run.again is None)
                for run in await self.runs(name)
            )

        await until(quiet)
        return await self.runs(name)

    async def fired(self, name: str, now: int | None = None) -> list[RunView]:
        """What has become of the job's runs after a look at the clock."""
        self.clock.now = self.clock.now if now is None else now
        await self.cron.fire()
        return await self.settled(name)

    async def delivered(self, name: str, state: str) -> None:
        async def so() -> bool:
            return (await self.runs(name))[-1].delivery == state

        await until(so)

    def texts(self, user: str = ANN) -> list[str]:
        return self.path.channel.texts(user)


async def until(condition: Callable[[], Awaitable[object]], seconds: float = 10.0) -> None:
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.005)


@asynccontextmanager
async def office(store: Store, **more: Any) -> AsyncIterator[Office]:
    clock = HandClock()
    async with path(store, clock=clock, **more) as found:  # type: ignore[arg-type]
        office = Office(found, clock, SessionManager(found.core))
        try:
            yield office
        finally:
            await office.cron.stop()


def spec(name: str = "a", schedule: str = "@hourly", prompt: str = "Sing.", **more: Any) -> JobSpec:
    return JobSpec(name=name, schedule=schedule, zone=more.pop("zone", "UTC"), prompt=prompt, **more)


__all__ = ["ANN", "BOB", "EIGHT", "NINE", "HandClock", "Office", "at", "office", "spec", "until"]
