"""The list of prices inside genai-prices, and those of the configuration, which go before it; no network."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from gateway.price import FREE, Overrides, Price, Rates

if TYPE_CHECKING:
    from genai_prices.types import ModelInfo, ModelPrice, TieredPrices

    Listed = Decimal | TieredPrices | None
    Pick = Callable[[Listed], Decimal | None]


EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Vendors of models of their own, which nobody else runs; as the list calls them.
SELLING = ("anthropic", "openai", "google")


def own_price(provider_name: str, model: str, overrides: Overrides) -> Price | None:
    """That of the configuration; None when it has none for this model."""
    for key in (f"{provider_name}/{model}", f"{provider_name}/*"):
        match overrides.get(key):
            case Rates() as rates:
                return Price(provider=provider_name, model=model, source="config", rates=rates)
            case "free":
                return Price(provider=provider_name, model=model, source="free", rates=FREE)
            case "local" if not _sold(model):
                return Price(provider=provider_name, model=model, source="free", rates=FREE)
    return None


def _sold(model: str) -> bool:
    """Whether a vendor lists it, also under a name that begins with the vendor's, as proxies have them."""
    names = {model, model.rpartition("/")[2]}
    return any(listed_model(vendor, None, name) is not None for vendor in SELLING for name in names)


def discounted(provider_name: str, model: str, listed: Rates, discount: Decimal) -> Price:
    """A listed price, multiplied by *discount*."""
    return Price(
        provider=provider_name,
        model=model,
        source=_source(),
        rates=listed.times(discount),
        discount=discount,
    )


def listed_model(provider_kind: str | None, base_url: str | None, model: str) -> ModelInfo | None:
    """None when it is not in the list. *provider_kind* and *base_url* as for usage.find_price; both None: anybody's."""
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


def listed_rates(
    provider_kind: str, base_url: str | None, model: str, at: int, pick: Pick, *, images: bool
) -> Rates | None:
    """The listed rates of a request made *at* then; *pick* chooses among the tiers. None: not in the list."""
    listed = listed_model(provider_kind, base_url, model)
    if listed is None:
        return None
    prices = listed.get_prices(EPOCH + timedelta(microseconds=at))

    def rate(key: str) -> Decimal | None:
        return pick(listed_rate(prices, key))

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


def listed_rate(prices: ModelPrice, key: str) -> Listed:
    value: Listed = getattr(prices, key)
    return value


def tier(listed: Listed, size: int, *, dearest: bool) -> Decimal | None:
    """The rate for a request of *size* input tokens: the whole of it pays the highest tier it lies above."""
    if listed is None or isinstance(listed, Decimal):
        return listed
    reached = [listed.base, *(tier.price for tier in listed.tiers if size > tier.start)]
    return max(reached) if dearest else reached[-1]


def _source() -> str:
    import genai_prices

    return f"genai-prices {genai_prices.__version__}"
