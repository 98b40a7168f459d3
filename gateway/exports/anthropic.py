"""Anthropic's usage and cost reports: the Admin API's (Usage and Cost API), and the Console's CSV.

Days and buckets are those of UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gateway.exports.entry import DAY, HOUR, SEARCHES, Entry, Export, ExportError, Row, searched
from gateway.types.usage import Tokens

TITLES = {True: "Anthropic's cost report", False: "Anthropic's usage report"}


def pages(buckets: Sequence[tuple[str, Mapping[str, Any]]]) -> Export:
    """Of GET /v1/organizations/usage_report/messages or /v1/organizations/cost_report."""
    entries, spans, money = [], [], False
    for where, bucket in buckets:
        row = Row(where, bucket)
        span = row.moment("starting_at")[0], row.moment("ending_at")[0]
        spans.append(span)
        for index, result in enumerate(bucket["results"]):
            if not isinstance(result, dict):
                raise ExportError(f"{where}.results[{index}]: no object")
            found = Row(f"{where}.results[{index}]", result)
            money = "amount" in result
            entries.append(_charged(found, *span) if money else _used(found, *span))
    return Export.of(TITLES[money], "anthropic", entries, spans=spans)


def _used(row: Row, begin: int, end: int) -> Entry:
    written = row.part("cache_creation")
    tokens = Tokens(
        row.count("uncached_input_tokens", needed=True),
        row.count("cache_read_input_tokens", needed=True),
        written.count("ephemeral_5m_input_tokens"),
        written.count("ephemeral_1h_input_tokens"),
        row.count("output_tokens", needed=True),
    )
    return Entry(begin=begin, end=end, model=row.text("model"), tokens=tokens)


def _charged(row: Row, begin: int, end: int) -> Entry:
    """*amount* is in cents, as a decimal text."""
    row.dollars("currency")
    cost, slack = row.amount("amount", cents=True)
    other = row.text("cost_type") if row.text("cost_type") != "tokens" else ""
    model = SEARCHES if searched(other) else row.text("model") or other
    return Entry(begin=begin, end=end, model=model, cost=cost, slack=slack)


def _usage_table(rows: Iterator[Row]) -> Export:
    """Older exports do not tell for how long the cache was written: for 5 minutes, as all was then."""
    entries = []
    for row in rows:
        begin, end = _day(row)
        tokens = Tokens(
            row.count("usage_input_tokens_no_cache", needed=True),
            row.count("usage_input_tokens_cache_read"),
            row.count("usage_input_tokens_cache_write_5m") + row.count("usage_input_tokens_cache_write"),
            row.count("usage_input_tokens_cache_write_1h"),
            row.count("usage_output_tokens", needed=True),
        )
        entries.append(Entry(begin=begin, end=end, model=row.text("model_version"), tokens=tokens))
    return Export.of("the Anthropic Console's usage", "anthropic", entries)


def _cost_table(rows: Iterator[Row]) -> Export:
    entries = []
    for row in rows:
        begin, end = _day(row)
        cost, slack = row.amount("cost_usd")
        other = row.text("cost_type") or row.text("token_type")
        model = SEARCHES if searched(other) else row.text("model") or other
        entries.append(Entry(begin=begin, end=end, model=model, cost=cost, slack=slack))
    return Export.of("the Anthropic Console's cost", "anthropic", entries)


def _day(row: Row) -> tuple[int, int]:
    begin, whole = row.moment("usage_date_utc")
    return begin, begin + (DAY if whole else HOUR)


TABLES: tuple[tuple[frozenset[str], Callable[[Iterator[Row]], Export]], ...] = (
    (
        frozenset({"usage_date_utc", "model_version", "usage_input_tokens_no_cache", "usage_output_tokens"}),
        _usage_table,
    ),
    (frozenset({"usage_date_utc", "model", "token_type", "cost_usd"}), _cost_table),
)
