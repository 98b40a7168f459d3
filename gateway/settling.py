"""What a request came to, as its ledger row is told: counted by its provider, estimated from above, or nothing."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from gateway.errors import ModelError
from gateway.pricing import Pricing
from gateway.protocols.answer import Answer
from gateway.protocols.clock import Clock
from gateway.protocols.hearing import Transcript
from gateway.types.usage import Tokens, UsageSettled

if TYPE_CHECKING:
    from gateway.billing import Request

# A request that failed with one of these before its answer had begun was never worked on, so it used nothing.
UNUSED = frozenset(
    {
        "connect",
        "overloaded",
        "rate_limited",
        "auth",
        "credit",
        "context",
        "shape",
        "refused",
        "not_found",
        "halted",
    }
)


class Settling:
    """Of requests and the searches made for them, at the prices of when they were asked."""

    def __init__(self, pricing: Pricing, clock: Clock) -> None:
        self._pricing = pricing
        self._clock = clock

    def recover(self, row: tuple[Any, ...], *, kind: str, base_url: str) -> tuple[str, UsageSettled]:
        """What to charge for a row that a crash left open: its worst case, as an estimate."""
        uid, provider, model, at, uncached, write_5m, write_1h, output, units, purpose = row
        if purpose == "search":
            return uid, self._pricing.settle_searches(
                state="estimated",
                searches=units,
                provider=provider,
                kind=kind,
                base_url=base_url,
                model=model,
                at=at,
                ended=self._clock(),
            )
        return uid, self._pricing.settle(
            state="estimated",
            tokens=Tokens(uncached=uncached, write_5m=write_5m, write_1h=write_1h, output=output),
            provider=provider,
            kind=kind,
            base_url=base_url,
            model=model,
            at=at,
            ended=self._clock(),
            seconds=units,
        )

    def heard(self, request: Request, heard: Transcript) -> UsageSettled:
        """Known where the provider has counted the tokens or the seconds."""
        if heard.seconds is not None:
            request.seconds = math.ceil(heard.seconds)
        if heard.tokens is None and heard.seconds is None:
            return self.estimated(request)
        return self.settled(request, "known", heard.tokens or Tokens())

    def known(self, request: Request, answer: Answer) -> UsageSettled:
        if answer.tokens is None:
            return self.estimated(
                request, model=answer.model, provider_id=answer.provider_id, searches=answer.searches
            )
        return self.settled(
            request,
            "known",
            answer.tokens,
            searches=answer.searches,
            model=answer.model,
            provider_id=answer.provider_id,
            provider_cost=answer.provider_cost,
            images=bool(answer.files),
        )

    def failed(self, request: Request, error: ModelError) -> UsageSettled:
        if error.tokens is not None:
            request.counted = error.tokens
        if error.kind in UNUSED and not error.begun and request.counted is None and not request.text:
            return self.settled(request, "failed", Tokens())
        return self.estimated(request)

    def estimated(
        self, request: Request, *, model: str = "", provider_id: str = "", searches: int | None = None
    ) -> UsageSettled:
        """From above: the input the provider named, else every byte a token; the output limit; all the searches.

        Where it could search, what it named may be the first of several inputs. *searches*: as counted; None: cut off.

        What reached us is no bound for the output: reasoning is billed and not shown, and a provider may go on
        for a while after we have hung up.
        """
        seen = request.counted
        output = request.worst.output
        if seen is None or request.searches:
            tokens = replace(request.worst, output=max(output, seen.output if seen is not None else 0))
        else:
            tokens = Tokens(seen.uncached, seen.read, seen.write_5m, seen.write_1h, max(seen.output, output))
        return self.settled(
            request, "estimated", tokens, model=model, provider_id=provider_id, searches=searches
        )

    def settled(
        self,
        request: Request,
        state: str,
        tokens: Tokens,
        *,
        model: str = "",
        provider_id: str = "",
        provider_cost: int | None = None,
        images: bool = False,
        searches: int | None = None,
    ) -> UsageSettled:
        """*searches* that its provider counted; None: as many as it could have made, or none where it failed."""
        settled = self._pricing.settle(
            state=state,
            tokens=tokens,
            provider=request.model.provider,
            kind=request.model.kind,
            base_url=request.model.base_url,
            model=model or request.model.model,
            at=request.at,
            ended=self._clock(),
            provider_id=provider_id or None,
            provider_cost=provider_cost,
            images=images,
            seconds=request.seconds,
        )
        if not request.searches:
            return settled
        guessed = 0 if state == "failed" else request.searches
        made = self._pricing.settle_searches(
            state="estimated" if searches is None else "known",
            searches=guessed if searches is None else searches,
            provider=request.model.provider,
            kind=request.model.kind,
            base_url=request.model.base_url,
            model=model or request.model.model,
            at=request.at,
            ended=self._clock(),
        )
        return replace(settled, searches=made)
