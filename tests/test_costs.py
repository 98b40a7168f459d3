"""Reports over a random ledger: every breakdown is the whole, and the whole is the rows."""

from __future__ import annotations

import asyncio
import csv
import json
import random
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from typer.testing import CliRunner

from gateway import SessionManager, amounts
from gateway.cli import app
from gateway.cli.costs import bar
from gateway.commands import cost as command
from gateway.failpoints import Point
from gateway.manager.accounting import SHARED
from gateway.moments import DAY, midnight, offsets
from gateway.price import Price, Rates, saved
from gateway.price import cost as priced
from gateway.reports import CostOverview, UsageSummary
from gateway.types.measures import DOLLAR, SECOND
from gateway.types.places import Place
from gateway.types.usage import Tokens, UsageOpen, UsageSettled
from storage import Store, Unit, open_store
from storage.migrate import DIALECT, migrations

BERLIN = "Europe/Berlin"
NARROW = 14  # the migration that made the sums narrow
# Both changes of the clock in Berlin: 29 March and 25 October 2026.
BEGIN, END = datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 10, 28, tzinfo=UTC)
PRICES = [
    Price(
        provider="p", model=model, source="config", rates=Rates(**{k: Decimal(v) for k, v in rates.items()})
    )
    for model, rates in {
        "a": {"uncached": "3", "output": "15", "read": "0.3", "write_5m": "3.75", "write_1h": "6"},
        "b": {"uncached": "0.25", "output": "2", "read": "0.025"},
    }.items()
]


@dataclass(frozen=True, slots=True)
class Made:
    """A row as the test wrote it."""

    at: int
    person: int | None
    tokens: Tokens
    cost: int | None
    state: str
    saved: int  # nano-dollars


def rates(price: Price, tokens: Tokens) -> Decimal:
    """What the same input would have cost uncached, less what it cost; nano-dollars."""
    found = Decimal(0)
    for count, rate in (
        (tokens.read, price.rates.read),
        (tokens.write_5m, price.rates.write_5m),
        (tokens.write_1h, price.rates.write_1h),
    ):
        found += count * 1000 * (price.rates.uncached - (rate if rate is not None else 0)) if count else 0
    return found


async def filled(store: Store, seed: int, rows: int = 300) -> list[Made]:
    """A ledger of people with two accounts, strangers, jobs, chats with threads, failures, unpriced models."""
    chance = random.Random(seed)
    made: list[Made] = []

    async def work(unit: Unit) -> None:
        account = await unit.people.account("telegram", "1", "bot")
        other = await unit.people.account("discord", "2", "bot")
        people = [await unit.people.seen("telegram", str(n), f"n{n}") for n in range(4)]
        people = [await unit.people.let_in(each, role="user", now=0) for each in people[:3]] + people[3:]
        twin = await unit.people.seen("discord", "99", "n0")
        assert people[0].person is not None
        await unit.people.join(twin, people[0].person, let_in=True)
        owners = [(each.id, each.person) for each in people] + [(twin.id, people[0].person), (None, None)]
        places = [
            await unit.places.at(account, Place(chat_id="-5", thread_id="7", kind="group")),
            await unit.places.at(account, Place(chat_id="-5", thread_id="8", kind="group")),
            await unit.places.at(other, Place(chat_id="6")),
        ]
        sessions = [
            await unit.sessions.add(code=f"CODE{n}", conversation=places[n % 3].id, now=0, title=f"t{n}" if n else None)
            for n in range(5)
        ]  # fmt: skip
        for number in range(rows):
            at = int(chance.uniform(BEGIN.timestamp(), END.timestamp()) * SECOND)
            turn = chance.choice([None, number // 3])
            # A turn is one person's, in one chat and session; its requests differ in everything else.
            of_turn = chance if turn is None else random.Random(f"{seed} {turn}")
            identity, person = of_turn.choice(owners)
            price = chance.choice([*PRICES, None])
            state = chance.choice(["known", "known", "known", "estimated", "failed"])
            few = chance.choice([1, 100_000])
            tokens = Tokens(*(chance.randrange(few) for _ in range(5)))
            if price is PRICES[1]:
                tokens = Tokens(tokens.uncached, tokens.read, 0, 0, tokens.output)
            if state == "failed":
                tokens = Tokens()
            cost = None if state == "failed" else priced(price, tokens)
            await unit.ledger.open(
                UsageOpen(
                    uid=f"u{number}",
                    worst=Tokens(),
                    purpose=chance.choice(["chat", "compaction", "title"]),  # type: ignore[arg-type]
                    channel=chance.choice(["telegram", "discord"]),
                    provider="p",
                    model_asked=price.model if price else "odd",
                    at=at,
                    turn=turn,
                    step=number,
                    attempt=1,
                    session=of_turn.choice([None, *(each.id for each in sessions)]),
                    conversation=of_turn.choice([None, *(each.id for each in places)]),
                    identity=identity,
                    trigger=chance.choice([None, "digest"]),
                )
            )
            written = json.dumps(price.to_json()) if price and cost is not None else None
            spared = round(rates(price, tokens)) if price and cost is not None else 0
            settled = UsageSettled(
                state=state, tokens=tokens, ended=at, cost=cost, price=written,  # type: ignore[arg-type]
                cost_state="unpriced" if cost is None else "priced", saved=spared if price else None,
            )  # fmt: skip
            assert await unit.ledger.settle(f"u{number}", settled)
            made.append(Made(at, person, tokens, cost, state, spared))
        still_open = UsageOpen(
            uid="open", worst=Tokens(9, 0, 9, 0, 9), purpose="chat", channel="telegram", provider="p",
            model_asked="a", at=int(BEGIN.timestamp()) * SECOND,
        )  # fmt: skip
        await unit.ledger.open(still_open)

    await store.commit(Point.SESSION, work)
    return made


def same(summed: Sequence[UsageSummary], rows: Sequence[Made]) -> None:
    """The lines together are the rows, to the nano-dollar."""
    assert sum((each.tokens for each in summed), Tokens()) == sum((row.tokens for row in rows), Tokens())
    assert sum(each.cost for each in summed) == sum(row.cost or 0 for row in rows)
    assert sum(each.requests for each in summed) == len(rows)
    assert sum(each.unpriced for each in summed) == sum(
        row.cost is None and row.state != "failed" for row in rows
    )
    rough = [row for row in rows if row.state == "estimated"]
    assert sum(each.estimated for each in summed) == len(rough)
    assert sum(each.estimated_cost for each in summed) == sum(row.cost or 0 for row in rough)
    assert sum(each.saved or 0 for each in summed) == sum(row.saved for row in rows)


def breakdowns(found: CostOverview) -> dict[str, list[UsageSummary]]:
    lines = {key: [each.usage for each in getattr(found, f"by_{key}")] for key in SHARED}
    return {**lines, "day": [each.usage for each in found.by_day]}


@pytest.mark.parametrize("seed", range(4))
async def test_every_grouping_of_any_stretch_sums_to_the_rows(store: Store, seed: int) -> None:
    rows, chance = await filled(store, seed), random.Random(seed)
    manager = SessionManager.from_store(store)
    people = [None, *{row.person for row in rows if row.person is not None}]
    for _ in range(6):
        first, last = sorted(chance.choice(rows).at for _ in range(2))
        since, until = chance.choice([None, first]), chance.choice([None, last])
        person, zone = chance.choice(people), chance.choice([BERLIN, "UTC", "Asia/Kathmandu", "Pacific/Apia"])
        found = await manager.cost_overview(since, until=until, person=person, zone=zone)
        wanted = [
            row
            for row in rows
            if (since is None or row.at >= since)
            and (until is None or row.at < until)
            and person in (None, row.person)
        ]
        same([found.total], wanted)
        for key, lines in breakdowns(found).items():
            assert lines or not wanted, key
            same(lines, wanted)
        by_hand: dict[str, list[Made]] = {}
        for row in wanted:
            there = datetime.fromtimestamp(row.at / SECOND, ZoneInfo(zone)).date().isoformat()
            by_hand.setdefault(there, []).append(row)
        assert [each.date for each in found.by_day] == sorted(by_hand)
        for each in found.by_day:
            same([each.usage], by_hand[each.date])
            assert sum(each.by_model.values()) == each.cost


def told(found: CostOverview) -> dict[str, object]:
    """In an order of its own: lines that cost the same come in any."""
    lines = {key: sorted(getattr(found, f"by_{key}"), key=lambda each: each.name) for key in SHARED}
    return {**lines, "total": found.total, "day": found.by_day}


@pytest.mark.parametrize("seed", range(3))
async def test_the_sums_by_day_are_the_ledger_s(store: Store, seed: int) -> None:
    chance = random.Random(seed)
    manager = SessionManager.from_store(store)
    manager.zone = BERLIN
    if seed:  # else they are made from rows that were there before
        await manager.sum_by_day()
    await filled(store, seed)
    await manager.sum_by_day()
    assert await drift(store) == 0
    for _ in range(6):
        days = sorted(BEGIN.date() + timedelta(days=chance.randrange(216)) for _ in range(2))
        since, until = (chance.choice([None, midnight(each, BERLIN)]) for each in days)
        assert (await store.read(lambda unit: unit.rollup.zone() or "")).split()[0] == BERLIN
        summed = await manager.cost_overview(since, until=until)
        await renamed(store, "'x' || value")
        counted = await manager.cost_overview(since, until=until)
        await renamed(store, "substr(value, 2)")
        assert told(summed) == told(counted)


@pytest.mark.parametrize("before", [False, True])
async def test_the_sums_of_tools_by_day_are_the_calls(store: Store, before: bool) -> None:
    """By when their turn began; a call fails later than it is made, and is gone with its session."""
    chance, manager = random.Random(1), SessionManager.from_store(store)
    manager.zone = BERLIN
    if before:
        await manager.sum_by_day()
    await filled(store, 7)

    async def work(unit: Unit) -> None:
        for id in range(1, 80):
            at = int(chance.uniform(BEGIN.timestamp(), END.timestamp()) * SECOND)
            await unit.tx.run(
                "INSERT INTO turn (id, session, n, conversation, fence, state, started) "
                "VALUES (:id, 1, :id, 1, 1, 'done', :at)",
                id=id,
                at=at,
            )
            for number in range(chance.randrange(4)):
                await unit.tx.run(
                    "INSERT INTO tool_call (turn, step, call_id, name, args_hash, state) "
                    "VALUES (:id, 0, :call, :name, '', 'intent')",
                    id=id,
                    call=f"c{number}",
                    name=chance.choice(["now", "fetch", "add_job"]),
                )
        await unit.tx.run("UPDATE tool_call SET state = 'done', is_error = (id % 3 = 0)")
        await unit.tx.run("UPDATE tool_call SET is_error = 1 WHERE id % 7 = 0")
        await unit.tx.run("DELETE FROM tool_call WHERE id % 5 = 0")

    await store.commit(Point.SESSION, work)
    await manager.sum_by_day()
    assert await drift(store) == 0
    for _ in range(6):
        days = sorted(BEGIN.date() + timedelta(days=chance.randrange(216)) for _ in range(2))
        since, until = (chance.choice([None, midnight(each, BERLIN)]) for each in days)
        summed = await manager.cost_overview(since, until=until, by=("tool",))
        await renamed(store, "'x' || value")
        assert summed == await manager.cost_overview(since, until=until, by=("tool",))
        await renamed(store, "substr(value, 2)")
    await store.commit(Point.SESSION, lambda unit: unit.tx.run("DELETE FROM tool_call"))
    assert await drift(store) == 0
    assert await store.read(lambda unit: unit.tx.all("SELECT * FROM tool_day")) == []


async def renamed(store: Store, value: str) -> None:
    """The sums are another zone's, so that they are not read; or they are what they were."""
    sql = f"UPDATE meta SET value = {value} WHERE key = 'report_zone'"
    await store.commit(Point.META, lambda unit: unit.tx.run(sql))


async def drift(store: Store) -> int:
    """How many of the stored sums are not what the ledger says."""
    return await store.read(lambda unit: unit.rollup.drift())


async def test_another_zone_makes_the_sums_anew_and_a_changed_row_makes_them_void(store: Store) -> None:
    manager = SessionManager.from_store(store)
    manager.zone = BERLIN
    await filled(store, 5)
    await manager.sum_by_day()
    manager.zone = "Asia/Kathmandu"
    await manager.sum_by_day()
    assert (await store.read(lambda unit: unit.rollup.zone() or "")).startswith("Asia/Kathmandu ")
    assert await drift(store) == 0
    await store.commit(
        Point.META, lambda unit: unit.tx.run("UPDATE usage SET cost = cost + 1 WHERE cost > 0")
    )
    assert await drift(store) > 0
    assert await store.read(lambda unit: unit.rollup.zone()) is None
    total = (await manager.cost_overview()).total.cost
    assert total == sum(
        row[0] for row in await store.read(lambda unit: unit.tx.all("SELECT cost FROM usage WHERE cost > 0"))
    )


async def test_a_person_is_one_line_and_a_chat_is_one_line_with_its_threads(store: Store) -> None:
    await filled(store, 1)
    found = await SessionManager.from_store(store).cost_overview()
    assert {each.name for each in found.by_user} == {
        "n0 (telegram:0, discord:99)", "n1 (telegram:1)", "n2 (telegram:2)", "n3 (telegram:3)", "(nobody)",
    }  # fmt: skip
    assert {each.name for each in found.by_chat} == {"telegram:-5", "discord:6", "(none)"}
    assert {"CODE0", "CODE1 t1", "(none)"} < {each.name for each in found.by_session}


async def test_a_turn_is_a_line_with_all_its_requests_where_turns_are_asked_for(store: Store) -> None:
    rows = await filled(store, 1)
    manager = SessionManager.from_store(store)
    await manager.sum_by_day()
    found = (await manager.cost_overview(by=("turn",))).by_turn
    same([each.usage for each in found], rows)
    assert {each.usage.turns for each in found if each.name != "(none)"} == {1}
    assert max(each.usage.requests for each in found) > 1
    assert [each.usage.cost for each in found] == sorted((each.usage.cost for each in found), reverse=True)
    assert not (await manager.cost_overview()).by_turn


async def test_only_what_was_asked_for_is_summed(store: Store) -> None:
    await filled(store, 1, rows=20)
    found = await SessionManager.from_store(store).cost_overview(by=("chat",))
    assert found.by_chat and not any(lines for key, lines in breakdowns(found).items() if key != "chat")


@pytest.mark.parametrize("zone", [BERLIN, "America/New_York", "Pacific/Apia", "Asia/Kathmandu", "UTC"])
def test_local_days_begin_at_their_midnight_also_where_the_clock_changes(zone: str) -> None:
    first, last = midnight(date(2011, 1, 1), zone), midnight(date(2012, 12, 31), zone)
    ahead = offsets(first, last, zone)
    for number in range((date(2012, 12, 31) - date(2011, 1, 1)).days):
        day = date(2011, 1, 1) + timedelta(days=number)
        begin = midnight(day, zone)
        if datetime.fromtimestamp(begin / SECOND, ZoneInfo(zone)).date() != day:
            continue  # Samoa went without 30 December 2011
        offset = [by for since, by in ahead if since <= begin][-1]
        assert date(1970, 1, 1) + timedelta(days=(begin + offset) // (86_400 * SECOND)) == day
        before = [by for since, by in ahead if since <= begin - 1][-1:] or [offset]
        assert date(1970, 1, 1) + timedelta(days=(begin - 1 + before[0]) // (86_400 * SECOND)) < day


def cached(read: int, saved: int | None) -> UsageSummary:
    return UsageSummary(
        tokens=Tokens(100 - read, read, 0, 0, 1), cost=1, requests=1, turns=1, unpriced=0, estimated=0,
        estimated_cost=0, saved=saved,
    )  # fmt: skip


def test_what_a_cache_saved_is_said_and_so_is_what_it_cost_more() -> None:
    assert "75%" in command.cached(cached(75, DOLLAR)) and "saved $1.0000" in command.cached(
        cached(75, DOLLAR)
    )
    assert "cost $1.0000 more" in command.cached(cached(75, -DOLLAR))
    assert command.cached(cached(0, 0)) == ""
    assert cached(75, None).cache_share == 0.75
    assert amounts.spared(cached(75, DOLLAR)) == "the cache saved $1.0000"
    assert "$1.0000 more" in amounts.spared(cached(75, -DOLLAR))
    assert amounts.spared(cached(0, 0)) == amounts.spared(cached(75, None)) == ""


@pytest.mark.parametrize("amount, drawn", [(0, ""), (1, "▏"), (500, "█" * 10), (1000, "█" * 20), (-5, "")])
def test_a_bar_is_as_long_as_its_part_and_never_nothing_for_something(amount: int, drawn: str) -> None:
    assert bar(amount, 1000) == drawn


async def test_savings_of_a_ledger_from_before_are_reckoned_when_it_is_brought_up_to_date(
    tmp_path: Path,
) -> None:
    chance, path = random.Random(1), tmp_path / "parley.db"
    wanted: dict[int, int | None] = {}
    with closing(sqlite3.connect(path)) as db:
        for number, sql in migrations():
            if number < NARROW:
                db.executescript(sql.format(**DIALECT["sqlite"]))
        db.execute("INSERT INTO meta (key, value) VALUES ('schema', ?)", (str(NARROW - 1),))
        db.execute("INSERT INTO meta (key, value) VALUES ('report_zone', 'UTC x')")
        for id, price in enumerate(PRICES, start=1):
            found = (id, price.hash, "p", price.model, json.dumps(price.to_json()), "config")
            db.execute(
                "INSERT INTO price (id, hash, provider, model, rates, source) VALUES (?, ?, ?, ?, ?, ?)",
                found,
            )
        for id in range(1, 200):
            number = chance.randrange(len(PRICES) + 1)
            tokens = Tokens(*(chance.choice([0, chance.randrange(90_000)]) for _ in range(5)))
            state = chance.choice(["known", "estimated", "open"])
            cost = 5 if number and state != "open" else None
            db.execute(
                "INSERT INTO usage (id, uid, purpose, channel, provider, model_asked, state, at, tok_in, tok_read, "
                "tok_w5m, tok_w1h, tok_out, cost, cost_state, price) "
                "VALUES (?, ?, 'chat', 'main', 'p', 'a', ?, ?, ?, ?, ?, ?, ?, ?, '', ?)",
                (id, str(id), state, id * SECOND, tokens.uncached, tokens.read, tokens.write_5m, tokens.write_1h,
                 tokens.output, cost, number or None),
            )  # fmt: skip
            price = PRICES[number - 1] if number else None
            wanted[id] = saved(price, tokens) if cost is not None else None
        db.commit()
    store = await open_store(path)
    rows = dict(await store.read(lambda unit: unit.tx.all("SELECT id, saved FROM usage")))
    assert [id for id, amount in wanted.items() if (amount is None) != (rows[id] is None)] == []
    # In floating point: half a nano-dollar may fall to either side.
    assert max(abs((rows[id] or 0) - (amount or 0)) for id, amount in wanted.items()) <= 1
    assert any(amount and amount < 0 for amount in rows.values()) and any(
        amount and amount > 0 for amount in rows.values()
    )
    assert await store.read(lambda unit: unit.rollup.zone()) is None
    manager = SessionManager.from_store(store)
    before = told(await manager.cost_overview(since=0))
    await manager.sum_by_day()
    assert await store.read(lambda unit: unit.rollup.drift()) == 0
    assert told(await manager.cost_overview(since=0)) == before
    await store.close()


async def test_what_is_settled_while_the_sums_are_made_is_in_them(store: Store) -> None:
    """Each grouping is summed in a unit of work of its own; a row that changes meanwhile makes them void."""
    await filled(store, 5)

    async def more(uid: str) -> None:
        async def work(unit: Unit) -> None:
            await unit.ledger.open(
                UsageOpen(
                    uid=uid,
                    worst=Tokens(),
                    purpose="chat",
                    channel="new",
                    provider="p",
                    model_asked=uid,
                    at=DAY,
                )
            )
            await unit.ledger.settle(
                uid, UsageSettled(state="known", tokens=Tokens(1, 2, 3, 4, 5), ended=DAY, cost=7)
            )

        await store.commit(Point.SESSION, work)

    facets = await store.commit(Point.META, lambda unit: unit.rollup.begin([(0, 0)], by="me"))
    for facet in facets:
        await more(f"before {facet}")
        await store.commit(Point.META, lambda unit, facet=facet: unit.rollup.fill(facet))  # type: ignore[misc]
        assert await store.read(lambda unit: unit.rollup.zone()) is None
    assert await store.commit(Point.META, lambda unit: unit.rollup.finish("UTC", by="me"))
    assert await store.read(lambda unit: unit.rollup.drift()) == 0
    await store.commit(Point.META, lambda unit: unit.rollup.begin([(0, 0)], by="me"))
    await store.commit(Point.META, lambda unit: unit.tx.run("UPDATE usage SET cost = 8 WHERE cost = 7"))
    assert not await store.commit(Point.META, lambda unit: unit.rollup.finish("UTC", by="me"))
    await store.commit(Point.META, lambda unit: unit.rollup.begin([(0, 0)], by="me"))
    await store.commit(Point.META, lambda unit: unit.rollup.begin([(0, 0)], by="you"))
    assert not await store.commit(Point.META, lambda unit: unit.rollup.finish("UTC", by="me"))
    assert await store.read(lambda unit: unit.rollup.zone()) is None


@pytest.mark.parametrize("summed", [False, True])
def test_csv_and_json_of_the_terminal_are_the_ledger_to_the_nano_dollar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, summed: bool
) -> None:
    monkeypatch.setenv("PARLEY_GATEWAY__DATA_DIR", str(tmp_path))
    monkeypatch.chdir(tmp_path)

    async def prepared() -> list[Made]:
        store = await open_store(tmp_path / "parley.db")
        rows = await filled(store, 6)
        if summed:
            await SessionManager.from_store(store).sum_by_day()
        await store.close()
        return rows

    def told(*words: str) -> str:
        return CliRunner().invoke(app, ["costs", "2026-01-01..2026-12-31", *words]).stdout

    rows = asyncio.run(prepared())
    cost, spared = sum(row.cost or 0 for row in rows), sum(row.saved for row in rows)
    found = json.loads(told("--json"))
    for by in (*SHARED, "day"):
        shares = [line["usage"] for line in found[f"by_{by}"]]
        assert (sum(each["cost"] for each in shares), sum(each["saved"] for each in shares)) == (cost, spared)
        lines = list(csv.DictReader(StringIO(told("--by", by, "--csv", "-"))))
        assert sum(Decimal(line["cost_usd"] or 0) for line in lines) * DOLLAR == cost, by
        assert sum(Decimal(line["saved_usd"]) for line in lines) * DOLLAR == spared, by
        assert sum(int(line["requests"]) for line in lines) == len(rows)
