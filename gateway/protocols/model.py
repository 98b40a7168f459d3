"""What we ask of a model."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Protocol

from gateway.protocols.answer import ModelEvent
from gateway.protocols.prompt import Prompt


class Asked(Protocol):
    """What a bill says of who was asked."""

    ref: str  # as configured: provider:model
    provider: str  # the key in [providers.<name>]
    kind: str  # one of gateway.vendors.KINDS, or demo
    model: str
    base_url: str


class Model(Asked, Protocol):
    """One model of one provider; asks exactly once per call: no retries inside."""

    async def ready(self) -> None:
        """Come back when a request could leave at once (the vendor's SDK is imported)."""
        ...

    async def thinks(self) -> bool:
        """Whether it can be told how long to think."""
        ...

    async def sees(self) -> bool:
        """Whether it takes pictures; where nothing is known of the model, yes: its refusal is told."""
        ...

    async def searches(self) -> bool:
        """Whether its provider can search the web for it, and says how much at most: see vendors.searches."""
        ...

    def stream(self, prompt: Prompt) -> AsyncGenerator[ModelEvent]:
        """Any Delta and Counted, then exactly one Answer. Raises ModelError.

        Closing the iterator early drops the connection.
        """
        ...
