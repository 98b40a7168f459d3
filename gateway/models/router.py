"""OpenRouter: Chat Completions with what was charged, and with images in the answer."""

from __future__ import annotations

import base64
import binascii
import itertools
from collections.abc import Iterable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from pydantic_ai.messages import BinaryContent, FilePart, ModelResponseStreamEvent
from pydantic_ai.models.openrouter import OpenRouterModel, OpenRouterStreamedResponse

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk
    from openai.types.chat.chat_completion_chunk import Choice
    from pydantic_ai.usage import RequestUsage


class RouterStream(OpenRouterStreamedResponse):
    def _add_usage(self, usage: RequestUsage, *, reported: bool, cumulative: bool = False) -> None:
        """Some of the servers behind it repeat the running total: adding those up would bill it many times."""
        super()._add_usage(usage, reported=reported, cumulative=cumulative or reported)

    def _map_usage(self, response: ChatCompletionChunk) -> RequestUsage:
        usage = super()._map_usage(response)
        if response.usage is not None:
            usage.cost = charged(response.usage.model_dump())
        return usage

    def _map_part_delta(self, choice: Choice) -> Iterable[ModelResponseStreamEvent]:
        return itertools.chain(super()._map_part_delta(choice), self._images(choice))

    def _images(self, choice: Choice) -> Iterator[ModelResponseStreamEvent]:
        """OpenRouter, image generation: delta.images, each with a data URL."""
        for image in (choice.delta.model_extra or {}).get("images") or ():
            if content := pictured(image):
                yield self._parts_manager.handle_part(vendor_part_id=uuid4(), part=FilePart(content))


class RouterModel(OpenRouterModel):
    @property
    def _streamed_response_cls(self) -> type[RouterStream]:
        return RouterStream


def charged(usage: dict[str, Any]) -> Decimal | None:
    """What a request cost in dollars; None where it was not told. OpenRouter, usage accounting.

    With a key of one's own at the vendor behind it, *cost* is OpenRouter's fee and the vendor bills the rest.
    """
    cost = usage.get("cost")
    if not isinstance(cost, int | float):
        return None
    upstream = (usage.get("cost_details") or {}).get("upstream_inference_cost") if usage.get("is_byok") else 0
    return Decimal(str(cost)) + Decimal(str(upstream or 0))


def pictured(image: object) -> BinaryContent | None:
    """The picture in `{"type": "image_url", "image_url": {"url": "data:image/png;base64,…"}}`; None: none."""
    match image:
        case {"image_url": {"url": str(url)}} if url.startswith("data:"):
            head, _, data = url.removeprefix("data:").partition(",")
            try:
                return BinaryContent(base64.b64decode(data, validate=True), media_type=head.partition(";")[0])
            except binascii.Error:
                return None
        case _:
            return None
