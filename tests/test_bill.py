"""The bill is exact: whatever happens, the ledger is what the providers counted, and every report is the ledger."""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from gateway.turn import Options
from storage import open_store
from tests.bill.load import FATES, GROUPS, PEOPLE, STEPS, Books, Step, World
from tests.bill.reckoning import reckon
from tests.bill.reports import untrue
from tests.bill.truth import PRICES, SEARCHED, Seen
from tests.conftest import Clock
from tests.fast import fast
from tests.path import ANN
from tests.wires import LONG, MINI, MUTE, SONNET, wired

SPEED = 12.0
LOADS = int(os.environ.get("LOADS", "0"))  # `make bill` takes more of them, other ones each time
WINDOW = 6000  # tokens: sessions of a load fill it


async def loaded(folder: Path, first: str, steps: Sequence[Step], *, searches: int = 0) -> list[str]:
    """What is wrong with the bill in the end."""
    clock = Clock()
    store = await open_store(folder / "parley.db")
    options = Options(
        system_prompt=LONG,
        retries=1,
        max_output_tokens=2000,
        context_window=WINDOW,
        turn_timeout=240,
        web_search=searches,
    )
    async with Books(clock) as books:
        async with wired(
            store, books, clock=clock, default=first, fallbacks=[MINI, MUTE], options=options,
            silence=24, allow=frozenset({*PEOPLE, *GROUPS}), searching=bool(searches), rates=SEARCHED,
        ) as gw:  # fmt: skip
            await gw.manager.sum_by_day()
            world = World(gw, books)
            for step in steps:
                await step.happen(world, clock)
            await world.quiet()
            wrong = await untrue(gw.manager, store)
        await store.close()
        return wrong + reckon(folder / "parley.db", books.read(), SEARCHED, excused=world.excused).wrong


@pytest.mark.parametrize("first", [SONNET, MINI])
def test_everything_that_can_become_of_a_request_is_on_the_bill(tmp_path: Path, first: str) -> None:
    """Each fate alone, with one that stops a turn in the middle, and what is seen by who asks only."""
    steps = list[Step]()
    for number, fate in enumerate(FATES):
        steps += [Step(what="says", who=PEOPLE[number % 3], fates=(fate,)), Step(what="later")]
    steps += [
        Step(what="says", fates=("stalled",)),
        Step(what="begun"),
        Step(what="stop"),
        Step(what="later"),
    ]
    steps += [Step(what="compact", who=who) for who in PEOPLE]
    assert fast(loaded(tmp_path, first, steps, searches=2), speed=SPEED) == []
    with closing(sqlite3.connect(tmp_path / "parley.db")) as db:
        states = dict(db.execute("SELECT state, count(*) FROM usage WHERE purpose <> 'search' GROUP BY 1"))
        found = dict(db.execute("SELECT state, sum(units) FROM usage WHERE purpose = 'search' GROUP BY 1"))
        purposes = {purpose for (purpose,) in db.execute("SELECT purpose FROM usage")}
        stopped = db.execute("SELECT count(*) FROM turn WHERE state = 'cancelled'").fetchone()[0]
    assert purposes == {"chat", "search", "compaction"} and stopped == 1
    assert found["known"] >= 4 and found["estimated"] >= 10 and found["void"] == 0, found
    assert states.keys() == {"known", "estimated", "failed"} and min(states.values()) >= 5, states


def test_the_reckoning_sees_what_is_wrong(tmp_path: Path) -> None:
    async def one() -> list[Seen]:
        async with Books(clock := Clock()) as books:
            store = await open_store(tmp_path / "parley.db")
            async with wired(store, books, clock=clock) as gw:
                world = World(gw, books)
                for fates in ((), ("cut",), ("400",)):
                    await world.says(ANN, "", fates)
                    await world.quiet()
            await store.close()
            return books.read()

    books = asyncio.run(one())
    assert reckon(tmp_path / "parley.db", books, PRICES).wrong == []

    def found(sql: str, seen: Sequence[Seen] = books) -> str:
        damaged = tmp_path / "damaged.db"
        shutil.copy(tmp_path / "parley.db", damaged)
        with closing(sqlite3.connect(damaged)) as db:
            db.execute(sql)
            db.commit()
        return "; ".join(reckon(damaged, seen, PRICES).wrong)

    known, cut, again, refused = (f"id = {n}" for n in range(1, 5))
    assert "known rows differ by 1 nano" in found(f"UPDATE usage SET cost = cost + 1 WHERE {known}")
    assert "were counted" in found(f"UPDATE usage SET tok_read = tok_read + 1 WHERE {known}")
    assert "was used" in found(f"UPDATE usage SET cost = 0 WHERE {cut}")
    assert "is below" in found(f"UPDATE usage SET tok_out = 1 WHERE {cut}")
    assert "not settled" in found(f"UPDATE usage SET state = 'open' WHERE {again}")
    assert "no row of its own" in found(f"DELETE FROM usage WHERE {known}")
    assert "worked on it" in found(f"UPDATE usage SET state = 'failed' WHERE {cut}")
    assert "billed with" in found(f"UPDATE usage SET cost = 1 WHERE {refused}")
    assert "knows no answer" in found("SELECT 1", books[1:])
    assert "over what was reserved" in found(f"UPDATE usage SET reserved = 1 WHERE {known}")


def test_the_reckoning_sees_what_is_wrong_about_searches(tmp_path: Path) -> None:
    async def one() -> list[Seen]:
        options = Options(system_prompt=LONG, retries=0, max_output_tokens=2000, web_search=2)
        async with Books(clock := Clock()) as books:
            store = await open_store(tmp_path / "parley.db")
            async with wired(
                store, books, clock=clock, options=options, searching=True, rates=SEARCHED
            ) as gw:
                world = World(gw, books)
                for fate in ("searches", "searches, cut"):
                    await world.says(ANN, "", (fate,))
                    await world.quiet()
            await store.close()
            return books.read()

    books = asyncio.run(one())
    assert reckon(tmp_path / "parley.db", books, SEARCHED).wrong == []

    def found(sql: str) -> str:
        damaged = tmp_path / "damaged.db"
        shutil.copy(tmp_path / "parley.db", damaged)
        with closing(sqlite3.connect(damaged)) as db:
            db.execute(sql)
            db.commit()
        return "; ".join(reckon(damaged, books, SEARCHED).wrong)

    known, cut = (f"purpose = 'search' AND state = '{state}'" for state in ("known", "estimated"))
    assert "were made" in found(f"UPDATE usage SET units = 3 WHERE {known}")
    assert "known rows differ" in found(f"UPDATE usage SET cost = cost + 1 WHERE {known}")
    assert "have no row" in found(f"DELETE FROM usage WHERE {known}")
    assert "were made" in found(f"UPDATE usage SET units = 1, cost = cost / 2 WHERE {cut}")
    assert "were made" in found(f"UPDATE usage SET state = 'void', units = 0, cost = 0 WHERE {cut}")
    assert "over what was reserved" in found(f"UPDATE usage SET reserved = 1 WHERE {known}")


@settings(
    max_examples=LOADS or 12,
    derandomize=not LOADS,
    deadline=None,
    phases=(Phase.explicit, Phase.reuse, Phase.generate),  # no shrinking: what threads do is not repeatable
    suppress_health_check=list(HealthCheck),
    print_blob=True,
    database=None,
)
@given(first=st.sampled_from([SONNET, MINI]), searches=st.sampled_from([0, 2]), steps=STEPS)
def test_whatever_happens_the_bill_is_exact(first: str, searches: int, steps: list[Step]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        wrong = fast(loaded(Path(folder), first, steps, searches=searches), speed=SPEED)
    assert not wrong, "\n".join(wrong)
