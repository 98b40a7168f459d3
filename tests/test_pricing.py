"""What a settled row says of its price."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from gateway.failpoints import Point
from gateway.price import Price, Rates
from gateway.pricing import Pricing
from gateway.types.usage import Tokens, UsageOpen, UsageSettled
from storage import Store, Unit

AT = 1_790_000_000_000_000
TOKENS = Tokens(1000, 0, 0, 0, 100)


def settled(pricing: Pricing, *, provider_cost: int | None, provider: str = "router") -> UsageSettled:
    return pricing.settle(
        state="known",
        tokens=TOKENS,
        provider=provider,
        kind="openrouter",
        base_url="",
        model="anthropic/claude-sonnet-4",
        at=AT,
        ended=AT,
        provider_cost=provider_cost,
    )


async def stored(store: Store, row: UsageSettled) -> tuple[Any, ...]:
    """(cost, what the provider billed, state of the price, price)."""
    asked = UsageOpen(
        uid="u", worst=Tokens(), purpose="chat", channel="main", provider="router", model_asked="m", at=AT
    )

    async def work(unit: Unit) -> None:
        await unit.ledger.open(asked)
        assert await unit.ledger.settle("u", row)

    await store.commit(Point.SESSION, work)
    sql = "SELECT u.cost, u.provider_cost, u.cost_state, p.rates FROM usage u LEFT JOIN price p ON p.id = u.price"
    found = await store.read(lambda unit: unit.tx.one(sql))
    assert found is not None
    return tuple(found)


@pytest.mark.parametrize("billed", [7_654_321, 0])
@pytest.mark.parametrize(
    "pricing",
    [
        Pricing(),
        Pricing(discounts={"router": Decimal("0.5")}),
        Pricing({"router/*": Rates(uncached=Decimal(3), output=Decimal(9))}),
    ],
)
async def test_what_the_provider_has_billed_wins_and_both_are_kept(
    store: Store, pricing: Pricing, billed: int
) -> None:
    cost, provider_cost, state, price = await stored(store, settled(pricing, provider_cost=billed))
    assert (cost, provider_cost, state) == (billed, billed, "priced")
    assert Price.from_json(json.loads(price)).rates.output


async def test_a_bill_of_the_provider_s_own_needs_no_price(store: Store) -> None:
    row = Pricing().settle(
        state="known", tokens=TOKENS, provider="router", kind="openrouter", base_url="", model="nobody/knows",
        at=AT, ended=AT, provider_cost=5,
    )  # fmt: skip
    assert await stored(store, row) == (5, 5, "priced", None)


def test_a_discount_holds_for_its_provider_only_and_at_once() -> None:
    pricing = Pricing(discounts={"router": Decimal("0.8")})
    part, whole = (settled(pricing, provider_cost=None, provider=name) for name in ("router", "other"))
    assert part.cost is not None and whole.cost and part.cost * 10 == whole.cost * 8
    assert json.loads(part.price or "")["discount"] == "0.8"
    pricing.discounts = {}
    assert settled(pricing, provider_cost=None).cost == whole.cost
