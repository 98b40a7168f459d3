"""Chat Completions with exact usage: the last report counts, and what the server itself billed is kept."""

from __future__ import annotations

from decimal import Decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

from openai import AsyncOpenAI
from openai.resources.chat import AsyncChat, AsyncCompletions
from openai.types.chat import ChatCompletionChunk
from pydantic import ValidationError
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.usage import RequestUsage


class Completions(AsyncCompletions):
    """The SDK looks through the whole conversation for names to translate, of which this API has none.

    That took longer than all else about a request; what comes as extra is sent as it is.
    """

    async def create(self, *, messages: Any, extra_body: Any = None, **rest: Any) -> Any:
        return await super().create(
            messages=(), extra_body={**(extra_body or {}), "messages": messages}, **rest
        )


class Chat(AsyncChat):
    @cached_property
    def completions(self) -> AsyncCompletions:
        return Completions(self._client)


class ChatClient(AsyncOpenAI):
    """The SDK builds each chunk in Python, which was half the cost of an answer; pydantic does it in C.

    A chunk that is not as OpenAI describes it is left to the SDK, which takes anything.
    """

    def _process_response_data(self, *, data: object, cast_to: type[Any], response: httpx2.Response) -> Any:
        if cast_to is ChatCompletionChunk:
            try:
                return ChatCompletionChunk.model_validate(data)
            except ValidationError:
                pass
        return super()._process_response_data(data=data, cast_to=cast_to, response=response)

    @cached_property
    def chat(self) -> AsyncChat:
        return Chat(self)


class ChatStream(OpenAIStreamedResponse):
    """Some servers repeat the running total in every chunk: adding those up would bill it many times."""

    def _add_usage(self, usage: RequestUsage, *, reported: bool, cumulative: bool = False) -> None:
        super()._add_usage(usage, reported=reported, cumulative=cumulative or reported)

    def _map_usage(self, response: ChatCompletionChunk) -> RequestUsage:
        usage = super()._map_usage(response)
        billed = (response.usage.model_extra or {}).get("cost") if response.usage else None
        # OpenRouter, usage accounting: what was charged, in dollars. Elsewhere it may be another money.
        if "openrouter.ai" in self._provider_url and isinstance(billed, int | float):
            usage.cost = Decimal(str(billed))
        return usage


class ChatModel(OpenAIChatModel):
    @property
    def _streamed_response_cls(self) -> type[OpenAIStreamedResponse]:
        return ChatStream
