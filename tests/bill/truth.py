"""What the providers' counts come to, worked out apart from the product; pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal
from fractions import Fraction
from typing import Literal

from gateway.price import Rates
from tests.fakes.llm import Recorded, Usage, dumps
from tests.fakes.llm_shape import Body

Prices = Mapping[str, Rates | Literal["free"]]
"""By provider/model, or provider/* for all of its models."""

CENT = 10_000_000  # nano-dollars
WORD = re.compile(r"w\d{5}")  # every question of a load has one of its own, numbered as they come
# Rates that leave halves of a nano-dollar, so that the rounding shows.
PRICES: Prices = {
    "anthropic/claude-sonnet-5": Rates(
        uncached=Decimal("3.0005"),
        read=Decimal("0.3335"),
        write_5m=Decimal("3.7505"),
        write_1h=Decimal("6"),
        output=Decimal("15.0015"),
    ),
    "openai/gpt-5-mini": Rates(
        uncached=Decimal("0.2505"), read=Decimal("0.02512345"), output=Decimal("2.0005")
    ),
    "mute/*": Rates(uncached=Decimal("0.1"), read=Decimal("0.01"), output=Decimal("0.4")),
}


# A search costs a cent with the vendors that have any.
SEARCHED: Prices = {
    name: replace(rates, search=Decimal("0.01"))
    if isinstance(rates, Rates) and name[:5] != "mute/"
    else rates
    for name, rates in PRICES.items()
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A request as its provider has it in the books.

    *at*: microseconds UTC. *made*: what the whole answer comes to, whoever hung up; None: nothing was made.
    *told*: whether that count has gone out to the client. *word*: of the last question in it.
    """

    id: str
    at: int
    model: str
    word: str
    notes: bool  # asked without tools: a compaction
    status: int | None
    response_id: str | None
    made: Usage | None
    told: bool

    @property
    def refused(self) -> bool:
        """Also where it was not read to its end: the client had gone."""
        return self.made is None


def seen(record: Recorded, made: Usage | None, *, at: int) -> Seen:
    """*made* as the server counted it; *at* on the product's clock."""
    return Seen(
        id=record.request_id,
        at=at,
        model=record.model,
        word=asked_last(record.body),
        notes=not record.body.get("tools"),
        status=record.status,
        response_id=record.response_id,
        made=made,
        told=record.status == 200 and not record.vanished and made is not None and record.sent_usage == made,
    )


def asked_last(body: Body) -> str:
    """The word of the question that a request is about; a session may begin with the end of the one before."""
    return max(WORD.findall(dumps(body.get("messages") or body.get("input", []))), default="")


def rates_of(prices: Prices, ref: str) -> Rates | None:
    """*ref* as provider:model; None: it has no price."""
    provider, _, model = ref.partition(":")
    found = prices.get(f"{provider}/{model}") or prices.get(f"{provider}/*")
    assert found is None or isinstance(found, Rates)
    return found


def due(rates: Rates | None, usage: Usage) -> int | None:
    """Nano-dollars: a dollar a million tokens is a thousand nano-dollars a token; one rounding, half to even."""
    if rates is None:
        return None
    exact = Fraction()
    for count, rate in zip(told(usage), in_order(rates), strict=True):
        if count:
            assert rate is not None, usage
            exact += Fraction(str(rate)) * count * 1000
    down = exact.numerator // exact.denominator
    rest = exact - down
    up = rest > Fraction(1, 2) or (rest == Fraction(1, 2) and down % 2 == 1)
    return down + up


def in_order(rates: Rates) -> tuple[Decimal | None, ...]:
    return (rates.uncached, rates.read, rates.write_5m, rates.write_1h, rates.output)


def told(usage: Usage) -> tuple[int, int, int, int, int]:
    """In the order of the ledger's columns."""
    return (
        usage.input_tokens,
        usage.cache_read_tokens,
        usage.cache_write_5m_tokens,
        usage.cache_write_1h_tokens,
        usage.output_tokens,
    )
