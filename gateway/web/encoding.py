"""Our values as JSON: money both as integer nano-dollars and as a decimal string of dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from starlette.responses import JSONResponse

from gateway import log
from gateway.budgets import Budget
from gateway.manager import Compacted, Generated
from gateway.reconciliation import Booked, Reconciliation
from gateway.reports import DayCost, UsageSummary, dollars
from gateway.types.sessions import SessionState
from gateway.types.usage import Tokens
from gateway.views import SessionMeta


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageToo:
    """What is shown of a UsageSummary besides its fields; of the types below likewise. Dollars as decimals."""

    cost_usd: str
    estimated_cost_usd: str
    saved_usd: str | None
    cache_share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCost:
    """*cost* in nano-dollars."""

    name: str
    cost: int
    cost_usd: str


@dataclass(frozen=True, slots=True, kw_only=True)
class DayToo:
    """*by_model* in place of the mapping."""

    cost: int
    cost_usd: str
    by_model: list[ModelCost]


@dataclass(frozen=True, slots=True, kw_only=True)
class BookedToo:
    """*cost_usd* None: not said."""

    cost_usd: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class CompactedToo:
    """*cost_usd* None: not known."""

    cost_usd: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokensToo:
    """*input*: all that was sent."""

    input: int


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetToo:
    """*resets_at* None: it does not begin anew. *left* is never below 0."""

    left: int
    resets_at: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReconciliationToo:
    """*agrees*: no line differs."""

    agrees: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionToo:
    """*state*: what the filter of lists goes by."""

    state: SessionState


TOO: Mapping[type, type] = {
    UsageSummary: UsageToo,
    DayCost: DayToo,
    Booked: BookedToo,
    Compacted: CompactedToo,
    Tokens: TokensToo,
    Budget: BudgetToo,
    Reconciliation: ReconciliationToo,
    SessionMeta: SessionToo,
}


class Json(JSONResponse):
    """A response made of anything `plain` can read."""

    def render(self, content: Any) -> bytes:
        return super().render(plain(content))


def plain(value: Any) -> Any:
    """The value as dicts, lists, strings and numbers. Raises TypeError for what has no JSON form."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case Decimal():
            return format(value, "f")
        case PurePath():
            return str(value)
        case Generated():
            # The provider's own words, which may quote what they were sent.
            return {**_fields(value), "error": log.clean(value.error) if value.error else None}
        case Mapping():
            return {str(name): plain(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        too = _too(value)
        return _fields(value) if too is None else {**_fields(value), **_fields(too)}
    raise TypeError(f"{type(value).__name__} has no JSON form")


def usd(nano: int) -> str:
    """Nano-dollars as dollars, exactly and without an exponent."""
    return format(dollars(nano), "f")


def _fields(value: Any) -> dict[str, Any]:
    return {each.name: plain(getattr(value, each.name)) for each in fields(value)}


def _too(value: Any) -> Any:
    """One of TOO's values for one of its keys; None for all others."""
    match value:
        case UsageSummary():
            return UsageToo(
                cost_usd=usd(value.cost),
                estimated_cost_usd=usd(value.estimated_cost),
                saved_usd=None if value.saved is None else usd(value.saved),
                cache_share=value.cache_share,
            )
        case DayCost():
            models = [
                ModelCost(name=name, cost=cost, cost_usd=usd(cost))
                for name, cost in sorted(value.by_model.items())
            ]
            return DayToo(cost=value.cost, cost_usd=usd(value.cost), by_model=models)
        case Booked():
            return BookedToo(cost_usd=None if value.cost is None else usd(value.cost))
        case Compacted():
            return CompactedToo(cost_usd=None if value.cost is None else usd(value.cost))
        case Tokens():
            return TokensToo(input=value.input)
        case Budget():
            return BudgetToo(left=max(0, value.left), resets_at=value.until)
        case Reconciliation():
            return ReconciliationToo(agrees=value.agrees)
        case SessionMeta():
            return SessionToo(state=value.state)
    return None
