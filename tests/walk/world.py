"""Lives of a gateway one after the other over one platform and one database file."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from decimal import Decimal
from pathlib import Path
from typing import Literal

from gateway.access import Policy
from gateway.commands.table import Table
from gateway.core import Core, build
from gateway.during import During
from gateway.errors import Refused
from gateway.failpoints import Point
from gateway.floods import Limits
from gateway.habits import Habits
from gateway.manager import SessionManager
from gateway.price import Rates
from gateway.pricing import Pricing
from gateway.progress import Options
from gateway.protocols.tool import ToolContext, ToolSpec
from gateway.roster import Roster
from gateway.types.inbound import Inbound, Kind
from gateway.types.json import Json
from gateway.types.people import Sender
from gateway.types.places import Account, Place
from storage import Store
from tests.path import OneModel
from tests.walk.model import WalkModel
from tests.walk.mortal import Mortal, open_mortal
from tests.walk.screen import Screen, WalkChannel

Placing = Literal["exact", "opening", "placeholder"]
PEOPLE = {"ann": "101", "bob": "102", "eve": "666"}  # eve is not let in
PLACES = {
    "ann": Place(chat_id="101"),
    "bob": Place(chat_id="102"),
    "eve": Place(chat_id="666"),
    "group": Place(chat_id="-500", kind="group"),
}
PAGE = 5
END = 240.0  # seconds within which everything must come to its end


class Look:
    """A tool that takes its time, and knows in which sessions it is running."""

    spec = ToolSpec(name="look", description="Looks.", parameters={"type": "object", "properties": {}})

    async def call(self, args: Json, context: ToolContext) -> str:
        await asyncio.sleep(0.3)
        return f"seen in turn {context.turn}"


@dataclass
class Said:
    """An event as people sent it."""

    event: Inbound
    person: str
    place: str


@dataclass
class Life:
    """One process of the gateway."""

    store: Store
    core: Core
    channel: WalkChannel
    account: Account
    before: frozenset[asyncio.Task[object]]  # tasks that are not the gateway's
    poll: asyncio.Task[None] | None = None


@dataclass
class World:
    """Everything that outlives a crash, and the life that is on."""

    folder: Path
    placing: Placing
    life: Life | None = None
    screen: Screen = field(default_factory=Screen)
    model: WalkModel = field(default_factory=WalkModel)
    said: list[Said] = field(default_factory=list)
    crashes: int = 0
    mode: During = "queue"
    rejected: bool = False  # whether messages during an answer were turned away at any time
    ahead: float = 0.0  # seconds by which the clock was put forward
    troubles: list[tuple[str, str]] = field(default_factory=list)
    graves: list[Life] = field(default_factory=list)  # their timers still fire
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(1))
    _loop: asyncio.AbstractEventLoop = field(default_factory=asyncio.get_running_loop)
    _born: float = 0.0

    def __post_init__(self) -> None:
        self._born = self._loop.time()

    def now(self) -> int:
        """Microseconds since 1970: as fast as the loop, from a fixed day on."""
        passed = self._loop.time() - self._born + self.ahead  # asked by the store's thread too
        return 1_800_000_000_000_000 + int(passed * 1_000_000)

    # -- lives ------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        before = frozenset(asyncio.all_tasks())
        store = await open_mortal(self.folder / str(self.crashes))
        core = build(
            store=store,
            catalogue=OneModel(self.model),  # type: ignore[arg-type]
            pricing=Pricing({"fake/*": Rates(uncached=Decimal(3), output=Decimal(15))}),
            tools={"look": Look()},
            options=Options(retries=1),
            habits=self._habits(),
            media=self.folder / "media",
            clock=self.now,
            on_trouble=lambda cause, text: self.troubles.append((cause, text)),
        )
        core.catalogue.default = "fake:one"  # type: ignore[misc]
        manager = SessionManager(core, zone="UTC")
        core.dispatcher.commands = Table(manager=manager, roster=Roster(store=store, clock=self.now))
        account = await store.commit(Point.PEOPLE, lambda unit: unit.people.account("telegram", "42", "bot"))
        channel = WalkChannel(self.screen, self.placing)
        self.life = Life(store, core, channel, account, before)
        await core.dispatcher.recovery.recover()
        core.delivery.register(account, channel)
        await core.dispatcher.recovery.connected(account.id)
        self.life.poll = asyncio.create_task(self._poll(core, account), name="poll")

    def _habits(self) -> Habits:
        people = frozenset({PEOPLE["ann"], PEOPLE["bob"]})
        chats = frozenset({*people, PLACES["group"].chat_id})
        return Habits(
            policy=Policy(allow={"telegram": chats}, owners={"telegram": frozenset({PEOPLE["ann"]})}),
            gap_minutes={"telegram": 360},
            during={"telegram": self.mode},
            overheard={"telegram": 4},
            limits=Limits(messages_per_minute=10_000),
            away_after=10**18,
            patience=3.0,
        )

    async def _poll(self, core: Core, account: Account) -> None:
        """Take pages; the platform forgets one only after it is on disk, and a moment later."""
        while True:
            await self.screen.news.wait()
            page = self.screen.arrived[:PAGE]
            await core.dispatcher.accept(account, page)
            await asyncio.sleep(0.02)
            del self.screen.arrived[: len(page)]
            if not self.screen.arrived:
                self.screen.news.clear()

    async def crash(self) -> None:
        """kill -9, and the next life on what is on disk."""
        life = self.life
        assert life is not None
        database = life.store.database
        assert isinstance(database, Mortal)
        database.die()
        life.channel.die()
        life.core.dispatcher._workers.stopping = True  # the timers of the dead fire, and find nothing to do
        self.crashes += 1
        database.leave(self.folder / str(self.crashes))
        for _ in range(3):
            await asyncio.sleep(0)  # what was just begun must have begun, to be ended
        gone = asyncio.all_tasks() - life.before
        while gone:
            for task in gone:
                task.cancel()
            _, gone = await asyncio.wait(gone, timeout=0.05)
        await database.bury()
        self.graves.append(life)
        await self.begin()

    async def close(self) -> None:
        """SIGTERM."""
        life = self.life
        assert life is not None and life.poll is not None
        life.poll.cancel()
        await life.core.dispatcher.stop(5.0)
        await life.core.delivery.drain(5.0)
        await life.store.close()

    # -- people -----------------------------------------------------------------------------------------------

    def send(self, place: str, person: str, text: str, **facts: object) -> Said:
        number = next(self._numbers)
        event = Inbound(
            event_id=f"e{number}",
            kind=Kind.COMMAND if text.startswith("/") else Kind.MESSAGE,
            place=PLACES[place],
            sender=Sender(user_id=PEOPLE[person], name=person.title()),
            message_id=str(10_000 + number),
            sent=self.now(),
            text=text,
        )
        said = Said(replace(event, **facts), person, place)  # type: ignore[arg-type]
        self.said.append(said)
        self.screen.arrived.append(said.event)
        self.screen.news.set()
        return said

    def asks(self, place: str, person: str, kind: str, **facts: object) -> Said:
        word = f"{place}x{len(self.said):04d}"
        return self.send(place, person, f"{word} {kind}", **facts)

    def use(self, mode: During) -> None:
        self.mode = mode
        self.rejected = self.rejected or mode == "reject"
        assert self.life is not None
        self.life.core.dispatcher.habits = self._habits()

    async def emergency(self, pull: bool) -> None:
        assert self.life is not None
        dispatcher = self.life.core.dispatcher
        try:
            await (dispatcher.halt(by="ann") if pull else dispatcher.unhalt(by="ann"))
        except Refused:
            return  # it is so already

    # -- the end ----------------------------------------------------------------------------------------------

    async def settle(self) -> None:
        """All trouble ends; the gateway is started once more, and everything comes to its end."""
        self.screen.faults.clear()
        self.model.healed = True
        await self.emergency(pull=False)
        await self.crash()
        await self._until(self._at_rest)

    async def _until(self, condition: Callable[[], Awaitable[str]]) -> None:
        try:
            async with asyncio.timeout(END):
                while left := await condition():
                    await asyncio.sleep(0.5)
        except TimeoutError:
            raise AssertionError(f"not over: {left}; {self.troubles[-3:]}") from None

    async def _at_rest(self) -> str:
        """What is still under way; '' when nothing is."""
        assert self.life is not None
        if self.screen.arrived:
            return f"{len(self.screen.arrived)} events not taken"
        rows = await self.life.store.read(lambda unit: unit.tx.all(UNDER_WAY))
        if rows:
            return str(rows)
        dispatcher = self.life.core.dispatcher
        return f"tasks {tasks}" if (tasks := dispatcher.under_way) else ""


UNDER_WAY = """
SELECT 'inbox', id, state FROM inbox WHERE state IN ('waiting', 'taken')
UNION ALL SELECT 'turn', id, state FROM turn WHERE state IN ('running', 'parked')
UNION ALL SELECT 'outbox', id, state FROM outbox WHERE state NOT IN ('sent', 'dead')"""
