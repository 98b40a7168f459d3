"""What searches of the web cost that a provider makes for its model, and how much they may let it read; pure."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction

from gateway.price import LIST, Overrides, Price, Rates
from gateway.price_list import discounted, listed_model, own_price
from gateway.types.measures import DOLLAR

MOST_SEARCHES = 10  # in one request; Messages API, web search: the server pauses an answer after ten rounds
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def search_price(
    *,
    provider_kind: str,
    provider_name: str,
    base_url: str | None,
    model: str,
    at: int,
    overrides: Overrides,
    discount: Decimal = LIST,
) -> Price | None:
    """What a search made *at* (microseconds UTC) costs; None: nobody knows it. The rest is as for usage.find_price.

    A price of one's own that says nothing of searches leaves them unknown.
    """
    own = own_price(provider_name, model, overrides)
    if own is not None:
        known = own.state == "free" or own.rates.search is not None
        return own if known else None
    listed = listed_model(provider_kind, base_url, model)
    if listed is None:
        return None
    thousand = getattr(listed.get_prices(_EPOCH + timedelta(microseconds=at)), "web_searches_kcount", None)
    if not isinstance(thousand, Decimal):
        return None
    return discounted(provider_name, model, Rates(uncached=Decimal(0), search=thousand / 1000), discount)


def cost(price: Price | None, searches: int) -> int | None:
    """Nano-dollars of so many, rounded once, half to even; None: no price."""
    if price is None:
        return None
    return round(Fraction(price.rates.search or 0) * searches * DOLLAR)


def most_input(first: int, searches: int, window: int) -> int:
    """The most input tokens of a request that may search so often; *first*: what is sent with it.

    A provider asks its model anew after each search, with what was found, and bills the input each time (Messages
    API, web search, usage). How much is found is nowhere limited but by the model's *window*.
    """
    return first + searches * max(first, window) if searches else first
