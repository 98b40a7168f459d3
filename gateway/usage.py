"""What a request costs, and may cost at the most; pure. Money is nano-dollars, times are microseconds UTC.

A price that is not known is None, never nought. Nothing here touches the network: the list of prices is the
one inside the installed genai-prices, or the snapshot that somebody has put in its place.
"""

from __future__ import annotations

import math
from datetime import timedelta
from decimal import Decimal
from fractions import Fraction

from gateway.price import LIST, PER_TOKEN, Overrides, Price, Rates
from gateway.price_list import EPOCH, discounted, listed_model, listed_rate, listed_rates, own_price, tier
from gateway.types.measures import DOLLAR
from gateway.types.usage import Tokens

# A cache write costs at most twice the plain rate: Anthropic, prompt caching, one-hour writes.
DEAREST_WRITE = 2
# What a provider adds unseen to a request with tools; Anthropic, tool use pricing, lists up to 530 tokens.
HIDDEN_INPUT = 1024
AUDIO_TOKENS = 10  # of a second; OpenAI, managing costs: one token is 100 ms of what a person says
MOST_WRITTEN = 2_000  # tokens; OpenAI, models, gpt-4o-transcribe: maximum output
LEAST_SECOND = 750  # bytes; RFC 6716, section 2: Opus begins at 6 kbit/s
_ONCE = Decimal("1e-12")  # dollars, far below a nano-dollar


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
    rates = listed_rates(
        provider_kind,
        base_url,
        model,
        at,
        lambda listed: tier(listed, tokens.input, dearest=False),
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
    prices = listed.get_prices(EPOCH + timedelta(microseconds=at))

    def rate(*keys: str) -> Decimal | None:
        found = (tier(listed_rate(prices, key), tokens.input, dearest=False) for key in keys)
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
        rates = listed_rates(
            provider_kind,
            base_url,
            model,
            at,
            lambda listed: tier(listed, input_tokens, dearest=True),
            images=True,
        )
        rates = None if rates is None else rates.times(discount)
    if rates is None or (rates.output is None and output_tokens):
        return None
    assumed = rates.uncached * DEAREST_WRITE
    writes = [assumed if rate is None else rate for rate in (rates.write_5m, rates.write_1h)]
    dearest = max(rates.uncached, rates.read or Decimal(0), *writes)
    exact = Fraction(dearest) * input_tokens + Fraction(rates.output or 0) * output_tokens
    return math.ceil(exact * PER_TOKEN + Fraction(rates.request) * DOLLAR)


def context_window(
    model: str, *, provider_kind: str | None = None, base_url: str | None = None
) -> int | None:
    """How many tokens the model takes, as listed; None if that is not known. The list may lag behind."""
    listed = listed_model(provider_kind, base_url, model)
    return None if listed is None else listed.context_window
