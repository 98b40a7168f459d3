"""The model layer's model for each kind of provider, over our own HTTP; an SDK is imported by its first use."""

from __future__ import annotations

import importlib
import re
from typing import TYPE_CHECKING

from gateway.errors import ModelError
from gateway.vendors import VENDORS

if TYPE_CHECKING:
    import httpx2
    from openai import AsyncOpenAI
    from pydantic_ai.models import Model as Wire

    from gateway.models.connection import ProviderConfig

LAYERS = {
    "anthropic": ("pydantic_ai.models.anthropic",),
    "openai": ("gateway.models.chat", "pydantic_ai.providers.openai_compatible"),
    "google": ("gateway.models.gemini", "pydantic_ai.providers.google"),
    "openrouter": ("gateway.models.router", "gateway.models.chat", "pydantic_ai.providers.openrouter"),
    "ollama": ("gateway.models.chat", "pydantic_ai.providers.ollama"),
}
NO_KEY = "none"  # sent where a server asks for no key: the SDK insists on one
# OpenAI's models that refuse max_tokens; Chat Completions, max_completion_tokens.
MAX_COMPLETION = re.compile(r"(o\d|gpt-([5-9]|\d\d))(?!.*chat)")


def load(kind: str) -> None:
    """Import what the first request to such a provider needs."""
    import pydantic_ai

    pydantic_ai.BANNER_ENABLED = False
    for name in ("gateway.models.asking", *LAYERS[kind]):
        importlib.import_module(name)


def build(config: ProviderConfig, model: str, http: httpx2.AsyncClient, *, searching: bool = False) -> Wire:
    if searching and config.kind == "openai":
        return _responses(config, model, http)
    match config.kind:
        case "anthropic":
            return _anthropic(config, model, http)
        case "google":
            return _google(config, model, http)
        case "openrouter":
            return _openrouter(config, model, http)
        case "ollama":
            return _ollama(config, model, http)
        case _:
            return _openai(config, model, http)


def _anthropic(config: ProviderConfig, model: str, http: httpx2.AsyncClient) -> Wire:
    from anthropic import AsyncAnthropic
    from pydantic_ai.models.anthropic import AnthropicModel
    from pydantic_ai.providers.anthropic import AnthropicProvider

    # The SDK sends the key as a bearer token; other servers and proxies that speak this may read x-api-key only.
    headers = {"x-api-key": config.api_key} if config.base_url else None
    client = AsyncAnthropic(
        api_key=config.api_key, base_url=config.url, http_client=http, max_retries=0, default_headers=headers
    )
    return AnthropicModel(model, provider=AnthropicProvider(anthropic_client=client))


def _google(config: ProviderConfig, model: str, http: httpx2.AsyncClient) -> Wire:
    """Without retry_options the SDK never asks twice."""
    from pydantic_ai.providers.google import GoogleProvider

    from gateway.models.gemini import GeminiModel

    provider = GoogleProvider(api_key=config.api_key, base_url=config.url, http_client=http)
    return GeminiModel(model, provider=provider)


def _openrouter(config: ProviderConfig, model: str, http: httpx2.AsyncClient) -> Wire:
    from pydantic_ai.providers.openrouter import OpenRouterProvider

    from gateway.models.router import RouterModel

    if "/" not in model:
        raise ModelError(
            f"{model!r} is no model of OpenRouter's: write maker/model", kind="not_found", sent=False
        )
    return RouterModel(model, provider=OpenRouterProvider(openai_client=_client(config, http)))


def _ollama(config: ProviderConfig, model: str, http: httpx2.AsyncClient) -> Wire:
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.ollama import OllamaProvider

    from gateway.models.chat import ChatModel

    return ChatModel(
        model,
        provider=OllamaProvider(openai_client=_client(config, http)),
        # Ollama, OpenAI compatibility, /v1/chat/completions: max_tokens is among the fields, the newer name is not.
        profile=OpenAIModelProfile(openai_chat_supports_max_completion_tokens=False),
    )


def _openai(config: ProviderConfig, model: str, http: httpx2.AsyncClient) -> Wire:
    """Chat Completions, which every compatible server speaks."""
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    from gateway.models.chat import ChatModel

    client = _client(config, http)
    if config.url == VENDORS["openai"].url:
        return ChatModel(model, provider=OpenAIProvider(openai_client=client))
    # The older name is the one that compatible servers know; some ignore the newer and would not stop.
    newer = bool(MAX_COMPLETION.match(model))
    return ChatModel(
        model,
        provider=OpenAICompatibleProvider(config.name, openai_client=client),
        profile=OpenAIModelProfile(openai_chat_supports_max_completion_tokens=newer),
    )


def _responses(config: ProviderConfig, model: str, http: httpx2.AsyncClient) -> Wire:
    """The Responses API: Chat Completions searches with a few models of its own only."""
    from openai import AsyncOpenAI
    from pydantic_ai.models.openai import OpenAIResponsesModel
    from pydantic_ai.providers.openai import OpenAIProvider

    client = AsyncOpenAI(
        api_key=config.api_key or NO_KEY, base_url=config.url, http_client=http, max_retries=0
    )
    return OpenAIResponsesModel(model, provider=OpenAIProvider(openai_client=client))


def _client(config: ProviderConfig, http: httpx2.AsyncClient) -> AsyncOpenAI:
    from gateway.models.chat import ChatClient

    return ChatClient(api_key=config.api_key or NO_KEY, base_url=config.url, http_client=http, max_retries=0)
