"""What readers of the ledger are shown: sums with their names; pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Literal

from gateway.moments import EPOCH
from gateway.types.measures import DOLLAR
from gateway.types.usage import Tokens

By = Literal["user", "model", "day", "channel", "chat", "trigger", "purpose", "session", "turn", "tool"]


def dollars(nano: int) -> Decimal:
    """Nano-dollars as dollars, exactly."""
    return Decimal(nano) / DOLLAR


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageSummary:
    """A sum over ledger rows. Input includes what was read from and written to caches.

    *cost* in nano-dollars over the rows whose price is known; *unpriced* counts the others. *estimated* rows and
    *estimated_cost* are part of the sums, and shown apart. *saved*: nano-dollars by which the same input would have
    been dearer without a cache, below 0 where writing it cost more than reading it saved; None: not reckoned.
    """

    tokens: Tokens
    cost: int
    requests: int
    turns: int
    unpriced: int
    estimated: int
    estimated_cost: int
    saved: int | None = None

    @property
    def cache_share(self) -> float | None:
        """How much of the input was read from a cache, 0 to 1; None: there was no input."""
        return self.tokens.read / self.tokens.input if self.tokens.input else None

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One line of a breakdown."""

    name: str
    usage: UsageSummary


@dataclass(frozen=True, slots=True, kw_only=True)
class DayCost:
    """One day of the report zone, *date* as YYYY-MM-DD; *by_model* in nano-dollars."""

    date: str
    usage: UsageSummary
    by_model: dict[str, int]

    @property
    def cost(self) -> int:
        return self.usage.cost


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolUsage:
    """How often a tool was called, and how often it failed."""

    name: str
    invocations: int
    errors: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CostOverview:
    """The bill since a time (None: since ever). A breakdown that was not asked for is empty."""

    since: int | None
    total: UsageSummary
    by_user: list[Share] = field(default_factory=list)
    by_model: list[Share] = field(default_factory=list)
    by_channel: list[Share] = field(default_factory=list)
    by_chat: list[Share] = field(default_factory=list)
    by_trigger: list[Share] = field(default_factory=list)
    by_purpose: list[Share] = field(default_factory=list)
    by_session: list[Share] = field(default_factory=list)
    by_turn: list[Share] = field(default_factory=list)
    by_day: list[DayCost] = field(default_factory=list)
    by_tool: list[ToolUsage] = field(default_factory=list)


def usage_summary(row: Sequence[Any]) -> UsageSummary:
    """From the twelve columns every sum over the ledger has."""
    return UsageSummary(
        tokens=Tokens(row[0], row[1], row[2], row[3], row[4]),
        cost=row[5],
        requests=row[6],
        turns=row[7],
        unpriced=row[8],
        estimated=row[9],
        estimated_cost=row[10],
        saved=row[11],
    )


def shares(rows: Iterable[Sequence[Any]]) -> list[Share]:
    return [Share(name=str(row[0]), usage=usage_summary(row[1:])) for row in rows]


def days(rows: Iterable[Sequence[Any]], models: Iterable[tuple[int, str, int]]) -> list[DayCost]:
    """(day, sums…) and (day, model, cost), where a day is so many days after 1970-01-01."""
    found: dict[int, dict[str, int]] = {}
    for day, model, cost in models:
        found.setdefault(day, {})[model] = cost
    return [
        DayCost(
            date=date.fromordinal(EPOCH + row[0]).isoformat(),
            usage=usage_summary(row[1:]),
            by_model=found.get(row[0], {}),
        )
        for row in rows
    ]
