"""Reports over a random ledger: every breakdown is the whole, and the whole is the rows."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest

from gateway import SessionManager, amounts
from gateway.cli.costs import bar
from gateway.commands import cost as command
from gateway.failpoints import Point
from gateway.manager.accounting import SHARED
from gateway.moments import midnight, offsets
from gateway.reports import CostOverview, UsageSummary
from gateway.types import DOLLAR, SECOND, Place, Tokens, UsageOpen, UsageSettled
from gateway.usage import Price, Rates
from gateway.usage import cost as priced
from storage import Store, Unit

BERLIN = "Europe/Berlin"
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
    saved: Decimal  # nano-dollars


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
            settled = UsageSettled(
                state=state, tokens=tokens, ended=at, cost=cost, price=written,  # type: ignore[arg-type]
                cost_state="unpriced" if cost is None else "priced",
            )  # fmt: skip
            assert await unit.ledger.settle(f"u{number}", settled)
            spared = rates(price, tokens) if price and cost is not None else Decimal(0)
            made.append(Made(at, person, tokens, cost, state, spared))
        still_open = UsageOpen(
            uid="open", worst=Tokens(9, 0, 9, 0, 9), purpose="chat", channel="telegram", provider="p",
            model_asked="a", at=int(BEGIN.timestamp()) * SECOND,
        )  # fmt: skip
        await unit.ledger.open(still_open)

    await store.commit(Point.SESSION, work)
    return made


def same(summed: Sequence[UsageSummary], rows: Sequence[Made]) -> None:
    """The lines together are the rows, to the nano-dollar; savings to one for each line."""
    assert sum((each.tokens for each in summed), Tokens()) == sum((row.tokens for row in rows), Tokens())
    assert sum(each.cost for each in summed) == sum(row.cost or 0 for row in rows)
    assert sum(each.requests for each in summed) == len(rows)
    assert sum(each.unpriced for each in summed) == sum(
        row.cost is None and row.state != "failed" for row in rows
    )
    rough = [row for row in rows if row.state == "estimated"]
    assert sum(each.estimated for each in summed) == len(rough)
    assert sum(each.estimated_cost for each in summed) == sum(row.cost or 0 for row in rough)
    assert abs(sum(each.saved or 0 for each in summed) - sum(row.saved for row in rows)) <= len(summed)


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
