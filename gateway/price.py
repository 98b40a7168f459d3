"""A price, and what so many tokens cost by it; pure.

Money is nano-dollars. A rate that is not known is None, never nought.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from typing import Literal

from gateway.types.json import Json
from gateway.types.measures import DOLLAR
from gateway.types.usage import Tokens

KINDS = ("uncached", "read", "write_5m", "write_1h", "output")
RATES = (*KINDS, "request", "search")
DEAREST_RATE = 1_000_000  # dollars; more is a slip of the pen
LIST = Decimal(1)  # a discount: the part of the list price that is paid, here all of it
FINEST_RATE = -24  # decimal places of a dollar; the list has some with 17
PER_TOKEN = DOLLAR // 1_000_000  # nano-dollars per token for one dollar per million


def _sensible(rate: Decimal) -> bool:
    return rate.is_finite() and 0 <= rate <= DEAREST_RATE and int(rate.as_tuple().exponent) >= FINEST_RATE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rates:
    """Dollars per million tokens of each kind, and dollars per request and per search. None: not known.

    Raises ValueError for a rate that cannot be meant.
    """

    uncached: Decimal
    output: Decimal | None = None
    read: Decimal | None = None
    write_5m: Decimal | None = None
    write_1h: Decimal | None = None
    request: Decimal = Decimal(0)
    search: Decimal | None = None  # of the web, made by the provider

    def __post_init__(self) -> None:
        for kind in RATES:
            rate = self.of(kind)
            if rate is not None and not _sensible(rate):
                raise ValueError(f"{kind}: {rate!r:.40} is no rate; 0 to {DEAREST_RATE} dollars, 24 decimals")

    def of(self, kind: str) -> Decimal | None:
        rate: Decimal | None = getattr(self, kind)
        return rate

    def times(self, factor: Decimal) -> Rates:
        """All of them multiplied; what is not known stays unknown."""
        if factor == LIST:
            return self
        known = {kind: rate for kind in RATES if (rate := self.of(kind)) is not None}
        return Rates(**{kind: rate * factor for kind, rate in known.items()})


Own = Rates | Literal["free", "local"]
"""A price of one's own; 'local': free, but for a model that a vendor sells: behind such an address may be a proxy."""
Overrides = Mapping[str, Own]
"""Prices of one's own by 'provider name/model', or by 'provider name/*' for its other models."""

FREE = Rates(**dict.fromkeys((*KINDS, "request"), Decimal(0)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """The rates that were really applied to a request, tiers, times and the discount resolved.

    *source*: 'genai-prices <version>', 'config' or 'free'. *discount*: the part of the list price that the rates are.
    """

    provider: str
    model: str
    source: str
    rates: Rates
    discount: Decimal = LIST

    @property
    def state(self) -> Literal["priced", "free"]:
        return "free" if self.rates == FREE else "priced"

    @property
    def hash(self) -> str:
        """Equal for equal prices, whatever way their decimals are written."""
        return sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()

    def to_json(self) -> Json:
        """What json can write; rates are decimal strings, null where not known. No discount: the list price."""
        rates = {kind: _plain(self.rates.of(kind)) for kind in (*KINDS, "request")}
        if self.rates.search is not None:
            rates["search"] = _plain(self.rates.search)
        found: Json = {
            "v": 1,
            "provider": self.provider,
            "model": self.model,
            "source": self.source,
            "rates": rates,
        }
        return found if self.discount == LIST else {**found, "discount": _plain(self.discount)}

    @classmethod
    def from_json(cls, body: Json) -> Price:
        """Raises ValueError for what to_json did not write."""
        try:
            if body["v"] != 1:
                raise ValueError(f"a price of version {body['v']!r:.40}; only version 1 is known")
            given: dict[str, str] = {kind: rate for kind, rate in body["rates"].items() if rate is not None}
            rates = Rates(**{kind: Decimal(rate) for kind, rate in given.items()})
            return cls(
                provider=body["provider"],
                model=body["model"],
                source=body["source"],
                rates=rates,
                discount=Decimal(body.get("discount", LIST)),
            )
        except (KeyError, TypeError, AttributeError, ArithmeticError) as error:
            raise ValueError(f"not a price: {body!r:.80}") from error


def cost(price: Price | None, tokens: Tokens) -> int | None:
    """Nano-dollars of one request, rounded once, half to even.

    None: no price, or no rate for a kind of token that was used. Raises ValueError for a negative count.
    """
    exact = Fraction()
    for kind in KINDS:
        count: int = getattr(tokens, kind)
        if count < 0:
            raise ValueError(f"token counts are never negative: {tokens}")
        rate = price.rates.of(kind) if price is not None else None
        if count and rate is None:
            return None
        exact += Fraction(rate or 0) * count
    return None if price is None else round(exact * PER_TOKEN + Fraction(price.rates.request) * DOLLAR)


def saved(price: Price | None, tokens: Tokens) -> int | None:
    """By how many nano-dollars the same input would have been dearer without a cache; rounded once, half to even.

    Below 0 where writing it cost more than reading it saved. A kind without a rate counts for nothing. None: no price.
    """
    if price is None:
        return None
    plain = Fraction(price.rates.uncached)
    exact = Fraction()
    for kind in ("read", "write_5m", "write_1h"):
        rate, count = price.rates.of(kind), getattr(tokens, kind)
        if rate is not None:
            exact += (plain - Fraction(rate)) * count
    return round(exact * PER_TOKEN)


def _plain(rate: Decimal | None) -> str | None:
    if rate is None:
        return None
    text = format(rate.copy_abs(), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
