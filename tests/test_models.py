"""The models as the vendors' servers see them: over real HTTP against the fake of both."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from contextlib import aclosing, asynccontextmanager

import aiohttp
import httpx2
import pytest
from aiohttp import ClientSession, web

from gateway.errors import ModelError, Refused
from gateway.models.catalogue import DEMO, Catalogue, ProviderConfig
from gateway.models.demo import DemoModel
from gateway.models.legal import BEFORE, GO_ON, NO_OUTPUT, NO_RESULT, legal
from gateway.models.sight import sees
from gateway.models.transport import translated
from gateway.others_words import with_overheard
from gateway.protocols.answer import Answer, Counted, Delta
from gateway.protocols.messages import AssistantMessage, Picture, ResultsMessage, UserMessage
from gateway.protocols.prompt import Prompt
from gateway.protocols.tool import ToolSpec
from gateway.transcript import Opaque, Text, ToolResult, ToolUse
from gateway.types.usage import Tokens
from tests.fakes.llm import KEY, Call, FakeLLM, Pace, Reply

REFS = {"anthropic": "anthropic:claude-sonnet-5", "openai": "openai:gpt-5-mini"}
NOW = ToolSpec(name="now", description="The time.", parameters={"type": "object", "properties": {}})
LONG = "You are kind and brief. " * 400  # over the vendors' smallest cached prompt

both = pytest.mark.parametrize("vendor", list(REFS))


@pytest.fixture
async def llm():
    async with FakeLLM(pace=Pace(chunk=8)) as server:
        yield server


@pytest.fixture
async def catalogue(llm):
    made = configured(llm.url)
    yield made
    await made.close()


def configured(url, *, key=KEY, silence=5.0, **more):
    providers = {
        "anthropic": ProviderConfig("anthropic", "anthropic", key, url),
        "openai": ProviderConfig("openai", "openai", key, url + "/v1"),
    }
    return Catalogue(providers=providers, default=REFS["anthropic"], silence=silence, **more)


def prompt(*said, **more):
    messages = tuple(UserMessage((each,)) if isinstance(each, str) else each for each in said or ("hi",))
    return Prompt(messages=messages, **{"stable": "Be kind.", "max_output_tokens": 500, **more})


async def events_of(model, asked):
    return [event async for event in model.stream(asked)]


async def answer_of(model, asked):
    return (await events_of(model, asked))[-1]


async def failure_of(model, asked):
    seen = []
    with pytest.raises(ModelError) as caught:
        async for event in model.stream(asked):
            seen.append(event)
    assert not any(isinstance(event, Answer) for event in seen)
    return caught.value


def told(usage):
    """The fake's count as ours."""
    return Tokens(
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
    )


# ---- answers ----


@both
async def test_an_answer_comes_in_pieces_and_ends_whole(llm, catalogue, vendor):
    llm.say("Hello there, my friend. How are you?")
    model = catalogue.get(REFS[vendor])
    *before, answer = await events_of(model, prompt("hi"))
    pieces = [event.text for event in before if isinstance(event, Delta)]
    assert len(pieces) > 3
    assert "".join(pieces) == "Hello there, my friend. How are you?"
    assert answer.parts == (Text("Hello there, my friend. How are you?"),)
    assert (answer.finish, answer.model) == ("stop", model.model)
    assert answer.provider_id == llm.requests[0].response_id
    assert answer.provider_cost is None
    assert not any(isinstance(event, Answer) for event in before)


@both
async def test_the_counts_are_the_ones_the_server_told(llm, catalogue, vendor):
    answer = await answer_of(catalogue.get(REFS[vendor]), prompt("hi", stable=LONG, tools=(NOW,)))
    assert answer.tokens == told(llm.requests[0].sent_usage)
    assert answer.tokens.input > 1024


@both
async def test_the_second_turn_reads_the_cache_although_the_volatile_text_changed(llm, catalogue, vendor):
    model = catalogue.get(REFS[vendor])
    first = prompt("word " * 1000, stable=LONG, tools=(NOW,), volatile="It is 9:00.")
    answer = await answer_of(model, first)
    second = prompt(
        *first.messages,
        AssistantMessage(answer.parts),
        "and now?",
        stable=LONG,
        tools=(NOW,),
        volatile="It is 9:05.",
    )
    counts = (await answer_of(model, second)).tokens
    assert counts == told(llm.requests[1].sent_usage)
    assert counts.read > 2000 if vendor == "openai" else counts.read > 3600  # with the long user message
    assert "9:05" in json.dumps(llm.requests[1].body["messages"][-1])


async def test_a_tool_loop_reads_what_the_step_before_it_wrote(llm, catalogue):
    model = catalogue.get(REFS["anthropic"])
    use = AssistantMessage((ToolUse("toolu_1", "now", "{}"),))
    result = ResultsMessage((ToolResult("toolu_1", "now", "noon " * 500),))
    again = AssistantMessage((ToolUse("toolu_2", "now", "{}"),))
    more = ResultsMessage((ToolResult("toolu_2", "now", "one"),))
    for said in (("when?",), ("when?", use, result), ("when?", use, result, again, more)):
        await answer_of(model, prompt(*said, stable=LONG, volatile="It is 9:00.", tools=(NOW,)))
    reads = [request.sent_usage.cache_read_tokens for request in llm.requests]
    assert reads[1] >= llm.requests[0].sent_usage.cache_write_tokens
    assert reads[2] >= reads[1] + llm.requests[1].sent_usage.cache_write_tokens > reads[1] + 600


async def test_no_text_comes_after_tool_results(llm, catalogue):
    use = AssistantMessage((ToolUse("toolu_1", "now", "{}"),))
    result = ResultsMessage((ToolResult("toolu_1", "now", "noon"),))
    await answer_of(catalogue.get(REFS["anthropic"]), prompt("when?", use, result, volatile="It is 9:00."))
    said, _, results = llm.requests[0].body["messages"]
    assert [block["type"] for block in results["content"]] == ["tool_result"]
    assert "9:00" in said["content"][-1]["text"]


async def test_a_prompt_that_is_not_to_be_cached_has_no_breakpoints(llm, catalogue):
    asked = prompt("hi", stable=LONG, tools=(NOW,), cache="off")
    await answer_of(catalogue.get(REFS["anthropic"]), asked)
    assert "cache_control" not in json.dumps(llm.requests[0].body)


async def test_anthropics_input_is_counted_before_the_first_word(catalogue):
    events = await events_of(catalogue.get(REFS["anthropic"]), prompt("hi"))
    assert isinstance(events[0], Counted)
    assert events[0].tokens.input == events[-1].tokens.input
    assert isinstance(events[1], Delta)


@both
async def test_a_request_says_what_the_prompt_says(llm, catalogue, vendor):
    # Of OpenAI's an older model: the newer ones take no temperature, and Anthropic's API takes none at all.
    ref = {"anthropic": REFS["anthropic"], "openai": "openai:gpt-4.1"}[vendor]
    await answer_of(catalogue.get(ref), prompt("hi", temperature=0.25, tools=(NOW,), max_output_tokens=77))
    body = llm.requests[0].body
    assert (body["stream"], body["model"]) == (True, ref.partition(":")[2])
    assert body.get("temperature") == (0.25 if vendor == "openai" else None)
    if vendor == "anthropic":
        assert body["max_tokens"] == 77
        assert body["system"][0]["text"] == "Be kind."
        assert body["tools"][0]["input_schema"] == NOW.parameters
    else:
        assert body["messages"][0] == {"role": "system", "content": "Be kind."}
        assert body["tools"][0]["function"]["parameters"] == NOW.parameters
        assert body["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("gpt-5-mini", "max_completion_tokens"),
        ("o3", "max_completion_tokens"),
        ("gpt-4.1", "max_tokens"),
        ("qwen3:8b", "max_tokens"),
        ("openai/gpt-5", "max_tokens"),
    ],
)
async def test_a_compatible_server_gets_the_limit_by_the_name_it_knows(llm, catalogue, model, name):
    await answer_of(catalogue.get(f"openai:{model}"), prompt("hi", max_output_tokens=321))
    body = llm.requests[0].body
    assert body["model"] == model
    assert {key: body[key] for key in body if key.startswith("max_")} == {name: 321}


@both
async def test_an_answer_at_its_limit_says_so(llm, catalogue, vendor):
    llm.say("word " * 100)
    answer = await answer_of(catalogue.get(REFS[vendor]), prompt("hi", max_output_tokens=10))
    assert answer.finish == "length"


# ---- tools ----


@both
async def test_a_tool_goes_round_trip(llm, catalogue, vendor):
    model = catalogue.get(REFS[vendor])
    given = '{"city": "Bern",  "n": 1.50}'
    call = Call("now", given, id="call_7")
    llm.reply(Reply(text="Let me look.", calls=(call, Call("now", {}))), Reply(text="It is noon."))
    asked = prompt("what time?", tools=(NOW,))
    answer = await answer_of(model, asked)
    assert answer.finish == "tools"
    text, first, second = answer.parts
    assert (text, first) == (Text("Let me look."), ToolUse("call_7", "now", given))
    assert json.loads(second.args) == {}

    results = (ToolResult("call_7", "now", "noon"), ToolResult(second.id, "now", "broken", error=True))
    then = prompt(*asked.messages, AssistantMessage(answer.parts), ResultsMessage(results), tools=(NOW,))
    assert (await answer_of(model, then)).parts == (Text("It is noon."),)
    sent = llm.requests[1].body["messages"]
    if vendor == "anthropic":
        uses = [block for block in sent[1]["content"] if block["type"] == "tool_use"]
        assert [use["input"] for use in uses] == [{"city": "Bern", "n": 1.5}, {}]
        assert [block["is_error"] for block in sent[2]["content"]] == [False, True]
    else:
        calls = next(each for each in sent if each["role"] == "assistant")["tool_calls"]
        assert json.loads(calls[0]["function"]["arguments"]) == {"city": "Bern", "n": 1.5}
        assert "broken" in sent[-1]["content"]


@both
async def test_arguments_that_are_no_json_come_as_they_were_given(llm, catalogue, vendor):
    llm.reply(Reply(text="", calls=(Call("now", '{"city": "Be'),)))
    answer = await answer_of(catalogue.get(REFS[vendor]), prompt("time?", tools=(NOW,)))
    assert answer.parts[0].args == '{"city": "Be'


# ---- thinking ----


async def test_thinking_goes_back_to_its_own_vendor_in_its_tool_loop_and_is_never_shown(llm, catalogue):
    model = catalogue.get(REFS["anthropic"])
    llm.reply(Reply(text="", thinking="The person wants the time.", calls=(Call("now", {}, id="toolu_1"),)))
    *before, answer = await events_of(model, prompt("when?", tools=(NOW,)))
    thought, _ = answer.parts
    assert isinstance(thought, Opaque) and thought.provider == "anthropic"
    assert not any(isinstance(event, Delta) for event in before)
    loop = ("when?", AssistantMessage(answer.parts), ResultsMessage((ToolResult("toolu_1", "now", "noon"),)))
    await answer_of(model, prompt(*loop, tools=(NOW,)))
    assert llm.requests[1].body["messages"][1]["content"] == [
        {"type": "thinking", "thinking": "The person wants the time.", "signature": "c2lnbmVk"},
        {"type": "tool_use", "id": "toolu_1", "name": "now", "input": {}},
    ]
    await answer_of(catalogue.get(REFS["openai"]), prompt(*loop, tools=(NOW,)))
    await answer_of(model, prompt(*loop, AssistantMessage((Text("Noon."),)), "thanks", tools=(NOW,)))
    assert not any("wants the time" in json.dumps(request.body) for request in llm.requests[2:])


# ---- failures ----


@both
async def test_a_cut_stream_is_never_an_answer(llm, catalogue, vendor):
    model = catalogue.get(REFS[vendor])
    for after in range(6):
        llm.reply(Reply(text="one two three four five six seven eight", cut_after=after))
        error = await failure_of(model, prompt("hi"))
        assert (error.kind, error.sent) == ("cut", True), after
    assert len(llm.requests) == 6


async def test_what_a_cut_stream_had_counted_is_kept(llm, catalogue):
    llm.reply(Reply(text="one two three four five six seven eight", cut_after=5))
    error = await failure_of(catalogue.get(REFS["anthropic"]), prompt("hi"))
    assert error.tokens == told(llm.requests[0].sent_usage)


async def test_a_connection_torn_after_the_last_word_changes_nothing(llm, catalogue):
    # message_start, ping, block start, one delta, block stop, message_delta: and then no message_stop
    llm.reply(Reply(text="Done.", cut_after=6))
    answer = await answer_of(catalogue.get(REFS["anthropic"]), prompt("hi"))
    assert answer.parts == (Text("Done."),)
    assert answer.tokens == told(llm.requests[0].sent_usage)


@both
@pytest.mark.parametrize("after", [0, 4])
async def test_a_stalled_stream_is_a_timeout(llm, vendor, after):
    catalogue = configured(llm.url, silence=0.2)
    llm.reply(Reply(text="one two three four five six", stall_after=after))
    error = await failure_of(catalogue.get(REFS[vendor]), prompt("hi"))
    assert error.kind == "timeout"
    if vendor == "anthropic" and after:
        assert error.tokens == told(llm.requests[0].sent_usage)
    await gone(llm)
    await catalogue.close()


async def test_pings_do_not_keep_a_stalled_answer_alive():
    async def handle(request):
        response = web.StreamResponse(headers={"content-type": "text/event-stream"})
        await response.prepare(request)
        while True:
            await response.write(b'event: ping\ndata: {"type":"ping"}\n\n')
            await asyncio.sleep(0.02)

    async with stub(handle) as url:
        catalogue = configured(url, silence=0.3)
        assert (await failure_of(catalogue.get(REFS["anthropic"]), prompt("hi"))).kind == "timeout"
        await catalogue.close()


@both
@pytest.mark.parametrize(
    ("reply", "kind", "wait"),
    [
        (Reply(status=429, retry_after=7), "rate_limited", 7.0),
        (Reply(status=529), "overloaded", None),
        (Reply(status=500), "overloaded", None),
        (Reply(status=404), "not_found", None),
        (Reply(status=402), "credit", None),
        (Reply(status=413), "context", None),
        (Reply(status=400, code="insufficient_quota"), "credit", None),
        (Reply(status=400, code="context_length_exceeded"), "context", None),
        (Reply(status=400, message="top_p: wrong"), "refused", None),
    ],
)
async def test_an_error_answer_is_told_by_kind_and_asked_once(llm, catalogue, vendor, reply, kind, wait):
    llm.reply(reply)
    error = await failure_of(catalogue.get(REFS[vendor]), prompt("hi"))
    assert error.kind == kind
    if wait is not None:
        assert error.retry_after == wait
    assert error.status is not None and error.status >= 400
    assert error.sent
    assert len(llm.requests) == 1


@both
async def test_a_refused_key_is_told_without_the_key(llm, vendor):
    catalogue = configured(llm.url, key="sk-ant-very-secret")
    error = await failure_of(catalogue.get(REFS[vendor]), prompt("hi"))
    assert (error.kind, error.status) == ("auth", 401)
    assert "secret" not in str(error) and "sk-ant" not in str(error)
    assert "secret" not in repr(catalogue.get(REFS[vendor])._connection.config)
    await catalogue.close()


@both
async def test_an_error_inside_the_stream_is_told_by_kind(llm, catalogue, vendor):
    llm.reply(Reply(text="one two three four", error_after=4))
    error = await failure_of(catalogue.get(REFS[vendor]), prompt("hi"))
    assert error.kind == "overloaded"
    assert len(llm.requests) == 1


@both
async def test_a_request_that_never_left_is_told_apart(vendor):
    catalogue = configured("http://127.0.0.1:9")  # discard: nobody listens
    error = await failure_of(catalogue.get(REFS[vendor]), prompt("hi"))
    assert (error.kind, error.sent, error.tokens) == ("connect", False, None)
    await catalogue.close()


@both
async def test_a_prompt_that_is_too_long_is_told(vendor):
    async with FakeLLM(context_window=100) as llm:
        catalogue = configured(llm.url)
        assert (await failure_of(catalogue.get(REFS[vendor]), prompt("word " * 500))).kind == "context"
        await catalogue.close()


@both
async def test_a_page_instead_of_an_answer_is_a_failure(vendor):
    async def handle(request):
        return web.Response(text="<html><h1>Please log in</h1></html>", content_type="text/html")

    async with stub(handle) as url:
        catalogue = configured(url)
        assert (await failure_of(catalogue.get(REFS[vendor]), prompt("hi"))).kind == "cut"
        await catalogue.close()


# ---- going away ----


async def gone(llm):
    async with asyncio.timeout(3):
        while llm.open:
            await asyncio.sleep(0.01)


@both
async def test_closing_the_iterator_drops_the_connection(llm, catalogue, vendor):
    llm.reply(Reply(text="one two three four five six", stall_after=5))
    async with aclosing(catalogue.get(REFS[vendor]).stream(prompt("hi"))) as events:
        async for event in events:
            if isinstance(event, Delta):
                break
        assert llm.open == 1
    await gone(llm)
    assert llm.requests[0].vanished
    assert (await answer_of(catalogue.get(REFS[vendor]), prompt("again"))).finish == "stop"


@both
async def test_cancelling_the_task_drops_the_connection(llm, catalogue, vendor):
    llm.reply(Reply(text="one two three four five six", stall_after=5))
    task = asyncio.create_task(events_of(catalogue.get(REFS[vendor]), prompt("hi")))
    await llm.arrived(1)
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await gone(llm)
    assert llm.requests[0].vanished


# ---- servers of their own kind ----


@asynccontextmanager
async def stub(handle):
    """A server that answers every path by *handle*; gives its address."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def chunk(delta=None, finish=None, **more):
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    body = {"id": "c1", "object": "chat.completion.chunk", "created": 1, "model": "m", "choices": choices}
    return {**body, **more}


async def chat_with(*chunks, done=True):
    """The last event, or the error, of a compatible server that sends these chunks."""
    data = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks)

    async def handle(request):
        return web.Response(
            body=data + (b"data: [DONE]\n\n" if done else b""), content_type="text/event-stream"
        )

    async with stub(handle) as url:
        catalogue = configured(url)
        try:
            return (await events_of(catalogue.get("openai:m"), prompt("hi")))[-1]
        except ModelError as error:
            return error
        finally:
            await catalogue.close()


def usage(sent, made, **more):
    return {"prompt_tokens": sent, "completion_tokens": made, "total_tokens": sent + made, **more}


async def test_a_server_that_never_counts_leaves_the_tokens_unknown():
    answer = await chat_with(chunk({"content": "hi"}), chunk({}, "stop"))
    assert (answer.parts, answer.tokens) == ((Text("hi"),), None)


async def test_running_totals_are_not_added_up():
    answer = await chat_with(
        chunk({"content": "a"}, usage=usage(9, 1)),
        chunk({"content": "b"}, usage=usage(9, 2)),
        chunk({}, "stop", usage=usage(9, 2)),
        chunk(usage=usage(9, 2)),
    )
    assert answer.tokens == Tokens(uncached=9, output=2)


async def test_what_another_server_calls_cost_is_not_taken_for_dollars():
    answer = await chat_with(chunk({"content": "a"}), chunk({}, "stop"), chunk(usage=usage(9, 1, cost=0.5)))
    assert answer.provider_cost is None


async def test_chunks_that_are_not_as_openai_describes_them_are_understood():
    answer = await chat_with(
        {"model": "m", "choices": [{"delta": {"content": "hi"}}]},
        {"choices": [{"index": 0, "delta": {"content": None, "tool_calls": None}, "finish_reason": "eos"}]},
        {"choices": None, "usage": usage(9, 1)},
    )
    assert (answer.parts, answer.finish, answer.tokens) == (
        (Text("hi"),),
        "stop",
        Tokens(uncached=9, output=1),
    )


async def test_a_silent_end_is_a_cut():
    error = await chat_with(chunk({"content": "half an ans"}), done=False)
    assert isinstance(error, ModelError) and error.kind == "cut"


async def test_a_server_that_says_stop_for_a_tool_still_asks_for_it():
    call = {"index": 0, "id": "functions.now:0", "function": {"name": "now", "arguments": "{}"}}
    answer = await chat_with(chunk({"tool_calls": [call]}), chunk({}, "stop"))
    assert (answer.finish, answer.parts) == ("tools", (ToolUse("functions.now:0", "now", "{}"),))


async def test_a_refusal_is_said_in_its_own_words():
    answer = await chat_with(
        chunk({"refusal": "I will not "}), chunk({"refusal": "do that."}), chunk({}, "stop")
    )
    assert (answer.finish, answer.parts) == ("filter", (Text("I will not do that."),))


async def test_reasoning_of_a_compatible_server_is_not_shown_and_goes_back_in_its_tool_loop_only():
    bodies = []
    call = {"index": 0, "id": "c1", "function": {"name": "now", "arguments": "{}"}}
    chunks = [chunk({"reasoning_content": "Hmm."}), chunk({"tool_calls": [call]}), chunk({}, "tool_calls")]

    async def handle(request):
        bodies.append(await request.json())
        data = b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks)
        return web.Response(body=data, content_type="text/event-stream")

    async with stub(handle) as url:
        catalogue = configured(url)
        model = catalogue.get("openai:deepseek-reasoner")
        *before, answer = await events_of(model, prompt("when?", tools=(NOW,)))
        assert not any(isinstance(event, Delta) for event in before)
        used = (AssistantMessage(answer.parts), ResultsMessage((ToolResult("c1", "now", "noon"),)))
        await events_of(model, prompt("when?", *used, tools=(NOW,)))
        await events_of(model, prompt("when?", *used, AssistantMessage((Text("noon"),)), "ok", tools=(NOW,)))
        await catalogue.close()
    assert "Hmm." in json.dumps(bodies[1])
    assert "Hmm." not in json.dumps(bodies[2])


# ---- the transport ----


@both
async def test_answers_one_after_the_other_use_one_connection(vendor):
    peers = set()
    async with FakeLLM() as llm:

        async def pass_on(request):
            peers.add(request.transport.get_extra_info("peername"))
            async with ClientSession(auto_decompress=False) as session:
                data = await request.read()
                async with session.post(llm.url + request.path, data=data, headers=request.headers) as answer:
                    return web.Response(body=await answer.read(), content_type="text/event-stream")

        async with stub(pass_on) as url:
            catalogue = configured(url)
            for _ in range(3):
                await answer_of(catalogue.get(REFS[vendor]), prompt("hi"))
            await catalogue.close()
    assert len(peers) == 1


@both
async def test_an_address_that_is_none_is_told_as_never_sent(vendor):
    catalogue = configured("no-scheme")
    assert (await failure_of(catalogue.get(REFS[vendor]), prompt("hi"))).kind == "connect"
    await catalogue.close()


@pytest.mark.parametrize(
    ("raised", "becomes"),
    [
        (aiohttp.ConnectionTimeoutError(), httpx2.ConnectTimeout),
        (aiohttp.SocketTimeoutError(), httpx2.ReadTimeout),
        (TimeoutError(), httpx2.ReadTimeout),
        (aiohttp.InvalidURL("x"), httpx2.ConnectError),
        (aiohttp.ServerDisconnectedError(), httpx2.RemoteProtocolError),
        (aiohttp.ClientPayloadError(), httpx2.RemoteProtocolError),
        (aiohttp.ClientOSError(), httpx2.ReadError),
        (ConnectionResetError(), httpx2.ReadError),
    ],
)
def test_the_transport_raises_what_the_sdks_know(raised, becomes):
    with pytest.raises(httpx2.TransportError) as caught, translated():
        raise raised
    assert type(caught.value) is becomes


# ---- pictures ----


@both
async def test_pictures_go_before_the_text_and_stay_within_what_is_cached(llm, catalogue, vendor):
    seen = UserMessage(("what is this?", "say it briefly"), (Picture(1, "image/png", b"PNG"),))
    await answer_of(catalogue.get(REFS[vendor]), prompt(seen, volatile="It is nine.", stable=LONG))
    content = llm.requests[0].body["messages"][-1]["content"]
    if vendor == "anthropic":
        image, first, second, volatile = content
        assert image == {
            "type": "image",
            "source": {"type": "base64", "media_type": "image/png", "data": "UE5H"},
        }
        assert (first["text"], second["text"]) == seen.texts
        assert "cache_control" in second and "cache_control" not in volatile
    else:
        image, text = content
        assert image == {"type": "image_url", "image_url": {"url": "data:image/png;base64,UE5H"}}
        assert text["text"].startswith("what is this?\n\nsay it briefly")


def test_pictures_are_kept_where_messages_are_joined_and_left_out_without_their_data():
    one, two = Picture(1, "image/png", b"1"), Picture(2, "image/jpeg", b"2")
    said = [
        UserMessage(("a",), (one,)),
        UserMessage((), (two,)),
        UserMessage(("b",), (Picture(3, "image/png"),)),
    ]
    assert legal(said, opaque="x") == [UserMessage(("a", "b"), (one, two))]
    context = with_overheard([UserMessage(("a",), (one,))], [{"from": "Bo", "text": "hm"}])
    assert context[0].pictures == (one,)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-3.5-turbo",
        "gpt-4",
        "o1-mini",
        "deepseek-chat",
        "claude-2.1",
        "meta-llama/llama-3.3-70b-instruct",
        "llama3.1:8b",
        "qwen3:8b",
    ],
)
def test_models_that_read_text_only_are_known(model):
    assert not sees(model)


@pytest.mark.parametrize(
    "model",
    [
        "gpt-4o",
        "gpt-4-turbo",
        "o1",
        "claude-3-haiku",
        "anthropic/claude-sonnet-4.5",
        "gemini-2.5-flash",
        "llama3.2-vision",
        "gemma3:4b",
        "qwen2.5vl:7b",
        "mystery",
    ],
)
def test_others_are_asked(model):
    assert sees(model)


# ---- always legal ----


def some_conversation(chance):
    """Anything a transcript could hold after crashes, hot swaps and odd servers."""
    ids = ["", "call_1", "functions.now:0", "toolu_" + "x" * 60, "call_2", "ünïcode"]
    texts = ["", "  \n", "hello", "half \ud83d of a character", "long " * 50, "\x00", "</context>"]
    args = ["", "{}", '{"a": 1}', "[1]", "not json", '{"a": NaN}', '"x"', '{"a": "\\ud800"}']
    parts = [
        lambda: Text(chance.choice(texts)),
        lambda: ToolUse(
            chance.choice(ids), chance.choice(["now", "a.b c", "", "n" * 90]), chance.choice(args)
        ),
        lambda: Opaque("anthropic", {"text": "thought", "signature": "c2ln"}),
        lambda: Opaque("openai:openai", {"text": "thought", "id": "reasoning_content"}),
        lambda: Opaque("elsewhere", {"what": 1}),
    ]
    messages = [
        lambda: UserMessage(tuple(chance.choices(texts, k=chance.randint(0, 3)))),
        lambda: AssistantMessage(tuple(chance.choice(parts)() for _ in range(chance.randint(0, 4)))),
        lambda: ResultsMessage(
            tuple(
                ToolResult(chance.choice(ids), "now", chance.choice(texts), chance.random() < 0.3)
                for _ in range(chance.randint(0, 3))
            )
        ),
    ]
    return tuple(chance.choice(messages)() for _ in range(chance.randint(0, 9)))


@both
async def test_no_conversation_is_refused_for_its_shape(llm, catalogue, vendor):
    chance = random.Random(20)
    for number in range(80):
        said = some_conversation(chance)
        asked = prompt(*said, volatile=chance.choice(["", "now \ud83d"]), tools=(NOW,))
        assert (await answer_of(catalogue.get(REFS[vendor]), asked)).finish == "stop", (number, said)


def test_the_same_conversation_is_always_sent_the_same():
    said = some_conversation(random.Random(3))
    assert legal(said, opaque="anthropic") == legal(said, opaque="anthropic")


def test_what_is_already_legal_is_not_touched():
    said = [
        UserMessage(("hi", "there")),
        AssistantMessage((Text("Let me look."), ToolUse("toolu_1", "now", '{"a":  1}'))),
        ResultsMessage((ToolResult("toolu_1", "now", "noon"),)),
        AssistantMessage((Text("Noon."),)),
        UserMessage(("thanks",)),
    ]
    assert legal(said, opaque="anthropic") == said


def test_a_call_without_a_result_gets_one_that_says_so():
    found = legal([UserMessage(("hi",)), AssistantMessage((ToolUse("a", "now", "{}"),))], opaque="")
    assert found[-1] == ResultsMessage((ToolResult("a", "now", NO_RESULT, True),))


def test_a_result_nobody_asked_for_is_left_out():
    found = legal([UserMessage(("hi",)), ResultsMessage((ToolResult("a", "now", "x"),))], opaque="")
    assert found == [UserMessage(("hi",))]


def test_an_empty_result_says_that_it_is_empty():
    said = [
        UserMessage(("hi",)),
        AssistantMessage((ToolUse("a", "now", "{}"),)),
        ResultsMessage((ToolResult("a", "now", " "),)),
    ]
    assert legal(said, opaque="")[-1].results[0].text == NO_OUTPUT


def test_an_answer_at_either_end_is_framed():
    found = legal([AssistantMessage((Text("Good morning!"),))], opaque="")
    assert found == [
        UserMessage((BEFORE,)),
        AssistantMessage((Text("Good morning!"),)),
        UserMessage((GO_ON,)),
    ]


def test_a_call_id_that_comes_again_is_sent_as_another():
    use, result = (
        AssistantMessage((ToolUse("call_0", "now", "{}"),)),
        ResultsMessage((ToolResult("call_0", "now", "x"),)),
    )
    found = legal([UserMessage(("a",)), use, result, UserMessage(("b",)), use, result], opaque="")
    first, second = (m.parts[0].id for m in found if isinstance(m, AssistantMessage))
    assert first == "call_0" != second
    assert [m.results[0].id for m in found if isinstance(m, ResultsMessage)] == [first, second]


# ---- the catalogue ----


def test_without_a_provider_the_demo_answers():
    catalogue = Catalogue(providers={}, default="anthropic:claude-sonnet-5", fallbacks=["openai:gpt-5"])
    assert catalogue.default == DEMO
    assert [model.ref for model in catalogue.chain(None)] == [DEMO]


def test_a_provider_without_its_key_is_as_none():
    catalogue = Catalogue(
        providers={"anthropic": ProviderConfig("anthropic", "anthropic")}, default="anthropic:x"
    )
    assert catalogue.default == DEMO


def test_a_server_of_ones_own_needs_no_key():
    own = ProviderConfig("local", "openai", base_url="http://127.0.0.1:11434/v1/")
    catalogue = Catalogue(providers={"local": own}, default="local:qwen3:8b")
    model = catalogue.get(catalogue.default)
    assert (model.ref, model.provider, model.kind) == ("local:qwen3:8b", "local", "openai")
    assert (model.model, model.base_url) == ("qwen3:8b", "http://127.0.0.1:11434/v1")


@pytest.mark.parametrize(
    ("ref", "remedy"),
    [
        ("nobody:x", r"\[providers.nobody\]"),
        ("claude-sonnet-5", "provider:model"),
        (":x", "provider:model"),
        ("anthropic:", "provider:model"),
        ("keyless:x", "providers.keyless.api_key"),
        ("strange:x", "providers.strange.kind"),
    ],
)
def test_a_model_that_cannot_be_asked_is_refused_with_the_remedy(ref, remedy):
    providers = {
        "anthropic": ProviderConfig("anthropic", "anthropic", "k"),
        "keyless": ProviderConfig("keyless", "openai"),
        "strange": ProviderConfig("strange", "gopher", "k"),
    }
    catalogue = Catalogue(providers=providers, default="anthropic:x")
    with pytest.raises(Refused, match=remedy):
        catalogue.get(ref)


def test_the_chain_is_the_chosen_model_and_then_the_fallbacks_none_twice():
    catalogue = configured("http://x", fallbacks=["openai:b", "anthropic:c", "openai:b"])
    assert [model.ref for model in catalogue.chain(None)] == [REFS["anthropic"], "openai:b", "anthropic:c"]
    assert [model.ref for model in catalogue.chain("anthropic:c")] == ["anthropic:c", "openai:b"]
    assert catalogue.get("openai:b") is catalogue.get("openai:b")


async def test_a_default_is_swapped_while_answers_are_made(llm, catalogue):
    llm.reply(Reply(text="one two three four five six", between=0.02))
    swapped = ProviderConfig("anthropic", "anthropic", "another key", llm.url)
    async with aclosing(catalogue.get(REFS["anthropic"]).stream(prompt("hi"))) as events:
        await anext(events)
        await catalogue.replace(providers={"anthropic": swapped}, default="anthropic:claude-opus-5")
        last = [event async for event in events][-1]
    assert last.parts == (Text("one two three four five six"),)
    assert catalogue.default == "anthropic:claude-opus-5"
    assert (await failure_of(catalogue.get(catalogue.default), prompt("hi"))).kind == "auth"


async def test_a_provider_that_did_not_change_keeps_its_connection(catalogue):
    before = catalogue.get(REFS["openai"])._connection
    await catalogue.replace(fallbacks=[REFS["openai"]])
    assert catalogue.get(REFS["openai"])._connection is before
    assert catalogue.fallbacks == (REFS["openai"],)


async def test_a_model_of_a_closed_catalogue_opens_what_it_needs(llm, catalogue):
    model = catalogue.get(REFS["openai"])
    await answer_of(model, prompt("hi"))
    await catalogue.close()
    assert (await answer_of(model, prompt("hi"))).finish == "stop"


# ---- what is imported ----


def in_a_fresh_python(code):
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    return json.loads(done.stdout)


def test_the_catalogue_brings_no_sdk():
    code = """
import json, sys
import gateway.models.catalogue
heavy = ("pydantic_ai", "anthropic", "openai", "google.genai", "httpx2", "aiohttp")
print(json.dumps([m for m in heavy if m in sys.modules]))
"""
    assert in_a_fresh_python(code) == []


@pytest.mark.parametrize(
    ("kind", "sdk"),
    [
        ("anthropic", "anthropic"),
        ("openai", "openai"),
        ("google", "google.genai"),
        ("openrouter", "openai"),
        ("ollama", "openai"),
    ],
)
def test_the_sdk_of_a_provider_that_is_not_configured_is_never_imported(kind, sdk):
    code = f"""
import asyncio, json, sys
from gateway.models.catalogue import Catalogue, ProviderConfig
from gateway.errors import ModelError
from gateway.protocols.messages import UserMessage
from gateway.protocols.prompt import Prompt
async def main():
    config = ProviderConfig("p", {kind!r}, "k", "http://127.0.0.1:9")
    catalogue = Catalogue(providers={{"p": config}}, default="p:m/m")
    await catalogue.warm()
    try:
        async for event in catalogue.get("p:m/m").stream(Prompt(stable="", messages=(UserMessage(("hi",)),))):
            pass
    except ModelError as error:
        sdks = [each for each in ("anthropic", "openai", "google.genai") if each in sys.modules]
        print(json.dumps([error.kind, sdks]))
    await catalogue.close()
asyncio.run(main())
"""
    assert in_a_fresh_python(code) == ["connect", [sdk]]


# ---- the demo ----


async def test_the_demo_says_what_it_is_and_how_to_set_a_key():
    *before, answer = await events_of(DemoModel(), prompt("Good morning!"))
    text = answer.parts[0].text
    assert "demo" in text and "parley init" in text and "ANTHROPIC_API_KEY" in text
    assert "Good morning!" in text
    pieces = [event.text for event in before if isinstance(event, Delta)]
    assert len(pieces) > 20 and "".join(pieces) == text


async def test_the_demo_is_on_the_bill():
    first, *_, answer = await events_of(DemoModel(), prompt("x" * 400))
    assert first == Counted(Tokens(uncached=102))  # 400 bytes and "Be kind.", four to a token
    assert answer.tokens == Tokens(uncached=102, output=-(-len(answer.parts[0].text.encode()) // 4))


async def test_the_demo_shows_a_long_answer_on_request():
    answer = await answer_of(DemoModel(), prompt("/demo long"))
    text = answer.parts[0].text
    assert len(text) > 4096 and "```python" in text and "\n- " in text


async def test_the_demo_uses_the_clock_when_it_is_asked_for_the_time():
    demo = DemoModel()
    asked = prompt("What time is it?", tools=(NOW,))
    answer = await answer_of(demo, asked)
    call = answer.parts[0]
    assert (answer.finish, call.name, call.args) == ("tools", "now", "{}")
    result = ResultsMessage((ToolResult(call.id, "now", "noon sharp"),))
    then = prompt(*asked.messages, AssistantMessage(answer.parts), result, tools=(NOW,))
    assert "noon sharp" in (await answer_of(demo, then)).parts[0].text
    assert isinstance((await answer_of(demo, prompt("What time is it?"))).parts[0], Text)


async def test_the_demo_takes_any_conversation():
    chance = random.Random(7)
    for _ in range(50):
        assert (await answer_of(DemoModel(), prompt(*some_conversation(chance)))).tokens.output > 0
