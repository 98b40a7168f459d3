"""Our messages to the model layer's, and its answers to ours."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, assert_never

from pydantic_ai import CachePoint
from pydantic_ai.messages import (
    BinaryContent,
    FilePart,
    InstructionPart,
    ModelMessage,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ModelResponsePart,
    NativeToolCallPart,
    NativeToolReturnPart,
    TextPart,
    ThinkingPart,
    ToolCallPart,
    ToolReturnPart,
    UserContent,
    UserPromptPart,
    WebCitationSource,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.native_tools import WebSearchTool
from pydantic_ai.settings import ModelSettings
from pydantic_ai.tools import ToolDefinition

from gateway.models.legal import clean, legal
from gateway.models.marks import marks
from gateway.protocols.answer import Made, Source
from gateway.protocols.messages import AssistantMessage, Message, Picture, ResultsMessage, UserMessage
from gateway.protocols.prompt import Prompt
from gateway.transcript import Opaque, Part, Text, ToolResult, ToolUse
from gateway.types.json import Json
from gateway.types.usage import Tokens

if TYPE_CHECKING:
    from pydantic_ai.models.anthropic import AnthropicModelSettings
    from pydantic_ai.models.openai import OpenAIChatModelSettings, OpenAIResponsesModelSettings
    from pydantic_ai.models.openrouter import OpenRouterModelSettings
    from pydantic_ai.usage import RequestUsage

FINISH = {"stop": "stop", "length": "length", "tool_call": "tools", "content_filter": "filter"}
# Reasoning that a server put between tags in its text is not for sending back.
TAGGED = "content"
# OpenRouter, image generation: models that make images do so only when asked; they say it in their names.
PAINTS = re.compile(r"image|banana")
PARAGRAPH = "\n\n"
SEARCH = "search"  # in an opaque part: what a search of the provider's was asked or gave
SIGNATURE = "thought_signature"  # the model layer's name for Gemini's
MARKED = ("anthropic", "openrouter")  # those with cache breakpoints in messages
# OpenAI, prompt caching, extended retention: the models that can be asked for it and have it not by themselves.
EXTENDED = re.compile(
    r"(gpt-4\.1|gpt-5(\.[124])?|gpt-5(\.[13])?-codex|gpt-5\.1-codex-(max|mini)|gpt-5\.1-chat(-latest)?)"
    r"(-\d{4}-\d\d-\d\d)?"
)
LISTED = ("anthropic", "google", "openrouter")  # those that take several texts in one message


def request_messages(prompt: Prompt, *, kind: str, opaque: str, system: str) -> list[ModelMessage]:
    """The conversation. *system* is the model layer's name of the provider, *opaque* ours (see `opaque_of`).

    Pictures come before the texts of their message (Messages API, vision). The volatile text goes into the last
    user message, behind everything that is the same next time. Behind tool results no text may come (Messages API,
    tool use).
    """
    messages = legal(prompt.messages, opaque=opaque)
    last = max(index for index, message in enumerate(messages) if isinstance(message, UserMessage))
    volatile = f"<context>\n{clean(prompt.volatile)}\n</context>" if prompt.volatile.strip() else ""
    points = _points(messages, prompt, kind=kind)
    found: list[ModelMessage] = []
    for index, message in enumerate(messages):
        match message:
            case UserMessage(texts, pictures):
                texts_now = (*texts, volatile) if volatile and index == last else texts
                if kind not in LISTED:
                    found.append(_joined(texts_now, pictures))
                    continue
                # The end of an answer is marked from the message after it.
                answered = index > 0 and isinstance(messages[index - 1], AssistantMessage)
                before = points.get(index - 1) if answered else None
                at = points.get(index)
                found.append(_said(texts_now, pictures, before=before, at=at, end=len(texts)))
            case AssistantMessage(parts):
                # Thinking goes back within its tool loop only: newer Claude models refuse it once the text
                # before it has changed, as the volatile text does, and what DeepSeek calls its own everywhere.
                found.append(_answered(parts, system, index > last))
            case ResultsMessage(results):
                # OpenRouter's is a setting: see request_settings.
                found.append(_gave(results, points.get(index) if kind == "anthropic" else None))
            case _:
                assert_never(message)
    return found


def _points(messages: Sequence[Message], prompt: Prompt, *, kind: str) -> dict[int, CachePoint]:
    """The breakpoints by the message whose end they mark; those for an hour come first, as the Messages API demands."""
    if kind not in MARKED or prompt.cache == "off":
        return {}
    short, long = CachePoint(ttl="5m"), CachePoint(ttl=prompt.cache)
    found = marks(messages, volatile=bool(prompt.volatile.strip()))
    return {mark.at: long if mark.steady else short for mark in found}


def request_parameters(prompt: Prompt, *, kind: str, images: bool = False) -> ModelRequestParameters:
    """*images*: the model can make them, and may."""
    stable = clean(prompt.stable)
    return ModelRequestParameters(
        native_tools=[_search(prompt.searches, kind)] if prompt.searches else [],
        allow_image_output=images,
        function_tools=[
            # Not strict: a schema is sent as it was written.
            ToolDefinition(
                name=tool.name,
                description=tool.description,
                parameters_json_schema=tool.parameters,
                strict=False,
            )
            for tool in prompt.tools
        ],
        instruction_parts=[InstructionPart(stable)] if stable.strip() else [],
    )


def request_settings(prompt: Prompt, *, kind: str, model: str) -> ModelSettings:
    settings: AnthropicModelSettings = {"max_tokens": prompt.max_output_tokens}
    # Anthropic's API refuses a temperature from its version 2026-10-21 on, even the default one.
    if prompt.temperature is not None and kind != "anthropic":
        settings["temperature"] = prompt.temperature
    if prompt.think is not None:
        settings["thinking"] = False if prompt.think == "off" else prompt.think
    # A breakpoint on the system prompt covers the tools, which come before it.
    if kind == "anthropic" and prompt.cache != "off":
        if prompt.stable.strip():
            settings["anthropic_cache_instructions"] = prompt.cache
        else:
            settings["anthropic_cache_tool_definitions"] = prompt.cache
    if prompt.searches:
        return _searching(settings, prompt.searches, kind)
    if kind == "openrouter":
        return _routed(settings, prompt, model)
    return settings


def _search(searches: int, kind: str) -> WebSearchTool:
    """OpenAI's has no limit of its own: see `request_settings`."""
    return WebSearchTool(max_uses=searches) if kind == "anthropic" else WebSearchTool()


def _searching(settings: ModelSettings, searches: int, kind: str) -> ModelSettings:
    """Within their number, and with its sources named."""
    if kind == "anthropic":
        # Messages API, web search: what is found by code that runs there is not cited.
        direct: AnthropicModelSettings = {**settings, "anthropic_web_tools_allowed_callers": ["direct"]}  # type: ignore[typeddict-item]
        return direct
    # Responses API: max_tool_calls counts what the provider runs, opening a page as well as searching. Unlike Chat
    # Completions it keeps answers unless told not to.
    limited: OpenAIResponsesModelSettings = {**settings, "openai_store": False}  # type: ignore[typeddict-item]
    limited["extra_body"] = {"max_tool_calls": searches}
    return limited


def same_machine(settings: ModelSettings, prompt: Prompt, model: str) -> ModelSettings:
    """OpenAI, prompt caching: one session's requests go where its beginning is known; for its own address only."""
    if prompt.cache == "off" or not prompt.key:
        return settings
    found: OpenAIChatModelSettings = {**settings, "openai_prompt_cache_key": prompt.key}  # type: ignore[typeddict-item]
    if prompt.cache == "1h" and EXTENDED.fullmatch(model):
        found["openai_prompt_cache_retention"] = "24h"
    return found


def _routed(settings: ModelSettings, prompt: Prompt, model: str) -> ModelSettings:
    """With what OpenRouter charged (usage accounting), and with cache breakpoints for models that have them."""
    routed: OpenRouterModelSettings = {**settings, "openrouter_usage": {"include": True}}  # type: ignore[typeddict-item]
    if PAINTS.search(model):
        routed["extra_body"] = {"modalities": ["image", "text"]}
    if prompt.cache != "off":
        if prompt.stable.strip():
            routed["openrouter_cache_instructions"] = prompt.cache
        else:
            routed["openrouter_cache_tool_definitions"] = prompt.cache
        if prompt.messages and isinstance(prompt.messages[-1], ResultsMessage):
            routed["openrouter_cache_messages"] = prompt.cache
    return routed


def opaque_of(kind: str, provider: str) -> str:
    """Whose opaque parts an answer's are.

    A signature is good at every address of its vendor; what OpenAI-compatible servers call their reasoning
    is refused by others.
    """
    return kind if kind in ("anthropic", "google") else f"{kind}:{provider}"


def answer_parts(response: ModelResponse, *, opaque: str) -> tuple[Part, ...]:
    """The parts of a whole answer; what is neither text nor a call nor sent back is left out.

    What was found by searching goes back with the results of the calls beside it, and is large.
    """
    found: list[Part] = []
    asks = any(isinstance(part, ToolCallPart) for part in response.parts)
    for spoken, part in with_gaps(response.parts):
        # Gemini API, thought signatures: one belongs to the part it came with, a call mostly. The model layer puts
        # that of a thought without text on the part after it.
        if isinstance(part, TextPart | ToolCallPart) and (
            sign := (part.provider_details or {}).get(SIGNATURE)
        ):
            found.append(Opaque(opaque, {"signature": sign}))
        if isinstance(part, TextPart):
            if spoken:
                found.append(Text(spoken))
        elif isinstance(part, ToolCallPart):
            found.append(ToolUse(part.tool_call_id, part.tool_name, _args(part)))
        elif isinstance(part, ThinkingPart) and _sent_back(part):
            found.append(Opaque(opaque, _thinking(part)))
        elif isinstance(part, NativeToolCallPart | NativeToolReturnPart) and asks:
            found.append(Opaque(opaque, _searched(part)))
    # Nothing can be sent back to a provider without a name (see Asking).
    return tuple(part for part in found if opaque or not isinstance(part, Opaque))


def with_gaps(parts: Sequence[ModelResponsePart]) -> Iterator[tuple[str, ModelResponsePart]]:
    """Each part with its text ('': it has none); what is said after a search begins a paragraph of its own."""
    gap = Gap()
    for part in parts:
        yield gap.before(part) + (part.content if isinstance(part, TextPart) else ""), part


class Gap:
    """What stands between the texts of an answer, part by part."""

    def __init__(self) -> None:
        self._spoken = self._searched = False

    def before(self, part: ModelResponsePart) -> str:
        """What goes before that part's text."""
        if isinstance(part, NativeToolCallPart | NativeToolReturnPart):
            self._searched = self._spoken
        if not isinstance(part, TextPart):
            return ""
        gap = PARAGRAPH if self._searched else ""
        self._spoken, self._searched = True, False
        return gap


def answer_sources(response: ModelResponse) -> tuple[Source, ...]:
    """The pages that are cited, each once, in their order."""
    cited = [each for part in response.parts if isinstance(part, TextPart) for each in part.citations or ()]
    pages = [page for each in cited for page in each.sources if isinstance(page, WebCitationSource)]
    found = {page.url: Source(page.url, page.title or "") for page in reversed(pages)}
    return tuple(reversed(found.values()))


def answer_files(response: ModelResponse) -> tuple[Made, ...]:
    """What the model has made besides text."""
    files = [part.content for part in response.parts if isinstance(part, FilePart)]
    return tuple(Made(content.media_type, content.data) for content in files)


def tokens_of(usage: RequestUsage) -> Tokens:
    """The counts in disjoint kinds: the model layer's input includes what the cache read and wrote."""
    read, written, long = usage.cache_read_tokens, usage.cache_write_tokens, usage.cache_write_1h_tokens
    return Tokens(
        uncached=max(0, usage.input_tokens - read - written),
        read=read,
        write_5m=max(0, written - long),
        write_1h=long,
        output=usage.output_tokens,
    )


def _args(part: ToolCallPart) -> str:
    return part.args if isinstance(part.args, str) and part.args.strip() else part.args_as_json_str()


def _sent_back(part: ThinkingPart) -> bool:
    return bool(part.signature or part.provider_details or (part.id and part.id != TAGGED))


def _thinking(part: ThinkingPart) -> Json:
    given = {
        "text": part.content,
        "signature": part.signature,
        "id": part.id,
        "details": part.provider_details,  # OpenRouter's, of plain values
    }
    return {name: value for name, value in given.items() if value}


def _searched(part: NativeToolCallPart | NativeToolReturnPart) -> Json:
    """The call or its result, encrypted as the provider gives it."""
    known: Json = {SEARCH: part.tool_name, "id": part.tool_call_id}
    if part.provider_details:
        known["details"] = part.provider_details
    if isinstance(part, NativeToolCallPart):
        return {**known, "asked": part.args_as_dict()}
    return {**known, "gave": part.content}


def _said(
    texts: Sequence[str],
    pictures: Sequence[Picture],
    *,
    before: CachePoint | None,
    at: CachePoint | None,
    end: int,
) -> ModelRequest:
    """One block for each picture and each text; a breakpoint *before* them all, one *at* the first *end* texts' end."""
    content: list[UserContent] = [*_images(pictures), *texts[:end]]
    if before is not None:
        content.insert(0, before)
    if at is not None:
        content.append(at)
    return ModelRequest(parts=[UserPromptPart([*content, *texts[end:]])])


def _joined(texts: Sequence[str], pictures: Sequence[Picture]) -> ModelRequest:
    """One text: some compatible servers know no lists and refuse two user messages in a row."""
    joined = "\n\n".join(texts)
    if not pictures:
        return ModelRequest(parts=[UserPromptPart(joined)])
    return ModelRequest(parts=[UserPromptPart([*_images(pictures), *([joined] if joined else [])])])


def _images(pictures: Sequence[Picture]) -> list[UserContent]:
    return [BinaryContent(picture.data, media_type=picture.type) for picture in pictures]


def _answered(parts: Sequence[Part], system: str, keep: bool) -> ModelResponse:
    found: list[ModelResponsePart] = []
    for part in parts:
        match part:
            case Text(text):
                found.append(TextPart(text))
            case ToolUse(id, name, args):
                found.append(ToolCallPart(name, args, id))
            case Opaque(_, data):
                if keep:
                    found.append(_found(data, system) if SEARCH in data else _thought(data, system))
            case _:
                assert_never(part)
    return ModelResponse(parts=found, provider_name=system)


def _found(data: Json, system: str) -> NativeToolCallPart | NativeToolReturnPart:
    """What `_searched` has written."""
    name, id, details = str(data[SEARCH]), str(data.get("id", "")), data.get("details")
    if "gave" in data:
        return NativeToolReturnPart(name, data["gave"], id, provider_name=system, provider_details=details)
    return NativeToolCallPart(name, data.get("asked"), id, provider_name=system, provider_details=details)


def _thought(data: Json, system: str) -> ThinkingPart:
    return ThinkingPart(
        str(data.get("text", "")),
        id=data.get("id"),
        signature=data.get("signature"),
        provider_name=system,
        provider_details=data.get("details"),
    )


def _gave(results: Sequence[ToolResult], point: CachePoint | None) -> ModelRequest:
    parts: list[ModelRequestPart] = [
        ToolReturnPart(each.name, each.text, each.id, outcome="failed" if each.error else "success")
        for each in results
    ]
    if point is not None:
        parts.append(UserPromptPart([point]))
    return ModelRequest(parts=parts)
