"""Searches that a provider makes for its model: offered, limited, on the bill, cited, and read back."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, closing
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.billing import Booking
from gateway.budgets import Rules
from gateway.cli.prices import lines
from gateway.config_file import SettingsError
from gateway.price import Price, Rates
from gateway.progress import Options
from gateway.protocols.answer import Answer, Source
from gateway.protocols.messages import UserMessage
from gateway.protocols.prompt import Prompt
from gateway.searching import cost, most_input, search_price
from gateway.settings import load
from gateway.sources import named
from gateway.texts import say
from gateway.transcript import Text, ToolUse
from gateway.types.measures import DOLLAR
from gateway.types.usage import Tokens
from storage import Store
from tests.bill.reports import untrue
from tests.bill.truth import CENT, PRICES, SEARCHED, Prices, due
from tests.conftest import Clock
from tests.crash.harness import stage
from tests.crash.points import answers
from tests.fakes.llm import KEY, Ask, Call, Page, Reply, Search
from tests.fakes.llm_search import SEALED
from tests.fakes.llm_shape import blocks
from tests.path import ANN
from tests.wires import LONG, MINI, MUTE, SONNET, CountingLLM, Wired, wired

NEWS = Page("https://news.example/a", "The [news] of *today*")
SECOND = Page("https://other.example/b?x=(1)", "Second")
AT = 1_790_000_000_000_000  # in 2026
SAME = ("turn", "session", "conversation", "identity", "channel", "model")
COLUMNS = (
    "purpose, state, units, cost, cost_state, reserved, tok_in + tok_read + tok_w5m + tok_w1h, tok_out, model, turn, "
    "session, conversation, identity, channel"
)
NAMES = COLUMNS.replace("tok_in + tok_read + tok_w5m + tok_w1h, tok_out", "input, output").split(", ")


@pytest.fixture
async def llm() -> AsyncIterator[CountingLLM]:
    async with CountingLLM() as server:
        yield server


SAID = "SELECT body FROM entry WHERE kind = 'assistant' ORDER BY seq"
BUSY = """
SELECT (SELECT count(*) FROM inbox WHERE state NOT IN ('done', 'refused'))
     + (SELECT count(*) FROM outbox WHERE state NOT IN ('sent', 'dead'))"""
ANSWER = "It rained all day."
FOUND = (Search("weather", (NEWS,)), Search("rain", (SECOND, NEWS)))
CALL = Call("now", {})


def searching(
    store: Store, llm: CountingLLM, clock: Clock, *, searches: int = 2, rates: Prices = SEARCHED, **more: Any
) -> AbstractAsyncContextManager[Wired]:
    """A gateway whose vendors' servers search."""
    options = Options(system_prompt=LONG, retries=1, max_output_tokens=2000, web_search=searches)
    return wired(store, llm, clock=clock, rates=rates, options=options, searching=True, **more)


async def rows(gw: Wired, purpose: str) -> list[dict[str, Any]]:
    """Those of the ledger, in order."""
    found = await gw.rows(f"SELECT {COLUMNS} FROM usage WHERE purpose = '{purpose}' ORDER BY id")
    return [dict(zip(NAMES, row, strict=True)) for row in found]


async def answered(gw: Wired, text: str = "What was the weather?", *, user: str = ANN) -> str:
    """What the person reads in the end, when the turn is over."""
    await gw.says(text, user=user)
    async with asyncio.timeout(20):
        while await gw.value(BUSY):
            await asyncio.sleep(0.005)
    return gw.channel.texts(user)[-1]


def books(llm: CountingLLM, model: str) -> int:
    """What the provider bills, in nano-dollars: every token and every search."""
    rates = SEARCHED[model.replace(":", "/")]
    assert isinstance(rates, Rates)
    return sum((due(rates, usage) or 0) + usage.searches * CENT for usage in llm.made.values())


def offered(body: dict[str, Any]) -> list[dict[str, Any]]:
    return [tool for tool in body.get("tools", ()) if str(tool.get("type")).startswith("web_search")]


# ---- the row ----


@pytest.mark.parametrize("model", [SONNET, MINI])
async def test_searches_are_a_row_of_their_own_beside_their_request(
    store: Store, llm: CountingLLM, clock: Clock, model: str
) -> None:
    async with searching(store, llm, clock, default=model) as gw:
        llm.reply(Reply(text=ANSWER, searches=FOUND))
        text = await answered(gw)
        (chat,), (search,) = await rows(gw, "chat"), await rows(gw, "search")
        (made,) = llm.made.values()
        assert made.searches == 2 and (chat["input"], chat["output"]) == (
            made.prompt_tokens,
            made.output_tokens,
        )
        assert (search["state"], search["units"], search["cost"]) == ("known", 2, 2 * CENT)
        assert chat["cost"] + search["cost"] == books(llm, model)
        assert [search[name] for name in SAME] == [chat[name] for name in SAME]
        assert search["reserved"] == 2 * CENT and chat["reserved"] >= chat["cost"]
        assert text.startswith(ANSWER) and f"]({NEWS.url}) (news.example)" in text
        assert text.count(NEWS.url) == 1 and "https://other.example/b?x=%281%29" in text
        # What is read from now on is not the sum of what was read for it.
        assert await store.read(lambda unit: unit.ledger.context(1)) is None


async def test_every_report_has_them_and_each_counts_as_a_request(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with searching(store, llm, clock) as gw:
        await gw.manager.sum_by_day()
        llm.reply(Reply(text=ANSWER, searches=FOUND), Reply(text=ANSWER))
        await answered(gw)
        await answered(gw, "And now?")
        assert [row["state"] for row in await rows(gw, "search")] == ["known", "void"]
        report = await gw.manager.cost_overview()
        assert {each.name: each.usage.requests for each in report.by_purpose} == {"chat": 2, "search": 2}
        assert report.total.cost == books(llm, SONNET) and report.total.unpriced == 0
        found = await gw.manager.session_searches(await gw.session())
        assert (found.requests, found.cost, found.unpriced) == (2, 2 * CENT, 0)
        usage = await gw.manager.session_usage(await gw.session())
        assert (usage.cost, usage.requests) == (report.total.cost, 4)
        assert await store.read(lambda unit: unit.rollup.drift()) == 0
        assert await untrue(gw.manager, store) == []


@pytest.mark.parametrize("model", [SONNET, MINI])
async def test_no_more_are_made_than_are_allowed(
    store: Store, llm: CountingLLM, clock: Clock, model: str
) -> None:
    async with searching(store, llm, clock, default=model, searches=1) as gw:
        llm.reply(Reply(text=ANSWER, searches=FOUND))
        await answered(gw)
        assert [row["units"] for row in await rows(gw, "search")] == [1]


@pytest.mark.parametrize(("model", "events"), [(SONNET, 0), (SONNET, 4), (MINI, 4), (MINI, 9)])
async def test_what_is_cut_off_is_charged_from_above(
    store: Store, llm: CountingLLM, clock: Clock, model: str, events: int
) -> None:
    async with searching(store, llm, clock, default=model) as gw:
        llm.reply(*[Reply(text=ANSWER, searches=FOUND, cut_after=events)] * 2)
        await answered(gw)
        chats, searches = await rows(gw, "chat"), await rows(gw, "search")
        assert {row["state"] for row in (*chats, *searches)} == {"estimated"}
        assert {row["units"] for row in searches} == {2}
        for chat, search, made in zip(chats, searches, llm.made.values(), strict=True):
            assert chat["input"] >= made.prompt_tokens and chat["output"] >= made.output_tokens
            assert chat["cost"] + search["cost"] <= chat["reserved"] + search["reserved"]
        assert sum(row["cost"] for row in (*chats, *searches)) >= books(llm, model)


async def test_what_was_refused_has_searched_for_nothing(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with searching(store, llm, clock, fallbacks=[MUTE]) as gw:
        llm.fail(529, times=2)
        llm.say(ANSWER)
        await answered(gw)
        # Who answered instead has no search: it is asked without, and has no row for any.
        assert [row["state"] for row in await rows(gw, "search")] == ["void", "void"]
        assert [bool(offered(each.body)) for each in llm.requests] == [True, True, False]


async def test_a_crash_is_charged_with_all_that_could_have_been_searched(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with searching(store, llm, clock) as gw:
        model = gw.core.catalogue.get(SONNET)
        prompt = Prompt(stable=LONG, messages=(UserMessage(("Hello",)),), searches=3)
        await gw.core.biller.open(model, prompt, Booking(purpose="chat", channel="telegram"))
        assert [row["state"] for row in await rows(gw, "search")] == ["open"]
        await gw.core.dispatcher.recovery.recover()
        (search,) = await rows(gw, "search")
        assert (search["state"], search["units"], search["cost"]) == ("estimated", 3, 3 * CENT)
        assert (await rows(gw, "chat"))[0]["input"] > 3 * 1_000_000  # the model's whole context, each time


@pytest.mark.crash
async def test_kill_9_while_it_searches_is_charged_once_with_all_of_them(tmp_path: Path) -> None:
    async with stage(tmp_path, provider="anthropic", before=1.0) as on:
        price = {"input": 3, "output": 15, "cache_read": 1, "cache_write_5m": 4, "search": 10}
        server = {"kind": "anthropic", "api_key": KEY, "base_url": on.model_url, "web_search": True}
        server["price"] = {"claude-sonnet-5": price}
        also = json.dumps({"tools": {"web_search": 2}, "providers": {"anthropic": server}})
        await on.start("--also", also)
        await on.say(on.chats[0], "short")
        await on.asked(1)
        await on.kill()
        await answers(on, "--also", also)
    with closing(sqlite3.connect(on.evidence.database)) as db:
        found = db.execute("SELECT purpose, state, units, cost FROM usage ORDER BY id").fetchall()
        (drift,) = db.execute("SELECT found FROM usage_drift").fetchone()
    assert [row[:3] for row in found] == [
        ("search", "estimated", 2),
        ("chat", "estimated", None),
        ("search", "void", 0),
        ("chat", "known", None),
    ]
    assert found[0][3] == 2 * CENT and drift == 0


# ---- prices ----


async def test_without_a_price_they_are_unpriced_and_never_free(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with searching(store, llm, clock, rates=PRICES) as gw:
        llm.reply(Reply(text=ANSWER, searches=FOUND))
        await answered(gw)
        (chat,), (search,) = await rows(gw, "chat"), await rows(gw, "search")
        assert (search["state"], search["units"], search["cost"]) == ("known", 2, None)
        assert search["cost_state"] == "unpriced" and search["reserved"] is None and chat["cost"] is not None
        assert (await gw.manager.cost_overview()).total.unpriced == 1


def test_a_price_is_the_list_s_or_one_s_own() -> None:
    known = {"provider_kind": "anthropic", "provider_name": "a", "base_url": "", "at": AT}

    def price(model: str = "claude-sonnet-5", **more: Any) -> int | None:
        found = search_price(**{**known, "model": model, "overrides": {}, **more})
        return cost(found, 3)

    assert price() == 3 * CENT
    assert price(discount=Decimal("0.5")) == 3 * CENT // 2
    assert price("claude-unheard-of") is None
    assert price(base_url="http://proxy.example") is None
    assert price(overrides={"a/*": "free"}) == 0
    own = Rates(uncached=Decimal(1), output=Decimal(1))
    assert price(overrides={"a/*": own}) is None
    assert (
        price(overrides={"a/*": replace(own, search=Decimal("0.001"))}, discount=Decimal("0.5")) == 3_000_000
    )
    stored = search_price(**{**known, "model": "claude-sonnet-5", "overrides": {}})
    assert stored is not None and Price.from_json(stored.to_json()) == stored


def test_each_search_may_read_as_much_as_the_model_takes() -> None:
    assert most_input(500, 0, 1000) == 500
    assert most_input(500, 2, 1000) == 2500
    assert most_input(1500, 2, 1000) == 4500


# ---- budgets ----


def hold(gw: Wired, *, day: int) -> None:
    """As a reload does; in nano-dollars, of everybody's."""
    found = Rules(caps={("gateway", "day"): day})
    gw.core.dispatcher.habits = replace(gw.core.dispatcher.habits, budgets=found)


async def test_a_budget_without_room_for_searches_is_asked_without_and_says_so_once(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with searching(store, llm, clock, default=MINI) as gw:
        hold(gw, day=DOLLAR // 10)  # the question has room in it, 400,000 tokens more than twice have not
        llm.reply(*[Reply(text=ANSWER, searches=FOUND)] * 2)
        text = await answered(gw)
        assert text.startswith(ANSWER) and say("search.short", name=say("budget.gateway_day")) in text
        assert say("search.short", name=say("budget.gateway_day")) not in await answered(gw, "And now?")
        assert not any(offered(each.body) for each in llm.requests) and await rows(gw, "search") == []
        hold(gw, day=DOLLAR)
        llm.reply(Reply(text=ANSWER, searches=FOUND))
        await answered(gw, "And now?")
        assert offered(llm.requests[-1].body)


async def test_searches_without_a_price_are_not_made_on_a_budget(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with searching(store, llm, clock, rates=PRICES) as gw:
        hold(gw, day=1000 * DOLLAR)
        llm.reply(Reply(text=ANSWER, searches=FOUND))
        assert (await answered(gw)).startswith(ANSWER)
        assert await rows(gw, "search") == [] and not offered(llm.requests[-1].body)


async def test_a_cap_holds_with_many_searching_at_once(store: Store, llm: CountingLLM, clock: Clock) -> None:
    people = frozenset(str(1000 + number) for number in range(20))
    async with searching(store, llm, clock, default=MINI, allow=people) as gw:
        probe = next(iter(people))
        llm.reply(Reply(text=ANSWER, searches=FOUND))
        await answered(gw, user=probe)
        (chat,), (search,) = await rows(gw, "chat"), await rows(gw, "search")
        whole = chat["reserved"] + search["reserved"]
        cap = chat["cost"] + search["cost"] + 4 * whole + whole // 2
        hold(gw, day=cap)
        held: list[int] = []

        async def script(ask: Ask) -> Reply:
            taken = await gw.value(
                "SELECT sum(CASE state WHEN 'open' THEN reserved ELSE cost END) FROM usage"
            )
            held.append(int(str(taken)))
            return Reply(text=ANSWER, searches=FOUND)

        llm.script = script
        await asyncio.gather(*(answered(gw, user=each) for each in people - {probe}))
        assert len(held) == 19 and max(held) <= cap
        searched = [bool(offered(each.body)) for each in llm.requests[1:]]
        assert any(searched) and not all(searched)
        spent = await gw.value("SELECT sum(cost) FROM usage")
        assert spent == books(llm, MINI) and int(str(spent)) <= cap


# ---- what the model reads again ----


async def test_what_was_found_goes_back_within_its_turn_and_to_its_provider_only(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    """The fake refuses what is out of its pairs, or changed."""
    async with searching(store, llm, clock, fallbacks=[MINI]) as gw:
        llm.reply(Reply(text="", opening="I look.", thinking="hm", searches=FOUND, calls=(CALL,)))
        llm.reply(Reply(text=ANSWER, searches=FOUND[:1]))
        await answered(gw)
        first, second = llm.requests
        assert ["sealed" if SEALED in str(body) else "" for (body,) in await gw.rows(SAID)] == ["sealed", ""]
        kinds = [block["type"] for message in second.body["messages"] for block in blocks(message["content"])]
        assert kinds.count("server_tool_use") == kinds.count("web_search_tool_result") == 2
        assert "thinking" in kinds and second.status == first.status == 200
        llm.say(ANSWER)
        await answered(gw, "And now?")
        assert "server_tool_use" not in str(llm.requests[-1].body) and NEWS.url in str(llm.requests[-1].body)


async def test_a_history_with_searches_is_legal_after_a_fall_within_its_turn(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with searching(store, llm, clock, fallbacks=[MINI]) as gw:
        llm.reply(Reply(text="", opening="I look.", searches=FOUND, calls=(CALL,)))
        llm.fail(529, times=2)
        llm.reply(Reply(text="", searches=FOUND, calls=(CALL,)), Reply(text=ANSWER))
        assert ANSWER in await answered(gw)
        assert [each.status for each in llm.requests] == [200, 529, 529, 200, 200]
        assert [each.path for each in llm.requests[-2:]] == ["/v1/responses", "/v1/messages"]


async def test_a_model_that_may_not_search_is_asked_without_from_then_on(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with searching(
        store, llm, clock, default="openai:gpt-4.1-nano", rates={"openai/*": SEARCHED["openai/gpt-5-mini"]}
    ) as gw:
        llm.reply(Reply(text=ANSWER), Reply(text=ANSWER))
        assert (await answered(gw)).startswith(ANSWER)
        await answered(gw, "And now?")
        assert [(each.path, each.status) for each in llm.requests] == [
            ("/v1/responses", 400),
            ("/v1/chat/completions", 200),
            ("/v1/chat/completions", 200),
        ]
        assert [row["state"] for row in await rows(gw, "search")] == ["void"]


async def test_it_is_off_unless_asked_for(store: Store, llm: CountingLLM, clock: Clock) -> None:
    async with searching(store, llm, clock, searches=0) as gw:
        llm.reply(Reply(text=ANSWER, searches=FOUND))
        await answered(gw)
        assert not offered(llm.requests[0].body) and await rows(gw, "search") == []


async def test_what_is_said_before_a_search_is_a_paragraph_of_its_own(
    store: Store, llm: CountingLLM, clock: Clock
) -> None:
    async with searching(store, llm, clock) as gw:
        llm.reply(Reply(text=ANSWER, opening="I look.", searches=FOUND))
        assert (await answered(gw)).startswith(f"I look.\n\n{ANSWER}")


# ---- sources ----


def test_a_title_cannot_make_a_link_of_its_own() -> None:
    pages = (
        Source("https://a.example/x y)", "Click](https://evil.example) [here\n# now `x`"),
        Source("javascript:alert(1)", "no"),
        Source("https://b.example/", ""),
        Source("https://named.example/", "said already"),
        Source("http://[broken", "no"),
    )
    answer = Answer(
        parts=(Text("See https://named.example/ for more."), ToolUse("1", "now", "{}")),
        tokens=Tokens(),
        model="m",
        sources=pages,
    )
    found = named(answer, "en").parts
    assert isinstance(found[1], Text) and isinstance(found[2], ToolUse)
    assert found[1].text == (
        "\n\nSources: [Click https://evil.example here now x](https://a.example/x%20y%29) (a.example), "
        "[b.example](https://b.example/)"
    )
    alone = replace(answer, sources=())
    assert named(alone, "en") is alone


# ---- what is configured ----


def test_who_is_asked_without_is_said_at_the_start(tmp_path: Path) -> None:
    def warned(text: str) -> list[str]:
        file = tmp_path / "parley.toml"
        file.write_text(text)
        file.chmod(0o600)
        return [str(each) for each in load(file, environ={}).warnings]

    keys = "\n".join(f"[providers.{name}]\napi_key = 'k'" for name in ("anthropic", "openai", "google"))
    assert warned(f"[tools]\nweb_search = 2\n[agent]\nmodel = 'anthropic:claude-sonnet-5'\n{keys}") == []
    (found,) = warned(
        f"[tools]\nweb_search = 2\n{keys}\n[agent]\nfallback_models = ['google:gemini-3.5-flash']"
    )
    assert "web_search" in found and "models of google are asked without searches" in found
    proxy = "[providers.proxy]\nkind = 'anthropic'\napi_key = 'k'\nbase_url = 'https://proxy.example'"
    (found,) = warned(f"[tools]\nweb_search = 2\n{proxy}")
    assert "set web_search = true in [providers.proxy]" in found
    assert warned(f"[tools]\nweb_search = 2\n{proxy}\nweb_search = true") == []
    with pytest.raises(SettingsError, match="web_search"):
        warned("[tools]\nweb_search = 11")


def test_a_price_that_says_nothing_of_searches_is_found_missing(tmp_path: Path) -> None:
    file = tmp_path / "parley.toml"
    own = "[providers.anthropic.price.claude-sonnet-5]\ninput = 3\noutput = 15\ncache_read = 1\n"
    own += "cache_write_5m = 4\ncache_write_1h = 6\n"
    head = "[tools]\nweb_search = 2\n[providers.anthropic]\napi_key = 'k'\n"

    def missing(text: str) -> tuple[str, ...]:
        file.write_text(text)
        (line,) = lines(load(file, environ={}), AT)
        return line.missing

    assert missing(head) == ()
    assert missing(head + own) == ("searches",)
    assert missing(head + own + "search = 10\n") == ()
    assert missing(head.replace("= 2", "= 0") + own) == ()
