"""The providers' usage and cost exports of given requests, in the forms that their documents and files have."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from io import StringIO
from typing import Any

from gateway.types.measures import SECOND
from gateway.types.usage import Tokens

NANO = Decimal(10**9)
TITLES = {"claude-haiku-4-5-20251001": "Claude Haiku 4.5", "claude-sonnet-5": "Claude Sonnet 5"}


@dataclass(frozen=True, slots=True)
class Request:
    """*at* in microseconds UTC, *cost* in nano-dollars."""

    at: int
    model: str
    tokens: Tokens
    cost: int

    @property
    def day(self) -> date:
        return datetime.fromtimestamp(self.at // SECOND, UTC).date()


def _buckets(
    requests: Sequence[Request], step: timedelta
) -> Iterable[tuple[datetime, dict[str, list[Request]]]]:
    """Also those in which there was nothing."""
    first = datetime.combine(min(each.day for each in requests), datetime.min.time(), UTC)
    last = datetime.combine(max(each.day for each in requests), datetime.min.time(), UTC)
    at = first
    while at < last + timedelta(days=1):
        found: dict[str, list[Request]] = {}
        for each in requests:
            if at.timestamp() * SECOND <= each.at < (at + step).timestamp() * SECOND:
                found.setdefault(each.model, []).append(each)
        yield at, found
        at += step


def _tokens(requests: Iterable[Request]) -> Tokens:
    return sum((each.tokens for each in requests), Tokens())


def _cost(requests: Iterable[Request]) -> Decimal:
    """Dollars."""
    return sum(each.cost for each in requests) / NANO


def _rfc(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%SZ")


def anthropic_usage(requests: Sequence[Request], *, step: timedelta = timedelta(days=1)) -> str:
    """Admin API, GET /v1/organizations/usage_report/messages with group_by[]=model."""

    def result(model: str, made: list[Request]) -> dict[str, Any]:
        tokens = _tokens(made)
        return {
            "uncached_input_tokens": tokens.uncached,
            "cache_creation": {
                "ephemeral_1h_input_tokens": tokens.write_1h,
                "ephemeral_5m_input_tokens": tokens.write_5m,
            },
            "cache_read_input_tokens": tokens.read,
            "output_tokens": tokens.output,
            "server_tool_use": {"web_search_requests": 0},
            "api_key_id": None,
            "workspace_id": None,
            "model": model,
            "service_tier": None,
            "context_window": None,
        }

    data = [
        {
            "starting_at": _rfc(at),
            "ending_at": _rfc(at + step),
            "results": [result(model, made) for model, made in found.items()],
        }
        for at, found in _buckets(requests, step)
    ]
    return json.dumps({"data": data, "has_more": False, "next_page": None}, indent=2)


def anthropic_cost(requests: Sequence[Request]) -> str:
    """Admin API, GET /v1/organizations/cost_report with group_by[]=description: amounts in cents, as text."""
    data = [
        {
            "starting_at": _rfc(at),
            "ending_at": _rfc(at + timedelta(days=1)),
            "results": [
                {
                    "currency": "USD",
                    "amount": f"{_cost(made) * 100:f}",
                    "workspace_id": None,
                    "description": f"{model} Usage",
                    "cost_type": "tokens" if model != "web_search" else model,
                    "context_window": "0-200k",
                    "model": model if model != "web_search" else None,
                    "service_tier": "standard",
                    "token_type": "output_tokens",
                }
                for model, made in found.items()
            ],
        }
        for at, found in _buckets(requests, timedelta(days=1))
    ]
    return json.dumps({"data": data, "has_more": False, "next_page": None})


def openai_usage(requests: Sequence[Request]) -> str:
    """GET /v1/organization/usage/completions with group_by=model: input counts what was cached too."""

    def result(model: str, made: list[Request]) -> dict[str, Any]:
        tokens = _tokens(made)
        return {
            "object": "organization.usage.completions.result",
            "input_tokens": tokens.input,
            "output_tokens": tokens.output,
            "input_cached_tokens": tokens.read,
            "input_cache_write_tokens": tokens.write_5m,
            "num_model_requests": len(made),
            "project_id": None,
            "model": model,
            "batch": None,
        }

    data = [
        {
            "object": "bucket",
            "start_time": int(at.timestamp()),
            "end_time": int(at.timestamp()) + 86400,
            "results": [result(model, made) for model, made in found.items()],
        }
        for at, found in _buckets(requests, timedelta(days=1))
    ]
    return json.dumps({"object": "page", "data": data, "has_more": False, "next_page": None})


def openai_costs(requests: Sequence[Request]) -> str:
    """GET /v1/organization/costs with group_by=line_item: amounts in dollars, as numbers."""
    data = [
        {
            "object": "bucket",
            "start_time": int(at.timestamp()),
            "end_time": int(at.timestamp()) + 86400,
            "results": [
                {
                    "object": "organization.costs.result",
                    "amount": {"value": float(_cost(made)), "currency": "usd"},
                    "line_item": f"{model}, output",
                    "project_id": None,
                }
                for model, made in found.items()
            ],
        }
        for at, found in _buckets(requests, timedelta(days=1))
    ]
    return json.dumps({"object": "page", "data": data, "has_more": False, "next_page": None})


def _table(columns: str, rows: Iterable[Sequence[Any]]) -> str:
    out = StringIO()
    writer = csv.writer(out)
    writer.writerow(columns.split(","))
    writer.writerows(rows)
    return out.getvalue()


def console_usage(requests: Sequence[Request]) -> str:
    """The Console's usage, by day, model and key; the last column is left out where it is empty."""
    columns = (
        "usage_date_utc,model_version,api_key,workspace,usage_type,context_window,usage_input_tokens_no_cache,"
        "usage_input_tokens_cache_write_5m,usage_input_tokens_cache_write_1h,usage_input_tokens_cache_read,"
        "usage_output_tokens,web_search_count,inference_geo,speed"
    )
    rows = []
    for at, found in _buckets(requests, timedelta(days=1)):
        for model, made in found.items():
            for key, part in (("bot, main", made[::2]), ("other", made[1::2])):
                t = _tokens(part)
                rows.append(
                    (at.date(), model, key, "Default", "standard", "≤ 200k", t.uncached, t.write_5m, t.write_1h, t.read,
                     t.output, 0, "not_available")
                )  # fmt: skip
    return "\ufeff" + _table(columns, rows)


def console_cost(requests: Sequence[Request]) -> str:
    """The Console's cost, in whole cents, with models by their titles."""
    columns = "usage_date_utc,model,workspace,api_key,usage_type,context_window,token_type,cost_usd,cost_type"
    rows = []
    for at, found in _buckets(requests, timedelta(days=1)):
        for model, made in found.items():
            cost = round(_cost(made), 2)
            title = TITLES.get(model, model)
            rows.append((at.date(), title, "Default", "bot", "message", "≤ 200k", "output", cost, "token"))
    return _table(columns, rows)


def dashboard_usage(requests: Sequence[Request]) -> str:
    """OpenAI's usage as CSV, in minutes; those in which there was nothing have no values."""
    columns = (
        "start_time,end_time,start_time_iso,end_time_iso,project_id,num_model_requests,model,input_tokens,output_tokens,"
        "input_cached_tokens,input_uncached_tokens,input_cache_write_tokens"
    )
    rows: list[Sequence[Any]] = []
    for at, found in _buckets(requests, timedelta(hours=6)):
        times = (int(at.timestamp()), int(at.timestamp()) + 6 * 3600, at.isoformat(), "")
        rows += [(*times, *[""] * 8)] if not found else []
        for model, made in found.items():
            t = _tokens(made)
            rows.append(
                (*times, "proj", f"{len(made)}.0", model, t.input, t.output, t.read, t.uncached, t.write_5m)
            )
    return _table(columns, rows)


def dashboard_cost(requests: Sequence[Request]) -> str:
    """OpenAI's costs as CSV, with thirty decimals."""
    columns = (
        "start_time,end_time,start_time_iso,end_time_iso,amount_value,amount_currency,quantity,line_item"
    )
    rows: list[Sequence[Any]] = []
    for at, found in _buckets(requests, timedelta(days=1)):
        times = (int(at.timestamp()), int(at.timestamp()) + 86400, at.isoformat(), "")
        rows += [(*times, *[""] * 4)] if not found else []
        rows += [
            (*times, f"{_cost(made):.30f}", "usd", "", f"{model}, input") for model, made in found.items()
        ]
    return _table(columns, rows)


Made = Callable[[Sequence[Request]], str]
ANTHROPIC: dict[str, Made] = {
    "usage report": anthropic_usage,
    "cost report": anthropic_cost,
    "console usage": console_usage,
    "console cost": console_cost,
}
OPENAI: dict[str, Made] = {
    "usage": openai_usage,
    "costs": openai_costs,
    "dashboard usage": dashboard_usage,
    "dashboard cost": dashboard_cost,
}
