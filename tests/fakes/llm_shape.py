"""What Anthropic and OpenAI refuse about a request, in each vendor's own error body."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NoReturn

Body = dict[str, Any]

NAME = re.compile(r"^[a-zA-Z0-9_-]{1,128}$")
OPENAI_NAME = re.compile(r"^[a-zA-Z0-9_-]{1,64}$")
MAX_CALL_ID = 40  # characters; Chat Completions, tool_calls[].id
NO_SAMPLING = "2026-10-21"  # the anthropic-version that removed what follows; API versions, version history
SAMPLING = ("temperature", "top_p", "top_k")
MAX_BREAKPOINTS = 4  # Messages API, prompt caching
ANTHROPIC_BLOCKS = {
    "user": {"text", "image", "document", "search_result", "tool_result", "container_upload"},
    "system": {"text"},
    "assistant": {
        "text",
        "tool_use",
        "thinking",
        "redacted_thinking",
        "server_tool_use",
        "web_search_tool_result",
        "compaction",
    },
}
OPENAI_ROLES = ("system", "assistant", "user", "function", "tool", "developer")
# The models from before that; Messages API, mid-conversation system messages.
NO_SYSTEM_ROLE = re.compile(r"claude-(\d|(sonnet|haiku)-4|opus-4(-[0-7])?(-\d{8})?$)")
# The models that refuse max_tokens: Chat Completions, max_completion_tokens.
# Prompt caching, extended retention: the models that have it.
EXTENDED = re.compile(
    r"(gpt-4\.1|gpt-5|gpt-5\.[1245]|gpt-5[.\d]*-codex.*|gpt-5\.1-chat.*)(-\d{4}-\d\d-\d\d)?$"
)
REASONING_MODELS = re.compile(r"(o\d|gpt-5)(?!.*chat)")


class Refusal(Exception):
    """A request the vendor answers with an error.

    *kind* is the error's type and *code* OpenAI's code; None means the status decides.
    """

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str | None = None,
        code: str | None = None,
        param: str | None = None,
        retry_after: float | str | None = None,
    ) -> None:
        super().__init__(message)
        self.message = message
        self.status = status
        self.kind = kind
        self.code = code
        self.param = param
        self.retry_after = retry_after


# Errors page of each vendor's API reference. A status the vendor does not list has the nearest listed type.
ANTHROPIC_ERRORS = {
    400: ("invalid_request_error", "Invalid request"),
    401: ("authentication_error", "invalid x-api-key"),
    402: ("billing_error", "There is an issue with your billing or payment information."),
    403: ("permission_error", "Your API key does not have permission to use the specified resource."),
    404: ("not_found_error", "Not found"),
    413: ("request_too_large", "Request exceeds the maximum size"),
    429: ("rate_limit_error", "This request would exceed your account's rate limit. Please try again later."),
    500: ("api_error", "Internal server error"),
    503: ("api_error", "Service unavailable"),
    504: ("timeout_error", "Request timed out"),
    529: ("overloaded_error", "Overloaded"),
}
OPENAI_ERRORS = {
    400: ("invalid_request_error", None, "Invalid request."),
    401: ("invalid_request_error", "invalid_api_key", "Incorrect API key provided."),
    402: ("insufficient_quota", "billing_hard_limit_reached", "Billing hard limit has been reached."),
    403: (
        "request_forbidden",
        "unsupported_country_region_territory",
        "Country, region, or territory not supported",
    ),
    404: (
        "invalid_request_error",
        "model_not_found",
        "The model does not exist or you lack access to it.",
    ),
    413: ("invalid_request_error", None, "Maximum content size limit exceeded."),
    429: ("requests", "rate_limit_exceeded", "Rate limit reached. Please try again in 1s."),
    500: ("server_error", None, "The server had an error while processing your request. Sorry about that!"),
    503: ("server_error", None, "The engine is currently overloaded, please try again later"),
    529: (
        "server_error",
        "server_is_overloaded",
        "Our servers are overloaded. Please try again later.",
    ),
}


def anthropic_error(refusal: Refusal, request_id: str | None) -> Body:
    """The body of an error answer, or of an `error` event inside a stream."""
    kind, message = ANTHROPIC_ERRORS.get(refusal.status, ANTHROPIC_ERRORS[500])
    error = {"type": refusal.kind or kind, "message": refusal.message or message}
    return {"type": "error", "error": error, "request_id": request_id}


def openai_error(refusal: Refusal, request_id: str | None) -> Body:
    """The body of an error answer; OpenAI names the request in a header only."""
    kind, code, message = OPENAI_ERRORS.get(refusal.status, OPENAI_ERRORS[500])
    error = {
        "message": refusal.message or message,
        "type": refusal.kind or kind,
        "param": refusal.param,
        "code": refusal.code or code,
    }
    return {"error": error}


def parse(raw: bytes) -> Body:
    """The request's JSON object; raises ValueError with the parser's words for anything else.

    A lone surrogate is refused although Python's parser accepts one: neither vendor's does.
    """
    body = json.loads(raw.decode(), parse_constant=_no_constant)
    if b"\\ud" in raw or b"\\uD" in raw:
        _refuse_lone_surrogate(raw.decode(), body)
    if not isinstance(body, dict):
        raise ValueError("expected an object")
    return body


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"unexpected token {name}")


def _refuse_lone_surrogate(text: str, body: object) -> None:
    try:
        json.dumps(body, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        at = text.lower().index("\\ud")
        raise ValueError(f"no low surrogate in string: line 1 column {at + 1} (char {at})") from None


# ---- Anthropic Messages ----


def check_anthropic(body: Body, *, version: str) -> None:
    """Raises Refusal as POST /v1/messages would answer 400 under that anthropic-version."""
    if version >= NO_SAMPLING:
        for name in body.keys() & set(SAMPLING):
            raise Refusal(f"{name}: Extra inputs are not permitted")
    for name, kind in (("model", str), ("max_tokens", int), ("messages", list)):
        if name not in body:
            raise Refusal(f"{name}: Field required")
        if not isinstance(body[name], kind) or isinstance(body[name], bool):
            raise Refusal(f"{name}: Input should be a valid {_noun(kind)}")
    if body["max_tokens"] < 1:
        raise Refusal("max_tokens: must be greater than or equal to 1")
    _check_thinking(body)
    _check_anthropic_tools(body.get("tools") or [])
    _check_system(body.get("system"))
    messages = body["messages"]
    if not messages:
        raise Refusal("messages: at least one message is required")
    for index, message in enumerate(messages):
        _check_message(index, message, final=index == len(messages) - 1)
    if messages[0]["role"] != "user":
        raise Refusal('messages: first message must use the "user" role')
    _check_system_places(body["model"], messages)
    _check_pairs(messages)
    _check_breakpoints(body)


def _noun(kind: type) -> str:
    return {str: "string", int: "integer", list: "list", dict: "dictionary"}[kind]


def _check_thinking(body: Body) -> None:
    thinking = body.get("thinking") or {}
    if thinking.get("type") == "enabled":
        if thinking.get("budget_tokens", 0) < 1024:
            raise Refusal("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024")
        if body["max_tokens"] <= thinking["budget_tokens"]:
            raise Refusal("`max_tokens` must be greater than `thinking.budget_tokens`.")


def _check_anthropic_tools(tools: list[Body]) -> None:
    names: set[str] = set()
    for index, tool in enumerate(tools):
        if tool.get("type") not in (None, "custom"):
            continue  # the vendor's own tools have other fields
        name = tool.get("name")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise Refusal(f"tools.{index}.custom.name: String should match pattern '{NAME.pattern}'")
        if name in names:
            raise Refusal("tools: Tool names must be unique.")
        names.add(name)
        schema = tool.get("input_schema")
        if not isinstance(schema, dict):
            raise Refusal(f"tools.{index}.custom.input_schema: Field required")
        if schema.get("type") != "object":
            raise Refusal(f"tools.{index}.custom.input_schema.type: Input should be 'object'")


def _check_system(system: object) -> None:
    if system is None or isinstance(system, str):
        return
    if not isinstance(system, list):
        raise Refusal("system: Input should be a valid list")
    for block in system:
        if not block.get("text"):
            raise Refusal("system: text content blocks must be non-empty")


def _check_message(index: int, message: object, *, final: bool) -> None:
    if not isinstance(message, dict):
        raise Refusal(f"messages.{index}: Input should be a valid dictionary")
    role, content = message.get("role"), message.get("content")
    if role not in ANTHROPIC_BLOCKS:
        raise Refusal(f"messages.{index}.role: Input should be 'user' or 'assistant'")
    for name in message.keys() - {"role", "content"}:
        raise Refusal(f"messages.{index}.{name}: Extra inputs are not permitted")
    if not isinstance(content, str | list):
        raise Refusal(f"messages.{index}.content: Input should be a valid list")
    if not content and not (final and role == "assistant"):
        raise Refusal(
            f"messages.{index}: all messages must have non-empty content "
            "except for the optional final assistant message"
        )
    for place, block in enumerate(blocks(content)):
        if not (isinstance(content, str) and not content):
            _check_block(f"messages.{index}.content.{place}", role, block)
    if final and role == "assistant":
        _check_prefill(content)


def _check_system_places(model: str, messages: list[Body]) -> None:
    for index, (before, message) in enumerate(pairwise(messages), start=1):
        if message["role"] != "system":
            continue
        if NO_SYSTEM_ROLE.match(model):
            raise Refusal(f"messages.{index}: role 'system' is not supported on this model")
        if before["role"] == "assistant":
            raise Refusal(f"messages.{index}: a system message must come right after a user turn")


def _check_prefill(content: str | list[Body]) -> None:
    last = content if isinstance(content, str) else (content[-1].get("text", "") if content else "")
    if last != last.rstrip():
        raise Refusal("messages: final assistant content cannot end with trailing whitespace")


def blocks(content: str | list[Body]) -> list[Body]:
    """A message's content in its long form."""
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _check_block(where: str, role: str, block: object) -> None:
    if not isinstance(block, dict):
        raise Refusal(f"{where}: Input should be a valid dictionary")
    kind = block.get("type")
    if kind not in ANTHROPIC_BLOCKS["user"] | ANTHROPIC_BLOCKS["assistant"]:
        raise Refusal(
            f"{where}: Input tag {kind!r} found using 'type' does not match any of the expected tags"
        )
    if kind not in ANTHROPIC_BLOCKS[role]:
        raise Refusal(f"messages: `{kind}` blocks can not be in `{role}` messages")
    if kind == "text":
        _check_text(where, role, block)
    elif kind == "tool_use":
        _check_tool_use(where, block)
    elif kind == "tool_result":
        _check_tool_result(where, block)
    elif kind == "thinking" and not isinstance(block.get("signature"), str):
        raise Refusal(f"{where}.thinking.signature: Field required")


def _check_text(where: str, role: str, block: Body) -> None:
    text = block.get("text")
    if not isinstance(text, str):
        raise Refusal(f"{where}.text.text: Field required")
    if role == "user" and block.get("citations"):
        raise Refusal(f"{where}.text.citations: citations are not permitted in user messages")
    if not text and block.get("cache_control"):
        raise Refusal(f"{where}.text: cache_control cannot be set for empty text blocks")
    if not text:
        raise Refusal("messages: text content blocks must be non-empty")
    if not text.strip():
        raise Refusal("messages: text content blocks must contain non-whitespace text")


def _check_tool_use(where: str, block: Body) -> None:
    if not isinstance(block.get("id"), str) or not NAME.fullmatch(block["id"]):
        raise Refusal(f"{where}.tool_use.id: String should match pattern '^[a-zA-Z0-9_-]+$'")
    if not isinstance(block.get("name"), str) or not NAME.fullmatch(block["name"]):
        raise Refusal(f"{where}.tool_use.name: String should match pattern '{NAME.pattern}'")
    if not isinstance(block.get("input"), dict):
        raise Refusal(f"{where}.tool_use.input: Input should be a valid dictionary")


def _check_tool_result(where: str, block: Body) -> None:
    if not isinstance(block.get("tool_use_id"), str):
        raise Refusal(f"{where}.tool_result.tool_use_id: Field required")
    content = block.get("content")
    if content is not None and not isinstance(content, str | list):
        raise Refusal(f"{where}.tool_result.content: Input should be a valid list")
    for place, inner in enumerate(content if isinstance(content, list) else []):
        if inner.get("type") == "text":
            _check_text(f"{where}.tool_result.content.{place}", "user", inner)


Turn = tuple[str, list[tuple[int, int, Body]]]  # role, then each block with its message's and its own index


def _turns(messages: list[Body]) -> list[Turn]:
    """Consecutive messages of one role are one turn to the vendor."""
    turns: list[Turn] = []
    for index, message in enumerate(messages):
        if message["role"] == "system":
            continue
        if not turns or turns[-1][0] != message["role"]:
            turns.append((message["role"], []))
        turns[-1][1].extend((index, place, block) for place, block in enumerate(blocks(message["content"])))
    return turns


def _check_pairs(messages: list[Body]) -> None:
    if not any(isinstance(message["content"], list) for message in messages):
        return
    used: set[str] = set()
    for here, after in pairwise([("user", []), *_turns(messages), ("user", [])]):
        asked = [block["id"] for _, _, block in here[1] if block["type"] == "tool_use"]
        if len(set(asked)) < len(asked) or used.intersection(asked):
            raise Refusal("messages: `tool_use` ids must be unique")
        used.update(asked)
        _check_no_orphan(after, asked)
        missing = set(asked) - set(_leading_results(after))
        if missing:
            ids = ", ".join(each for each in asked if each in missing)
            raise Refusal(
                f"messages.{here[1][-1][0]}: `tool_use` ids were found without `tool_result` blocks "
                f"immediately after: {ids}. Each `tool_use` block must have a corresponding "
                "`tool_result` block in the next message."
            )


def _leading_results(turn: Turn) -> Iterator[str]:
    for _, _, block in turn[1]:
        if block["type"] != "tool_result":
            return
        yield block["tool_use_id"]


def _check_no_orphan(turn: Turn, asked: list[str]) -> None:
    seen: set[str] = set()
    for index, place, block in turn[1]:
        if block["type"] != "tool_result":
            continue
        answered = block["tool_use_id"]
        where = f"messages.{index}.content.{place}"
        if answered not in asked:
            raise Refusal(
                f"{where}: unexpected `tool_use_id` found in `tool_result` blocks: {answered}. "
                "Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
            )
        if answered in seen:
            raise Refusal(
                f"{where}: each tool_use must have a single result. "
                f"Found multiple `tool_result` blocks with id: {answered}"
            )
        seen.add(answered)


def _check_breakpoints(body: Body) -> None:
    marks = [mark for mark in cache_marks(body) if mark]
    if len(marks) > MAX_BREAKPOINTS:
        raise Refusal(
            f"A maximum of {MAX_BREAKPOINTS} blocks with cache_control may be provided. Found {len(marks)}."
        )
    lifetimes = [mark.get("ttl", "5m") for mark in marks]
    for earlier, later in pairwise(lifetimes):
        if (earlier, later) == ("5m", "1h"):
            raise Refusal(
                "cache_control.ttl: a ttl='1h' cache_control block must not come after a ttl='5m' "
                "cache_control block. Note that blocks are processed in the following order: "
                "`tools`, `system`, `messages`."
            )


def cache_marks(body: Body) -> Iterator[Body | None]:
    """Each block's cache_control in the order the prompt is built, the request's own mark last."""
    for tool in body.get("tools") or []:
        yield tool.get("cache_control")
    if isinstance(body.get("system"), list):
        for block in body["system"]:
            yield block.get("cache_control")
    for message in body["messages"]:
        if isinstance(message["content"], list):
            for block in message["content"]:
                yield block.get("cache_control")
    yield body.get("cache_control")


# ---- OpenAI Chat Completions ----


def check_openai(body: Body) -> None:
    """Raises Refusal as POST /v1/chat/completions would answer 400."""
    if not isinstance(body.get("model"), str):
        raise Refusal("you must provide a model parameter")
    messages = body.get("messages")
    if not isinstance(messages, list):
        raise _missing("messages")
    if not messages:
        raise _empty("messages")
    if body.get("max_tokens") is not None and REASONING_MODELS.match(body["model"]):
        raise Refusal(
            "Unsupported parameter: 'max_tokens' is not supported with this model. "
            "Use 'max_completion_tokens' instead.",
            param="max_tokens",
            code="unsupported_parameter",
        )
    if body.get("prompt_cache_retention") is not None and not EXTENDED.match(body["model"]):
        raise Refusal(
            "prompt_cache_retention is not supported on this model",
            param="prompt_cache_retention",
            code="invalid_parameter",
        )
    for index, tool in enumerate(body.get("tools") or []):
        _check_openai_name(f"tools[{index}].function.name", (tool.get("function") or {}).get("name"))
    for index, message in enumerate(messages):
        _check_openai_message(index, message)
    _check_openai_pairs(messages)


def _missing(param: str) -> Refusal:
    return Refusal(f"Missing required parameter: '{param}'.", param=param, code="missing_required_parameter")


def _empty(param: str) -> Refusal:
    return Refusal(
        f"Invalid '{param}': empty array. Expected an array with minimum length 1, "
        "but got an empty array instead.",
        param=param,
        code="empty_array",
    )


def _check_openai_name(param: str, name: object) -> None:
    if not isinstance(name, str):
        raise _missing(param)
    if not OPENAI_NAME.fullmatch(name):
        raise Refusal(
            f"Invalid '{param}': string does not match pattern. "
            "Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'.",
            param=param,
            code="invalid_value",
        )


def _check_openai_message(index: int, message: Body) -> None:
    role = message.get("role")
    if role not in OPENAI_ROLES:
        raise Refusal(
            f"Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', "
            "'tool', and 'developer'.",
            param=f"messages[{index}].role",
            code="invalid_value",
        )
    if "tool_calls" in message and role == "assistant":
        _check_tool_calls(index, message["tool_calls"])
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        raise _missing(f"messages[{index}].tool_call_id")
    _check_openai_content(index, message)


def _check_openai_content(index: int, message: Body) -> None:
    content = message.get("content")
    param = f"messages.[{index}].content"
    if content is None:
        if message["role"] == "assistant" and (message.get("tool_calls") or message.get("refusal")):
            return
        raise Refusal("Invalid value for 'content': expected a string, got null.", param=param)
    if isinstance(content, str):
        return
    if not isinstance(content, list):
        kind = "an object" if isinstance(content, dict) else "a number"
        raise Refusal(f"Invalid value for 'content': expected a string, got {kind}.", param=param)
    if not content:
        raise _empty(f"messages[{index}].content")
    for place, part in enumerate(content):
        if part.get("type") == "text" and not isinstance(part.get("text"), str):
            raise _missing(f"messages[{index}].content[{place}].text")


def _check_tool_calls(index: int, calls: object) -> None:
    where = f"messages[{index}].tool_calls"
    if not isinstance(calls, list):
        raise Refusal(
            f"Invalid type for '{where}': expected an array of objects.", param=where, code="invalid_type"
        )
    if not calls:
        raise _empty(where)
    for place, call in enumerate(calls):
        param = f"{where}[{place}]"
        if not isinstance(call.get("id"), str):
            raise _missing(f"{param}.id")
        if len(call["id"]) > MAX_CALL_ID:
            raise Refusal(
                f"Invalid '{param}.id': string too long. Expected a string with maximum length "
                f"{MAX_CALL_ID}, but got a string with length {len(call['id'])} instead.",
                param=f"{param}.id",
                code="string_above_max_length",
            )
        function = call.get("function") or {}
        _check_openai_name(f"{param}.function.name", function.get("name"))
        if not isinstance(function.get("arguments"), str):
            raise _missing(f"{param}.function.arguments")


def _check_openai_pairs(messages: list[Body]) -> None:
    asked: set[str] = set()  # the calls of the assistant message the tool messages follow
    open_calls: list[str] = []
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            _check_tool_message(index, message, asked, open_calls)
            open_calls.remove(message["tool_call_id"])
            continue
        _check_all_answered(index, open_calls)
        open_calls = [call["id"] for call in message.get("tool_calls") or []]
        asked = set(open_calls)
    _check_all_answered(len(messages), open_calls)


def _check_tool_message(index: int, message: Body, asked: set[str], open_calls: list[str]) -> None:
    answered, param = message["tool_call_id"], f"messages.[{index}].tool_call_id"
    if not asked:
        raise Refusal(
            "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with "
            "'tool_calls'.",
            param=f"messages.[{index}].role",
        )
    if answered not in asked:
        raise Refusal(
            f"Invalid parameter: 'tool_call_id' of '{answered}' not found in 'tool_calls' of previous "
            "message.",
            param=param,
        )
    if answered not in open_calls:
        raise Refusal(f"Duplicate value for 'tool_call_id' of '{answered}'.", param=param)


def _check_all_answered(index: int, open_calls: list[str]) -> None:
    if open_calls:
        raise Refusal(
            "An assistant message with 'tool_calls' must be followed by tool messages responding to each "
            "'tool_call_id'. The following tool_call_ids did not have response messages: "
            + ", ".join(open_calls),
            param=f"messages.[{index}].role",
        )
