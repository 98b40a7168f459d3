"""One request to a provider, from its sending to the last event of its answer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack

from pydantic_ai.direct import model_request_stream
from pydantic_ai.messages import (
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ThinkingPart,
    ThinkingPartDelta,
)
from pydantic_ai.models import Model as Wire
from pydantic_ai.models import StreamedResponse

from gateway.errors import ModelError
from gateway.models import convert
from gateway.models.classify import model_error
from gateway.models.connection import ProviderConfig
from gateway.protocols.answer import Answer, Counted, Delta, ModelEvent, Thought
from gateway.protocols.prompt import Prompt
from gateway.transcript import Part, Text, ToolUse
from gateway.types.measures import DOLLAR
from gateway.types.usage import Tokens
from gateway.vendors import VENDORS


class Asking:
    """*silence* in seconds: how long the provider may say nothing, before its first word too."""

    def __init__(self, *, wire: Wire, prompt: Prompt, config: ProviderConfig, silence: float) -> None:
        self._wire = wire
        self._prompt = prompt
        self._config = config
        self._silence = silence
        # The Responses API takes its own parts back with all that came between only, which it has not kept.
        apart = config.kind == "openai" and prompt.searches
        self._opaque = "" if apart else convert.opaque_of(config.kind, config.name)
        self._gap = convert.Gap()
        self._streamed: StreamedResponse | None = None
        self._told: Tokens | None = None

    async def events(self) -> AsyncGenerator[ModelEvent, None]:
        """Any Delta, Thought and Counted, then one Answer; raises ModelError."""
        request = self._request()
        async with AsyncExitStack() as stack:
            try:
                async with asyncio.timeout(self._silence):
                    self._streamed = await stack.enter_async_context(request)
                pieces = aiter(self._streamed)
                while (piece := await self._next(pieces)) is not None:
                    if (tokens := self._tokens()) is not None and tokens != self._told:
                        self._told = tokens
                        yield Counted(tokens)
                    if text := self._text(piece):
                        yield Delta(text)
                    elif thought := _thought(piece):
                        yield Thought(thought)
            # The edge to the SDKs: whatever they raise is told in our words, by kind.
            except Exception as error:
                # After the provider's word that the answer is whole, a torn connection changes nothing.
                if not self._whole():
                    raise self._failed(error) from error
        if self._streamed is None or not self._whole():
            raise ModelError(self._ending(), kind="cut", tokens=self._tokens())
        answer, unsaid = self._answer(self._streamed)
        if unsaid:
            yield Delta(unsaid)
        yield answer

    def _request(self) -> AbstractAsyncContextManager[StreamedResponse]:
        kind = self._config.kind
        messages = convert.request_messages(
            self._prompt, kind=kind, opaque=self._opaque, system=self._wire.system
        )
        settings = convert.request_settings(self._prompt, kind=kind, model=self._wire.model_name)
        if self._config.url == VENDORS["openai"].url:
            settings = convert.same_machine(settings, self._prompt, self._wire.model_name)
        return model_request_stream(
            self._wire,
            messages,
            model_settings=settings,
            model_request_parameters=convert.request_parameters(
                self._prompt, kind=kind, images=bool(self._wire.profile.get("supports_image_output"))
            ),
            instrument=False,
        )

    async def _next(self, pieces: AsyncIterator[ModelResponseStreamEvent]) -> ModelResponseStreamEvent | None:
        # Pings keep the socket busy, so its own timeout never sees an answer that has stopped.
        async with asyncio.timeout(self._silence):
            return await anext(pieces, None)

    def _text(self, event: ModelResponseStreamEvent) -> str:
        """The visible text in a piece; the first of a part is in its start."""
        match event:
            case PartStartEvent(part=part):
                return self._gap.before(part) + (part.content if isinstance(part, TextPart) else "")
            case PartDeltaEvent(delta=TextPartDelta(content_delta=text)):
                return text
            case _:
                return ""

    def _tokens(self) -> Tokens | None:
        """What the provider has reported so far; None when nothing."""
        if self._streamed is None:
            return None
        tokens = convert.tokens_of(self._streamed.usage)
        return tokens if tokens.input or tokens.output else None

    def _whole(self) -> bool:
        """Whether the provider said why it stopped; the model layer takes a silent end for a whole answer."""
        if self._streamed is None:
            return False
        said = (self._streamed.provider_details or {}).get("finish_reason")
        ended = self._streamed.finish_reason
        return "error" not in (said, ended) and bool(said or ended == "content_filter")

    def _ending(self) -> str:
        """Why it is no answer, in the provider's own word where it gave one (Gemini's MALFORMED_FUNCTION_CALL)."""
        said = (self._streamed.provider_details or {}).get("finish_reason") if self._streamed else None
        return f"the answer ended as {said}" if said else "the answer was cut off"

    def _failed(self, error: Exception) -> ModelError:
        return model_error(
            error,
            now=time.time(),
            secrets=(self._config.api_key,),
            tokens=self._tokens(),
            begun=self._streamed is not None,
        )

    def _answer(self, streamed: StreamedResponse) -> tuple[Answer, str]:
        """The answer, and the words of a refusal that were not streamed."""
        cost = streamed.usage.cost
        response = streamed.get()
        parts = convert.answer_parts(response, opaque=self._opaque)
        refusal = str((response.provider_details or {}).get("refusal") or "")
        unsaid = "" if any(isinstance(part, Text) for part in parts) else refusal
        if unsaid:
            parts = (*parts, Text(unsaid))
        answer = Answer(
            parts=parts,
            tokens=self._tokens(),
            model=response.model_name or self._wire.model_name,
            provider_id=response.provider_response_id or "",
            finish=_finish(response.finish_reason, parts),
            provider_cost=None if cost is None else round(cost * DOLLAR),
            files=convert.answer_files(response),
            searches=int(streamed.usage.details.get("web_search_requests", 0)),
            sources=convert.answer_sources(response),
        )
        return answer, unsaid


def _thought(event: ModelResponseStreamEvent) -> str:
    """What of the thinking is in a piece."""
    match event:
        case PartStartEvent(part=ThinkingPart(content=text)):
            return text
        case PartDeltaEvent(delta=ThinkingPartDelta(content_delta=text)):
            return text or ""
        case _:
            return ""


def _finish(reason: str | None, parts: tuple[Part, ...]) -> str:
    finish = convert.FINISH.get(reason or "stop", "stop")
    # Some compatible servers say stop when they ask for a tool.
    return "tools" if finish == "stop" and any(isinstance(part, ToolUse) for part in parts) else finish
