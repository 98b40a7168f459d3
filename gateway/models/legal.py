"""A message list that both vendors accept, whatever the transcript holds; pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from gateway.protocols.messages import AssistantMessage, Message, ResultsMessage, UserMessage
from gateway.transcript import Opaque, Part, Text, ToolResult, ToolUse

CALL_ID = re.compile(r"[A-Za-z0-9_-]{1,40}")  # Messages API, tool_use.id; Chat Completions, tool_calls[].id
NOT_IN_NAMES = re.compile(r"[^A-Za-z0-9_-]")  # both vendors, tool names
MAX_NAME = 64  # characters; Chat Completions, tools[].function.name (Messages API allows 128)
BEFORE = "(The conversation before this is not shown.)"
GO_ON = "(Please go on.)"
NO_RESULT = "No result: the call was interrupted."
NO_OUTPUT = "(no output)"


def legal(messages: Iterable[Message], *, opaque: str) -> list[Message]:
    """The same conversation, in a form that is never refused for its shape.

    It starts with a user message and does not end with an answer; every tool call has exactly one result
    right after it; ids and names are of the allowed characters; no text is blank or half a character, no picture
    without its data.
    *opaque* names the provider whose own parts are kept. The same input always gives the same output, so
    that a prompt cache finds what it knows.
    """
    ids = _Ids()
    found: list[Message] = []
    waiting: dict[str, ToolUse] = {}  # the calls of the last answer: as they were given -> as they are sent
    for message in messages:
        if isinstance(message, ResultsMessage):
            if waiting:
                found.append(_results(waiting, message.results))
                waiting = {}
            continue
        if waiting:
            found.append(_results(waiting, ()))
            waiting = {}
        if isinstance(message, UserMessage):
            _say(found, message)
        else:
            waiting = _answer(found, message, ids, opaque)
    if waiting:
        found.append(_results(waiting, ()))
    return _framed(found)


def clean(text: str) -> str:
    """Halves of characters joined, or replaced where the other half is missing: JSON cannot carry them."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def tool_name(name: str) -> str:
    return NOT_IN_NAMES.sub("_", name)[:MAX_NAME] or "unknown"


def object_text(args: str) -> str:
    """*args* if it is a JSON object, else a JSON object that shows what was given instead."""
    try:
        parsed = json.loads(args, parse_constant=_refuse) if args.strip() else {}
    except (ValueError, RecursionError):
        parsed = None
    if not isinstance(parsed, dict):
        return json.dumps({"invalid_arguments": clean(args)}, ensure_ascii=False)
    return clean(args) if parsed else "{}"


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


class _Ids:
    """Call ids as they are sent: some servers count from zero in every answer, or use other characters."""

    def __init__(self) -> None:
        self._used: set[str] = set()

    def fresh(self, given: str) -> str:
        sent, again = given, 0
        while not CALL_ID.fullmatch(sent) or sent in self._used:
            sent = "call_" + hashlib.sha256(f"{again}:{clean(given)}".encode()).hexdigest()[:24]
            again += 1
        self._used.add(sent)
        return sent


def _say(found: list[Message], message: UserMessage) -> None:
    texts = tuple(clean(text) for text in message.texts if text.strip())
    pictures = tuple(picture for picture in message.pictures if picture.data)
    if not texts and not pictures:
        return
    if found and isinstance(last := found[-1], UserMessage):
        fleeting = last.fleeting or message.fleeting
        found[-1] = UserMessage(last.texts + texts, last.pictures + pictures, fleeting)
    else:
        found.append(UserMessage(texts, pictures, message.fleeting))


def _answer(found: list[Message], message: AssistantMessage, ids: _Ids, opaque: str) -> dict[str, ToolUse]:
    """Adds the answer, if anything of it can be sent; gives its calls."""
    kept: list[Part] = []
    calls: dict[str, ToolUse] = {}
    for part in message.parts:
        match part:
            case Text(text) if text.strip():
                kept.append(Text(clean(text)))
            case ToolUse(id, name, args) if id not in calls:
                calls[id] = ToolUse(ids.fresh(id), tool_name(name), object_text(args))
                kept.append(calls[id])
            case Opaque(provider) if provider == opaque:
                kept.append(part)
            case _:
                continue
    # Thinking must be followed by what was thought about (Messages API, extended thinking).
    while kept and isinstance(kept[-1], Opaque):
        kept.pop()
    if not kept:
        return {}
    last = found[-1] if found else None
    if isinstance(last, AssistantMessage):
        found[-1] = AssistantMessage((*last.parts, *kept))
    else:
        found.append(AssistantMessage(tuple(kept)))
    return calls


def _results(calls: dict[str, ToolUse], given: Sequence[ToolResult]) -> ResultsMessage:
    """One result for each call, in the order of the calls; a result nobody asked for is left out."""
    by_id: dict[str, ToolResult] = {}
    for result in given:
        by_id.setdefault(result.id, result)
    missing = ToolResult("", "", NO_RESULT, True)
    return ResultsMessage(tuple(_result(call, by_id.get(id, missing)) for id, call in calls.items()))


def _result(call: ToolUse, given: ToolResult) -> ToolResult:
    text = clean(given.text) if given.text.strip() else NO_OUTPUT
    return replace(given, id=call.id, name=call.name, text=text)


def _framed(found: list[Message]) -> list[Message]:
    if found and isinstance(found[0], AssistantMessage):
        found.insert(0, UserMessage((BEFORE,)))
    if not found or isinstance(found[-1], AssistantMessage):
        found.append(UserMessage((GO_ON,)))
    return found
