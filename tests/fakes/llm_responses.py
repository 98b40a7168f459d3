"""The OpenAI Responses API as the fake serves it: text, function calls and web searches, streamed and not."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tests.fakes.llm_search import Search, cited, dumps
from tests.fakes.llm_shape import Body, Refusal
from tests.fakes.prompt_cache import Part

if TYPE_CHECKING:
    from tests.fakes.llm import Answer, Call

LEAST_OUTPUT = 16  # tokens; Responses API, max_output_tokens
MODELS_WITHOUT = ("gpt-4.1-nano",)  # Responses API, web search, limitations


def check(body: Body) -> None:
    """Raises Refusal as POST /v1/responses answers 400."""
    if not isinstance(body.get("model"), str):
        raise Refusal("Missing required parameter: 'model'.", param="model")
    items = body.get("input")
    if not isinstance(items, list) or not items:
        raise Refusal("Missing required parameter: 'input'.", param="input")
    if (body.get("max_output_tokens") or LEAST_OUTPUT) < LEAST_OUTPUT:
        raise Refusal(
            f"Invalid 'max_output_tokens': integer below minimum value. Expected a value >= {LEAST_OUTPUT}.",
            param="max_output_tokens",
        )
    if (body.get("max_tool_calls") or 1) < 1:
        raise Refusal("Invalid 'max_tool_calls': integer below minimum value.", param="max_tool_calls")
    for index, tool in enumerate(body.get("tools") or []):
        if tool.get("type") == "function" and not isinstance(tool.get("name"), str):
            raise Refusal(f"Missing required parameter: 'tools[{index}].name'.", param=f"tools[{index}].name")
        if tool.get("type") == "web_search":
            if "max_uses" in tool:
                raise Refusal(f"Unknown parameter: 'tools[{index}].max_uses'.", param=f"tools[{index}]")
            if body["model"] in MODELS_WITHOUT:
                raise Refusal(f"Hosted tool 'web_search' is not supported with {body['model']}.")
    _check_items(items, stored=body.get("store", True))


def _check_items(items: list[Any], *, stored: bool) -> None:
    calls: set[str] = set()
    answered: set[str] = set()
    for index, item in enumerate(items):
        kind = item.get("type", "message")
        if kind in ("web_search_call", "reasoning") and not item.get("encrypted_content"):
            # Nothing of this server's was ever stored.
            raise Refusal(
                f"Item with id '{item.get('id')}' not found. Items are not persisted when `store` is set to "
                f"{str(stored).lower()}.",
                status=404,
            )
        if kind == "message" and item.get("role") not in ("user", "assistant", "system", "developer"):
            raise Refusal(f"Invalid value: 'input[{index}].role'.", param=f"input[{index}].role")
        if kind == "function_call":
            calls.add(item["call_id"])
        if kind == "function_call_output":
            if item["call_id"] not in calls:
                raise Refusal(
                    f"No tool call found for function call output with call_id {item['call_id']}.",
                    param="input",
                )
            answered.add(item["call_id"])
    if missing := calls - answered:
        raise Refusal(f"No tool output found for function call {sorted(missing)[0]}.", param="input")


def texts(item: Body) -> list[str]:
    content = item.get("content") or item.get("output") or ""
    if isinstance(content, str):
        return [content]
    return [str(part.get("text", "")) for part in content]


def user_text(body: Body) -> str:
    users = [item for item in body["input"] if item.get("role") == "user"]
    return texts(users[-1])[-1] if users else ""


def parts(body: Body) -> list[Part]:
    found = [Part(dumps(tool).encode()) for tool in body.get("tools") or []]
    if body.get("instructions"):
        found.append(Part(body["instructions"].encode(), key=b"instructions"))
    for item in body["input"]:
        said = "".join(texts(item)) or dumps(item)
        found.append(Part(said.encode(), key=str(item.get("role", item.get("type"))).encode()))
    return found


def whole(answer: Answer) -> Body:
    output = [_search(search) for search in answer.searches]
    if answer.text or not answer.calls:
        output.append(_message(answer))
    output += [_call(call) for call in answer.calls]
    return {
        **_head(answer, "incomplete" if answer.cut else "completed"),
        "output": output,
        "incomplete_details": {"reason": "max_output_tokens"} if answer.cut else None,
        "usage": _usage(answer),
        "tool_usage": {"web_search": {"num_requests": answer.usage.searches}},
    }


def events(answer: Answer, chunk: int) -> Iterator[tuple[str, Body]]:
    """(type, event) in order; the last one tells what was used."""
    yield "response.created", {"response": _head(answer, "in_progress")}
    yield "response.in_progress", {"response": _head(answer, "in_progress")}
    for at, search in enumerate(answer.searches):
        item = _search(search)
        yield "response.output_item.added", {"output_index": at, "item": {**item, "status": "in_progress"}}
        for stage in ("in_progress", "searching", "completed"):
            yield f"response.web_search_call.{stage}", {"output_index": at, "item_id": item["id"]}
        yield "response.output_item.done", {"output_index": at, "item": item}
    at = len(answer.searches)
    if answer.text or not answer.calls:
        yield from _said(answer, at, chunk)
        at += 1
    for call in answer.calls:
        yield from _called(call, at)
        at += 1
    kind = "incomplete" if answer.cut else "completed"
    yield f"response.{kind}", {"response": whole(answer)}


def _said(answer: Answer, at: int, chunk: int) -> Iterator[tuple[str, Body]]:
    message = _message(answer)
    where = {"item_id": message["id"], "output_index": at, "content_index": 0}
    empty = {"type": "output_text", "text": "", "annotations": []}
    added = {**message, "status": "in_progress", "content": []}
    yield "response.output_item.added", {"output_index": at, "item": added}
    yield "response.content_part.added", {**where, "part": empty}
    for begin in range(0, len(answer.text), chunk):
        piece = answer.text[begin : begin + chunk]
        yield "response.output_text.delta", {**where, "delta": piece, "logprobs": []}
    for number, note in enumerate(message["content"][0]["annotations"]):
        yield (
            "response.output_text.annotation.added",
            {**where, "annotation_index": number, "annotation": note},
        )
    yield "response.output_text.done", {**where, "text": answer.text, "logprobs": []}
    yield "response.content_part.done", {**where, "part": message["content"][0]}
    yield "response.output_item.done", {"output_index": at, "item": message}


def _called(call: Call, at: int) -> Iterator[tuple[str, Body]]:
    item = _call(call)
    where = {"item_id": item["id"], "output_index": at}
    yield (
        "response.output_item.added",
        {"output_index": at, "item": {**item, "arguments": "", "status": "in_progress"}},
    )
    yield "response.function_call_arguments.delta", {**where, "delta": item["arguments"]}
    yield (
        "response.function_call_arguments.done",
        {**where, "arguments": item["arguments"], "name": call.name},
    )
    yield "response.output_item.done", {"output_index": at, "item": item}


def _head(answer: Answer, status: str) -> Body:
    return {
        "id": answer.id,
        "object": "response",
        "created_at": answer.created,
        "status": status,
        "model": answer.model,
        "output": [],
        "error": None,
        "incomplete_details": None,
        "instructions": None,
        "metadata": {},
        "parallel_tool_calls": True,
        "temperature": 1.0,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": None,
    }


def _search(search: Search) -> Body:
    return {
        "id": search.id,
        "type": "web_search_call",
        "status": "completed",
        "action": {"type": "search", "query": search.query},
    }


def _message(answer: Answer) -> Body:
    notes = [
        {"type": "url_citation", "url": page.url, "title": page.title, "start_index": 0, "end_index": 1}
        for page in cited(answer.searches)
    ]
    part = {"type": "output_text", "text": answer.text, "annotations": notes}
    return {
        "id": f"msg_{answer.id}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [part],
    }


def _call(call: Call) -> Body:
    return {
        "id": f"fc_{uuid.uuid5(uuid.NAMESPACE_OID, str(call.id)).hex[:20]}",
        "type": "function_call",
        "status": "completed",
        "call_id": call.id,
        "name": call.name,
        "arguments": call.text,
    }


def _usage(answer: Answer) -> Body:
    usage = answer.usage
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": usage.cache_read_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.output_tokens,
    }
