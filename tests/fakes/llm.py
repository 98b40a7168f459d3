"""A fake of the Anthropic Messages, OpenAI Chat Completions and OpenAI Responses servers, over real HTTP."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import json
import signal
import time
import uuid
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, field, replace
from itertools import cycle, islice
from typing import Literal, Protocol

from aiohttp import web

from tests.fakes import llm_responses, llm_search
from tests.fakes.hearing import Ears
from tests.fakes.llm_search import Page, Search
from tests.fakes.llm_shape import (
    Body,
    Refusal,
    anthropic_error,
    blocks,
    check_anthropic,
    check_openai,
    openai_error,
    parse,
)
from tests.fakes.prompt_cache import BYTES_PER_TOKEN, Counts, Part, PromptCache

KEY = "test-key"
ANTHROPIC_MODELS = ("claude-sonnet-5", "claude-haiku-4-5", "claude-opus-5")
OPENAI_MODELS = ("gpt-5-mini", "gpt-5", "gpt-4.1")
MAX_BODY = 32 * 2**20  # bytes; Messages API, request size limits
FILLER = "the river carries small boats past quiet gardens while evening light settles on warm stone"


# ---- what a reply is ----


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. *arguments* as a string is sent as it is, even malformed; *id* None means a fresh one."""

    name: str
    arguments: Body | str = field(default_factory=dict)
    id: str | None = None

    @property
    def text(self) -> str:
        return self.arguments if isinstance(self.arguments, str) else dumps(self.arguments)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One answer. *text* None means the echo; seconds None mean the server's pace.

    *status* over 399 is an error answer, *code* one of the CODES or OpenAI's own, *message* the error's text.
    After that many stream events: *cut_after* closes the connection, *stall_after* sends nothing more
    until the client goes or the server stops, *error_after* sends an error event. Without streaming any
    number means before the answer, and the error event is an error answer. *searches* that the model makes before
    its text, as far as the request allows, *opening*: what it says before those (Anthropic).
    """

    text: str | None = None
    opening: str = ""
    searches: tuple[Search, ...] = ()
    calls: tuple[Call, ...] = ()
    thinking: str = ""
    status: int = 200
    code: str | None = None
    message: str = ""
    retry_after: float | str | None = None
    cut_after: int | None = None
    stall_after: int | None = None
    error_after: int | None = None
    before: float | None = None
    between: float | None = None

    @classmethod
    def from_json(cls, body: Body) -> Reply:
        """The reply that POST /control/script describes with the same names."""
        calls = tuple(Call(**call) for call in body.get("calls", ()))
        searches = tuple(
            Search(each["query"], tuple(Page(**page) for page in each.get("pages", ())))
            for each in body.get("searches", ())
        )
        return cls(**{**body, "calls": calls, "searches": searches})


@dataclass(frozen=True, slots=True)
class Echo:
    """How the default answer is made from the last user text; *chars* is exact, *words* a minimum.

    *repeat* False answers without the user's text.
    """

    words: int | None = None
    chars: int | None = None
    paragraphs: int = 1
    repeat: bool = True

    def text(self, asked: str) -> str:
        words = (f"You said: {asked}" if self.repeat else "Here it is:").split(" ")
        wanted = max(len(words), self.words or 0, (self.chars or 0) // 2)
        words += islice(cycle(FILLER.split()), wanted - len(words))
        size = -(-len(words) // self.paragraphs)
        made = "\n\n".join(" ".join(words[i : i + size]) for i in range(0, len(words), size))
        # The last character is never white space: a client may trim it and the length would not be exact.
        return made if self.chars is None else made[: self.chars - 1] + "."


@dataclass(frozen=True, slots=True)
class Pace:
    """Seconds before the first event and between events, and the characters in one text delta."""

    before: float = 0.0
    between: float = 0.0
    chunk: int = 40


# ---- what the server counts and keeps ----


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one request; *input_tokens* are those neither read from nor written to the cache."""

    vendor: str
    model: str
    input_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_5m_tokens: int = 0
    cache_write_1h_tokens: int = 0
    output_tokens: int = 0
    searches: int = 0

    @property
    def cache_write_tokens(self) -> int:
        return self.cache_write_5m_tokens + self.cache_write_1h_tokens

    @property
    def prompt_tokens(self) -> int:
        """The whole prompt, cached or not."""
        return self.input_tokens + self.cache_read_tokens + self.cache_write_tokens


@dataclass(slots=True)
class Recorded:
    """One request as the server saw it.

    *at* is Unix seconds. *body* is empty when it was not JSON or is not kept. *status* None means not
    answered yet, 0 that the client went or was cut off before a status. *sent_usage* is what the client was
    told, None if nothing: after a cut Anthropic stream it is that of message_start.
    """

    at: float
    vendor: str
    path: str
    model: str = ""
    body: Body = field(default_factory=dict)
    status: int | None = None
    sent_usage: Usage | None = None
    request_id: str = ""
    response_id: str | None = None
    vanished: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What a script decides from; *number* counts the accepted requests from 1."""

    vendor: Literal["anthropic", "openai"]
    model: str
    body: Body
    user_text: str
    number: int


Script = Callable[[Ask], "Reply | str | Awaitable[Reply | str | None] | None"]


@dataclass(frozen=True, slots=True)
class Answer:
    id: str
    model: str
    thinking: str
    text: str
    opening: str
    searches: tuple[Search, ...]
    first: Usage  # of the prompt alone, before any search
    calls: tuple[Call, ...]
    cut: bool  # at the request's token limit
    usage: Usage
    tell_usage: bool  # OpenAI streams: stream_options.include_usage
    created: int


@dataclass(frozen=True, slots=True)
class Event:
    data: bytes
    tells: Usage | None = None


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def tokens(text: str | bytes) -> int:
    size = len(text.encode() if isinstance(text, str) else text)
    return -(-size // BYTES_PER_TOKEN)


def counted(vendor: str, model: str, counts: Counts) -> Usage:
    return Usage(vendor, model, counts.uncached, counts.read, counts.write_5m, counts.write_1h)


def total(usages: Iterable[Usage]) -> Usage:
    """The sum over all vendors and models."""
    names = (
        "input_tokens",
        "cache_read_tokens",
        "cache_write_5m_tokens",
        "cache_write_1h_tokens",
        "output_tokens",
        "searches",
    )
    sums = dict.fromkeys(names, 0)
    for usage in usages:
        for name in names:
            sums[name] += getattr(usage, name)
    return Usage("", "", **sums)


# ---- the two vendors ----


class Vendor(Protocol):
    name: Literal["anthropic", "openai"]
    request_id_header: str
    models: tuple[str, ...]

    def authorize(self, request: web.Request, key: str | None) -> None: ...
    def check(self, request: web.Request, body: Body) -> None: ...
    def error(self, refusal: Refusal, request_id: str | None) -> Body: ...
    def error_event(self, refusal: Refusal) -> bytes: ...
    def overflow(self, size: int, window: int) -> Refusal: ...
    def not_json(self, reason: str) -> Refusal: ...
    def user_text(self, body: Body) -> str: ...
    def limit(self, body: Body) -> int | None: ...
    def count(self, cache: PromptCache, body: Body) -> Usage: ...
    def fresh_id(self, kind: Literal["answer", "call", "request"]) -> str: ...
    def whole(self, answer: Answer) -> Body: ...
    def events(self, answer: Answer, chunk: int) -> Iterator[Event]: ...
    def model_list(self) -> Body: ...


class Anthropic:
    name: Literal["anthropic", "openai"] = "anthropic"
    request_id_header = "request-id"
    models: tuple[str, ...] = ANTHROPIC_MODELS
    error = staticmethod(anthropic_error)

    def authorize(self, request: web.Request, key: str | None) -> None:
        given = request.headers.get("x-api-key")  # goes before the other when both are sent
        scheme, _, bearer = request.headers.get("Authorization", "").partition(" ")
        if given is None and (scheme != "Bearer" or not bearer):
            raise Refusal("x-api-key header is required", status=401)
        if key is not None and (bearer if given is None else given) != key:
            raise Refusal("Invalid bearer token" if given is None else "invalid x-api-key", status=401)
        if "anthropic-version" not in request.headers:
            raise Refusal("anthropic-version: header is required")

    def check(self, request: web.Request, body: Body) -> None:
        check_anthropic(body, version=request.headers["anthropic-version"])
        llm_search.check(body)

    def error_event(self, refusal: Refusal) -> bytes:
        return _sse("error", dumps(self.error(refusal, None)))

    def overflow(self, size: int, window: int) -> Refusal:
        return Refusal(f"prompt is too long: {size} tokens > {window} maximum")

    def not_json(self, reason: str) -> Refusal:
        return Refusal(f"The request body is not valid JSON: {reason}")

    def user_text(self, body: Body) -> str:
        return _last_user_text(body["messages"])

    def limit(self, body: Body) -> int | None:
        return int(body["max_tokens"])

    def count(self, cache: PromptCache, body: Body) -> Usage:
        return counted("anthropic", body["model"], cache.anthropic(body["model"], anthropic_parts(body)))

    def fresh_id(self, kind: Literal["answer", "call", "request"]) -> str:
        prefix = {"answer": "msg_01", "call": "toolu_01", "request": "req_011C"}[kind]
        return prefix + uuid.uuid4().hex[:22]

    def whole(self, answer: Answer) -> Body:
        content: list[Body] = []
        if answer.thinking:
            content.append({"type": "thinking", "thinking": answer.thinking, "signature": "c2lnbmVk"})
        if answer.opening:
            content.append({"type": "text", "text": answer.opening})
        for search in answer.searches:
            content += [llm_search.use(search), llm_search.result(search)]
        if answer.text:
            notes = [llm_search.citation(page) for page in llm_search.cited(answer.searches)]
            content.append({"type": "text", "text": answer.text, **({"citations": notes} if notes else {})})
        for call in answer.calls:
            content.append({"type": "tool_use", "id": call.id, "name": call.name, "input": call.arguments})
        return {
            **_message_head(answer),
            "content": content,
            "stop_reason": _stop_reason(answer),
            "usage": anthropic_usage(answer.usage),
        }

    def events(self, answer: Answer, chunk: int) -> Iterator[Event]:
        # message_start is sent when one token is made, so that is the output it tells.
        start = replace(answer.first, output_tokens=1)
        head = {**_message_head(answer), "usage": anthropic_usage(start)}
        yield Event(_sse("message_start", dumps({"type": "message_start", "message": head})), start)
        yield Event(_sse("ping", '{"type":"ping"}'))
        index = 0
        if answer.thinking:
            deltas = [_delta(0, "thinking_delta", "thinking", answer.thinking)]
            deltas.append(_delta(0, "signature_delta", "signature", "c2lnbmVk"))
            yield from _content_block(index, {"type": "thinking", "thinking": "", "signature": ""}, deltas)
            index += 1
        if answer.opening:
            deltas = [_delta(index, "text_delta", "text", answer.opening)]
            yield from _content_block(index, {"type": "text", "text": ""}, deltas)
            index += 1
        for search in answer.searches:
            asked = llm_search.use(search)
            deltas = [_delta(index, "input_json_delta", "partial_json", dumps(asked["input"]))]
            yield from _content_block(index, {**asked, "input": {}}, deltas)
            yield from _content_block(index + 1, llm_search.result(search), ())
            index += 2
        if answer.text:
            deltas = [_delta(index, "text_delta", "text", piece) for piece in pieces(answer.text, chunk)]
            deltas += [_citation(index, page) for page in llm_search.cited(answer.searches)]
            yield from _content_block(index, {"type": "text", "text": ""}, deltas)
            index += 1
        for call in answer.calls:
            block: Body = {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}
            parts = ("", *pieces(call.text, chunk))
            deltas = [_delta(index, "input_json_delta", "partial_json", piece) for piece in parts]
            yield from _content_block(index, block, deltas)
            index += 1
        end = {"stop_reason": _stop_reason(answer), "stop_sequence": None}
        usage = {k: v for k, v in anthropic_usage(answer.usage).items() if k in DELTA_USAGE}
        data = dumps({"type": "message_delta", "delta": end, "usage": usage})
        yield Event(_sse("message_delta", data), answer.usage)
        yield Event(_sse("message_stop", '{"type":"message_stop"}'))

    def model_list(self) -> Body:
        made = "2025-09-29T00:00:00Z"
        entries = [
            {"type": "model", "id": name, "display_name": name, "created_at": made, "lifecycle": "active"}
            for name in self.models
        ]
        return {"data": entries, "has_more": False, "first_id": self.models[0], "last_id": self.models[-1]}


# Messages API, message_delta: the counts so far, without their breakdown.
DELTA_USAGE = {
    "input_tokens",
    "cache_creation_input_tokens",
    "cache_read_input_tokens",
    "output_tokens",
    "server_tool_use",
}


def anthropic_usage(usage: Usage) -> Body:
    return {
        "input_tokens": usage.input_tokens,
        "cache_creation_input_tokens": usage.cache_write_tokens,
        "cache_read_input_tokens": usage.cache_read_tokens,
        "cache_creation": {
            "ephemeral_5m_input_tokens": usage.cache_write_5m_tokens,
            "ephemeral_1h_input_tokens": usage.cache_write_1h_tokens,
        },
        "output_tokens": usage.output_tokens,
        "service_tier": "standard",
        "server_tool_use": {"web_search_requests": usage.searches} if usage.searches else None,
    }


def _message_head(answer: Answer) -> Body:
    return {
        "id": answer.id,
        "type": "message",
        "role": "assistant",
        "model": answer.model,
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
    }


def _stop_reason(answer: Answer) -> str:
    if answer.cut:
        return "max_tokens"
    return "tool_use" if answer.calls else "end_turn"


def _sse(name: str, data: str) -> bytes:
    return f"event: {name}\ndata: {data}\n\n".encode()


def _delta(index: int, kind: str, name: str, piece: str) -> Event:
    delta = f'{{"type":"{kind}","{name}":{dumps(piece)}}}'
    data = f'{{"type":"content_block_delta","index":{index},"delta":{delta}}}'
    return Event(_sse("content_block_delta", data))


def _citation(index: int, page: Page) -> Event:
    delta = {"type": "citations_delta", "citation": llm_search.citation(page)}
    return Event(
        _sse("content_block_delta", dumps({"type": "content_block_delta", "index": index, "delta": delta}))
    )


def _content_block(index: int, block: Body, deltas: Iterable[Event]) -> Iterator[Event]:
    start = {"type": "content_block_start", "index": index, "content_block": block}
    yield Event(_sse("content_block_start", dumps(start)))
    yield from deltas
    yield Event(_sse("content_block_stop", dumps({"type": "content_block_stop", "index": index})))


def pieces(text: str, size: int) -> Iterator[str]:
    return (text[i : i + size] for i in range(0, len(text), size))


def anthropic_parts(body: Body) -> list[Part]:
    """The blocks in the order that is cached: tools, system, messages."""
    parts = [Part(_bare(tool).encode(), _ttl(tool)) for tool in body.get("tools") or []]
    for block in blocks(body["system"]) if body.get("system") else []:
        parts.append(Part(block["text"].encode(), _ttl(block)))
    # Prompt caching, what invalidates the cache: of the messages, these too.
    key = dumps([body.get("tool_choice"), body.get("thinking")])
    for message in body["messages"]:
        for block in blocks(message["content"]):
            told = f"{key}{message['role']}{_bare(block)}"
            parts.append(Part(_block_text(block).encode(), _ttl(block), told.encode()))
    if body.get("cache_control") and parts:  # automatic caching: a breakpoint at the end of the prompt
        parts[-1] = replace(parts[-1], ttl=parts[-1].ttl or body["cache_control"].get("ttl", "5m"))
    return parts


def _ttl(block: Body) -> str | None:
    mark = block.get("cache_control")
    return mark.get("ttl", "5m") if mark else None


def _bare(block: Body) -> str:
    return dumps({name: value for name, value in block.items() if name != "cache_control"})


def _block_text(block: Body) -> str:
    match block:
        case {"type": "text", "text": text}:
            return str(text)
        case {"type": "tool_use", "name": name, "input": arguments}:
            return f"{name}{dumps(arguments)}"
        case {"type": "tool_result", "content": str(text)}:
            return text
        case {"type": "tool_result", "content": list(inner)}:
            return "".join(map(_block_text, inner))
        case _:
            return _bare(block)


def _last_user_text(messages: list[Body]) -> str:
    for message in reversed(messages):
        if message["role"] == "user":
            texts = [part["text"] for part in blocks(message["content"]) if part["type"] == "text"]
            if texts:
                return str(texts[-1])
    return ""


class OpenAI:
    name: Literal["anthropic", "openai"] = "openai"
    request_id_header = "x-request-id"
    models: tuple[str, ...] = OPENAI_MODELS
    error = staticmethod(openai_error)

    def authorize(self, request: web.Request, key: str | None) -> None:
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Bearer" or not given:
            raise Refusal(
                "You didn't provide an API key. You need to provide your API key in an Authorization header "
                "using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
                status=401,
            )
        if key is not None and given != key:
            raise Refusal(
                f"Incorrect API key provided: {given[:8]}***. You can find your API key at "
                "https://platform.openai.com/account/api-keys.",
                status=401,
            )

    def check(self, request: web.Request, body: Body) -> None:
        check_openai(body)

    def error_event(self, refusal: Refusal) -> bytes:
        return f"data: {dumps(self.error(refusal, None))}\n\n".encode()

    def overflow(self, size: int, window: int) -> Refusal:
        return Refusal(
            f"This model's maximum context length is {window} tokens. However, your messages resulted in "
            f"{size} tokens. Please reduce the length of the messages.",
            param="messages",
            code="context_length_exceeded",
        )

    def not_json(self, reason: str) -> Refusal:
        return Refusal(
            "We could not parse the JSON body of your request. The OpenAI API expects a JSON payload, but "
            f"what was sent was not valid JSON: {reason}."
        )

    def user_text(self, body: Body) -> str:
        return _last_user_text(body["messages"])

    def limit(self, body: Body) -> int | None:
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        return None if limit is None else int(limit)

    def count(self, cache: PromptCache, body: Body) -> Usage:
        extended = body.get("prompt_cache_retention") == "24h"
        found = cache.openai(body["model"], openai_parts(body), extended=extended)
        return counted("openai", body["model"], found)

    def fresh_id(self, kind: Literal["answer", "call", "request"]) -> str:
        prefix = {"answer": "chatcmpl-", "call": "call_", "request": "req_"}[kind]
        return prefix + uuid.uuid4().hex[:24]

    def whole(self, answer: Answer) -> Body:
        message: Body = {"role": "assistant", "content": answer.text or None, "refusal": None}
        if answer.calls:
            message["tool_calls"] = [_tool_call(call, call.text) for call in answer.calls]
        elif not answer.text:
            message["content"] = ""
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish_reason(answer)}
        head = _chunk_head(answer, "chat.completion")
        return {**head, "choices": [choice], "usage": openai_usage(answer)}

    def events(self, answer: Answer, chunk: int) -> Iterator[Event]:
        head = dumps(_chunk_head(answer, "chat.completion.chunk"))[:-1]
        usage = ',"usage":null' if answer.tell_usage else ""

        def event(delta: Body, finish: str | None = None) -> Event:
            choice = dumps({"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish})
            return Event(f'data: {head},"choices":[{choice}]{usage}}}\n\n'.encode())

        yield event({"role": "assistant", "content": "" if answer.text else None, "refusal": None})
        for piece in pieces(answer.text, chunk):
            yield event({"content": piece})
        for index, call in enumerate(answer.calls):
            yield event({"tool_calls": [{"index": index, **_tool_call(call, "")}]})
            for piece in pieces(call.text, chunk):
                yield event({"tool_calls": [{"index": index, "function": {"arguments": piece}}]})
        yield event({}, _finish_reason(answer))
        if answer.tell_usage:
            last = f'data: {head},"choices":[],"usage":{dumps(openai_usage(answer))}}}\n\n'
            yield Event(last.encode(), answer.usage)
        yield Event(b"data: [DONE]\n\n")

    def model_list(self) -> Body:
        entries = [
            {"id": name, "object": "model", "created": 1_750_000_000, "owned_by": "openai"}
            for name in self.models
        ]
        return {"object": "list", "data": entries}


def openai_usage(answer: Answer) -> Body:
    usage = answer.usage
    reasoning = tokens(answer.thinking)
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.output_tokens,
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
        "prompt_tokens_details": {"cached_tokens": usage.cache_read_tokens, "audio_tokens": 0},
        "completion_tokens_details": {
            "reasoning_tokens": reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }


def _chunk_head(answer: Answer, kind: str) -> Body:
    return {
        "id": answer.id,
        "object": kind,
        "created": answer.created,
        "model": answer.model,
        "service_tier": "default",
        "system_fingerprint": "fp_fake",
    }


def _tool_call(call: Call, arguments: str) -> Body:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": arguments}}


def _finish_reason(answer: Answer) -> str:
    if answer.cut:
        return "length"
    return "tool_calls" if answer.calls else "stop"


def openai_parts(body: Body) -> list[Part]:
    parts = [Part(dumps(tool).encode()) for tool in body.get("tools") or []]
    for message in body["messages"]:
        for part in blocks(message.get("content") or ""):
            parts.append(Part(_block_text(part).encode(), key=message["role"].encode()))
        for call in message.get("tool_calls") or []:
            asked = f"{call['function']['name']}{call['function']['arguments']}"
            parts.append(Part(asked.encode(), key=call["id"].encode()))
    return parts


class Responses(OpenAI):
    """The other API of the same server."""

    def check(self, request: web.Request, body: Body) -> None:
        llm_responses.check(body)

    def user_text(self, body: Body) -> str:
        return llm_responses.user_text(body)

    def limit(self, body: Body) -> int | None:
        return body.get("max_output_tokens")

    def count(self, cache: PromptCache, body: Body) -> Usage:
        extended = body.get("prompt_cache_retention") == "24h"
        found = cache.openai(body["model"], llm_responses.parts(body), extended=extended)
        return counted("openai", body["model"], found)

    def fresh_id(self, kind: Literal["answer", "call", "request"]) -> str:
        return f"resp_{uuid.uuid4().hex[:24]}" if kind == "answer" else super().fresh_id(kind)

    def whole(self, answer: Answer) -> Body:
        return llm_responses.whole(answer)

    def events(self, answer: Answer, chunk: int) -> Iterator[Event]:
        for number, (kind, event) in enumerate(llm_responses.events(answer, chunk)):
            data = dumps({"type": kind, "sequence_number": number, **event})
            ended = kind in ("response.completed", "response.incomplete")
            yield Event(_sse(kind, data), answer.usage if ended else None)


ANTHROPIC: Vendor = Anthropic()
OPENAI: Vendor = OpenAI()
RESPONSES: Vendor = Responses()
WINDOWS = {"anthropic": 200_000, "openai": 128_000}  # tokens, when a script asks for an overflow


# ---- the server ----


class FakeLLM:
    """Both servers on one port: *url* is Anthropic's base URL, *url* + "/v1" is OpenAI's.

    *script* decides each reply when the queue is empty and returns None for the echo. *api_key* None
    accepts any. *context_window* in tokens refuses a longer prompt, None never does.
    """

    def __init__(
        self,
        *,
        script: Script | None = None,
        echo: Echo | None = None,
        pace: Pace | None = None,
        api_key: str | None = KEY,
        context_window: int | None = None,
        cache_minimum: int | None = None,
        keep_bodies: bool = True,
        port: int = 0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.script = script
        self.echo = echo or Echo()
        self.pace = pace or Pace()
        self.api_key = api_key
        self.context_window = context_window
        self.queue: deque[Reply] = deque()
        self.requests: list[Recorded] = []
        self.sent: list[Usage] = []
        self.open = 0  # requests being answered
        self.ears = Ears(api_key)
        self._cache = PromptCache(minimum=cache_minimum, clock=clock)
        self._keep_bodies = keep_bodies
        self._port = port
        self._accepted = 0
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None

    # -- its life --

    async def __aenter__(self) -> FakeLLM:
        app = web.Application(client_max_size=MAX_BODY)
        self._add_routes(app.router)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self._port).start()
        self._port = self._runner.addresses[0][1]
        return self

    def _add_routes(self, router: web.UrlDispatcher) -> None:
        router.add_post("/v1/messages", self._messages)
        router.add_post("/v1/chat/completions", self._completions)
        router.add_post("/v1/responses", self._responses)
        router.add_post("/v1/audio/transcriptions", self.ears.serve)
        router.add_get("/v1/models", self._models)
        router.add_get("/control/state", self._state)
        router.add_post("/control/script", self._take_script)

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        assert self._runner is not None
        await self._runner.cleanup()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    # -- its script --

    def reply(self, *replies: Reply) -> None:
        """Queues replies, each for one accepted request."""
        self.queue.extend(replies)

    def say(self, text: str) -> None:
        self.reply(Reply(text=text))

    def call_tool(
        self, name: str, arguments: Body | str | None = None, *, then: str | None = "Done."
    ) -> None:
        """Queues a tool call and the text after its result; *then* None leaves that to what comes next."""
        self.reply(Reply(text="", calls=(Call(name, {} if arguments is None else arguments),)))
        if then is not None:
            self.say(then)

    def fail(
        self, status: int, *, code: str | None = None, retry_after: float | str | None = None, times: int = 1
    ) -> None:
        """Queues an error answer; *code* as in Reply, *retry_after* in seconds or as an HTTP date."""
        self.reply(*[Reply(status=status, code=code, retry_after=retry_after)] * times)

    async def arrived(self, count: int, *, within: float = 5.0) -> None:
        """Returns when *count* requests have come, raises TimeoutError after *within* seconds."""
        async with asyncio.timeout(within):
            while len(self.requests) < count:
                await asyncio.sleep(0.005)

    # -- its routes --

    async def _messages(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, ANTHROPIC)

    async def _completions(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, OPENAI)

    async def _responses(self, request: web.Request) -> web.StreamResponse:
        return await self._serve(request, RESPONSES)

    async def _models(self, request: web.Request) -> web.StreamResponse:
        vendor = ANTHROPIC if "anthropic-version" in request.headers else OPENAI
        try:
            vendor.authorize(request, self.api_key)
        except Refusal as refusal:
            return web.json_response(vendor.error(refusal, vendor.fresh_id("request")), status=refusal.status)
        return web.json_response(vendor.model_list())

    async def _serve(self, request: web.Request, vendor: Vendor) -> web.StreamResponse:
        record = Recorded(time.time(), vendor.name, request.path, request_id=vendor.fresh_id("request"))
        self.requests.append(record)
        self.open += 1
        try:
            return await self._answer(request, vendor, record)
        except Refusal as refusal:
            return await self._refuse(request, vendor, record, refusal)
        finally:
            self.open -= 1

    async def _answer(self, request: web.Request, vendor: Vendor, record: Recorded) -> web.StreamResponse:
        body = await self._accept(request, vendor, record)
        reply = await self._decide(vendor, body)
        await self._pause(self.pace.before if reply.before is None else reply.before)
        if reply.status >= 400:
            raise _refusal(vendor, reply, self.context_window)
        usage = vendor.count(self._cache, body)
        answer = _answer(vendor, body, reply, usage)
        record.response_id = answer.id
        if body.get("stream"):
            return await self._stream(request, vendor, record, reply, answer)
        return await self._send(request, vendor, record, reply, answer)

    async def _accept(self, request: web.Request, vendor: Vendor, record: Recorded) -> Body:
        try:
            raw = await request.read()
        except web.HTTPRequestEntityTooLarge:
            raise Refusal("", status=413) from None
        vendor.authorize(request, self.api_key)
        try:
            body = parse(raw)
        except ValueError as error:
            raise vendor.not_json(str(error)) from None
        record.model = str(body.get("model", ""))
        record.body = body if self._keep_bodies else {}
        vendor.check(request, body)
        if self.context_window is not None:
            size = vendor.count(PromptCache(minimum=2**62, clock=time.monotonic), body).prompt_tokens
            if size > self.context_window:
                raise vendor.overflow(size, self.context_window)
        return body

    async def _decide(self, vendor: Vendor, body: Body) -> Reply:
        self._accepted += 1
        asked = vendor.user_text(body)
        decided: Reply | str | None = self.queue.popleft() if self.queue else None
        if decided is None and self.script is not None:
            made = self.script(Ask(vendor.name, body["model"], body, asked, self._accepted))
            decided = await made if inspect.isawaitable(made) else made
        reply = Reply(text=decided) if isinstance(decided, str) else decided or Reply()
        return replace(reply, text=self.echo.text(asked)) if reply.text is None else reply

    async def _pause(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds)

    # -- its answers --

    async def _refuse(
        self, request: web.Request, vendor: Vendor, record: Recorded, refusal: Refusal
    ) -> web.StreamResponse:
        headers = {vendor.request_id_header: record.request_id}
        if refusal.retry_after is not None:
            headers["retry-after"] = str(refusal.retry_after)
        text = dumps(vendor.error(refusal, record.request_id))
        response = web.Response(
            text=text, status=refusal.status, content_type="application/json", headers=headers
        )
        await self._deliver(request, record, response)
        return response

    async def _send(
        self, request: web.Request, vendor: Vendor, record: Recorded, reply: Reply, answer: Answer
    ) -> web.StreamResponse:
        if reply.cut_after is not None:
            return _cut(request, record)
        if reply.stall_after is not None:
            return await self._stall(request, record)
        if reply.error_after is not None:
            raise _overloaded()
        self.sent.append(answer.usage)
        headers = {vendor.request_id_header: record.request_id}
        response = web.Response(
            text=dumps(vendor.whole(answer)), content_type="application/json", headers=headers
        )
        if await self._deliver(request, record, response):
            record.sent_usage = answer.usage
        return response

    async def _deliver(self, request: web.Request, record: Recorded, response: web.Response) -> bool:
        """Whether the client was still there; what it told is in the record."""
        if _gone(request):
            record.vanished, record.status = True, 0
            return False
        record.status = response.status
        try:
            await response.prepare(request)
            await response.write_eof()
        except ConnectionError:
            record.vanished = True
            return False
        return True

    async def _stream(
        self, request: web.Request, vendor: Vendor, record: Recorded, reply: Reply, answer: Answer
    ) -> web.StreamResponse:
        response = web.StreamResponse(
            headers={
                "Content-Type": "text/event-stream; charset=utf-8",
                "Cache-Control": "no-cache",
                vendor.request_id_header: record.request_id,
            }
        )
        stops = [n for n in (reply.cut_after, reply.stall_after, reply.error_after) if n is not None]
        events = list(islice(vendor.events(answer, self.pace.chunk), min(stops, default=None)))
        try:
            await self._write(request, response, record, reply, events)
            if reply.error_after is not None:
                await response.write(vendor.error_event(_overloaded()))
        except ConnectionError:
            record.vanished = True
        if not stops:
            # Made to the end whether or not anybody listened: the vendor bills it.
            self.sent.append(answer.usage)
        elif reply.stall_after is not None:
            return await self._stall(request, record, response)
        elif reply.cut_after is not None:
            return _cut(request, record, response)
        return response

    async def _write(
        self,
        request: web.Request,
        response: web.StreamResponse,
        record: Recorded,
        reply: Reply,
        events: list[Event],
    ) -> None:
        if _gone(request):
            record.status = 0
            raise ConnectionResetError
        record.status = 200
        await response.prepare(request)
        between = self.pace.between if reply.between is None else reply.between
        for batch in [[event] for event in events] if between > 0 else [events]:
            await response.write(b"".join(event.data for event in batch))
            told = [event.tells for event in batch if event.tells is not None]
            record.sent_usage = told[-1] if told else record.sent_usage
            await self._pause(between)

    async def _stall(
        self, request: web.Request, record: Recorded, response: web.StreamResponse | None = None
    ) -> web.StreamResponse:
        """Says nothing more until the client goes or the server stops."""
        while not _gone(request) and not self._stopping.is_set():
            await asyncio.sleep(0.01)
        record.vanished = True
        return _cut(request, record, response)

    # -- its controls, for another process --

    async def _state(self, request: web.Request) -> web.Response:
        with_bodies = "bodies" in request.query
        requests = [asdict(each) for each in self.requests]
        for each in requests if not with_bodies else []:
            del each["body"]
        state = {
            "open": self.open,
            "queued": len(self.queue),
            "requests": requests,
            "sent": [asdict(usage) for usage in self.sent],
            "total": asdict(total(self.sent)),
        }
        return web.json_response(state, dumps=dumps)

    async def _take_script(self, request: web.Request) -> web.Response:
        body = await request.json()
        if body.get("clear"):
            self.queue.clear()
            self.requests.clear()
            self.sent.clear()
        try:
            self.reply(*[Reply.from_json(each) for each in body.get("replies", ())])
            self.pace = replace(self.pace, **body.get("pace", {}))
            self.echo = replace(self.echo, **body.get("echo", {}))
        except TypeError as error:
            raise web.HTTPBadRequest(text=str(error)) from error
        return web.json_response({"queued": len(self.queue)})


def _answer(vendor: Vendor, body: Body, reply: Reply, usage: Usage) -> Answer:
    text, limit = reply.text or "", vendor.limit(body)
    cut = limit is not None and tokens(text) > limit
    if cut and limit is not None:
        text = text.encode()[: limit * BYTES_PER_TOKEN].decode(errors="ignore")
    calls = () if cut else tuple(replace(c, id=c.id or vendor.fresh_id("call")) for c in reply.calls)
    sign = {"anthropic": "srvtoolu_", "openai": "ws_"}[vendor.name]
    wanted = reply.searches[: llm_search.allowed(body)]
    searches = tuple(replace(each, id=sign + uuid.uuid4().hex[:24]) for each in wanted)
    made = tokens(reply.thinking) + tokens(text) + sum(tokens(call.name + call.text) for call in calls)
    made += tokens(reply.opening) + sum(tokens(each.query) for each in searches)
    return Answer(
        id=vendor.fresh_id("answer"),
        model=body["model"],
        thinking=reply.thinking,
        text=text,
        opening=reply.opening,
        searches=searches,
        first=usage,
        calls=calls,
        cut=cut,
        usage=llm_search.billed(replace(usage, output_tokens=max(1, made)), len(searches)),
        tell_usage=bool((body.get("stream_options") or {}).get("include_usage")),
        created=int(time.time()),
    )


def _refusal(vendor: Vendor, reply: Reply, window: int | None) -> Refusal:
    if reply.code == "context_length_exceeded":
        window = window or WINDOWS[vendor.name]
        return vendor.overflow(window + 1, window)
    if reply.code == "insufficient_quota":
        return _no_quota(vendor, reply)
    return Refusal(reply.message, status=reply.status, code=reply.code, retry_after=reply.retry_after)


def _no_quota(vendor: Vendor, reply: Reply) -> Refusal:
    """OpenAI's 429 that no waiting helps, and Anthropic's 400 that says the same."""
    if vendor.name == "anthropic":
        return Refusal("Your credit balance is too low to access the Anthropic API.", status=400)
    return Refusal(
        "You exceeded your current quota, please check your plan and billing details.",
        status=429,
        kind="insufficient_quota",
        code="insufficient_quota",
        retry_after=reply.retry_after,
    )


def _overloaded() -> Refusal:
    return Refusal("", status=529)


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _cut(
    request: web.Request, record: Recorded, response: web.StreamResponse | None = None
) -> web.StreamResponse:
    """Closes the connection as it is, without the end of the body."""
    if record.status is None:
        record.status = 0
    if request.transport is not None:
        request.transport.close()
    return response if response is not None else web.Response()


# ---- as a process ----


async def serve(llm: FakeLLM) -> None:
    """Serves until SIGTERM or SIGINT; prints its URL when ready."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with llm:
        print(llm.url, flush=True)
        await stop.wait()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fakes.llm", description=__doc__)
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument(
        "--mode", choices=["echo", "plain"], default="echo", help="plain leaves out the user's text"
    )
    parser.add_argument("--key", default=KEY)
    parser.add_argument("--delay-ms", type=float, default=0.0, help="before the first event")
    parser.add_argument("--between-ms", type=float, default=0.0, help="between events")
    parser.add_argument("--chunk", type=int, default=40, help="characters in a delta")
    parser.add_argument("--words", type=int)
    parser.add_argument("--chars", type=int, help="5000 needs two Telegram messages")
    parser.add_argument("--paragraphs", type=int, default=1)
    parser.add_argument("--forget-bodies", action="store_true", help="for a long benchmark")
    chosen = parser.parse_args(arguments)
    llm = FakeLLM(
        echo=Echo(chosen.words, chosen.chars, chosen.paragraphs, repeat=chosen.mode == "echo"),
        pace=Pace(chosen.delay_ms / 1000, chosen.between_ms / 1000, chosen.chunk),
        api_key=chosen.key,
        keep_bodies=not chosen.forget_bodies,
        port=chosen.port,
    )
    asyncio.run(serve(llm))


if __name__ == "__main__":
    main()
