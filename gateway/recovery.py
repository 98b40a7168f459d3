"""What an earlier process left: taken up when we start, and once more when an account can speak again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from gateway import away, working
from gateway.access import LOCAL
from gateway.delivery import Delivery
from gateway.failpoints import Point
from gateway.habits import Habits
from gateway.halt import Halt
from gateway.protocols.clock import Clock
from gateway.types.inbound import Waiting
from gateway.types.usage import UsageSettled
from gateway.workers import Workers

if TYPE_CHECKING:
    from storage import Store, Unit


class Recovery:
    """*settle*: an open ledger row as (its uid, what is charged for it). *control*: carry out that inbox row."""

    def __init__(
        self,
        *,
        store: Store,
        delivery: Delivery,
        halt: Halt,
        workers: Workers,
        clock: Clock,
        habits: Callable[[], Habits],
        settle: Callable[[tuple[Any, ...]], tuple[str, UsageSettled]],
        control: Callable[[int], None],
    ) -> None:
        self._store = store
        self._delivery = delivery
        self._halt = halt
        self._workers = workers
        self._clock = clock
        self._habits = habits
        self._settle = settle
        self._control = control
        self.visiting = False  # for one command: what waits is the gateway's
        self.judged: set[int] = set()  # turns of an earlier process that were not taken up yet
        self._owed: dict[int, list[int]] = {}  # account -> control rows of an earlier process
        self._away_timer: asyncio.TimerHandle | None = None
        self._booted = clock()
        self._last_alive = self._booted

    async def recover(self) -> None:
        """Take up what an earlier process left. The instance lock says that no other owner lives."""
        await self._halt.load()
        now = self._clock()

        async def work(unit: Unit) -> tuple[list[int], list[Waiting], set[int], int]:
            await unit.places.release_all()
            await unit.inbox.loosen()
            alive = int(await unit.meta.get("alive") or now)
            await unit.meta.put("alive", str(now))
            await unit.inbox.hold_old(before=now - self._habits().away_after)
            for turn in await unit.turns.bury(now=now):
                await unit.inbox.settle_turn(turn, "refused")
            unfinished = await unit.turns.open()
            self.judged = {each.id for each in unfinished if each.state == "running"}
            await unit.turns.blame()
            for row in await unit.ledger.open_rows():
                await unit.ledger.settle(*self._settle(row))
            places = {each.conversation for each in unfinished}
            places.update(await unit.inbox.waiting_places())
            controls = await unit.inbox.open_control()
            local = {
                row.account
                for row in controls
                if row.conversation is None or (await unit.places.get(row.conversation)).channel in LOCAL
            }
            return sorted(places), controls, local, alive

        places, controls, local, self._last_alive = await self._store.commit(Point.RECOVER, work)
        for row in controls:
            self._owed.setdefault(row.account, []).append(row.id)
        for account in local:
            self._take_up_controls(account)
        self._wake(places)
        self.tell_away_soon()

    async def void_leases(self) -> None:
        """What `recover` does for one who only looks in: nothing of an earlier process is taken up."""
        self.visiting = True
        await self._halt.load()
        await self._store.commit(Point.RECOVER, lambda unit: unit.places.release_all())

    async def connected(self, account: int) -> None:
        """An account can speak now: deliver what it left, and go on with its conversations."""
        await self._delivery.recover(account)
        self._take_up_controls(account)
        await self.wake_all()
        self.tell_away_soon()
        await self._take_back_notices(account)

    async def alive(self) -> None:
        """A sign of life on disk, so that the next start knows how long we were away; call it each minute."""
        await self._store.commit(Point.META, _alive, str(self._clock()))

    async def wake_all(self) -> None:
        """Go on wherever something waits."""

        async def work(unit: Unit) -> list[int]:
            unfinished = [turn.conversation for turn in await unit.turns.open()]
            waiting = await unit.inbox.waiting_places()
            return sorted({*unfinished, *waiting})

        self._wake(await self._store.read(work))

    def tell_away_soon(self) -> None:
        """Offer what came while we were away, when it has been quiet for a moment."""
        self.stop()
        loop = asyncio.get_running_loop()
        self._away_timer = loop.call_later(away.NOTICE_AFTER, self._tell_away_now)

    def stop(self) -> None:
        """Tell nothing any more."""
        if self._away_timer is not None:
            self._away_timer.cancel()

    def _wake(self, places: Sequence[int]) -> None:
        for place in places:
            self._workers.wake(place)

    def _take_up_controls(self, account: int) -> None:
        """Commands and buttons that an earlier process left: not before a reply to them can be sent."""
        for id in self._owed.pop(account, ()):
            self._control(id)

    async def _take_back_notices(self, account: int) -> None:
        """“Still working”, of turns whose end an earlier process did not live to see tidied up."""
        left = await self._store.read(lambda unit: unit.outbox.left_over(account, working.ORIGIN))
        for turn in left:
            await self._delivery.take_back(f"{working.ORIGIN}{turn}")

    def _tell_away_now(self) -> None:
        if not self._workers.stopping:
            self._workers.beside(self._tell_away(), "away")

    async def _tell_away(self) -> None:
        span, habits = (self._last_alive, self._booted), self._habits()
        rows = await self._store.commit(
            Point.NOTICE, away.tell, span, self._delivery.render, self._clock(), habits.language, habits.zone
        )
        self._delivery.enqueue(rows)


async def _alive(unit: Unit, now: str) -> None:
    await unit.meta.put("alive", now)
