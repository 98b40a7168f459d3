"""Whether both vendors would take a prompt: over HTTP, with their own SDKs, by the fake that refuses as they do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from gateway.errors import ModelError
from gateway.models.catalogue import Catalogue, ProviderConfig
from gateway.models.legal import legal
from gateway.protocols.prompt import Prompt
from tests.fakes.llm import KEY, FakeLLM, Pace, Reply

REFS = ("anthropic:claude-sonnet-5", "openai:gpt-5-mini")
AT_ONCE = 6


async def illegal(prompts: Sequence[Prompt]) -> list[str]:
    """Why which prompts are refused, or would be but for a repair on the way to the wire."""
    wrong = [
        f"needs repair: {p.messages}" for p in prompts if list(p.messages) != legal(p.messages, opaque="")
    ]
    async with FakeLLM(script=lambda ask: Reply(text="yes"), pace=Pace(), keep_bodies=False) as server:
        providers = {
            "anthropic": ProviderConfig("anthropic", "anthropic", KEY, server.url),
            "openai": ProviderConfig("openai", "openai", KEY, server.url + "/v1"),
        }
        catalogue = Catalogue(providers=providers, default=REFS[0], silence=600.0)
        seats = asyncio.Semaphore(AT_ONCE)

        async def asked(ref: str, prompt: Prompt) -> str:
            async with seats:
                try:
                    async for _ in catalogue.get(ref).stream(prompt):
                        pass
                except ModelError as error:
                    return f"{ref}: {error.kind}: {error}: {prompt.messages}"
            return ""

        found = await asyncio.gather(*(asked(ref, prompt) for ref in REFS for prompt in prompts))
        await catalogue.close()
    return wrong + [each for each in found if each]
