"""The body of POST /v1/chat/completions as a question; what cannot be done is refused, never silently left out.

Fields as in OpenAI's API reference, "Create chat completion".
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gateway.completions.lineage import Exchange, Past, joined
from gateway.completions.question import Question
from gateway.lanes import askable
from gateway.texts import say

MINE = "parley"  # the agent with the model that it is configured with, or that its session has chosen
_USED = frozenset(
    {"model", "messages", "stream", "stream_options", "n", "response_format", "modalities", "tool_choice"}
    | {"function_call"}
)
_NONE: tuple[Any, ...] = (None, False, [], {}, "", 0)
_PICTURES = "Pictures are not taken here; send them in a chat, or in words."


class Unfit(Exception):
    """A request that cannot be answered. *status* as HTTP has it; the rest as OpenAI's error object has it."""

    def __init__(
        self, text: str, *, param: str | None = None, code: str | None = "invalid_value", status: int = 400
    ) -> None:
        super().__init__(text)
        self.param = param
        self.code = code
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """*model* as it was named; *ignored*: fields that were sent and change nothing here."""

    question: Question
    model: str
    stream: bool
    include_usage: bool
    ignored: tuple[str, ...]


def read(body: bytes, headers: Mapping[str, str], models: Sequence[str]) -> Wanted:
    """*models* that may be named besides ours. Raises Unfit."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise Unfit("The body is not JSON.", code="invalid_json") from None
    if not isinstance(found, dict):
        raise Unfit("The body is not a JSON object.", code="invalid_json")
    _possible(found)
    name = _model(found.get("model"), models)
    session = headers.get("x-parley-session", "").strip() or None
    messages = _messages(found.get("messages"))
    if session is not None:
        # What the program keeps is not looked at: the session has its own history.
        past, instructions = Past((), (_last(messages),)), ""
    else:
        past, instructions = _past(messages)
    if not past.question.strip():
        raise Unfit(say("message.empty"), param="messages")
    if not askable(past.question):
        raise Unfit(say("message.too_long"), param="messages", code="context_length_exceeded")
    key = headers.get("idempotency-key", "").strip()
    if len(key) > 200:
        raise Unfit("An Idempotency-Key has at most 200 characters.", param="Idempotency-Key")
    return Wanted(
        question=Question(
            past=past,
            instructions=instructions,
            model=None if name == MINE else name,
            session=session,
            key=key or None,
            # Sent by OpenAI's own clients when they repeat a request that was not answered.
            again=headers.get("x-stainless-retry-count", "0") not in ("", "0"),
        ),
        model=name,
        stream=_flag(found, "stream"),
        include_usage=_flag(_object(found, "stream_options"), "include_usage", "stream_options."),
        ignored=tuple(sorted(k for k, v in found.items() if k not in _USED and v not in _NONE)),
    )


def _possible(found: Mapping[str, Any]) -> None:
    """Raises Unfit for what would make the answer another thing than what was asked for."""
    for field in ("tools", "functions"):
        if found.get(field) not in _NONE:
            text = "The agent has tools of its own; tools of the program's are not taken. Send the request without."
            raise Unfit(text, param=field, code="unsupported_parameter")
    for field in ("tool_choice", "function_call"):
        if found.get(field) not in (*_NONE, "none", "auto"):
            raise Unfit(
                "Which tools are used is the agent's choice.", param=field, code="unsupported_parameter"
            )
    if found.get("n") not in (None, 1):
        raise Unfit("There is one answer to a question: n is 1.", param="n", code="unsupported_value")
    shape = _object(found, "response_format").get("type", "text")
    if shape != "text":
        text = f"The agent answers in text; {shape!r} is not to be had."
        raise Unfit(text, param="response_format", code="unsupported_value")
    for field in ("logprobs", "top_logprobs", "audio", "prediction"):
        if found.get(field) not in _NONE:
            raise Unfit(f"{field} is not to be had here.", param=field, code="unsupported_parameter")
    if found.get("modalities") not in (*_NONE, ["text"]):
        raise Unfit("The agent answers in text.", param="modalities", code="unsupported_value")


def _model(name: object, models: Sequence[str]) -> str:
    if not isinstance(name, str) or not name.strip():
        raise Unfit(
            f"Name a model: {MINE}, or one of GET /v1/models.",
            param="model",
            code="missing_required_parameter",
        )
    if name == MINE or name in models:
        return name
    listed = ", ".join((MINE, *models))
    text = f"There is no model {name!r} here, or it may not be chosen; there are: {listed}."
    raise Unfit(text, param="model", code="model_not_found", status=404)


def _object(found: Mapping[str, Any], field: str) -> Mapping[str, Any]:
    value = found.get(field)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise Unfit(f"{field} is not an object.", param=field, code="invalid_type")
    return value


def _flag(found: Mapping[str, Any], field: str, under: str = "") -> bool:
    value = found.get(field)
    if value is not None and not isinstance(value, bool):
        raise Unfit(f"{under}{field} is true or false.", param=under + field, code="invalid_type")
    return bool(value)


def _messages(found: object) -> list[tuple[str, Mapping[str, Any]]]:
    """(its name in the request, the message)."""
    if not isinstance(found, list) or not found:
        text = "Send messages, a list of at least one."
        raise Unfit(text, param="messages", code="missing_required_parameter")
    named = [(f"messages[{at}]", each) for at, each in enumerate(found)]
    for name, each in named:
        if not isinstance(each, dict) or not isinstance(each.get("role"), str):
            raise Unfit("A message is an object with a role and a content.", param=name, code="invalid_type")
    return named


def _last(messages: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    name, message = messages[-1]
    if message["role"] != "user":
        text = "The last message must be the user's: an answer cannot be begun for the agent."
        raise Unfit(text, param=f"{name}.role")
    return _text(name, message)


def _past(messages: Sequence[tuple[str, Mapping[str, Any]]]) -> tuple[Past, str]:
    """What went before and what is asked now; and what the program tells the model."""
    _last([each for each in messages if each[1]["role"] not in ("system", "developer")] or messages)
    exchanges: list[Exchange] = []
    instructions, asked, answered = list[str](), list[str](), list[str]()
    for name, message in messages:
        text = _text(name, message)
        match message["role"]:
            case "system" | "developer":
                instructions.append(text)
            case "assistant":
                answered.append(text)
            case _:
                if joined(answered):
                    exchanges.append(Exchange(joined(asked), joined(answered)))
                    asked, answered = [], []
                asked.append(text)
    texts = tuple(text for text in asked if text.strip()) or ("",)
    return Past(tuple(exchanges), texts), joined(instructions)


def _text(name: str, message: Mapping[str, Any]) -> str:
    """The words of a message. Raises Unfit for what is no words."""
    role, content = message["role"], message.get("content")
    if role in ("tool", "function") or message.get("tool_calls") or message.get("function_call"):
        text = "The agent has tools of its own; calls of the program's tools and their results are not taken."
        raise Unfit(text, param=name, code="unsupported_value")
    if role not in ("system", "developer", "user", "assistant"):
        raise Unfit(f"{role!r} is no role: use system, user or assistant.", param=f"{name}.role")
    if content is None and role == "assistant":
        refusal = message.get("refusal")
        return refusal if isinstance(refusal, str) else ""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        raise Unfit("content is a text or a list of parts.", param=f"{name}.content", code="invalid_type")
    return "\n\n".join(_part(f"{name}.content[{at}]", part) for at, part in enumerate(content))


def _part(name: str, part: object) -> str:
    match part:
        case {"type": "text", "text": str(text)} | {"type": "refusal", "refusal": str(text)}:
            return text
        case {"type": "image_url"}:
            raise Unfit(_PICTURES, param=name, code="unsupported_content_type")
        case {"type": "input_audio" | "file" as kind}:
            text = f"Parts of type {kind!r} are not taken here; send files in a chat."
            raise Unfit(text, param=name, code="unsupported_content_type")
        case _:
            raise Unfit("A part is of type text.", param=name, code="invalid_type")
