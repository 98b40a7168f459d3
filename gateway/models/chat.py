"""Chat Completions with exact usage: the last report counts, and what the server itself billed is kept."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from pydantic_ai.models.openai import OpenAIChatModel, OpenAIStreamedResponse

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk
    from pydantic_ai.usage import RequestUsage


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
