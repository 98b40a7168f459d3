"""Google, OpenRouter and Ollama: their SDKs against the exchanges of their public documents, over real HTTP."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from gateway.errors import ModelError
from gateway.models.catalogue import Catalogue, ProviderConfig
from gateway.protocols.answer import Answer, Counted, Delta, Made, Thought
from gateway.protocols.messages import AssistantMessage, Picture, ResultsMessage, UserMessage
from gateway.protocols.prompt import Prompt
from gateway.protocols.tool import ToolSpec
from gateway.transcript import Opaque, Text, ToolResult, ToolUse
from gateway.types.usage import Tokens
from tests.fakes.recorded import Recorded

KEY = "test-key"
PATHS = {"google": "", "openrouter": "/api/v1", "ollama": "/v1"}
REFS = {
    "google": "google:gemini-2.5-flash",
    "openrouter": "openrouter:anthropic/claude-sonnet-4.5",
    "ollama": "ollama:qwen3:8b",
}
NOW = ToolSpec(
    name="now",
    description="The time.",
    parameters={"type": "object", "properties": {"zone": {"type": "string"}}},
)
PNG = Picture(1, "image/png", b"PNG")


def catalogue(server, silence=5.0):
    keys = {"google": KEY, "openrouter": KEY, "ollama": ""}
    configs = {kind: ProviderConfig(kind, kind, keys[kind], server.url + PATHS[kind]) for kind in PATHS}
    return Catalogue(providers=configs, default=REFS["google"], silence=silence)


def prompt(*said, **more):
    messages = tuple(UserMessage((each,)) if isinstance(each, str) else each for each in said or ("hi",))
    return Prompt(messages=messages, **{"stable": "Be kind.", "max_output_tokens": 500, **more})


async def asked(*names, ref, prompts):
    """The events of the answers to *prompts*, one after the other; every request was as recorded."""
    async with Recorded(*names) as server:
        models = catalogue(server)
        try:
            answers = [[event async for event in models.get(ref).stream(each)] for each in prompts]
        finally:
            await models.close()
    assert server.differences == []
    assert len(server.requests) == len(names)
    return answers if len(answers) > 1 else answers[0]


async def refused(name, *, ref=None, silence=5.0):
    """The error that the exchange ends in, and what was said before it; exactly one request was made."""
    async with Recorded(name) as server:
        models = catalogue(server, silence)
        seen = []
        with pytest.raises(ModelError) as caught:
            async for event in models.get(ref or REFS[kind_of(name)]).stream(prompt("hi")):
                seen.append(event)
        await models.close()
    assert server.differences == []
    assert len(server.requests) == 1
    assert KEY not in str(caught.value)
    return caught.value, "".join(event.text for event in seen if isinstance(event, Delta))


def kind_of(name):
    return {"gemini": "google", "openrouter": "openrouter", "ollama": "ollama"}[name.partition("_")[0]]


# ---- Google ----


async def test_gemini_answers_in_pieces_and_counts_what_it_thinks_as_output():
    events = await asked(
        "gemini_text",
        ref=REFS["google"],
        prompts=[prompt(UserMessage(("hi", "there")), temperature=0.3)],
    )
    answer = events[-1]
    assert [event.text for event in events if isinstance(event, Delta)] == ["Hello ", "there."]
    assert answer.parts == (Text("Hello there."),)
    assert answer.tokens == Tokens(uncached=176, read=1024, output=57)
    first = next(event.tokens for event in events if isinstance(event, Counted))
    assert first == Tokens(uncached=176, read=1024, output=50)
    assert (answer.finish, answer.model, answer.files) == ("stop", "gemini-2.5-flash", ())
    assert answer.provider_id == "mAitaLmkHPPlz7IPvtfUqQ4"


async def test_geminis_thoughts_are_told_and_are_no_part_of_its_answer():
    events = await asked("gemini_thinking", ref=REFS["google"], prompts=[prompt("hi", think="low")])
    thoughts = "".join(event.text for event in events if isinstance(event, Thought))
    assert thoughts == "**Weighing it**\n\nBoth are so."
    assert events[-1].parts == (Text("Yes."),)


async def test_gemini_does_not_think_when_told_so():
    await asked("gemini_thinking_off", ref=REFS["google"], prompts=[prompt("hi", think="off")])


async def test_geminis_signature_goes_back_with_its_call_in_the_tool_loop():
    ref = "google:gemini-3.5-flash"
    first = prompt("what time is it?", tools=(NOW,))
    answer = (await asked("gemini_call", ref=ref, prompts=[first]))[-1]
    signature, call = answer.parts
    assert signature == Opaque("google", {"signature": "c2lnbmF0dXJl"})
    assert isinstance(call, ToolUse) and (call.name, call.args) == ("now", '{"zone":"UTC"}')
    assert answer.finish == "tools"
    results = ResultsMessage((ToolResult(call.id, "now", "noon"),))
    second = prompt("what time is it?", AssistantMessage(answer.parts), results, tools=(NOW,))
    answer = (await asked("gemini_call_result", ref=ref, prompts=[second]))[-1]
    assert answer.parts == (Text("Noon."),)


async def test_an_image_that_gemini_makes_is_a_file_of_the_answer():
    events = await asked("gemini_image", ref="google:gemini-2.5-flash-image", prompts=[prompt("draw a cat")])
    answer = events[-1]
    assert answer.files == (Made("image/png", b"PNG"),)
    assert answer.parts == (Text("Here it is."),)
    assert answer.tokens == Tokens(uncached=10, output=1300)


@pytest.mark.parametrize(("name", "parts"), [("gemini_safety", (Text("Well, "),)), ("gemini_blocked", ())])
async def test_what_gemini_filters_is_an_answer_that_says_so(name, parts):
    answer = (await asked(name, ref=REFS["google"], prompts=[prompt("hi")]))[-1]
    assert (answer.finish, answer.parts) == ("filter", parts)
    assert answer.tokens is not None


@pytest.mark.parametrize(
    ("name", "kind", "wait"),
    [
        ("gemini_bad_key", "auth", None),
        ("gemini_denied", "auth", None),
        ("gemini_no_model", "not_found", None),
        ("gemini_minute", "rate_limited", 12.5),
        ("gemini_delay", "rate_limited", 7.0),
        ("gemini_day", "credit", None),
        ("gemini_long", "context", None),
        ("gemini_shape", "shape", None),
        ("gemini_location", "refused", None),
        ("gemini_busy", "overloaded", None),
        ("openrouter_credit", "credit", None),
        ("openrouter_bad_key", "auth", None),
        ("openrouter_flagged", "refused", None),
        ("openrouter_limit", "rate_limited", None),
        ("openrouter_none", "overloaded", None),
        ("openrouter_no_model", "not_found", None),
        ("ollama_no_model", "not_found", None),
        ("ollama_blind", "refused", None),
    ],
)
async def test_an_error_answer_is_told_by_kind_and_asked_once(name, kind, wait):
    error, said = await refused(name)
    assert (error.kind, error.retry_after, said) == (kind, wait, "")
    assert error.tokens is None


@pytest.mark.parametrize(
    ("name", "kind", "said", "counted"),
    [
        ("gemini_silent_end", "cut", "Half an ans", True),
        ("gemini_torn", "cut", "Half an ans", True),
        ("gemini_malformed", "cut", "", True),
        ("gemini_error_inside", "overloaded", "Half", True),
        ("openrouter_silent_end", "cut", "Half", False),
        ("openrouter_error_inside", "overloaded", "Half", False),
    ],
)
async def test_half_an_answer_is_never_taken_for_a_whole_one(name, kind, said, counted):
    error, before = await refused(name)
    assert (error.kind, before) == (kind, said)
    assert (error.tokens is not None) == counted


async def test_a_gemini_that_stops_speaking_is_a_timeout():
    error, said = await refused("gemini_held", silence=0.3)
    assert (error.kind, said) == ("timeout", "Half an ans")


async def test_closing_a_gemini_answer_drops_the_connection():
    async with Recorded("gemini_held") as server:
        models = catalogue(server)
        async with aclosing(models.get(REFS["google"]).stream(prompt("hi"))) as events:
            async for event in events:
                if isinstance(event, Delta):
                    break
        async with asyncio.timeout(5):
            await server.gone.wait()
        await models.close()


async def test_gemini_answers_come_over_one_connection():
    async with Recorded(*["gemini_text"] * 3) as server:
        models = catalogue(server)
        for _ in range(3):
            said = prompt(UserMessage(("hi", "there")), temperature=0.3)
            assert isinstance([each async for each in models.get(REFS["google"]).stream(said)][-1], Answer)
        await models.close()
    assert len(server.peers) == 1


async def test_a_google_that_cannot_be_reached_was_never_asked():
    config = ProviderConfig("google", "google", KEY, "http://127.0.0.1:9")
    models = Catalogue(providers={"google": config}, default=REFS["google"])
    with pytest.raises(ModelError) as caught:
        [each async for each in models.get(REFS["google"]).stream(prompt("hi"))]
    assert (caught.value.kind, caught.value.sent) == ("connect", False)
    await models.close()


# ---- OpenRouter ----


async def test_openrouter_tells_what_it_charged_and_caches_where_the_model_does():
    events = await asked(
        "openrouter_text", ref=REFS["openrouter"], prompts=[prompt("hi", volatile="It is nine.")]
    )
    answer = events[-1]
    assert [event.text for event in events if isinstance(event, Delta)] == ["Hello ", "there."]
    assert answer.tokens == Tokens(uncached=1500, read=1000, write_5m=500, output=20)
    assert answer.provider_cost == 3_012_340
    assert (answer.finish, answer.model) == ("stop", "anthropic/claude-sonnet-4.5")


async def test_what_a_vendor_behind_openrouter_bills_itself_is_part_of_the_cost():
    answer = (await asked("openrouter_plain", ref="openrouter:openai/gpt-5-mini", prompts=[prompt("hi")]))[-1]
    assert answer.provider_cost == 2_100_000


async def test_reasoning_through_openrouter_is_told_and_goes_back_in_its_tool_loop():
    ref = REFS["openrouter"]
    events = await asked("openrouter_call", ref=ref, prompts=[prompt("when?", tools=(NOW,), think="low")])
    answer = events[-1]
    assert "".join(event.text for event in events if isinstance(event, Thought)) == "Hm, so."
    assert [type(part) for part in answer.parts] == [Opaque, ToolUse]
    results = ResultsMessage((ToolResult("toolu_1", "now", "noon"),))
    second = prompt("when?", AssistantMessage(answer.parts), results, tools=(NOW,), think="low")
    await asked("openrouter_call_result", ref=ref, prompts=[second])


async def test_an_image_that_comes_through_openrouter_is_a_file_of_the_answer():
    ref = "openrouter:google/gemini-2.5-flash-image"
    answer = (await asked("openrouter_image", ref=ref, prompts=[prompt("draw a cat")]))[-1]
    assert answer.files == (Made("image/png", b"PNG"),)
    assert answer.parts == (Text("Here it is."),)


async def test_a_model_of_openrouters_without_its_maker_is_told_before_it_is_asked():
    async with Recorded() as server:
        models = catalogue(server)
        with pytest.raises(ModelError) as caught:
            await models.get("openrouter:claude").ready()
        await models.close()
    assert (caught.value.kind, server.requests) == ("not_found", [])


# ---- Ollama ----


async def test_ollama_needs_no_key_and_its_reasoning_is_told_apart():
    events = await asked("ollama_text", ref=REFS["ollama"], prompts=[prompt("hi")])
    assert "".join(event.text for event in events if isinstance(event, Thought)) == "They greet."
    assert events[-1].parts[-1] == Text("Hello.")
    assert events[-1].tokens == Tokens(uncached=20, output=9)


# ---- pictures ----


@pytest.mark.parametrize("name", ["gemini_picture", "openrouter_picture", "ollama_picture"])
async def test_a_picture_goes_before_the_text_as_its_vendor_wants_it(name):
    said = UserMessage(("what is this?",), (PNG,))
    answer = (await asked(name, ref=REFS[kind_of(name)], prompts=[prompt(said)]))[-1]
    assert answer.parts == (Text("A cat."),)
