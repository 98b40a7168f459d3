"""Gemini: one request is one request."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_ai.models.google import GoogleModel

if TYPE_CHECKING:
    from google.genai.types import ContentUnionDict, GenerateContentConfigDict
    from pydantic_ai.messages import ModelMessage
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.models.google import GoogleModelSettings


class GeminiModel(GoogleModel):
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
