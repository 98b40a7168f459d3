"""What a request costs: prices, sums, upper bounds; pure. Money is nano-dollars, times are microseconds UTC.

A price that is not known is None, never nought. Nothing here touches the network: the list of prices is the
one inside the installed genai-prices, or the snapshot that somebody has put in its place.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from hashlib import sha256
from typing import TYPE_CHECKING, Literal

from gateway.types import DOLLAR, Json, Tokens

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

    Listed = Decimal | TieredPrices | None
    Pick = Callable[[Listed], Decimal | None]

__all__ = [
    "Overrides",
    "Own",
    "Price",
    "Rates",
    "Tokens",
    "Total",
    "context_window",
    "cost",
    "find_audio_price",
    "find_price",
    "longest",
    "saved",
    "worst_case",
    "worst_hearing",
]

KINDS = ("uncached", "read", "write_5m", "write_1h", "output")
RATES = (*KINDS, "request", "search")
DEAREST_RATE = 1_000_000  # dollars; more is a slip of the pen
LIST = Decimal(1)  # a discount: the part of the list price that is paid, here all of it
FINEST_RATE = -24  # decimal places of a dollar; the list has some with 17
# A cache write costs at most twice the plain rate: Anthropic, prompt caching, one-hour writes.
DEAREST_WRITE = 2
# What a provider adds unseen to a request with tools; Anthropic, tool use pricing, lists up to 530 tokens.
HIDDEN_INPUT = 1024
AUDIO_TOKENS = 10  # of a second; OpenAI, managing costs: one token is 100 ms of what a person says
MOST_WRITTEN = 2_000  # tokens; OpenAI, models, gpt-4o-transcribe: maximum output
LEAST_SECOND = 750  # bytes; RFC 6716, section 2: Opus begins at 6 kbit/s
_ONCE = Decimal("1e-12")  # dollars, far below a nano-dollar
_PER_TOKEN = DOLLAR // 1_000_000  # nano-dollars per token for one dollar per million
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


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

_FREE = Rates(**dict.fromkeys((*KINDS, "request"), Decimal(0)))
SELLING = (
    "anthropic",
    "openai",
    "google",
)  # models of one's own, which nobody else runs; as the list calls them


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
        return "free" if self.rates == _FREE else "priced"

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """Sums over ledger rows. *cost* is that of the rows that have one, estimates included."""

    requests: int = 0
    turns: int = 0
    tokens: Tokens = field(default_factory=Tokens)
    cost: int = 0
    unpriced: int = 0
    estimated: int = 0
    estimated_cost: int = 0

    @classmethod
    def of(cls, tokens: Tokens, cost: int | None, *, estimated: bool = False, turns: int = 0) -> Total:
        """The total of one request; *cost* None: unpriced."""
        return cls(
            requests=1,
            turns=turns,
            tokens=tokens,
            cost=cost or 0,
            unpriced=int(cost is None),
            estimated=int(estimated),
            estimated_cost=(cost or 0) if estimated else 0,
        )

    def __add__(self, other: Total) -> Total:
        return Total(
            requests=self.requests + other.requests,
            turns=self.turns + other.turns,
            tokens=self.tokens + other.tokens,
            cost=self.cost + other.cost,
            unpriced=self.unpriced + other.unpriced,
            estimated=self.estimated + other.estimated,
            estimated_cost=self.estimated_cost + other.estimated_cost,
        )


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
    return None if price is None else round(exact * _PER_TOKEN + Fraction(price.rates.request) * DOLLAR)


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
    return round(exact * _PER_TOKEN)


def find_price(
    *,
    provider_kind: str,
    provider_name: str,
    base_url: str | None,
    model: str,
    at: int,
    tokens: Tokens,
    overrides: Overrides,
    discount: Decimal = LIST,
    images: bool = False,
) -> Price | None:
    """The price of a request made *at* that used *tokens*; None if nobody knows it.

    *provider_kind* is one of gateway.vendors.KINDS, *provider_name* the configuration's for it.
    *base_url* None or '': the vendor's own address. An address that is not in the list has no price, whatever
    is spoken there: it may be a proxy or a machine under the desk. *discount* multiplies a listed price, never one of
    the *overrides*. *images*: the answer holds some; the counts do not tell their tokens apart, so all the output has
    their rate where that is dearer.
    """
    own = own_price(provider_name, model, overrides)
    if own is not None:
        return own
    rates = _listed_rates(
        provider_kind,
        base_url,
        model,
        at,
        lambda listed: _tiers(listed, tokens.input, dearest=False),
        images=images,
    )
    if rates is None:
        return None
    return discounted(provider_name, model, rates, discount)


def find_audio_price(
    *,
    provider_kind: str,
    provider_name: str,
    base_url: str | None,
    model: str,
    at: int,
    seconds: int,
    tokens: Tokens,
    overrides: Overrides,
    discount: Decimal = LIST,
) -> Price | None:
    """As find_price, of a transcription: by its *tokens*, or by the hour as a price of that one request.

    All the input has the rate of audio: nothing else is sent.
    """
    counted = bool(tokens.input) or not seconds
    own = own_price(provider_name, model, overrides)
    if own is not None:
        # Rates are by the token: where none were counted for what was heard they say nothing.
        return own if own.state == "free" or counted else None
    listed = listed_model(provider_kind, base_url, model)
    if listed is None:
        return None
    prices = listed.get_prices(_EPOCH + timedelta(microseconds=at))

    def rate(*keys: str) -> Decimal | None:
        found = (_tiers(_listed(prices, key), tokens.input, dearest=False) for key in keys)
        return next((each for each in found if each is not None), None)

    hourly = rate("input_audio_hours", "audio_hours")
    if hourly is not None:
        once = (hourly * seconds / 3600).quantize(_ONCE)
        rates = Rates(uncached=Decimal(0), output=Decimal(0), request=once)
    elif (audio := rate("input_audio_mtok", "input_mtok")) is not None and counted:
        rates = Rates(uncached=audio, output=rate("output_mtok"))
    else:
        return None
    return discounted(provider_name, model, rates, discount)


def worst_hearing(seconds: int) -> Tokens:
    """An upper bound of what so many *seconds* of audio come to where they are counted in tokens."""
    return Tokens(uncached=seconds * AUDIO_TOKENS + HIDDEN_INPUT, output=MOST_WRITTEN)


def longest(bytes: int) -> int:
    """An upper bound of the seconds in so many *bytes* of recorded speech."""
    return math.ceil(bytes / LEAST_SECOND)


def worst_case(
    *,
    provider_kind: str,
    provider_name: str,
    base_url: str | None,
    model: str,
    at: int,
    input_tokens: int,
    output_tokens: int,
    overrides: Overrides,
    discount: Decimal = LIST,
) -> int | None:
    """Nano-dollars that a request can cost at most: all input at the dearest kind and tier, all output.

    None: the price is not known, so nothing can be promised. *discount* as for find_price.
    """
    own = own_price(provider_name, model, overrides)
    rates: Rates | None
    if own is not None:
        rates = own.rates
    else:
        rates = _listed_rates(
            provider_kind,
            base_url,
            model,
            at,
            lambda listed: _tiers(listed, input_tokens, dearest=True),
            images=True,
        )
        rates = None if rates is None else rates.times(discount)
    if rates is None or (rates.output is None and output_tokens):
        return None
    assumed = rates.uncached * DEAREST_WRITE
    writes = [assumed if rate is None else rate for rate in (rates.write_5m, rates.write_1h)]
    dearest = max(rates.uncached, rates.read or Decimal(0), *writes)
    exact = Fraction(dearest) * input_tokens + Fraction(rates.output or 0) * output_tokens
    return math.ceil(exact * _PER_TOKEN + Fraction(rates.request) * DOLLAR)


def context_window(
    model: str, *, provider_kind: str | None = None, base_url: str | None = None
) -> int | None:
    """How many tokens the model takes, as listed; None if that is not known. The list may lag behind."""
    listed = listed_model(provider_kind, base_url, model)
    return None if listed is None else listed.context_window


def own_price(provider_name: str, model: str, overrides: Overrides) -> Price | None:
    for key in (f"{provider_name}/{model}", f"{provider_name}/*"):
        match overrides.get(key):
            case Rates() as rates:
                return Price(provider=provider_name, model=model, source="config", rates=rates)
            case "free":
                return Price(provider=provider_name, model=model, source="free", rates=_FREE)
            case "local" if not _sold(model):
                return Price(provider=provider_name, model=model, source="free", rates=_FREE)
    return None


def _sold(model: str) -> bool:
    """Whether a vendor lists it, also under a name that begins with the vendor's, as proxies have them."""
    names = {model, model.rpartition("/")[2]}
    return any(listed_model(vendor, None, name) is not None for vendor in SELLING for name in names)


def discounted(provider_name: str, model: str, listed: Rates, discount: Decimal) -> Price:
    return Price(
        provider=provider_name,
        model=model,
        source=_source(),
        rates=listed.times(discount),
        discount=discount,
    )


def listed_model(provider_kind: str | None, base_url: str | None, model: str) -> ModelInfo | None:
    from genai_prices.data_snapshot import get_snapshot

    snapshot = get_snapshot()
    provider_id = None if base_url else provider_kind
    # The list would take 'openai-compatible' for OpenAI; only a provider's own id counts here.
    if provider_id is not None and not any(provider.id == provider_id for provider in snapshot.providers):
        return None
    try:
        return snapshot.find_provider_model(model, None, provider_id, base_url or None)[1]
    except LookupError:
        return None


def _listed_rates(
    provider_kind: str, base_url: str | None, model: str, at: int, pick: Pick, *, images: bool
) -> Rates | None:
    listed = listed_model(provider_kind, base_url, model)
    if listed is None:
        return None
    prices = listed.get_prices(_EPOCH + timedelta(microseconds=at))

    def rate(key: str) -> Decimal | None:
        return pick(_listed(prices, key))

    uncached = rate("input_mtok")
    if uncached is None:  # billed by the hour or by the page, which we do not count
        return None
    read, write, per_thousand = rate("cache_read_mtok"), rate("cache_write_mtok"), rate("requests_kcount")
    write_1h = rate("cache_write_1h_mtok")
    return Rates(
        uncached=uncached,
        output=_dearer(rate("output_mtok"), rate("output_image_mtok") if images else None),
        # A provider without a rate for the cache bills those tokens like any other input. One that lists
        # its writes, but not those for an hour, charges more for an hour: how much is not known.
        read=uncached if read is None else read,
        write_5m=uncached if write is None else write,
        write_1h=uncached if write is None and write_1h is None else write_1h,
        request=(per_thousand or Decimal(0)) / 1000,
    )


def _dearer(text: Decimal | None, images: Decimal | None) -> Decimal | None:
    return text if text is None or images is None else max(text, images)


def _listed(prices: ModelPrice, key: str) -> Listed:
    value: Listed = getattr(prices, key)
    return value


def _tiers(listed: Listed, size: int, *, dearest: bool) -> Decimal | None:
    """The rate for a request of *size* input tokens: the whole of it pays the highest tier it lies above."""
    if listed is None or isinstance(listed, Decimal):
        return listed
    reached = [listed.base, *(tier.price for tier in listed.tiers if size > tier.start)]
    return max(reached) if dearest else reached[-1]


def _source() -> str:
    import genai_prices

    return f"genai-prices {genai_prices.__version__}"


def _plain(rate: Decimal | None) -> str | None:
    if rate is None:
        return None
    text = format(rate.copy_abs(), "f")
    return text.rstrip("0").rstrip(".") if "." in text else text
