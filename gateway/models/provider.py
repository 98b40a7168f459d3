"""One model of a configured provider; asks exactly once per call."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing

from gateway.models.connection import Connection
from gateway.models.sight import sees
from gateway.protocols.answer import ModelEvent
from gateway.protocols.prompt import Prompt

# Models of Anthropic's that do not think, which the model layer takes for ones that do; extended thinking came
# with 3.7 (Messages API, extended thinking, supported models).
BEFORE_THINKING = re.compile(r"claude-(instant|2|3-(5|haiku|sonnet|opus))")


class ProviderModel:
    """See gateway.protocols.model.Model."""

    def __init__(self, *, connection: Connection, model: str) -> None:
        config = connection.config
        self.ref = f"{config.name}:{model}"
        self.provider = config.name
        self.kind = config.kind
        self.model = model
        self.base_url = config.url
        self._connection = connection

    async def ready(self) -> None:
        await self._connection.wire(self.model)

    async def thinks(self) -> bool:
        """By what the model layer knows of it."""
        wire = await self._connection.wire(self.model)
        return bool(wire.profile.get("supports_thinking")) and not BEFORE_THINKING.search(self.model)

    async def sees(self) -> bool:
        """By what is known of its name; True where nothing is."""
        return sees(self.model)

    async def searches(self) -> bool:
        """By what is known of its server; a model that cannot is refused, and asked without."""
        return self._connection.config.searches

    async def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent, None]:
        """Any Delta and Counted, then one Answer; raises ModelError. Closing it drops the connection."""
        self._connection.begin()
        try:
            wire = await self._connection.wire(self.model, searching=bool(prompt.searches))
            # The model layer is imported with the wire, not with this module.
            from gateway.models.asking import Asking

            asking = Asking(
                wire=wire, prompt=prompt, config=self._connection.config, silence=self._connection.silence
            )
            async with aclosing(asking.events()) as events:
                async for event in events:
                    yield event
        finally:
            await self._connection.end()
