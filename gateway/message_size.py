"""How long messages are, for estimates of what they come to; pure."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from gateway.protocols.messages import AssistantMessage, Message, ResultsMessage, UserMessage
from gateway.transcript import Opaque, Part, Text, ToolUse
from gateway.types.json import Json


def bytes_of(messages: Sequence[Message]) -> int:
    """UTF-8 bytes of everything in the messages, for estimates of their length."""
    return sum(_bytes(text) for message in messages for text in _texts(message))


def _bytes(text: str) -> int:
    return len(text.encode(errors="replace"))


def _texts(message: Message) -> Iterator[str]:
    match message:
        case UserMessage(texts):
            yield from texts
        case AssistantMessage(parts):
            for part in parts:
                yield from _part_texts(part)
        case ResultsMessage(results):
            for result in results:
                yield from (result.id, result.text)


def _part_texts(part: Part) -> tuple[str, ...]:
    match part:
        case Text(text):
            return (text,)
        case ToolUse(id, name, args):
            return (id, name, args)
        case Opaque(_, data):
            return (_json(data),)


def _json(data: Json) -> str:
    return json.dumps(data, ensure_ascii=False)
