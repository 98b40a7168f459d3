"""Lives of a gateway one after the other over one database, with the sessions that are operated on in it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from gateway.access import Policy
from gateway.core import build
from gateway.errors import ParleyError
from gateway.habits import Habits
from gateway.manager import SessionManager
from gateway.price import Rates
from gateway.pricing import Pricing
from gateway.progress import Options
from gateway.types.turns import Entry
from storage import Store
from tests.path import OneModel
from tests.walk.book import Known, Row
from tests.walk.model import WalkModel
from tests.walk.mortal import Mortal, open_mortal
from tests.walk.world import Look

END = 120.0  # seconds within which whatever runs comes to its end
ROWS = "SELECT seq, turn, kind, body, created FROM entry WHERE session = :id ORDER BY seq"
LEDGER = "SELECT * FROM usage WHERE state <> 'open' ORDER BY id"


@dataclass
class Sessions:
    """Everything that outlives a crash, and the life that is on."""

    folder: Path
    model: WalkModel = field(default_factory=WalkModel)
    book: dict[int, Known] = field(default_factory=dict)  # by number
    ledger: dict[int, tuple[Any, ...]] = field(default_factory=dict)  # settled rows, which never change
    wrong: list[str] = field(default_factory=list)
    crashes: int = 0
    said: int = 0
    turned_back: int | None = None  # what the operation under way asks for
    doomed: int | None = None
    expected: list[Row] | None = None  # what a session that comes up now has to hold
    done: dict[str, int] = field(default_factory=dict)  # operation -> how often it was carried out
    _asked: set[asyncio.Task[object]] = field(default_factory=set)

    # -- lives ------------------------------------------------------------------------------------------------

    async def begin(self) -> None:
        self._before = frozenset(asyncio.all_tasks())
        self.store: Store = await open_mortal(self.folder / str(self.crashes))
        core = build(
            store=self.store,
            catalogue=OneModel(self.model),  # type: ignore[arg-type]
            pricing=Pricing({"fake/*": Rates(uncached=Decimal(3), output=Decimal(15))}),
            tools={"look": Look()},
            options=Options(retries=1),
            habits=Habits(policy=Policy(allow={}, owners={}), gap_minutes={"main": None}),
            media=self.folder / "media",
        )
        core.catalogue.default = "fake:one"  # type: ignore[misc]
        self.manager = SessionManager(core)
        await core.dispatcher.recovery.recover()
        await self.manager.sum_by_day()
        await self.manager.purge_deleted(100)

    async def crash(self) -> None:
        """kill -9, and the next life on what is on disk."""
        database = self.store.database
        assert isinstance(database, Mortal)
        database.die()
        self.manager.core.dispatcher._workers.stopping = True
        self.crashes += 1
        database.leave(self.folder / str(self.crashes))
        for _ in range(3):
            await asyncio.sleep(0)
        gone = asyncio.all_tasks() - self._before
        while gone:
            for task in gone:
                task.cancel()
            _, gone = await asyncio.wait(gone, timeout=0.05)
        await database.bury()
        self._asked.clear()
        await self.begin()
        await self.look()

    async def end(self) -> None:
        """All trouble ends, and what is under way comes to its end."""
        self.model.healed = True
        await self.rest()
        await self.look()
        await self.manager.core.dispatcher.stop(5.0)
        await self.store.close()

    # -- what is done ------------------------------------------------------------------------------------------

    def pick(self, at: int) -> tuple[int, str] | None:
        """(number, code) of a session that is there."""
        there = [(id, known.code) for id, known in sorted(self.book.items()) if not known.deleted]
        return there[at % len(there)] if there else None

    def ask(self, work: Awaitable[object]) -> asyncio.Task[object]:
        async def quiet() -> None:
            try:
                await work
            except ParleyError:
                return

        task: asyncio.Task[object] = asyncio.create_task(quiet())
        self._asked.add(task)
        task.add_done_callback(self._asked.discard)
        return task

    async def does(
        self,
        name: str,
        work: Callable[[SessionManager], Awaitable[object]],
        *,
        n: int | None = None,
        dooms: int | None = None,
        makes: list[Row] | None = None,
        dies: int | None = None,
    ) -> object | None:
        """Carry it out, or not (None); *dies*: the process does, so many steps of the loop after its beginning."""
        await self.look()
        self.turned_back, self.doomed, self.expected = n, dooms, makes
        result: object | None = None
        if dies is not None:
            self.ask(work(self.manager))
            for _ in range(dies):
                await asyncio.sleep(0)
            await self.crash()
        else:
            try:
                result = await work(self.manager) or True
                self.done[name] = self.done.get(name, 0) + 1
            except ParleyError:
                result = None
        await self.look()
        self.turned_back, self.doomed, self.expected = None, None, None
        return result

    async def rest(self) -> None:
        """Until nothing runs or waits."""
        try:
            async with asyncio.timeout(END):
                while left := await self.store.read(lambda unit: unit.tx.all(UNDER_WAY)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            self.wrong.append(f"not over: {left}")

    # -- what must hold ---------------------------------------------------------------------------------------

    async def look(self) -> None:
        """Read everything, and hold it against the book."""

        async def read(
            unit: Any,
        ) -> tuple[list[Any], dict[int, list[Row]], dict[int, list[Entry]], list[Any]]:
            sessions = await unit.tx.all("SELECT id, code, deleted, purged, origin FROM session ORDER BY id")
            rows = {each[0]: await unit.tx.all(ROWS, id=each[0]) for each in sessions}
            live = {each[0]: await unit.transcript.live(each[0]) for each in sessions}
            return sessions, rows, live, await unit.tx.all(LEDGER)

        sessions, rows, live, ledger = await self.store.read(read)
        for id, code, deleted, _, origin in sessions:
            if id not in self.book:
                self.book[id] = Known(code)
                self._made(id, origin, rows[id])
            known = self.book[id]
            if deleted is not None:
                if not known.deleted and self.doomed != id:
                    self.wrong.append(f"{code} is deleted, and nobody asked for that")
                known.deleted = True
            else:
                self.wrong += known.read(rows[id], self.turned_back)
                self.wrong += known.check(live[id])
        for row in ledger:
            if self.ledger.setdefault(row[0], row) != row:
                self.wrong.append(f"a settled row of the ledger changed: {self.ledger[row[0]]}, {row}")
        if missing := set(self.ledger) - {row[0] for row in ledger}:
            self.wrong.append(f"rows of the ledger are gone: {missing}")

    def _made(self, id: int, origin: str, rows: list[Row]) -> None:
        """A session that came up: a copy, or what was read in, holds what it has to."""
        if origin == "fork":
            held = [row for row in rows if row[2] != "mark"]
            if self.expected is None or held != [row for row in self.expected if row[2] != "mark"]:
                self.wrong.append(f"{self.book[id].code} is no copy: {held} for {self.expected}")
            known = self.book[id]
            known.rows, known.stand = list(rows), list(rows)
        elif origin == "import":
            held_texts = [(row[0], row[2], row[3]) for row in rows]
            if self.expected is None or held_texts != [(row[0], row[2], row[3]) for row in self.expected]:
                self.wrong.append(f"{self.book[id].code} is not what was read in")
            self.book[id].rows = list(rows)
            self._as_read(self.book[id])

    def _as_read(self, known: Known) -> None:
        """Replay what was read in, whatever was taken back in it."""
        fresh = Known(known.code)
        for row in known.rows:
            at = None
            body = json.loads(row[3])
            if body.get("op") == "rewind":
                at = next((n for n, turn in enumerate(fresh.turns()) if turn[0][0] == body["seq"]), None)
            self.wrong += fresh._next(row, at)
        known.stand, known.before = fresh.stand, fresh.before


UNDER_WAY = """
SELECT 'inbox', id, state FROM inbox WHERE state IN ('waiting', 'taken')
UNION ALL SELECT 'turn', id, state FROM turn WHERE state IN ('running', 'parked')"""
