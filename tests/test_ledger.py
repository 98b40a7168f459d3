"""The bill against what the providers' servers saw and counted, through the vendors' own SDKs."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal

import pytest
from genai_prices.data_snapshot import get_snapshot

from gateway.failpoints import Point
from gateway.price import Rates
from gateway.reports import Share, UsageSummary
from gateway.texts import say
from gateway.types.inbound import Kind
from gateway.types.places import Place
from gateway.types.usage import Tokens
from storage import Store
from tests.bill.truth import PRICES, due, rates_of, told
from tests.conftest import Clock
from tests.fakes.llm import Call, Pace, Recorded, Reply, Usage
from tests.path import ANN, BOB
from tests.wires import MINI, MUTE, SONNET, UNLISTED, CountingLLM, Wired, wired

HAIKU = "anthropic:claude-haiku-4-5"
ROWS = """
SELECT state, tok_in, tok_read, tok_w5m, tok_w1h, tok_out, cost, cost_state, provider || ':' || model_asked, model,
       provider_id, purpose, turn, step, attempt FROM usage ORDER BY id"""


@pytest.fixture
async def llm() -> AsyncIterator[CountingLLM]:
    async with CountingLLM(pace=Pace(chunk=20)) as server:
        yield server


# ---- what the servers' counts come to, worked out apart from the product ----


def listed(model: str) -> Rates:
    """The public list's own rates, read from it as they stand there."""
    prices = get_snapshot().find_provider_model(model, None, "anthropic", None)[1].prices
    assert not isinstance(prices, list)
    assert prices.input_mtok is not None and prices.output_mtok is not None
    return Rates(
        uncached=Decimal(str(prices.input_mtok)),
        read=Decimal(str(prices.cache_read_mtok)),
        write_5m=Decimal(str(prices.cache_write_mtok)),
        output=Decimal(str(prices.output_mtok)),
    )


def price(ref: str, usage: Usage) -> int | None:
    return due(listed("claude-haiku-4-5") if ref == HAIKU else rates_of(PRICES, ref), usage)


def whole(record: Recorded, made: Usage) -> bool:
    """Whether the client was told the count of a whole answer."""
    return record.status == 200 and not record.vanished and record.sent_usage == made


async def check(p: Wired) -> dict[str, int]:
    """Every request has its row and every row its request; gives how many rows there are of each state."""
    async with asyncio.timeout(5):
        while p.llm.open or await p.value("SELECT count(*) FROM usage WHERE state = 'open'"):
            await asyncio.sleep(0.01)
    rows = await p.rows(ROWS)
    assert len(rows) == len(p.llm.requests)
    states: dict[str, int] = {}
    for row, record in zip(rows, p.llm.requests, strict=True):
        state, tokens, cost, ref = str(row[0]), row[1:6], row[6], str(row[8])
        states[state] = states.get(state, 0) + 1
        made = p.llm.made.get(record.request_id)
        assert ref.partition(":")[2] == record.model
        if record.status is not None and record.status >= 400:
            assert (state, tokens, cost or 0) == ("failed", (0, 0, 0, 0, 0), 0)
            continue
        assert made is not None
        due = price(ref, made)
        if whole(record, made):
            assert (state, tokens, cost) == ("known", told(made), due)
            assert (row[9], row[10]) == (record.model, record.response_id)
        else:
            assert state == "estimated"
            assert sum(map(int, tokens[:4])) >= made.prompt_tokens  # type: ignore[arg-type]
            assert int(tokens[4]) >= made.output_tokens  # type: ignore[call-overload]
            assert (cost is None) == (due is None)
            assert due is None or int(str(cost)) >= due
        assert row[7] == ("unpriced" if cost is None else "priced")
    # No request has ever come to more than had been put aside for it.
    assert await p.value("SELECT count(*) FROM usage WHERE cost > coalesce(reserved, 0)") == 0
    return states


# ---- conversations ----


async def answered(p: Wired, text: str, *, user: str = ANN, ending: str = "You said: {}") -> None:
    before = len(p.channel.texts(user))
    await p.says(text, user=user)
    async with asyncio.timeout(20):
        while len(p.channel.texts(user)) <= before or not await settled(p):
            await asyncio.sleep(0.005)
    assert ending.format(text) in "\n".join(p.channel.texts(user)[before:])


async def settled(p: Wired) -> bool:
    return not p.core.dispatcher.turns_running and not await p.value(
        "SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'dead')"
    )


async def stopped(p: Wired, text: str = "word " * 60) -> None:
    """A turn that the person stops while its answer is coming in."""
    before = len(p.llm.requests)
    p.llm.reply(Reply(text=text, between=0.02))
    await p.says("go on")
    await p.llm.arrived(before + 1)
    async with asyncio.timeout(5):
        while not ((live := p.running) and live.progress.request and live.progress.request.text):
            await asyncio.sleep(0.005)
    assert await p.core.dispatcher.cancel(live.started.conversation.id)
    await p.channel.until(ANN, say("turn.stopped"))


async def test_every_request_of_a_long_conversation_is_on_the_bill_at_its_price(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with wired(store, llm, clock=clock, fallbacks=[MINI]) as p:
        await answered(p, "one")
        await answered(p, "two")
        assert llm.requests[0].sent_usage.cache_write_5m_tokens > 1024  # type: ignore[union-attr]
        assert llm.requests[1].sent_usage.cache_read_tokens > 1024  # type: ignore[union-attr]
        llm.fail(529, retry_after=0.01)
        await answered(p, "three")
        llm.fail(429, retry_after=0.02)
        await answered(p, "four")
        llm.fail(503, retry_after=0.01, times=2)
        await answered(p, "five")
        assert llm.requests[-1].vendor == "openai"
        llm.reply(Reply(text="word " * 60, cut_after=8))
        await answered(p, "six")
        await stopped(p)
        llm.call_tool("now", {}, then="It is noon.")
        await answered(p, "when?", ending="It is noon.")
        llm.say("They counted.")
        await p.manager.compact(await p.session())
        await answered(p, "seven")
        assert await check(p) == {"known": 10, "failed": 4, "estimated": 2}

        await p.use(MINI)
        await answered(p, "one", user=BOB)
        await answered(p, "two", user=BOB)
        assert llm.requests[-1].sent_usage.cache_read_tokens > 1024  # type: ignore[union-attr]
        llm.fail(503, retry_after=0.01)
        await answered(p, "three", user=BOB)
        llm.reply(Reply(text="word " * 60, cut_after=8))
        await answered(p, "four", user=BOB)
        await stopped(p)
        llm.call_tool("now", {}, then="It is noon.")
        await answered(p, "when?", user=BOB, ending="It is noon.")
        llm.say("They counted again.")
        await p.manager.compact(await p.session(BOB))
        assert await check(p) == {"known": 17, "failed": 5, "estimated": 4}
        purposes = await p.rows("SELECT purpose, count(*) FROM usage GROUP BY 1 ORDER BY 1")
        assert purposes == [("chat", 24), ("compaction", 2)]


async def test_what_the_cache_has_saved_is_told_of_the_last_answer_and_of_the_session(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with wired(store, llm, clock=clock) as p:
        for text in ("one", "two", "three"):
            await answered(p, text)
        rates, spared = PRICES[SONNET.replace(":", "/")], []
        assert isinstance(rates, Rates) and rates.read and rates.write_5m
        for read, written in await p.rows("SELECT tok_read, tok_w5m FROM usage ORDER BY id"):
            by_reading, by_writing = rates.uncached - rates.read, rates.uncached - rates.write_5m
            spared.append(round(1000 * (read * by_reading + written * by_writing)))
        code = await p.session()
        last = await p.manager.last_turn_usage(code)
        assert last is not None and last.saved == spared[-1] > 0
        whole = await p.manager.session_usage(code)
        assert whole.saved == sum(spared) == (await p.manager.cost_overview()).total.saved
        assert [each.name for each in (await p.manager.cost_overview(by=("turn",))).by_turn] == [
            f"{code}#{number}" for number in (1, 3, 2)
        ]


async def test_a_server_that_never_tells_its_usage_is_estimated_from_above(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with wired(store, llm, clock=clock, default=MUTE) as p:
        await answered(p, "hello")
        llm.call_tool("now", {}, then="It is noon.")
        await answered(p, "when?", ending="It is noon.")
        await stopped(p)
        assert await check(p) == {"estimated": 4}
        overview = await p.manager.cost_overview()
        assert overview.total.estimated == 4
        assert overview.total.estimated_cost == overview.total.cost > 0


async def test_a_listed_model_costs_what_the_public_list_says(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with wired(store, llm, clock=clock, default=HAIKU) as p:
        # The fake serves it; for the price it counts as the vendor's own address.
        p.core.catalogue.get(HAIKU).base_url = "https://api.anthropic.com"
        await answered(p, "one")
        await answered(p, "two")
        llm.reply(Reply(text="word " * 60, cut_after=8))
        await answered(p, "three")
        assert await check(p) == {"known": 3, "estimated": 1}
        (source,) = {str(row[0]) for row in await p.rows("SELECT source FROM price")}
        assert source.startswith("genai-prices ")
        assert p.troubles == []


def unknown(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The models the operator was told have no price."""
    said = [record for record in caplog.records if record.getMessage() == "price.unknown"]
    return [vars(record)["fields"]["model"] for record in said]


async def test_a_price_that_nobody_knows_is_null_and_told_once(
    store: Store, llm: CountingLLM, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with wired(store, llm, clock=clock, default=UNLISTED) as p:
        await answered(p, "one")
        await answered(p, "two")
        llm.fail(503, retry_after=0.01)
        await answered(p, "three")
        assert await check(p) == {"known": 3, "failed": 1}
        assert (
            await p.rows("SELECT cost, cost_state, price FROM usage WHERE state = 'known'")
            == [(None, "unpriced", None)] * 3
        )
        total = (await p.manager.cost_overview()).total
        assert (total.unpriced, total.cost, total.requests) == (3, 0, 4)
        assert unknown(caplog) == [UNLISTED]


async def test_a_price_without_a_rate_for_what_was_used_is_no_price_and_told(
    store: Store, llm: CountingLLM, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    bare = Rates(uncached=Decimal(1), output=Decimal(2))  # nothing about cache reads
    async with wired(store, llm, clock=clock, default=MINI, rates={"openai/*": bare}) as p:
        await answered(p, "one")
        await answered(p, "two")
        await answered(p, "three")
        costs = [row[0] for row in await p.rows("SELECT cost FROM usage ORDER BY id")]
        assert costs[0] is not None and costs[1:] == [None, None]
        assert (await p.manager.cost_overview()).total.unpriced == 2
        assert unknown(caplog) == [MINI]


async def test_the_same_model_at_two_providers_is_told_of_twice(
    store: Store, llm: CountingLLM, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with wired(store, llm, clock=clock, default=UNLISTED, rates={}) as p:
        await answered(p, "one")
        await p.use("openai:mystery")
        await answered(p, "two")
        await answered(p, "three")
        assert unknown(caplog) == [UNLISTED, "openai:mystery"]


async def test_a_model_declared_free_costs_nothing_and_is_not_unpriced(
    store: Store, llm: CountingLLM, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    async with wired(store, llm, clock=clock, default=UNLISTED, rates={"unlisted/*": "free"}) as p:
        await answered(p, "one")
        assert await p.rows("SELECT cost, cost_state FROM usage") == [(0, "free")]
        assert (await p.manager.cost_overview()).total.unpriced == 0
        assert unknown(caplog) == [] and p.troubles == []


async def test_a_new_price_changes_no_row_that_is_there(store: Store, llm: CountingLLM, clock: Clock) -> None:
    async with wired(store, llm, clock=clock) as p:
        await answered(p, "one")
        before = await p.rows("SELECT cost, price FROM usage")
        dear = PRICES[SONNET.replace(":", "/")]
        assert isinstance(dear, Rates)
        p.core.pricing.overrides = {SONNET.replace(":", "/"): replace(dear, output=Decimal(75))}
        await answered(p, "two")
        rows = await p.rows("SELECT cost, price FROM usage")
        assert rows[:1] == before
        assert len({row[1] for row in rows}) == 2


async def test_a_request_that_never_left_is_on_the_bill_with_nothing(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with wired(store, llm, clock=clock, fallbacks=[MINI]) as p:
        nowhere = replace(p.core.catalogue._connections["anthropic"].config, base_url="http://127.0.0.1:9")
        known = {each: c.config for each, c in p.core.catalogue._connections.items()}
        await p.core.catalogue.replace(providers={**known, "anthropic": nowhere})
        await answered(p, "one")
        assert await p.rows("SELECT state, cost, provider FROM usage ORDER BY id") == [
            ("failed", 0, "anthropic"),
            ("failed", 0, "anthropic"),
            ("known", price(MINI, llm.sent[0]), "openai"),
        ]
        assert len(llm.requests) == 1


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_goes_wrong_in_whatever_order_the_bill_stays_true(
    store: Store, llm: CountingLLM, clock: Clock, seed: int
) -> None:
    chance = random.Random(seed)
    faults = (
        Reply(status=529, retry_after=0.01),
        Reply(status=503, retry_after=0.01),
        Reply(status=429, retry_after=0.01),
        Reply(status=400, message="no"),
        Reply(status=413),
        Reply(status=404),
        Reply(text="word " * 40, cut_after=4),
        Reply(text="word " * 40, cut_after=0),
        Reply(text="word " * 40, error_after=6),
        Reply(text="word " * 40, stall_after=5),
        Reply(text="", calls=(Call("now", {}),)),
        Reply(text="Both.", calls=(Call("now", "{broken"), Call("nobody", {}))),
        Reply(text=""),
        Reply(),
        Reply(),
    )
    async with wired(
        store, llm, clock=clock, default=(SONNET, MINI)[seed % 2], fallbacks=[MINI, MUTE], silence=0.3
    ) as p:
        for number in range(12):
            llm.queue.clear()
            llm.reply(*chance.choices(faults, k=3))
            await answered(p, f"message {number}", user=chance.choice((ANN, BOB)), ending="")
            if chance.random() < 0.2:
                await p.use(chance.choice((SONNET, MINI, UNLISTED)))
        states = await check(p)
        assert states["known"] and states["failed"] and states["estimated"], states


# ---- reports ----

SUMMED = """
SELECT coalesce(sum(tok_in), 0), coalesce(sum(tok_read), 0), coalesce(sum(tok_w5m), 0), coalesce(sum(tok_w1h), 0),
       coalesce(sum(tok_out), 0), coalesce(sum(cost), 0), count(*), count(DISTINCT turn),
       coalesce(sum(cost IS NULL AND state <> 'failed'), 0), coalesce(sum(state = 'estimated'), 0),
       coalesce(sum(cost) FILTER (WHERE state = 'estimated'), 0) FROM usage"""


def sums(summary: UsageSummary) -> tuple[object, ...]:
    tokens = summary.tokens
    return (
        *(tokens.uncached, tokens.read, tokens.write_5m, tokens.write_1h, tokens.output, summary.cost),
        *(summary.requests, summary.turns, summary.unpriced, summary.estimated, summary.estimated_cost),
    )


def added(shares: list[Share]) -> UsageSummary:
    """All lines of a breakdown together; turns apart, which one turn's two models both count."""
    return UsageSummary(
        tokens=sum((share.usage.tokens for share in shares), Tokens()),
        cost=sum(share.usage.cost for share in shares),
        requests=sum(share.usage.requests for share in shares),
        turns=0,
        unpriced=sum(share.usage.unpriced for share in shares),
        estimated=sum(share.usage.estimated for share in shares),
        estimated_cost=sum(share.usage.estimated_cost for share in shares),
    )


async def job(p: Wired, name: str) -> None:
    """A scheduled run, as it comes in from the calendar."""
    account = await p.store.commit(Point.PEOPLE, lambda unit: unit.people.account("job", "local", ""))
    place = Place(chat_id=name, kind="job")
    event = p.message(name, kind=Kind.JOB, trigger=name, sender=None, place=place)
    await p.core.dispatcher.accept(account, [event])
    async with asyncio.timeout(5):
        while not await p.value(f"SELECT count(*) FROM turn WHERE trigger = '{name}' AND state = 'done'"):
            await asyncio.sleep(0.01)


async def test_every_breakdown_of_the_bill_adds_up_to_its_rows(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with wired(store, llm, clock=clock, fallbacks=[MINI]) as p:
        await answered(p, "one")
        llm.fail(503, retry_after=0.01, times=2)
        await answered(p, "two", user=BOB)
        llm.reply(Reply(text="word " * 60, cut_after=8))
        await answered(p, "three")
        await job(p, "digest")
        code = await p.manager.create_session("main", "desk")
        assert (await p.manager.generate(code, "four")).text == "You said: four"
        clock.forward(minutes=26 * 60)
        await p.use(UNLISTED)
        await answered(p, "five", user=BOB, ending="five")
        llm.say("They counted.")
        await p.manager.compact(await p.session())
        await check(p)

        overview = await p.manager.cost_overview()
        (by_hand,) = await p.rows(SUMMED)
        assert sums(overview.total) == by_hand
        assert overview.total.unpriced and overview.total.estimated and overview.total.cost
        breakdowns: Mapping[str, list[Share]] = {
            "user": overview.by_user,
            "model": overview.by_model,
            "channel": overview.by_channel,
            "trigger": overview.by_trigger,
            "purpose": overview.by_purpose,
        }
        for name, shares in breakdowns.items():
            assert len(shares) >= 2, name
            assert added(shares) == replace(overview.total, turns=0, saved=None), name
        assert sum(share.usage.turns for share in overview.by_user) == overview.total.turns
        assert len(overview.by_day) == 2
        assert sum(day.cost for day in overview.by_day) == overview.total.cost
        for day in overview.by_day:
            assert sum(day.by_model.values()) == day.cost
        by_session = [
            await p.manager.session_usage(str(code)) for (code,) in await p.rows("SELECT code FROM session")
        ]
        assert added([Share(name="", usage=usage) for usage in by_session]) == replace(
            overview.total, turns=0, saved=None
        )
        later = await p.manager.cost_overview(since=clock() - 60 * 60 * 1_000_000)
        assert 0 < later.total.requests < overview.total.requests
