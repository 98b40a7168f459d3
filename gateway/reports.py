"""What readers of the ledger are shown: sums with their names; pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from gateway.types import DOLLAR, SECOND, Tokens


def dollars(nano: int) -> Decimal:
    """Nano-dollars as dollars, exactly."""
    return Decimal(nano) / DOLLAR


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSummary:
    """A sum over ledger rows. Input includes what was read from and written to caches.

    *cost* in nano-dollars over the rows whose price is known; *unpriced* counts the others. *estimated* rows and
    *estimated_cost* are part of the sums, and shown apart.
    """

    tokens: Tokens
    cost: int
    requests: int
    turns: int
    unpriced: int
    estimated: int
    estimated_cost: int

    @property
    def total_input_tokens(self) -> int:
        return self.tokens.input

    @property
    def total_output_tokens(self) -> int:
        return self.tokens.output

    @property
    def total_cache_read(self) -> int:
        return self.tokens.read

    @property
    def total_cache_write(self) -> int:
        return self.tokens.write_5m + self.tokens.write_1h

    @property
    def total_cost_usd(self) -> Decimal:
        return dollars(self.cost)

    @property
    def total_turns(self) -> int:
        return self.turns


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One line of a breakdown."""

    name: str
    usage: UsageSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCost:
    """One day of the report zone, *date* as YYYY-MM-DD; *by_model* in nano-dollars."""

    date: str
    cost: int
    by_model: dict[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUsage:
    """How often a tool was called, and how often it failed."""

    name: str
    invocations: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostOverview:
    """The bill since a time (None: since ever)."""

    since: int | None
    total: UsageSummary
    by_user: list[Share]
    by_model: list[Share]
    by_channel: list[Share]
    by_trigger: list[Share]
    by_purpose: list[Share]
    by_day: list[DayCost]
    by_tool: list[ToolUsage]


def usage_summary(row: Any) -> UsageSummary:
    """From the eleven columns every sum over the ledger has."""
    return UsageSummary(
        tokens=Tokens(row[0], row[1], row[2], row[3], row[4]),
        cost=row[5],
        requests=row[6],
        turns=row[7],
        unpriced=row[8],
        estimated=row[9],
        estimated_cost=row[10],
    )


def shares(rows: Iterable[Any]) -> list[Share]:
    return [Share(name=str(row[0]), usage=usage_summary(row[1:])) for row in rows]


def days(rows: Iterable[tuple[int, str, int | None]], zone: str) -> list[DayCost]:
    """(time, model, cost) of single requests, summed by local day."""
    place = ZoneInfo(zone)
    found: dict[str, dict[str, int]] = {}
    for at, model, cost in rows:
        day = found.setdefault(datetime.fromtimestamp(at / SECOND, place).date().isoformat(), {})
        day[model] = day.get(model, 0) + (cost or 0)
    return [
        DayCost(date=date, cost=sum(models.values()), by_model=models)
        for date, models in sorted(found.items())
    ]
