"""Our values as JSON: money both as integer nano-dollars and as a decimal string of dollars."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from decimal import Decimal
from pathlib import PurePath
from typing import Any

from starlette.responses import JSONResponse

from gateway import log
from gateway.budgets import Budget
from gateway.manager import Generated
from gateway.reconciliation import Booked
from gateway.reports import DayCost, UsageSummary, dollars
from gateway.types import Tokens


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
        case UsageSummary():
            return _usage(value)
        case DayCost():
            return _day(value)
        case Booked():
            return {**_fields(value), "cost_usd": None if value.cost is None else usd(value.cost)}
        case Tokens():
            return {**_fields(value), "input": value.input}
        case Generated():
            # The provider's own words, which may quote what they were sent.
            return {**_fields(value), "error": log.clean(value.error) if value.error else None}
        case Budget():
            return _budget(value)
        case Mapping():
            return {str(name): plain(each) for name, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each) for each in value]
    if is_dataclass(value) and not isinstance(value, type):
        return _fields(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def usd(nano: int) -> str:
    """Nano-dollars as dollars, exactly and without an exponent."""
    return format(dollars(nano), "f")


def _fields(value: Any) -> dict[str, Any]:
    return {each.name: plain(getattr(value, each.name)) for each in fields(value)}


def _budget(budget: Budget) -> dict[str, Any]:
    """*resets_at* null: it does not begin anew."""
    return {**_fields(budget), "left": max(0, budget.left), "resets_at": budget.until}


def _usage(usage: UsageSummary) -> dict[str, Any]:
    return {
        **_fields(usage),
        "cost_usd": usd(usage.cost),
        "estimated_cost_usd": usd(usage.estimated_cost),
        "saved_usd": None if usage.saved is None else usd(usage.saved),
        "cache_share": usage.cache_share,
    }


def _day(day: DayCost) -> dict[str, Any]:
    models = [
        {"name": name, "cost": cost, "cost_usd": usd(cost)} for name, cost in sorted(day.by_model.items())
    ]
    return {
        "date": day.date,
        "cost": day.cost,
        "cost_usd": usd(day.cost),
        "usage": plain(day.usage),
        "by_model": models,
    }
