"""Prices at the moment of a request, and the settled ledger row they lead to; pure but for what was found missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Literal

from gateway import searching, usage
from gateway.price import LIST, Overrides, Price, Rates, cost, saved
from gateway.protocols.model import Asked
from gateway.types.usage import Tokens, UsageSettled


class Pricing:
    """Prices at the moment of a request; overrides and discounts may be swapped while running.

    *discounts* by provider: what its list prices are multiplied by.
    """

    def __init__(
        self, overrides: Overrides | None = None, discounts: Mapping[str, Decimal] | None = None
    ) -> None:
        self.overrides = overrides or {}
        self.discounts = discounts or {}
        self._missing: set[str] = set()
        self.on_missing: Callable[[str], None] = lambda model: None

    @property
    def overrides(self) -> Overrides:
        """What the operator has set, by provider/model; the demo costs nothing."""
        return self._overrides

    @overrides.setter
    def overrides(self, overrides: Overrides) -> None:
        self._overrides: Overrides = {"demo/*": "free", **overrides}

    def discount(self, provider: str) -> Decimal:
        return self.discounts.get(provider, LIST)

    def of(self, model: Asked, *, at: int) -> Price | None:
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
        return cost(price, tokens)

    def worst_searches(self, model: Asked, searches: int, *, at: int) -> int | None:
        """What so many searches cost; None: their price is not known."""
        return searching.cost(
            self._search(model.kind, model.provider, model.base_url, model.model, at), searches
        )

    def settle_searches(
        self,
        *,
        state: Literal["known", "estimated"],
        searches: int,
        provider: str,
        kind: str,
        base_url: str,
        model: str,
        at: int,
        ended: int,
    ) -> UsageSettled:
        """The settled row of a request's searches; void where none was made."""
        price = self._search(kind, provider, base_url, model, at)
        if not searches:
            return UsageSettled(
                state="void", tokens=Tokens(), ended=ended, model=model, cost=0, cost_state="free", units=0
            )
        cost = searching.cost(price, searches)
        if cost is None:
            self._missed(f"{provider}:{model}", "searches")
        return UsageSettled(
            state=state,
            tokens=Tokens(),
            ended=ended,
            model=model,
            cost=cost,
            cost_state="unpriced" if price is None else price.state,
            price=json.dumps(price.to_json(), sort_keys=True) if price is not None else None,
            units=searches,
        )

    def _search(self, kind: str, provider: str, base_url: str, model: str, at: int) -> Price | None:
        return searching.search_price(
            provider_kind=kind,
            provider_name=provider,
            base_url=base_url,
            model=model,
            at=at,
            overrides=self.overrides,
            discount=self.discount(provider),
        )

    def rates(self, model: Asked, tokens: Tokens, *, at: int) -> Rates | None:
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
        charged = cost(price, tokens) if provider_cost is None else provider_cost
        if charged is None and state != "failed":
            self._missed(f"{provider}:{model}")
        return UsageSettled(
            state=state,  # type: ignore[arg-type]
            tokens=tokens,
            ended=ended,
            model=model,
            provider_id=provider_id,
            cost=charged,
            cost_state="unpriced" if charged is None else "priced" if price is None else price.state,
            price=json.dumps(price.to_json(), sort_keys=True) if price is not None else None,
            provider_cost=provider_cost,
            units=seconds,
            saved=None if charged is None else saved(price, tokens),
        )

    def _missed(self, ref: str, what: str = "") -> None:
        """A price that is missing is told once; *what*: of searches, '' of the model itself."""
        told = f"{what} of {ref}" if what else ref
        if told not in self._missing:
            self._missing.add(told)
            self.on_missing(told)
