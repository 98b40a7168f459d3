"""Searches that a provider makes for its model: offered, limited, on the bill, cited, and read back."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Literal

import pytest

from gateway.budgets import Rules
from gateway.models.catalogue import ProviderConfig
from gateway.progress import Options
from gateway.usage import Rates
from storage import Store
from tests.bill.truth import PRICES, due
from tests.conftest import Clock
from tests.fakes.llm import Page, Reply, Search
from tests.path import ANN
from tests.wires import LONG, MINI, SONNET, CountingLLM, Wired, wired

NEWS = Page("https://news.example/a", "The [news] of *today*")
SECOND = Page("https://other.example/b?x=(1)", "Second")
CENT = Decimal("0.01")
PRICED: Mapping[str, Rates | Literal["free"]] = {
    name: replace(rates, search=CENT) if isinstance(rates, Rates) else rates for name, rates in PRICES.items()
}
ROWS = """
SELECT purpose, state, units, cost, reserved, tok_in + tok_read + tok_w5m + tok_w1h, tok_out, model, trigger, session,
       conversation, identity, turn FROM usage ORDER BY turn, id"""


@pytest.fixture
async def llm() -> AsyncIterator[CountingLLM]:
    async with CountingLLM() as server:
        yield server


class Searching:
    """A gateway whose providers' servers search."""

    def __init__(self, gw: Wired) -> None:
        self.gw = gw

    async def rows(self, purpose: str = "") -> list[dict[str, Any]]:
        names = (
            "purpose", "state", "units", "cost", "reserved", "input", "output", "model", "trigger", "session",
            "conversation", "identity", "turn",
        )  # fmt: skip
        found = [dict(zip(names, row, strict=True)) for row in await self.gw.rows(ROWS)]
        return [row for row in found if purpose in ("", row["purpose"])]

    async def row(self, purpose: str) -> dict[str, Any]:
        (found,) = await self.rows(purpose)
        return found


def searching(
    store: Store, llm: CountingLLM, clock: Clock, *, searches: int = 2, rates: Any = None, **more: Any
) -> Any:
    options = Options(
        system_prompt=LONG, retries=1, max_output_tokens=2000, web_search=searches, context_window=None
    )
    return wired(store, llm, clock=clock, rates=rates or PRICED, options=options, searching=True, **more)
