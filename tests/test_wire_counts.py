"""What each vendor's wire says was used, as its public documents show it, comes to kinds that do not overlap.

Anthropic's input leaves out what the cache read and wrote; OpenAI's and Google's have it in. Thinking is output with
all of them, and in Google's counts beside the answer. Together the kinds are always everything that was counted.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web

from gateway.models.catalogue import Catalogue, ProviderConfig
from gateway.price import cost
from gateway.protocols.answer import Answer
from gateway.protocols.messages import UserMessage
from gateway.protocols.prompt import Prompt
from gateway.types.usage import Tokens
from gateway.usage import find_price

Body = dict[str, Any]


@asynccontextmanager
async def serving(body: bytes) -> AsyncIterator[str]:
    """A server that streams that, whatever it is asked."""

    async def handle(request: web.Request) -> web.Response:
        return web.Response(body=body, content_type="text/event-stream")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handle)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def counted(ref: str, body: bytes) -> Tokens:
    kind = ref.partition(":")[0]
    async with serving(body) as url:
        config = ProviderConfig(kind, kind, "key", url + ("/v1" if kind == "openai" else ""))
        catalogue = Catalogue(providers={kind: config}, default=ref)
        try:
            prompt = Prompt(stable="", messages=(UserMessage(("hi",)),))
            (answer,) = [e async for e in catalogue.get(ref).stream(prompt) if isinstance(e, Answer)]
        finally:
            await catalogue.close()
    assert answer.tokens is not None
    return answer.tokens


def anthropic(start: Body, end: Body) -> bytes:
    """Messages API, streaming: the counts of message_start, and those of message_delta, which are cumulative."""
    message = {"id": "msg_1", "type": "message", "role": "assistant", "content": [], "model": "claude-sonnet-5",
               "stop_reason": None, "stop_sequence": None, "usage": start}  # fmt: skip
    text = {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "Hello!"}}
    stop = {"stop_reason": "end_turn", "stop_sequence": None}
    events: Sequence[Body] = (
        {"type": "message_start", "message": message},
        text,
        delta,
        {"type": "content_block_stop", "index": 0},
        {"type": "message_delta", "delta": stop, "usage": end},
        {"type": "message_stop"},
    )
    return b"".join(f"event: {e['type']}\ndata: {json.dumps(e)}\n\n".encode() for e in events)


def openai(usage: Body) -> bytes:
    """Chat Completions, streaming with include_usage: the last chunk has no choices and the counts."""
    head = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "gpt-5-mini-2025-08-07",
    }
    text = {"index": 0, "delta": {"role": "assistant", "content": "Hello!"}, "finish_reason": None}
    stop = {"index": 0, "delta": {}, "finish_reason": "stop"}
    chunks: Sequence[Body] = (
        {**head, "choices": [text], "usage": None},
        {**head, "choices": [stop], "usage": None},
        {**head, "choices": [], "usage": usage},
    )
    return b"".join(f"data: {json.dumps(each)}\n\n".encode() for each in chunks) + b"data: [DONE]\n\n"


def google(usage: Body) -> bytes:
    """Gemini API, streamGenerateContent: each chunk has the counts so far."""
    part = {"content": {"parts": [{"text": "Hello!"}], "role": "model"}, "finishReason": "STOP", "index": 0}
    found = {
        "candidates": [part],
        "usageMetadata": usage,
        "modelVersion": "gemini-2.5-flash",
        "responseId": "r",
    }
    return f"data: {json.dumps(found)}\r\n\r\n".encode()


WRITES = {"ephemeral_5m_input_tokens": 456, "ephemeral_1h_input_tokens": 100}
EXAMPLES = [
    pytest.param(
        # Prompt caching, 1-hour cache duration: the example answer. The cache's tokens are beside input_tokens.
        "anthropic:claude-sonnet-5",
        anthropic(
            {"input_tokens": 2048, "cache_read_input_tokens": 1800, "cache_creation_input_tokens": 556,
             "cache_creation": WRITES, "output_tokens": 1},
            {"output_tokens": 503},
        ),
        Tokens(2048, 1800, 456, 100, 503),
        2048 + 1800 + 556 + 503,
        id="anthropic, both lifetimes",
    ),
    pytest.param(
        # The same in the form before there was a second lifetime.
        "anthropic:claude-sonnet-5",
        anthropic(
            {"input_tokens": 21, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 188_086,
             "output_tokens": 1},
            {"output_tokens": 393},
        ),
        Tokens(21, 0, 188_086, 0, 393),
        21 + 188_086 + 393,
        id="anthropic, written for 5 minutes",
    ),
    pytest.param(
        "anthropic:claude-sonnet-5",
        anthropic(
            {"input_tokens": 50, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 1000,
             "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 1000},
             "output_tokens": 1},
            {"input_tokens": 50, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 1000,
             "output_tokens": 9},
        ),
        Tokens(50, 0, 0, 1000, 9),
        1059,
        id="anthropic, written for an hour, told twice",
    ),
    pytest.param(
        # Extended thinking: output_tokens has the thinking in it. Other counts of the usage object are no tokens.
        "anthropic:claude-sonnet-5",
        anthropic(
            {"input_tokens": 25, "cache_read_input_tokens": None, "cache_creation_input_tokens": None,
             "output_tokens": 1, "server_tool_use": None, "service_tier": "standard"},
            {"output_tokens": 1530, "server_tool_use": {"web_search_requests": 1}},
        ),
        Tokens(25, 0, 0, 0, 1530),
        1555,
        id="anthropic, thinking",
    ),
    pytest.param(
        # Prompt caching: the example answer. prompt_tokens has the cached ones in it.
        "openai:gpt-5-mini",
        openai(
            {"prompt_tokens": 2006, "completion_tokens": 300, "total_tokens": 2306,
             "prompt_tokens_details": {"cached_tokens": 1920},
             "completion_tokens_details": {"reasoning_tokens": 0, "accepted_prediction_tokens": 0,
                                           "rejected_prediction_tokens": 0}},
        ),
        Tokens(86, 1920, 0, 0, 300),
        2306,
        id="openai, cached",
    ),
    pytest.param(
        # Reasoning: completion_tokens has those in it, and what was predicted in vain as well.
        "openai:gpt-5-mini",
        openai(
            {"prompt_tokens": 75, "completion_tokens": 1186, "total_tokens": 1261,
             "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
             "completion_tokens_details": {"reasoning_tokens": 1024, "audio_tokens": 0,
                                           "accepted_prediction_tokens": 10, "rejected_prediction_tokens": 20}},
        ),
        Tokens(75, 0, 0, 0, 1186),
        1261,
        id="openai, reasoning",
    ),
    pytest.param(
        # Audio in the input is part of prompt_tokens, cached or not.
        "openai:gpt-5-mini",
        openai(
            {"prompt_tokens": 1400, "completion_tokens": 20, "total_tokens": 1420,
             "prompt_tokens_details": {"cached_tokens": 1024, "audio_tokens": 300, "text_tokens": 1100},
             "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 5, "text_tokens": 15}},
        ),
        Tokens(376, 1024, 0, 0, 20),
        1420,
        id="openai, audio",
    ),
    pytest.param(
        "openai:gpt-5-mini",
        openai({"prompt_tokens": 9, "completion_tokens": 12, "total_tokens": 21}),
        Tokens(9, 0, 0, 0, 12),
        21,
        id="openai, without details",
    ),
    pytest.param(
        # UsageMetadata: promptTokenCount has the cached content in it, candidatesTokenCount not the thoughts.
        "google:gemini-2.5-flash",
        google(
            {"promptTokenCount": 1200, "cachedContentTokenCount": 1024, "candidatesTokenCount": 50,
             "thoughtsTokenCount": 350, "totalTokenCount": 1600,
             "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 1200}],
             "cacheTokensDetails": [{"modality": "TEXT", "tokenCount": 1024}]},
        ),
        Tokens(176, 1024, 0, 0, 400),
        1600,
        id="google, cached and thoughts",
    ),
    pytest.param(
        # toolUsePromptTokenCount: results of tools that ran there, beside promptTokenCount.
        "google:gemini-2.5-flash",
        google(
            {"promptTokenCount": 100, "toolUsePromptTokenCount": 40, "candidatesTokenCount": 10,
             "totalTokenCount": 150},
        ),
        Tokens(140, 0, 0, 0, 10),
        150,
        id="google, tools of its own",
    ),
]  # fmt: skip


@pytest.mark.parametrize("ref, body, tokens, all_of_it", EXAMPLES)
async def test_the_kinds_do_not_overlap_and_are_all_that_was_counted(
    ref: str, body: bytes, tokens: Tokens, all_of_it: int
) -> None:
    found = await counted(ref, body)
    assert found == tokens
    assert found.input + found.output == all_of_it


def test_each_kind_is_paid_at_its_own_rate() -> None:
    """Anthropic, prompt caching, pricing: 5 minutes cost 1.25 of the input, an hour 2, a read a tenth."""
    tokens = Tokens(2048, 1800, 456, 100, 503)
    price = find_price(
        provider_kind="anthropic", provider_name="anthropic", base_url=None, model="claude-sonnet-4-5",
        at=1_793_500_000_000_000, tokens=tokens, overrides={},
    )  # fmt: skip
    assert cost(price, tokens) == 3_000 * 2048 + 300 * 1800 + 3_750 * 456 + 6_000 * 100 + 15_000 * 503
