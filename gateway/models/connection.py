"""One configured provider: its HTTP connections, and the SDK over them from the first use on."""

from __future__ import annotations

import asyncio
import importlib
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx2
    from pydantic_ai.models import Model as Wire

CONNECT = 10.0  # seconds
SILENCE = 120.0  # seconds
DEFAULT_URLS = {"anthropic": "https://api.anthropic.com", "openai": "https://api.openai.com/v1"}
LAYERS = {
    "anthropic": ("pydantic_ai.models.anthropic",),
    "openai": ("gateway.models.chat", "pydantic_ai.providers.openai_compatible"),
}
NO_KEY = "none"  # sent where a server asks for no key: the SDK insists on one
# OpenAI's models that refuse max_tokens; Chat Completions, max_completion_tokens.
MAX_COMPLETION = re.compile(r"(o\d|gpt-([5-9]|\d\d))(?!.*chat)")


@dataclass(frozen=True, slots=True)
class ProviderConfig:
    """One [providers.<name>]. *kind*: anthropic or openai; *base_url* '' is the vendor's own."""

    name: str
    kind: str
    api_key: str = field(default="", repr=False)
    base_url: str = ""

    @property
    def url(self) -> str:
        return (self.base_url or DEFAULT_URLS.get(self.kind, "")).rstrip("/")

    @property
    def usable(self) -> bool:
        """Whether it can be asked: a key, or a server of one's own that may want none."""
        return bool(self.api_key or (self.kind == "openai" and self.base_url))


class Connection:
    """*silence* in seconds: the longest time without a word from the provider, before the first token too."""

    def __init__(self, config: ProviderConfig, *, connect: float = CONNECT, silence: float = SILENCE) -> None:
        self.config = config
        self.silence = silence
        self._connect = connect
        self._wires: dict[str, Wire] = {}
        self._http: httpx2.AsyncClient | None = None
        self._building = asyncio.Lock()
        self._asking = 0
        self._retired = False

    async def wire(self, model: str) -> Wire:
        """The model layer's model; the first one imports the vendor's SDK, in a thread."""
        if (known := self._wires.get(model)) is not None:
            return known
        async with self._building:
            if model not in self._wires:
                await self.warm()
                self._wires[model] = self._build(model)
            return self._wires[model]

    async def warm(self) -> None:
        """Import what the first request needs; it takes one to three seconds of CPU."""
        await asyncio.to_thread(_import, self.config.kind)

    def begin(self) -> None:
        self._asking += 1

    async def end(self) -> None:
        self._asking -= 1
        await self._close_if_idle()

    async def retire(self) -> None:
        """Close as soon as nobody is being answered through it."""
        self._retired = True
        await self._close_if_idle()

    @property
    def closed(self) -> bool:
        return self._retired and self._http is None

    async def close(self) -> None:
        """Close now, whoever is being answered."""
        http, self._http = self._http, None
        self._wires.clear()
        if http is not None:
            await http.aclose()

    async def _close_if_idle(self) -> None:
        if self._retired and self._asking == 0:
            await self.close()

    def _client(self) -> httpx2.AsyncClient:
        import httpx2

        from gateway.models.transport import Transport

        if self._http is None:
            self._http = httpx2.AsyncClient(
                transport=Transport(ssl=httpx2.create_ssl_context()),
                timeout=httpx2.Timeout(self.silence, connect=self._connect),
                follow_redirects=True,
            )
        return self._http

    def _build(self, model: str) -> Wire:
        build = _anthropic if self.config.kind == "anthropic" else _openai
        return build(self.config, model, self._client())


def _import(kind: str) -> None:
    import pydantic_ai

    pydantic_ai.BANNER_ENABLED = False
    for name in ("gateway.models.asking", *LAYERS[kind]):
        importlib.import_module(name)


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


def _openai(config: ProviderConfig, model: str, http: httpx2.AsyncClient) -> Wire:
    """Chat Completions, which every compatible server speaks."""
    from pydantic_ai.profiles.openai import OpenAIModelProfile
    from pydantic_ai.providers.openai import OpenAIProvider
    from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider

    from gateway.models.chat import ChatClient, ChatModel

    client = ChatClient(
        api_key=config.api_key or NO_KEY, base_url=config.url, http_client=http, max_retries=0
    )
    if config.url == DEFAULT_URLS["openai"]:
        return ChatModel(model, provider=OpenAIProvider(openai_client=client))
    # The older name is the one that compatible servers know; some ignore the newer and would not stop.
    newer = bool(MAX_COMPLETION.match(model))
    return ChatModel(
        model,
        provider=OpenAICompatibleProvider(config.name, openai_client=client),
        profile=OpenAIModelProfile(openai_chat_supports_max_completion_tokens=newer),
    )
