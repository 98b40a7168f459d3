"""`python -m bench.bill`: what the bill costs to read over a ledger of many rows, and to sum by day.

A year of requests by fifty people in ten thousand sessions and two hundred chats, at six models, two requests a turn,
most of them with a cache, and half a million calls of tools. Each breakdown is asked for alone, as in a chat; in
milliseconds, the best of several runs.
"""

import argparse
import asyncio
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from datetime import timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path

from gateway import SessionManager
from gateway.manager.accounting import BREAKDOWNS
from gateway.moments import local, midnight
from gateway.price import Price, Rates
from gateway.types.measures import SECOND
from storage import Store, open_store

YEAR = 365 * 86_400 * SECOND
NOW = 1_793_500_000 * SECOND  # 1 November 2026
SESSIONS, CHATS, PEOPLE, TURN = 10_000, 200, 50, 2
MODELS = ("a:one", "a:two", "b:three", "b:four", "c:five", "c:six")
MONTH, ALL = 50.0, 200.0  # goals in milliseconds
ZONE = "Europe/Berlin"
ROW = """
INSERT INTO usage (uid, turn, step, attempt, session, conversation, identity, trigger, purpose, channel, provider,
  model_asked, model, state, tok_in, tok_read, tok_w5m, tok_out, cost, cost_state, price, at, ended)
VALUES (?, ?, ?, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'priced', ?, ?, ?)"""
TURN_ROW = """
INSERT INTO turn (id, session, n, conversation, fence, state, started) VALUES (?, ?, ?, 1, 1, 'done', ?)"""
CALL_ROW = """
INSERT INTO tool_call (turn, step, call_id, name, args_hash, state, is_error) VALUES (?, 0, ?, ?, '', 'done', ?)"""


def rows(count: int) -> Iterator[tuple[object, ...]]:
    """A session is one person's in one chat, and its requests lie within some days."""
    chance = random.Random(1)
    places = [(chance.randrange(1, CHATS + 1), chance.randrange(1, PEOPLE + 1)) for _ in range(SESSIONS)]
    for number in range(count):
        turn = number // TURN
        session = turn * SESSIONS * TURN // count + chance.randrange(40)
        session = min(session, SESSIONS - 1)
        chat, person = places[session]
        model = chance.randrange(len(MODELS))
        provider, _, name = MODELS[model].partition(":")
        at = NOW - YEAR + turn * TURN * YEAR // count + number % TURN * 5 * SECOND
        cached = chance.random() < 0.8
        state = "known" if chance.random() < 0.98 else "estimated"
        yield (
            f"u{number}", turn + 1, number % TURN, session + 1, chat, person, "digest" if chat % 20 == 0 else None,
            "chat" if number % 50 else "compaction", "telegram" if chat % 2 else "discord", provider, name, name,
            state, chance.randrange(2000), chance.randrange(9000) * cached, chance.randrange(500) * cached,
            chance.randrange(800), chance.randrange(10**7), model + 1, at, at,
        )  # fmt: skip


def fill(path: Path, count: int) -> None:
    with sqlite3.connect(path) as db:
        db.execute("PRAGMA foreign_keys = OFF")
        db.execute("INSERT INTO account (id, channel, platform_id, name) VALUES (1, 'telegram', '1', 'bot')")
        db.executemany(
            "INSERT INTO identity (id, channel, user_id, name) VALUES (?, 'telegram', ?, ?)",
            [(n, str(n), f"n{n}") for n in range(1, PEOPLE + 1)],
        )
        db.executemany(
            "INSERT INTO conversation (id, account, chat_id, kind) VALUES (?, 1, ?, 'direct')",
            [(n, str(n)) for n in range(1, CHATS + 1)],
        )
        db.executemany(
            "INSERT INTO session (id, code, conversation, title, created, last_active) VALUES (?, ?, 1, ?, 0, 0)",
            [(n, f"{n:010}", f"about {n}") for n in range(1, SESSIONS + 1)],
        )
        for number, model in enumerate(MODELS):
            rates = Rates(
                uncached=Decimal(3), output=Decimal(15), read=Decimal("0.3"), write_5m=Decimal("3.75")
            )
            price = Price(provider=model[0], model=model[2:], source="config", rates=rates)
            text = json.dumps(price.to_json(), sort_keys=True)
            row = (number + 1, price.hash, *model.split(":"), text)
            db.execute("INSERT INTO price VALUES (?, ?, ?, ?, ?, 'config')", row)
        db.executemany(ROW, rows(count))
        # A tool in every second turn, two calls each.
        turns = [
            (n + 1, n % SESSIONS + 1, n, NOW - YEAR + n * TURN * YEAR // count) for n in range(count // TURN)
        ]
        db.executemany(TURN_ROW, turns)
        calls = [(n + n % 2, f"c{n}", f"tool {n % 13}", n % 50 == 0) for n in range(1, count // TURN)]
        db.executemany(CALL_ROW, calls)
    db.close()


async def timed(work: Callable[[], Awaitable[object]]) -> float:
    """Milliseconds."""
    before = time.perf_counter()
    await work()
    return 1e3 * (time.perf_counter() - before)


async def measure(store: Store, runs: int) -> int:
    manager = SessionManager.from_store(store)
    manager.zone = ZONE
    print(f"summed by day in {await timed(manager.sum_by_day) / 1e3:.1f} s")
    drift: list[int] = []

    async def checked() -> None:
        drift.append(await store.read(lambda unit: unit.rollup.drift()))

    print(f"checked in {await timed(checked) / 1e3:.1f} s, {drift[0]} wrong")
    missed = 0
    print(f"\n| by | 30 days <= {MONTH:g} | all <= {ALL:g} | |\n|---|---:|---:|---|")
    month = midnight(local(NOW, ZONE).date() - timedelta(days=29), ZONE)
    for by in BREAKDOWNS:
        best = []
        for since in (month, None):
            work = partial(manager.cost_overview, since, by=(by,))
            best.append(min([await timed(work) for _ in range(runs)]))
        met = best[0] <= MONTH and best[1] <= ALL
        missed += not met
        print(f"| {by} | {best[0]:.1f} | {best[1]:.1f} | {'met' if met else 'MISSED'} |")
    return missed


async def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.bill", description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--keep", type=Path, help="a database to keep, and to take if it is there")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = chosen.keep or Path(folder) / "bill.db"
        fresh = not path.exists()
        store = await open_store(path)
        if fresh:
            await store.close()
            fill(path, chosen.rows)
            store = await open_store(path)
        try:
            return 1 if await measure(store, chosen.runs) else 0
        finally:
            await store.close()


if __name__ == "__main__":
    raise SystemExit(asyncio.run(main()))
