"""The fake LLM server, as the vendors' own clients and pydantic-ai see it."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import anthropic
import httpx2
import openai
import pytest
from pydantic_ai import Agent
from pydantic_ai.exceptions import (
    ModelAuthenticationError,
    ModelContextWindowExceededError,
    ModelHTTPError,
    ModelOverloadedError,
    ModelQuotaExceededError,
    ModelRateLimitError,
)
from pydantic_ai.messages import ModelResponse
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.openai import OpenAIChatModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider

from tests.fakes.llm import KEY, Call, Echo, FakeLLM, Pace, Reply, tokens, total

CLAUDE = "claude-sonnet-5"
GPT = "gpt-5-mini"
HI = [{"role": "user", "content": "hi"}]
SYSTEM = {"role": "system", "content": "be brief"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "seen"}
ASKED = {"id": "call_1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
LONG = "a" * 8000  # 2,000 tokens


@pytest.fixture
async def llm():
    async with FakeLLM() as server:
        yield server


@pytest.fixture
async def claude(llm):
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=llm.url, max_retries=0) as client:
        yield client


@pytest.fixture
async def gpt(llm):
    async with openai.AsyncOpenAI(api_key=KEY, base_url=llm.url + "/v1", max_retries=0) as client:
        yield client


@pytest.fixture(params=["anthropic", "openai"])
async def model(request, llm):
    if request.param == "anthropic":
        async with anthropic.AsyncAnthropic(api_key=KEY, base_url=llm.url, max_retries=0) as client:
            yield AnthropicModel(CLAUDE, provider=AnthropicProvider(anthropic_client=client))
    else:
        async with openai.AsyncOpenAI(api_key=KEY, base_url=llm.url + "/v1", max_retries=0) as client:
            yield OpenAIChatModel(GPT, provider=OpenAIProvider(openai_client=client))


async def ask(claude, messages=HI, **more):
    return await claude.messages.create(**{"model": CLAUDE, "max_tokens": 4096, "messages": messages, **more})


async def complete(gpt, messages=HI, **more):
    return await gpt.chat.completions.create(model=GPT, messages=messages, **more)


async def post(llm, path, data):
    headers = {"x-api-key": KEY, "anthropic-version": "2023-06-01", "Authorization": f"Bearer {KEY}"}
    async with (
        aiohttp.ClientSession() as http,
        http.post(llm.url + path, data=data, headers=headers) as answer,
    ):
        return answer.status, await answer.json()


# ---- answers ----


async def test_the_anthropic_client_gets_the_echo_of_the_last_user_text(claude, llm):
    answer = await ask(
        claude, [*HI, {"role": "assistant", "content": "yes?"}, {"role": "user", "content": "ping"}]
    )
    assert [block.text for block in answer.content] == ["You said: ping"]
    assert (answer.stop_reason, answer.id[:4], answer.model) == ("end_turn", "msg_", CLAUDE)
    assert answer._request_id == llm.requests[0].request_id
    assert (llm.requests[0].status, llm.requests[0].response_id) == (200, answer.id)


async def test_the_openai_client_gets_the_echo_of_the_last_user_text(gpt, llm):
    answer = await complete(
        gpt, [{"role": "system", "content": "be brief"}, {"role": "user", "content": "ping"}]
    )
    assert answer.choices[0].message.content == "You said: ping"
    assert (answer.choices[0].finish_reason, answer.id[:9]) == ("stop", "chatcmpl-")
    assert answer._request_id == llm.requests[0].request_id


async def test_a_streamed_anthropic_answer_is_the_whole_answer_in_pieces(claude, llm):
    llm.say("word " * 40)
    async with claude.messages.stream(model=CLAUDE, max_tokens=100, messages=HI) as stream:
        deltas = [text async for text in stream.text_stream]
        final = await stream.get_final_message()
    assert len(deltas) == 5
    assert "".join(deltas) == final.content[0].text == "word " * 40
    assert final.usage.output_tokens == 50 == llm.sent[0].output_tokens
    assert final.usage.input_tokens == 1


@pytest.mark.parametrize("include_usage", [True, False])
async def test_openai_tells_the_usage_of_a_stream_only_when_asked(gpt, llm, include_usage):
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    chunks = [chunk async for chunk in await complete(gpt, stream=True, **options)]
    text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert text == "You said: hi"
    told = [chunk.usage for chunk in chunks if chunk.usage]
    if include_usage:
        assert (told[0].prompt_tokens, told[0].completion_tokens, told[0].total_tokens) == (1, 3, 4)
        assert chunks[-1].choices == []
        assert llm.requests[0].sent_usage == llm.sent[0]
    else:
        assert told == []
        assert llm.requests[0].sent_usage is None
        assert llm.sent[0].output_tokens == 3


@pytest.mark.parametrize(
    "echo, check",
    [
        pytest.param(Echo(words=50), lambda text: len(text.split()) == 50, id="words"),
        pytest.param(Echo(chars=5000), lambda text: len(text) == len(text.strip()) == 5000, id="chars"),
        pytest.param(Echo(words=40, paragraphs=4), lambda text: text.count("\n\n") == 3, id="paragraphs"),
        pytest.param(Echo(repeat=False), lambda text: "ping" not in text, id="plain"),
    ],
)
def test_the_echo_has_the_size_asked_for_and_is_the_same_each_time(echo, check):
    assert check(echo.text("ping"))
    assert echo.text("ping") == echo.text("ping")
    assert echo.text("ping") != echo.text("pong") or not echo.repeat


async def test_an_answer_over_the_token_limit_is_cut_and_says_so(claude, gpt, llm):
    llm.say("word " * 40)
    llm.say("word " * 40)
    cut = await ask(claude, max_tokens=5)
    assert (cut.content[0].text, cut.stop_reason, cut.usage.output_tokens) == ("word " * 4, "max_tokens", 5)
    other = await complete(gpt, max_completion_tokens=5)
    assert (other.choices[0].finish_reason, other.usage.completion_tokens) == ("length", 5)


async def test_a_script_decides_from_the_request_and_the_queue_comes_first(claude, llm):
    async def script(asked):
        await asyncio.sleep(0)
        return f"{asked.number} {asked.vendor} {asked.user_text}" if asked.user_text != "echo" else None

    llm.script = script
    llm.say("queued")
    echo = [{"role": "user", "content": "echo"}]
    answers = [await ask(claude), await ask(claude), await ask(claude, echo)]
    assert [answer.content[0].text for answer in answers] == ["queued", "2 anthropic hi", "You said: echo"]


async def test_an_empty_answer_is_empty_and_costs_a_token(claude, gpt, llm):
    llm.reply(Reply(text=""), Reply(text=""))
    assert ((answer := await ask(claude)).content, answer.usage.output_tokens) == ([], 1)
    assert (await complete(gpt)).choices[0].message.content == ""


async def test_the_pace_is_kept(claude, llm):
    llm.reply(Reply(before=0.08, between=0.02))
    loop = asyncio.get_running_loop()
    started, arrivals = loop.time(), []
    async for _ in await ask(claude, stream=True):
        arrivals.append(loop.time() - started)
    assert arrivals[0] >= 0.08
    assert arrivals[-1] - arrivals[0] >= 0.02 * (len(arrivals) - 2)


async def test_both_model_lists_are_served(claude, gpt):
    assert CLAUDE in [each.id async for each in claude.models.list()]
    assert GPT in [each.id async for each in gpt.models.list()]


# ---- pydantic-ai ----


async def test_an_agent_calls_the_tool_and_tells_its_answer(model, llm):
    agent, seen = Agent(model), []

    @agent.tool_plain
    def look(place: str) -> str:
        seen.append(place)
        return "a garden"

    llm.call_tool("look", {"place": "behind the house"}, then="There is a garden.")
    result = await agent.run("What is there?")
    assert (seen, result.output) == (["behind the house"], "There is a garden.")
    assert [record.status for record in llm.requests] == [200, 200]


async def test_an_agent_streams_and_both_sides_count_the_same_tokens(model, llm):
    agent = Agent(model, instructions="Answer at length. " * 300, model_settings={"cache": True})
    llm.echo = Echo(words=60)
    history = []
    for _ in range(3):
        async with agent.run_stream_events("tell me", message_history=history) as events:
            seen = [event async for event in events]
        history = seen[-1].result.all_messages()
    counted = [message.usage for message in history if isinstance(message, ModelResponse)]
    assert [usage.input_tokens for usage in counted] == [usage.prompt_tokens for usage in llm.sent]
    assert [usage.output_tokens for usage in counted] == [usage.output_tokens for usage in llm.sent]
    assert [usage.cache_read_tokens for usage in counted] == [usage.cache_read_tokens for usage in llm.sent]
    assert [usage.cache_write_tokens for usage in counted] == [usage.cache_write_tokens for usage in llm.sent]
    assert counted[0].cache_read_tokens == 0 < counted[1].cache_read_tokens <= counted[2].cache_read_tokens
    assert [record.sent_usage for record in llm.requests] == llm.sent


FAULTS = [
    pytest.param(Reply(status=429, retry_after=7), ModelRateLimitError, id="rate-limit"),
    pytest.param(Reply(status=429, code="insufficient_quota"), ModelQuotaExceededError, id="quota"),
    pytest.param(Reply(status=402), ModelQuotaExceededError, id="billing"),
    pytest.param(Reply(status=401), ModelAuthenticationError, id="key"),
    pytest.param(Reply(status=403), ModelHTTPError, id="forbidden"),
    pytest.param(Reply(status=500), ModelHTTPError, id="server"),
    pytest.param(Reply(status=503), ModelHTTPError, id="unavailable"),
    pytest.param(Reply(status=529), ModelOverloadedError, id="overloaded"),
    pytest.param(
        Reply(status=400, code="context_length_exceeded"), ModelContextWindowExceededError, id="length"
    ),
]


@pytest.mark.parametrize("reply, error", FAULTS)
async def test_a_fault_is_the_error_the_client_has_a_name_for(model, llm, reply, error):
    llm.reply(reply)
    with pytest.raises(error):
        await Agent(model).run("hi")
    assert llm.sent == []
    assert (await Agent(model).run("again")).output == "You said: again"


async def test_an_error_event_inside_a_stream_is_an_overload(model, llm):
    llm.reply(Reply(text="word " * 100, error_after=5))
    with pytest.raises(ModelOverloadedError):
        async with Agent(model).run_stream_events("hi") as events:
            async for _ in events:
                pass
    assert llm.sent == []


async def test_malformed_arguments_arrive_as_they_were_scripted(model, llm):
    agent = Agent(model)

    @agent.tool_plain
    def look(place: str) -> str:
        return place

    llm.call_tool("look", '{"place": "garden', then="It failed.")
    async with agent.run_stream_events("hi") as events:
        seen = [event async for event in events]
    assert seen[-1].result.output == "It failed."
    call = seen[-1].result.all_messages()[1].parts[0]
    assert call.args == '{"place": "garden'


# ---- faults on the wire ----


async def test_the_wait_asked_for_is_in_the_header_of_both_vendors(claude, gpt, llm):
    llm.fail(429, retry_after=7, times=2)
    with pytest.raises(anthropic.RateLimitError) as first:
        await ask(claude)
    with pytest.raises(openai.RateLimitError) as second:
        await complete(gpt)
    assert first.value.response.headers["retry-after"] == second.value.response.headers["retry-after"] == "7"
    assert first.value.body["error"]["type"] == "rate_limit_error"
    assert second.value.code == "rate_limit_exceeded"


async def test_quota_is_worded_as_each_vendor_words_it(claude, gpt, llm):
    llm.fail(429, code="insufficient_quota", times=2)
    with pytest.raises(anthropic.BadRequestError, match="credit balance is too low"):
        await ask(claude)
    with pytest.raises(openai.RateLimitError) as refused:
        await complete(gpt)
    assert refused.value.code == refused.value.type == "insufficient_quota"


async def test_a_cut_stream_breaks_the_connection_after_that_many_events(claude, llm):
    llm.reply(Reply(text="word " * 100, cut_after=6))
    got = []
    with pytest.raises(Exception, match=r"peer closed|incomplete|disconnected"):
        async for event in await ask(claude, stream=True):
            got.append(event.type)
    assert got == ["message_start", "content_block_start", *["content_block_delta"] * 3]  # the ping is hidden
    assert (llm.sent, llm.open) == ([], 0)
    assert (llm.requests[0].sent_usage.input_tokens, llm.requests[0].sent_usage.output_tokens) == (1, 1)


async def test_an_openai_stream_that_was_cut_told_no_usage(gpt, llm):
    llm.reply(Reply(text="word " * 100, cut_after=6))
    with pytest.raises(openai.APIConnectionError):
        async for _ in await complete(gpt, stream=True, stream_options={"include_usage": True}):
            pass
    assert (llm.requests[0].sent_usage, llm.sent) == (None, [])


@pytest.mark.parametrize("stream", [True, False])
async def test_a_cut_before_the_answer_tells_nothing(claude, llm, stream):
    llm.reply(Reply(cut_after=0))
    with pytest.raises(Exception, match=r"Connection error|disconnected|peer closed|incomplete"):
        async for _ in await ask(claude, stream=stream):
            pass
    assert llm.requests[0].sent_usage is None


@pytest.mark.parametrize("stream", [True, False])
async def test_a_stall_lasts_until_the_client_gives_up(llm, stream):
    llm.reply(Reply(stall_after=3))
    async with anthropic.AsyncAnthropic(api_key=KEY, base_url=llm.url, max_retries=0, timeout=0.2) as client:
        # The client names a timeout in the middle of a stream as its HTTP library does.
        with pytest.raises((anthropic.APITimeoutError, httpx2.ReadTimeout)):
            async for _ in await ask(client, stream=stream):
                pass
    async with asyncio.timeout(2):
        while llm.open:
            await asyncio.sleep(0.01)
    assert (llm.requests[0].vanished, llm.sent) == (True, [])


async def test_the_server_stops_in_the_middle_of_a_stall():
    async with asyncio.timeout(3), FakeLLM() as llm:
        llm.reply(Reply(stall_after=0))
        async with anthropic.AsyncAnthropic(api_key=KEY, base_url=llm.url, max_retries=0) as client:
            waiting = asyncio.create_task(ask(client))
            await llm.arrived(1)
            await llm.__aexit__()
            with pytest.raises(anthropic.APIConnectionError):
                await waiting


@pytest.mark.parametrize("pace", [Pace(before=0.2), Pace(between=0.1)], ids=["before", "between"])
async def test_an_answer_nobody_waited_for_is_still_on_the_bill(claude, llm, pace):
    llm.pace = pace
    asking = asyncio.create_task(_read_all(claude))
    await llm.arrived(1)
    async with asyncio.timeout(3):
        while pace.between and llm.requests[0].sent_usage is None:
            await asyncio.sleep(0.005)
    asking.cancel()
    with suppress(asyncio.CancelledError):
        await asking
    async with asyncio.timeout(3):
        while llm.open:
            await asyncio.sleep(0.005)
    assert [usage.output_tokens for usage in llm.sent] == [tokens("You said: hi")]
    assert llm.requests[0].vanished
    told = llm.requests[0].sent_usage
    assert told is None if pace.before else told.output_tokens == 1


async def _read_all(claude):
    async with claude.messages.stream(model=CLAUDE, max_tokens=9, messages=HI) as stream:
        async for _ in stream:
            pass


# ---- what is refused ----


async def test_a_wrong_or_missing_key_is_refused_in_the_vendors_words(llm):
    async with anthropic.AsyncAnthropic(api_key="wrong", base_url=llm.url, max_retries=0) as client:
        with pytest.raises(anthropic.AuthenticationError) as refused:
            await ask(client)
    assert refused.value.body["error"] == {"type": "authentication_error", "message": "Invalid bearer token"}
    async with openai.AsyncOpenAI(api_key="wrong", base_url=llm.url + "/v1", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as other:
            await complete(client)
    assert other.value.code == "invalid_api_key"
    assert [record.status for record in llm.requests] == [401, 401]
    old = {"x-api-key": "wrong", "Authorization": f"Bearer {KEY}"}
    for headers, message in ((old, "invalid x-api-key"), ({}, "x-api-key header is required")):
        async with (
            aiohttp.ClientSession(headers=headers) as http,
            http.post(llm.url + "/v1/messages", json={}) as answer,
        ):
            assert (answer.status, (await answer.json())["error"]["message"]) == (401, message)


def said(*contents):
    """Messages of these contents, the roles alternating from user."""
    return [{"role": ("user", "assistant")[i % 2], "content": content} for i, content in enumerate(contents)]


NOT_ANSWERED = (
    "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1. Each "
    "`tool_use` block must have a corresponding `tool_result` block in the next message."
)
TEXT = {"type": "text", "text": "and this"}
MARK = {"cache_control": {"type": "ephemeral"}}


@pytest.mark.parametrize(
    "messages, message",
    [
        pytest.param([], "messages: at least one message is required", id="none"),
        pytest.param([{"role": "assistant", "content": "a"}], 'must use the "user" role', id="first"),
        pytest.param([SYSTEM], 'must use the "user" role', id="system-first"),
        pytest.param([*said("a", "b"), SYSTEM], "must come right after a user turn", id="system-place"),
        pytest.param([{"role": "tool", "content": "a"}], "messages.0.role: Input should be", id="role"),
        pytest.param(
            [{**HI[0], "name": "Ann"}], "messages.0.name: Extra inputs are not permitted", id="extra"
        ),
        pytest.param(said(""), "messages.0: all messages must have non-empty content", id="empty"),
        pytest.param(said([]), "messages.0: all messages must have non-empty content", id="no-blocks"),
        pytest.param(
            said([{"type": "text", "text": ""}]),
            "messages: text content blocks must be non-empty",
            id="block",
        ),
        pytest.param(said(" \n"), "text content blocks must contain non-whitespace text", id="blank"),
        pytest.param(said("a", "b "), "final assistant content cannot end with trailing", id="prefill"),
        pytest.param(said("a", [CALL]), NOT_ANSWERED, id="call-last"),
        pytest.param(said("a", [CALL], "b"), NOT_ANSWERED, id="call-unanswered"),
        pytest.param(said("a", [CALL], [TEXT, RESULT]), NOT_ANSWERED, id="result-not-first"),
        pytest.param(
            said([RESULT]),
            "messages.0.content.0: unexpected `tool_use_id` found in `tool_result`",
            id="orphan",
        ),
        pytest.param(
            said("a", [CALL], [RESULT], "b", [RESULT]),
            "messages.4.content.0: unexpected `tool_use_id`",
            id="late",
        ),
        pytest.param(
            said("a", [CALL], [RESULT, RESULT]), "each tool_use must have a single result", id="twice"
        ),
        pytest.param(said("a", [CALL, CALL], [RESULT]), "`tool_use` ids must be unique", id="same-id"),
        pytest.param(
            said("a", [CALL], [RESULT], [CALL], [RESULT]), "`tool_use` ids must be unique", id="id-again"
        ),
        pytest.param(
            said("a", [{**CALL, "input": "{"}]), "tool_use.input: Input should be a valid dict", id="input"
        ),
        pytest.param(
            said("a", [{"type": "thinking", "thinking": "b"}]), "signature: Field required", id="thinking"
        ),
        pytest.param(
            said([{**TEXT, **MARK}] * 5), "A maximum of 4 blocks with cache_control", id="breakpoints"
        ),
    ],
)
async def test_anthropic_refuses_a_history_that_is_not_one(claude, llm, messages, message):
    llm.say("never sent")
    with pytest.raises(anthropic.BadRequestError) as refused:
        await ask(claude, messages)
    assert refused.value.body["type"] == "error"
    assert refused.value.body["error"]["type"] == "invalid_request_error"
    assert message in refused.value.body["error"]["message"]
    assert (llm.requests[0].status, len(llm.queue)) == (400, 1)


@pytest.mark.parametrize(
    "messages",
    [
        pytest.param([*HI, *HI, {"role": "assistant", "content": "a"}, *HI], id="consecutive"),
        pytest.param(said("a", [TEXT, CALL], [RESULT, TEXT]), id="text-after-the-result"),
        pytest.param([*said("a", [CALL], [RESULT]), *HI], id="user-after-the-result"),
        pytest.param(said("a", [CALL], [{**RESULT, "content": ""}]), id="empty-result"),
        pytest.param(said("a", ""), id="empty-prefill"),
        pytest.param([*said("a", [CALL], [RESULT]), SYSTEM], id="system-after-the-result"),
    ],
)
async def test_anthropic_takes_a_history_that_is_one(claude, messages):
    assert (await ask(claude, messages)).stop_reason == "end_turn"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"max_tokens": 0}, "max_tokens: must be greater than or equal to 1"),
        (
            {"messages": [*HI, SYSTEM], "model": "claude-haiku-4-5"},
            "role 'system' is not supported on this model",
        ),
        ({"system": [{"type": "text", "text": ""}]}, "system: text content blocks must be non-empty"),
        (
            {"tools": [{"name": "a b", "input_schema": {}}]},
            "tools.0.custom.name: String should match pattern",
        ),
        ({"tools": [{"name": "a", "input_schema": {"type": "object"}}] * 2}, "Tool names must be unique"),
        (
            {"thinking": {"type": "enabled", "budget_tokens": 4096}},
            "must be greater than `thinking.budget_tokens`",
        ),
        (
            {"system": [{**TEXT, **MARK}], "cache_control": {"type": "ephemeral", "ttl": "1h"}},
            "a ttl='1h' cache_control block must not come after a ttl='5m'",
        ),
    ],
)
async def test_anthropic_refuses_parameters_that_do_not_fit(claude, change, message):
    with pytest.raises(anthropic.BadRequestError) as refused:
        await ask(claude, **change)
    assert message in refused.value.body["error"]["message"]


@pytest.mark.parametrize("name, value", [("temperature", 1.0), ("top_p", 0.9), ("top_k", 5)])
async def test_anthropic_takes_sampling_settings_from_the_old_version_only(claude, name, value):
    with pytest.raises(anthropic.BadRequestError, match=f"{name}: Extra inputs are not permitted"):
        await ask(claude, extra_body={name: value})
    old = {"anthropic-version": "2023-06-01"}
    assert (await ask(claude, extra_body={name: value}, extra_headers=old)).stop_reason == "end_turn"


async def test_anthropic_asks_for_the_token_limit(llm):
    status, body = await post(llm, "/v1/messages", json.dumps({"model": CLAUDE, "messages": HI}))
    assert (status, body["error"]["message"]) == (400, "max_tokens: Field required")


CALLS = {"role": "assistant", "content": None, "tool_calls": [ASKED]}
TOLD = {"role": "tool", "tool_call_id": "call_1", "content": "seen"}


@pytest.mark.parametrize(
    "messages, message, param",
    [
        pytest.param([], "Invalid 'messages': empty array", "messages", id="none"),
        pytest.param(
            [*HI, CALLS], "did not have response messages: call_1", "messages.[2].role", id="call-last"
        ),
        pytest.param(
            [*HI, CALLS, *HI], "did not have response messages: call_1", "messages.[2].role", id="unanswered"
        ),
        pytest.param(
            [*HI, TOLD], "must be a response to a preceeding message", "messages.[1].role", id="orphan"
        ),
        pytest.param([CALLS, TOLD, *HI, TOLD], "must be a response to", "messages.[3].role", id="late"),
        pytest.param(
            [CALLS, {**TOLD, "tool_call_id": "x"}], "not found in 'tool_calls'", None, id="other-id"
        ),
        pytest.param([CALLS, TOLD, TOLD], "Duplicate value for 'tool_call_id'", None, id="twice"),
        pytest.param(
            [{"role": "user", "content": None}], "expected a string, got null", None, id="user-null"
        ),
        pytest.param([*HI, {"role": "assistant", "content": None}], "got null", None, id="assistant-null"),
        pytest.param([CALLS, {**TOLD, "content": None}], "got null", "messages.[1].content", id="tool-null"),
        pytest.param([{**CALLS, "tool_calls": []}], "tool_calls': empty array", None, id="no-calls"),
        pytest.param(
            [{**CALLS, "tool_calls": [{**ASKED, "id": "x" * 41}]}], "maximum length 40", None, id="long-id"
        ),
        pytest.param(
            [{"role": "bot", "content": "a"}], "Invalid value: 'bot'", "messages[0].role", id="role"
        ),
    ],
)
async def test_openai_refuses_a_history_that_is_not_one(gpt, llm, messages, message, param):
    with pytest.raises(openai.BadRequestError) as refused:
        await complete(gpt, messages)
    assert message in refused.value.body["message"]
    assert refused.value.type == "invalid_request_error"
    assert refused.value.param == param or param is None
    assert llm.sent == []


async def test_openai_takes_tool_calls_without_content_and_their_answers(gpt):
    second = {**ASKED, "id": "call_2"}
    messages = [{**CALLS, "tool_calls": [ASKED, second]}, {**TOLD, "tool_call_id": "call_2"}, TOLD, *HI]
    assert (await complete(gpt, messages)).choices[0].message.content == "You said: hi"


async def test_openai_refuses_the_old_token_limit_on_a_reasoning_model(gpt):
    with pytest.raises(openai.BadRequestError, match="max_completion_tokens"):
        await complete(gpt, max_tokens=5)


@pytest.mark.parametrize("path", ["/v1/messages", "/v1/chat/completions"])
@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{", id="cut"),
        pytest.param(b'"text"', id="string"),
        pytest.param(b'{"a": NaN}', id="nan"),
        pytest.param(b'{"a": "\\ud83d"}', id="lone-surrogate"),
        pytest.param(b'{"a": "\xed\xa0\xbd"}', id="surrogate-bytes"),
    ],
)
async def test_a_body_that_is_not_json_is_refused(llm, path, data):
    status, body = await post(llm, path, data)
    assert (status, body["error"]["type"]) == (400, "invalid_request_error")
    assert "JSON" in body["error"]["message"]


async def test_an_escaped_emoji_is_not_a_lone_surrogate(llm):
    data = json.dumps({"model": CLAUDE, "max_tokens": 9, "messages": said("\N{GRINNING FACE}")})
    assert "\\ud83d\\ude00" in data
    status, body = await post(llm, "/v1/messages", data)
    assert (status, body["content"][0]["text"]) == (200, "You said: \N{GRINNING FACE}")


async def test_a_prompt_over_the_window_is_refused_with_its_size(claude, gpt, llm):
    llm.context_window = 1999
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long: 2000 tokens > 1999 maximum"):
        await ask(claude, said(LONG))
    with pytest.raises(openai.BadRequestError) as refused:
        await complete(gpt, said(LONG))
    assert refused.value.code == "context_length_exceeded"
    llm.context_window = 2000
    assert (await ask(claude, said(LONG))).usage.input_tokens == 2000


# ---- prompt caching ----


def counts(usage):
    return (usage.input_tokens, usage.cache_read_input_tokens, usage.cache_creation_input_tokens)


def marked(text, ttl="5m"):
    return [{"type": "text", "text": text, "cache_control": {"type": "ephemeral", "ttl": ttl}}]


async def test_a_marked_prefix_is_written_once_and_then_read(claude):
    first = await ask(claude, said("12345678"), system=marked(LONG))
    second = await ask(claude, said("1234"), system=marked(LONG))
    assert (counts(first.usage), counts(second.usage)) == ((2, 0, 2000), (1, 2000, 0))
    assert first.usage.cache_creation.ephemeral_5m_input_tokens == 2000


async def test_a_growing_history_reads_what_the_last_turn_wrote(claude):
    mark = {"cache_control": {"type": "ephemeral"}}
    first = await ask(claude, said(LONG), **mark)
    second = await ask(claude, said(LONG, "b" * 40, "c" * 80), **mark)
    assert (counts(first.usage), counts(second.usage)) == ((0, 0, 2000), (0, 2000, 30))


async def test_the_two_lifetimes_are_billed_apart(claude, llm):
    answer = await ask(claude, said(marked("b" * 400)), system=marked(LONG, "1h"))
    made = answer.usage.cache_creation
    assert (made.ephemeral_1h_input_tokens, made.ephemeral_5m_input_tokens) == (2000, 100)
    assert (llm.sent[0].cache_write_1h_tokens, llm.sent[0].prompt_tokens) == (2000, 2100)


@pytest.mark.parametrize(
    "first, second, model",
    [
        pytest.param(marked("a" * 4000), marked("a" * 4000), CLAUDE, id="too-short"),
        pytest.param(LONG, LONG, CLAUDE, id="no-mark"),
        pytest.param(LONG, marked(LONG), CLAUDE, id="late-mark"),
        pytest.param(marked(LONG), marked(LONG), "claude-opus-5", id="other-model"),
        pytest.param(marked(LONG), marked("b" + LONG), CLAUDE, id="other-prefix"),
    ],
)
async def test_nothing_is_read_that_was_not_written(claude, first, second, model):
    await ask(claude, system=first)
    assert (await ask(claude, system=second, model=model)).usage.cache_read_input_tokens == 0


async def test_a_cached_prefix_is_forgotten_after_its_lifetime_unless_it_was_read():
    now = [0.0]
    async with (
        FakeLLM(clock=lambda: now[0]) as llm,
        anthropic.AsyncAnthropic(api_key=KEY, base_url=llm.url, max_retries=0) as claude,
    ):
        reads = []
        for now[0] in (0.0, 299.0, 598.0, 899.0):
            reads.append((await ask(claude, system=marked(LONG))).usage.cache_read_input_tokens)
    assert reads == [0, 2000, 2000, 0]


async def test_a_breakpoint_looks_back_twenty_blocks_and_no_further(claude):
    mark = {"cache_control": {"type": "ephemeral"}}
    await ask(claude, said(LONG), **mark)
    near = said(LONG, *["b" * 4] * 18)
    far = said(LONG, *["c" * 4] * 20)
    assert (await ask(claude, near, **mark)).usage.cache_read_input_tokens == 2000
    assert (await ask(claude, far, **mark)).usage.cache_read_input_tokens == 0


async def test_openai_reads_a_seen_prefix_in_steps_of_128(gpt, llm):
    first = await complete(gpt, said(LONG))
    second = await complete(gpt, said(LONG, "b", "c"))
    short = [await complete(gpt, said("a" * 4000)) for _ in range(2)]
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert (second.usage.prompt_tokens, second.usage.prompt_tokens_details.cached_tokens) == (2002, 1920)
    assert short[1].usage.prompt_tokens_details.cached_tokens == 0
    assert total(llm.sent).prompt_tokens == 2000 + 2002 + 2000


# ---- as a process ----


@pytest.fixture
async def process():
    command = [sys.executable, "-m", "tests.fakes.llm", "--mode", "echo", "--delay-ms", "5", "--words", "20"]
    root = Path(__file__).parent.parent
    child = await asyncio.create_subprocess_exec(*command, cwd=root, stdout=asyncio.subprocess.PIPE)
    async with asyncio.timeout(20):
        url = (await child.stdout.readline()).decode().strip()
    yield url
    child.send_signal(signal.SIGTERM)
    async with asyncio.timeout(10):
        assert await child.wait() == 0


async def test_as_a_process_it_is_scripted_and_watched_over_http(process):
    async with (
        aiohttp.ClientSession(process) as http,
        anthropic.AsyncAnthropic(api_key=KEY, base_url=process, max_retries=0) as claude,
    ):
        assert len((await ask(claude)).content[0].text.split()) == 20
        replies = [{"text": "", "calls": [{"name": "look", "arguments": {"a": 1}}]}, {"status": 529}]
        async with http.post("/control/script", json={"replies": replies}) as answer:
            assert await answer.json() == {"queued": 2}
        assert (await ask(claude)).content[0].input == {"a": 1}
        with pytest.raises(anthropic.InternalServerError):
            await ask(claude)
        async with http.get("/control/state?bodies") as answer:
            state = await answer.json()
        assert [each["status"] for each in state["requests"]] == [200, 200, 529]
        assert state["requests"][0]["body"]["messages"] == HI
        assert state["total"]["output_tokens"] == sum(each["output_tokens"] for each in state["sent"])
        assert (state["open"], state["queued"], len(state["sent"])) == (0, 0, 2)
        async with http.post("/control/script", json={"clear": True, "echo": {"words": 1}}) as answer:
            assert answer.status == 200
        assert (await ask(claude)).content[0].text == "You said: hi"
        async with http.post("/control/script", json={"replies": [{"txt": "typo"}]}) as answer:
            assert answer.status == 400


async def test_a_call_keeps_the_id_it_was_given(gpt, llm):
    llm.reply(Reply(text="", calls=(Call("look", {"a": 1}, "call_mine"), Call("look"))))
    calls = (await complete(gpt)).choices[0].message.tool_calls
    assert [call.function.arguments for call in calls] == ['{"a":1}', "{}"]
    assert calls[0].id == "call_mine" != calls[1].id
