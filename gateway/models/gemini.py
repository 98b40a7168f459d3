"""Gemini: one request is one request, and who leaves early hangs up."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from pydantic_ai.models.google import GoogleModel

from gateway.models.transport import OPENED

if TYPE_CHECKING:
    import httpx2
    from google.genai.types import ContentUnionDict, GenerateContentConfigDict
    from pydantic_ai import RunContext
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import ModelRequestParameters, StreamedResponse
    from pydantic_ai.models.google import GoogleModelSettings
    from pydantic_ai.settings import ModelSettings


class GeminiModel(GoogleModel):
    @asynccontextmanager
    async def request_stream(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,
        model_request_parameters: ModelRequestParameters,
        run_context: RunContext[Any] | None = None,
    ) -> AsyncGenerator[StreamedResponse]:
        """The SDK's response is part of a cycle: left to itself, it is closed when the garbage is collected."""
        opened: list[httpx2.Response] = []
        async with AsyncExitStack() as stack:
            before = OPENED.set(opened)
            try:
                streamed = await stack.enter_async_context(
                    super().request_stream(messages, model_settings, model_request_parameters, run_context)
                )
            finally:
                OPENED.reset(before)
            try:
                yield streamed
            finally:
                for response in opened:
                    await response.aclose()

    async def _build_content_and_config(
        self,
        messages: list[ModelMessage],
        model_settings: GoogleModelSettings,
        model_request_parameters: ModelRequestParameters,
    ) -> tuple[list[ContentUnionDict], GenerateContentConfigDict]:
        """The SDK would go on by itself with further requests where an answer comes in several."""
        contents, config = await super()._build_content_and_config(
            messages, model_settings, model_request_parameters
        )
        config["automatic_continuation"] = False
        return contents, config
