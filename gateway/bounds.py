"""The most input tokens that a prompt can come to: by its bytes, or by what its provider counted of its beginning."""

from __future__ import annotations

import json
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import assert_never
from unicodedata import normalize

from gateway.protocols.messages import AssistantMessage, Message, ResultsMessage, UserMessage
from gateway.protocols.model import Asked
from gateway.protocols.prompt import Prompt
from gateway.transcript import Opaque, Part, Text, ToolUse
from gateway.usage import HIDDEN_INPUT

# What stands around a message and around each of its parts. OpenAI cookbook, counting tokens of chat messages: 3 a
# message, 1 a name; nobody else publishes it.
MARKS = 16
# A call and its result: the id of each has at most 40 characters, and a result that is missing is made up for.
CALL = 160
TOOL = 64  # around a tool's name, description and schema; OpenAI cookbook: 12 and 3 a property, shorter than JSON
CONTEXT = 40  # what the volatile text is put between
# Anthropic, vision: pictures are scaled down to 2,576 pixels and 4,784 tokens, by older models to fewer. OpenAI,
# images: patches of 32 pixels, for the newer models as they are (12 megapixels are 11,970, times 1.2), for the older
# ones 8 tiles at most. Gemini API, tokens: 258 a tile, 16 tiles assumed; newer models 1,120 a picture.
PICTURES = {"anthropic": 4_784, "openai": 14_364, "google": 4_128, "demo": 0}
DEAREST_PICTURE = 48_169  # OpenAI, images: gpt-4o-mini, 2,833 and 8 tiles of 5,667
CHANGING = (
    "openrouter",
)  # kinds where the next request may go to another machine, which counts by other rules
SESSIONS = 500  # so many are remembered


def picture_tokens(kind: str, model: str = "") -> int:
    """An upper bound of the input tokens of one picture, whatever its size; *kind* as in gateway.vendors."""
    if kind == "openrouter":
        return max(DEAREST_PICTURE, *PICTURES.values())
    return DEAREST_PICTURE if model.startswith("gpt-4o-mini") else PICTURES.get(kind, max(PICTURES.values()))


def whole(model: Asked, prompt: Prompt) -> int:
    """An upper bound of all of it."""
    tools = sum(
        TOOL + len(json.dumps([tool.name, tool.description, tool.parameters])) for tool in prompt.tools
    )
    return _text(prompt.stable) + tools + _end(prompt) + _said(model, prompt, 0)


def _end(prompt: Prompt) -> int:
    """Of the volatile text, and of what providers add unseen."""
    return HIDDEN_INPUT + MARKS + (_text(prompt.volatile) + CONTEXT if prompt.volatile else 0)


def _said(model: Asked, prompt: Prompt, first: int) -> int:
    """Of the messages from *first* on."""
    picture, asked = picture_tokens(model.kind, model.model), max(_asked(prompt.messages), 0)
    found = sum(_message(message, picture) for message in prompt.messages[first:])
    # What only its provider understands goes back within its turn alone: see models/convert.py.
    unsent = (each for each in prompt.messages[first:asked] if isinstance(each, AssistantMessage))
    return found - sum(_part(part) for each in unsent for part in each.parts if isinstance(part, Opaque))


def _message(message: Message, picture: int) -> int:
    match message:
        case UserMessage(texts, pictures):
            shown = len(pictures) * (picture + MARKS)
            return MARKS + shown + sum(_text(text) + MARKS for text in texts)
        case AssistantMessage(parts):
            return MARKS + sum(_part(part) for part in parts)
        case ResultsMessage(results):
            return MARKS + sum(_text(result.text) + MARKS for result in results)
        case _:
            assert_never(message)


def _part(part: Part) -> int:
    match part:
        case Text(text):
            return _text(text) + MARKS
        case ToolUse(_, name, args):
            # Arguments are read and written again on their way: escaped, and with spaces at most.
            return _text(name) + 2 * len(json.dumps(args)) + CALL
        case Opaque(_, data):
            return len(json.dumps(data)) + MARKS
        case _:
            assert_never(part)


def _text(text: str) -> int:
    """Every token stands for a byte at least.

    Some tokenizers bring text into its compatible form first (Anthropic's published one: NFKC), which may be longer.
    """
    if text.isascii():
        return len(text)
    return max(len(form.encode("utf-8", "surrogatepass")) for form in (text, normalize("NFKC", text)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """What one request came to; its parts are known by their hashes. *asked*: the place of its newest question."""

    start: int
    messages: tuple[int, ...]
    asked: int
    tokens: int


class Measures:
    """What sessions' latest requests came to: the next one is that and what was added, or less.

    In memory only: after a restart the first request of a session is bounded by its bytes again.
    """

    def __init__(self) -> None:
        self._found: OrderedDict[tuple[int, str], Measure] = OrderedDict()

    def bound(self, model: Asked, prompt: Prompt, *, session: int | None, most: int | None = None) -> int:
        """The most input tokens of that request; *session* None: it is in none.

        *most*: what `whole` gives for it, where that is known already.
        """
        most = whole(model, prompt) if most is None else most
        known = self._found.get((session, model.ref)) if session is not None else None
        # The thinking before a newer question is left out. Where a question was taken back it is sent again.
        if known is None or known.start != _start(prompt) or known.asked > _asked(prompt.messages):
            return most
        pairs = zip(prompt.messages, known.messages, strict=False)
        same = sum(1 for _ in takewhile(lambda pair: _hash(pair[0]) == pair[1], pairs))
        return min(most, known.tokens + _said(model, prompt, same) + _end(prompt))

    def learn(self, model: Asked, prompt: Prompt, tokens: int, *, session: int | None) -> None:
        """What the provider has counted as the input of that request."""
        if session is None or model.kind in CHANGING:
            return
        self._found[session, model.ref] = Measure(
            start=_start(prompt),
            messages=tuple(map(_hash, prompt.messages)),
            asked=_asked(prompt.messages),
            tokens=tokens,
        )
        self._found.move_to_end((session, model.ref))
        if len(self._found) > SESSIONS:
            self._found.popitem(last=False)


def _asked(messages: Sequence[Message]) -> int:
    return max((at for at, message in enumerate(messages) if isinstance(message, UserMessage)), default=-1)


def _start(prompt: Prompt) -> int:
    """Of what comes before the messages, of how much is thought, and whether it may search."""
    tools = tuple((tool.name, tool.description, json.dumps(tool.parameters)) for tool in prompt.tools)
    return hash((prompt.stable, tools, prompt.think, bool(prompt.searches)))


def _hash(message: Message) -> int:
    match message:
        case UserMessage(texts, pictures):
            return hash((texts, tuple((each.media, each.type, len(each.data)) for each in pictures)))
        case AssistantMessage(parts):
            return hash(tuple(_plain(part) for part in parts))
        case ResultsMessage(results):
            return hash(results)
        case _:
            assert_never(message)


def _plain(part: Part) -> object:
    return (part.provider, json.dumps(part.data, sort_keys=True)) if isinstance(part, Opaque) else part
