"""Prices at the moment of a request, and the settled ledger row they lead to; pure but for what was found missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal

from gateway import usage
from gateway.protocols import Asked
from gateway.types import Tokens, UsageSettled


class Pricing:
    """Prices at the moment of a request; overrides and discounts may be swapped while running.

    *discounts* by provider: what its list prices are multiplied by.
    """

    def __init__(
        self, overrides: usage.Overrides | None = None, discounts: Mapping[str, Decimal] | None = None
    ) -> None:
        self.overrides = overrides or {}
        self.discounts = discounts or {}
        self._missing: set[str] = set()
        self.on_missing: Callable[[str], None] = lambda model: None

    @property
    def overrides(self) -> usage.Overrides:
        """What the operator has set, by provider/model; the demo costs nothing."""
        return self._overrides

    @overrides.setter
    def overrides(self, overrides: usage.Overrides) -> None:
        self._overrides: usage.Overrides = {"demo/*": "free", **overrides}

    def discount(self, provider: str) -> Decimal:
        return self.discounts.get(provider, usage.LIST)

    def of(self, model: Asked, *, at: int) -> usage.Price | None:
        """What a short request made *at* would pay; None: not known."""
        return usage.find_price(
            provider_kind=model.kind,
            provider_name=model.provider,
            base_url=model.base_url,
            model=model.model,
            at=at,
            tokens=Tokens(),
            overrides=self.overrides,
            discount=self.discount(model.provider),
        )

    def worst(self, model: Asked, tokens: Tokens, *, at: int, seconds: int | None = None) -> int | None:
        """The most that a request made *at* can cost if it uses no more *tokens*; None: the price is not known.

        *seconds* of audio where it is a transcription.
        """
        if seconds is None:
            return usage.worst_case(
                provider_kind=model.kind,
                provider_name=model.provider,
                base_url=model.base_url,
                model=model.model,
                at=at,
                input_tokens=tokens.input,
                output_tokens=tokens.output,
                overrides=self.overrides,
                discount=self.discount(model.provider),
            )
        price = usage.find_audio_price(
            provider_kind=model.kind,
            provider_name=model.provider,
            base_url=model.base_url,
            model=model.model,
            at=at,
            seconds=seconds,
            tokens=tokens,
            overrides=self.overrides,
            discount=self.discount(model.provider),
        )
        return usage.cost(price, tokens)

    def rates(self, model: Asked, tokens: Tokens, *, at: int) -> usage.Rates | None:
        """What a request made *at* pays for so many *tokens*; None: the price is not known."""
        price = usage.find_price(
            provider_kind=model.kind,
            provider_name=model.provider,
            base_url=model.base_url,
            model=model.model,
            at=at,
            tokens=tokens,
            overrides=self.overrides,
        )
        return None if price is None else price.rates

    def settle(
        self,
        *,
        state: str,
        tokens: Tokens,
        provider: str,
        kind: str,
        base_url: str,
        model: str,
        at: int,
        ended: int,
        provider_id: str | None = None,
        provider_cost: int | None = None,
        images: bool = False,
        seconds: int | None = None,
    ) -> UsageSettled:
        """The settled row; a missing price is NULL and loud, never 0. What the provider itself has billed wins.

        *images*: the answer holds some. *seconds* of audio where it is a transcription.
        """
        if seconds is None:
            price = usage.find_price(
                provider_kind=kind,
                provider_name=provider,
                base_url=base_url,
                model=model,
                at=at,
                tokens=tokens,
                overrides=self.overrides,
                discount=self.discount(provider),
                images=images or state == "estimated",
            )
        else:
            price = usage.find_audio_price(
                provider_kind=kind,
                provider_name=provider,
                base_url=base_url,
                model=model,
                at=at,
                seconds=seconds if state != "failed" else 0,
                tokens=tokens,
                overrides=self.overrides,
                discount=self.discount(provider),
            )
        cost = usage.cost(price, tokens) if provider_cost is None else provider_cost
        ref = f"{provider}:{model}"
        if cost is None and ref not in self._missing and state != "failed":
            self._missing.add(ref)
            self.on_missing(ref)
        return UsageSettled(
            state=state,  # type: ignore[arg-type]
            tokens=tokens,
            ended=ended,
            model=model,
            provider_id=provider_id,
            cost=cost,
            cost_state="unpriced" if cost is None else "priced" if price is None else price.state,
            price=json.dumps(price.to_json(), sort_keys=True) if price is not None else None,
            provider_cost=provider_cost,
            units=seconds,
            saved=None if cost is None else usage.saved(price, tokens),
        )
