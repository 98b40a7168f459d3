"""How long the prompt of a request is to be kept by its provider: as configured, else by the session's rhythm."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gateway.caching import Asking, Rhythm, Setting, choose
from gateway.message_size import bytes_of
from gateway.pricing import Pricing
from gateway.protocols.clock import Clock
from gateway.protocols.model import Asked
from gateway.protocols.prompt import Cache, Prompt
from gateway.types.usage import Tokens

if TYPE_CHECKING:
    from storage import Store

BYTES = 4  # of a token, about; what is new in a prompt need not be known better
SHORT: Cache = "5m"
MARKED = ("anthropic", "openrouter", "openai")  # kinds that can be told for how long


class Retention:
    """Reads the ledger for what a session has asked."""

    def __init__(self, *, store: Store, pricing: Pricing, clock: Clock) -> None:
        self._store = store
        self._pricing = pricing
        self._clock = clock

    async def of(self, model: Asked, prompt: Prompt, *, session: int, setting: Setting) -> Cache:
        """For one request of that session."""
        if setting != "auto":
            return setting
        if model.kind not in MARKED:
            return SHORT
        rows = await self._store.read(
            lambda unit: unit.ledger.asked(session, provider=model.provider, model=model.model)
        )
        asked = tuple(Asking(turn, at, _kept(read, short, long)) for turn, at, read, short, long, _ in rows)
        size = (len(prompt.stable) + bytes_of(prompt.messages)) // BYTES
        old = min(rows[-1][5], size) if rows else 0
        now = self._clock()
        rates = self._pricing.rates(model, Tokens(uncached=size), at=now)
        return choose(Rhythm(asked=asked, now=now), old=old, new=max(1, size - old), rates=rates)


def _kept(read: int, short: int, long: int) -> Cache:
    return "1h" if long else "5m" if short or read else "off"
