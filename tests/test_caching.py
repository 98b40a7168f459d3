"""What prompts cost: how long they are kept, where breakpoints are, and whole conversations on the gateway's path."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from pathlib import Path as FilePath
from typing import Any, cast

import pytest

from bench.prompts import Script, answered, gateway, played, priced
from gateway.access import Policy
from gateway.billing import worst_case
from gateway.caching import Asking, Rhythm, choose
from gateway.configured import options, outside, usable
from gateway.fetcher import Fetcher
from gateway.history import with_pictures
from gateway.models.convert import same_machine
from gateway.models.marks import Mark, marks
from gateway.price import Rates
from gateway.protocols.messages import AssistantMessage, Message, Picture, ResultsMessage, UserMessage
from gateway.protocols.prompt import Prompt
from gateway.settings import Settings
from gateway.tools import default_tools
from gateway.tools.jobs import job_tools
from gateway.transcript import Opaque, Text, ToolResult, ToolUse
from gateway.types.measures import HOUR, MINUTE, SECOND
from gateway.types.places import Place
from storage import Store
from tests.bill.truth import PRICES
from tests.conftest import Clock
from tests.fakes.llm import Call, Reply, anthropic_parts, openai_parts
from tests.fakes.model import ScriptedModel
from tests.path import ANN, BOB
from tests.wires import MINI, SONNET, CountingLLM, wired

CLAUDE = Rates(
    uncached=Decimal(2),
    read=Decimal("0.2"),
    write_5m=Decimal("2.5"),
    write_1h=Decimal(4),
    output=Decimal(10),
)
GROUP = Place(chat_id="-500", kind="group")
GPT = Rates(uncached=Decimal(2), read=Decimal("0.2"), write_5m=Decimal(2), write_1h=Decimal(2))


# ---- for how long ----


def rhythm(*pauses: int, kept: str = "off", steps: int = 1) -> Rhythm:
    """Turns of so many *steps*, with these pauses between them, the last one until now."""
    asked: list[Asking] = []
    at = 0
    for turn, pause in enumerate(pauses):
        for _ in range(steps):
            asked.append(Asking(turn, at, kept))  # type: ignore[arg-type]
            at += 2 * SECOND
        at += pause - 2 * SECOND
    return Rhythm(asked=asked, now=at)


@pytest.mark.parametrize(
    ("found", "old", "new", "chosen"),
    [
        pytest.param(Rhythm(), 0, 3000, "5m", id="nothing is known"),
        pytest.param(rhythm(*[MINUTE] * 5, kept="5m"), 3000, 200, "5m", id="a quick chat"),
        pytest.param(rhythm(6 * MINUTE, kept="5m"), 3000, 200, "1h", id="the first longer pause"),
        pytest.param(rhythm(*[40 * MINUTE] * 5, kept="1h"), 3000, 200, "1h", id="now and then"),
        pytest.param(rhythm(*[2 * HOUR] * 5), 3000, 200, "off", id="seldom"),
        pytest.param(rhythm(*[2 * HOUR] * 5, steps=4), 3000, 200, "5m", id="seldom, but with tools"),
        pytest.param(rhythm(*[20 * MINUTE] * 5, kept="1h", steps=4), 3000, 200, "1h", id="now and then, with tools"),
        pytest.param(
            rhythm(*[MINUTE] * 30, 7 * MINUTE, kept="5m"), 3000, 200, "1h", id="one turn in eight comes late"
        ),
        pytest.param(
            rhythm(*[7 * MINUTE] * 9, MINUTE, kept="5m"), 3000, 200, "5m", id="what is held for less is read first"
        ),
    ],
)  # fmt: skip
def test_the_lifetime_follows_the_pauses(found, old, new, chosen):
    assert choose(found, old=old, new=new, rates=CLAUDE) == chosen
    assert choose(found, old=old, new=new, rates=None) == chosen, "the usual proportions are Anthropic's"


def test_only_the_newest_turns_count():
    assert choose(rhythm(*[2 * HOUR] * 30, *[MINUTE] * 8), old=3000, new=200, rates=CLAUDE) == "5m"


def test_an_hour_without_a_price_is_not_chosen():
    pauses = rhythm(*[40 * MINUTE] * 5)
    assert choose(pauses, old=3000, new=200, rates=replace(CLAUDE, write_1h=None)) == "off"


def test_where_writing_costs_nothing_the_longest_is_chosen_and_stays():
    assert choose(Rhythm(), old=0, new=3000, rates=GPT) == "1h"
    assert choose(rhythm(*[MINUTE] * 20, kept="5m"), old=3000, new=3000, rates=GPT) == "1h"


def test_a_cache_that_saves_nothing_is_not_written():
    flat = Rates(uncached=Decimal(2), read=Decimal(2), write_5m=Decimal("2.5"), write_1h=Decimal(4))
    assert choose(rhythm(*[MINUTE] * 9, kept="5m"), old=3000, new=9, rates=flat) == "off"


# ---- where ----


def user(text: str = "q", *, fleeting: bool = False) -> UserMessage:
    return UserMessage((text,), fleeting=fleeting)


def answer(*parts: Any) -> AssistantMessage:
    return AssistantMessage(parts or (Text("a"),))


USE = answer(ToolUse("c1", "now", "{}"))
THOUGHT = answer(Opaque("anthropic", {"text": "hm"}), ToolUse("c1", "now", "{}"))
GAVE = ResultsMessage((ToolResult("c1", "now", "noon"),))


@pytest.mark.parametrize(
    ("messages", "found"),
    [
        pytest.param([user()], [Mark(0)], id="the first"),
        pytest.param([user(fleeting=True)], [], id="the first, with others' words"),
        pytest.param([user(), answer(), user()], [Mark(0), Mark(2)], id="the second"),
        pytest.param([user(), USE, GAVE], [Mark(0), Mark(2)], id="a tool"),
        pytest.param([user(), USE, GAVE, USE, GAVE], [Mark(0), Mark(2), Mark(4)], id="two tools"),
        pytest.param(
            [user(), USE, GAVE, USE, GAVE, answer(), user()], [Mark(0), Mark(4), Mark(6)], id="after two tools"
        ),
        pytest.param(
            [user(), answer(), user(fleeting=True)], [Mark(0), Mark(1)], id="others' words before the question"
        ),
        pytest.param(
            [user(), answer(), user(fleeting=True), USE, GAVE, USE, GAVE],
            [Mark(1), Mark(4, False), Mark(6, False)],
            id="tools after others' words",
        ),
        pytest.param([user(), THOUGHT, GAVE], [Mark(0), Mark(2, False)], id="a tool after a thought"),
    ],
)  # fmt: skip
def test_the_breakpoints_are_where_the_next_request_finds_them(messages: Sequence[Message], found):
    assert marks(messages, volatile=False) == found


def test_what_changes_with_each_turn_makes_a_tool_loop_short_lived():
    assert marks([user(), USE, GAVE], volatile=True) == [Mark(0), Mark(2, False)]


def test_a_pictures_data_and_what_is_fleeting_stay_with_their_message():
    said = replace(user(fleeting=True), pictures=(Picture(1, "image/png"),))
    assert with_pictures([said], {1: b"x"})[0].fleeting  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("cache", "model", "told"),
    [
        ("1h", "gpt-5.1", {"openai_prompt_cache_key": "s1", "openai_prompt_cache_retention": "24h"}),
        ("1h", "gpt-5-mini", {"openai_prompt_cache_key": "s1"}),
        ("1h", "gpt-5.6-sol", {"openai_prompt_cache_key": "s1"}),
        ("5m", "gpt-5.1", {"openai_prompt_cache_key": "s1"}),
        ("off", "gpt-5.1", {}),
    ],
)
def test_openai_is_told_the_session_and_how_long_where_it_can_be(cache, model, told):
    prompt = Prompt(stable="", messages=(user(),), cache=cache, key="s1")
    assert same_machine({}, prompt, model) == told


# ---- the bill ----


@pytest.mark.parametrize(
    ("kind", "cache", "tokens"),
    [
        ("anthropic", "1h", ("write_1h",)),
        ("anthropic", "5m", ("write_5m",)),
        ("anthropic", "off", ("uncached",)),
        ("openai", "1h", ("uncached",)),
    ],
)
def test_the_worst_case_is_of_the_kind_that_is_written(kind, cache, tokens):
    worst = worst_case(ScriptedModel(kind=kind), Prompt(stable="x" * 50, messages=(user(),), cache=cache), 50)
    assert [name for name in ("uncached", "write_5m", "write_1h") if getattr(worst, name)] == list(tokens)


@pytest.mark.parametrize("cache", ["5m", "1h"])
async def test_a_killed_request_is_charged_no_less_than_it_would_have_cost(
    store: Store, clock: Clock, cache: Any
) -> None:
    async with CountingLLM(clock=lambda: clock() / SECOND) as llm, wired(store, llm, clock=clock) as p:
        p.core.runner.options = replace(p.core.runner.options, cache=cache)
        llm.reply(Reply(text="word " * 200, cut_after=0))
        await answered(p, "hello")
        rows = await p.rows("SELECT state, cost, reserved, tok_w5m, tok_w1h FROM usage ORDER BY id")
        state, cost, reserved, short, long = rows[0]
        made = llm.made[llm.requests[0].request_id]
        rates = PRICES["anthropic/claude-sonnet-5"]
        assert isinstance(rates, Rates)
        assert state == "estimated"
        assert priced(made, rates) < cost <= reserved  # type: ignore[operator]
        assert bool(short) == (cache == "5m") == bool(made.cache_write_5m_tokens)
        assert bool(long) == (cache == "1h") == bool(made.cache_write_1h_tokens)


# ---- conversations ----


@pytest.mark.parametrize("vendor", ["anthropic", "openai"])
@pytest.mark.parametrize("tools", [False, True], ids=["talk", "tools"])
@pytest.mark.parametrize(
    "pauses", [(0,), (2,), (6,), (40,), (180,), (1, 1, 12, 2, 90)], ids=lambda each: "+".join(map(str, each))
)
async def test_a_conversation_costs_little_more_than_it_must(tmp_path: FilePath, vendor, tools, pauses):
    found = await played(Script(vendor, 30, pauses, tools), tmp_path)
    assert found.met, found
    assert found.ledger == found.told
    assert found.least <= found.ledger


def reads(llm: CountingLLM) -> list[tuple[int, int]]:
    """Of each request: what it read, and what of it was known when the one before it was sent."""
    found, known = [], 0
    for usage in llm.sent:
        found.append((usage.cache_read_tokens, known))
        known = usage.cache_read_tokens + usage.cache_write_tokens
    return found


async def test_each_request_reads_all_that_the_one_before_it_has_written(tmp_path: FilePath) -> None:
    """Also after a step with more calls than a breakpoint looks back."""
    async with gateway("anthropic", tmp_path) as (p, _, _):
        for turn in range(3):
            wide = tuple(Call("archive", {"subject": f"{turn}.{n}"}) for n in range(15))
            one = (Call("archive", {"subject": f"again {turn}"}),)
            p.llm.reply(Reply(text="", calls=wide), Reply(text="", calls=one), Reply(text="Done."))
            await answered(p, f"question {turn}")
        assert len(p.llm.sent) == 9
        assert all(read == known > 0 for read, known in reads(p.llm)[1:])


async def test_what_others_said_before_a_question_spoils_no_cache(tmp_path: FilePath) -> None:
    async with gateway("anthropic", tmp_path) as (p, _, _):
        habits = p.core.dispatcher.habits
        policy = Policy(allow={"telegram": frozenset({ANN, BOB, GROUP.chat_id})}, owners={})
        p.core.dispatcher.habits = replace(habits, overheard={"telegram": 1}, policy=policy)
        for turn in range(4):
            await p.says(f"something else {turn}", user=BOB, place=GROUP, addressed=False)
            use = Reply(text="", calls=(Call("archive", {"subject": f"{turn}"}),))
            p.llm.reply(use, Reply(text=f"Answer {turn}."))
            await p.says(f"question {turn}", place=GROUP)
            await p.channel.until(GROUP.chat_id, f"Answer {turn}.")
            async with asyncio.timeout(10):
                while p.core.dispatcher.turns_running:
                    await asyncio.sleep(0.005)
        bodies = [str(each.body) for each in p.llm.requests]
        assert all(f"something else {n // 2}" in body for n, body in enumerate(bodies))
        assert all(f"something else {n // 2 - 1}" not in body for n, body in enumerate(bodies))
        found = reads(p.llm)
        for first in (2, 4, 6):
            # Of the turn before, what came after the question with others' words is not in this form any more.
            written = p.llm.sent[first - 2]
            assert found[first][0] >= written.cache_read_tokens + written.cache_write_tokens > 1024
            assert found[first + 1][0] == found[first + 1][1]


async def test_after_a_compaction_the_new_beginning_is_read_again(tmp_path: FilePath) -> None:
    async with gateway("anthropic", tmp_path) as (p, _, _):
        for turn in range(3):
            await answered(p, f"question {turn}")
        code = str(await p.value("SELECT code FROM session"))
        p.llm.say("They counted.")
        await p.manager.compact(code)
        await answered(p, "and now?")
        await answered(p, "and then?")
        system, after = p.llm.sent[-2:]
        assert system.cache_read_tokens > 1024, "the system prompt is still known"
        assert after.cache_read_tokens == system.cache_read_tokens + system.cache_write_tokens


async def test_a_setting_is_obeyed(tmp_path: FilePath) -> None:
    for cache, written in (("off", (False, False)), ("5m", (True, False)), ("1h", (False, True))):
        folder = tmp_path / cache
        folder.mkdir()
        async with gateway("anthropic", folder, cache=cache) as (p, clock, _):
            for _ in range(2):
                await answered(p, "hello")
                clock.forward(minutes=20)
            for usage in p.llm.sent:
                assert (bool(usage.cache_write_5m_tokens), bool(usage.cache_write_1h_tokens)) == written


# ---- a fresh session ----


@pytest.mark.parametrize("ref", [SONNET, MINI])
async def test_the_first_request_of_a_session_is_short(
    store: Store, clock: Clock, tmp_path: FilePath, ref: str
) -> None:
    """With all tools that are on by default, as the fake counts: four bytes to a token, JSON's own marks included."""
    settings = Settings()
    never = cast(Any, None)  # nothing is called
    tools = default_tools(*usable(settings, Fetcher(outside(settings)), tmp_path), *job_tools(never, never))
    assert {"now", "web_fetch", "create_job"} <= set(tools)
    async with (
        CountingLLM() as llm,
        wired(store, llm, clock=clock, default=ref, tools=tools, options=options(settings)) as p,
    ):
        await answered(p, "Good morning! What is on today?")
        body = llm.requests[0].body
        parts = anthropic_parts(body) if ref == SONNET else openai_parts(body)
        assert sum(part.tokens for part in parts) < 1500
        assert llm.sent[0].prompt_tokens < 1500
