"""OpenAI's usage of completions and costs: the API's (Usage), and the dashboard's CSV. Buckets are those of UTC."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from gateway.exports.entry import SEARCHES, Entry, Export, ExportError, Row, searched
from gateway.types.usage import Tokens

TITLES = {True: "OpenAI's costs", False: "OpenAI's usage of completions"}
COMPLETIONS = "organization.usage.completions.result"
COSTS = "organization.costs.result"
# What a line item names besides the model, as in "gpt-5-mini, cached input".
INPUT, OUTPUT = "input_tokens", "output_tokens"


def pages(buckets: Sequence[tuple[str, Mapping[str, Any]]]) -> Export:
    """Of GET /v1/organization/usage/completions or /v1/organization/costs."""
    entries, spans, money = [], [], False
    for where, bucket in buckets:
        row = Row(where, bucket)
        span = row.moment("start_time")[0], row.moment("end_time")[0]
        spans.append(span)
        for index, result in enumerate(bucket["results"]):
            if not isinstance(result, dict):
                raise ExportError(f"{where}.results[{index}]: no object")
            found = Row(f"{where}.results[{index}]", result)
            if found.text("object") not in (COMPLETIONS, COSTS, ""):
                raise found.wrong("object", "is neither the usage of completions nor costs")
            money = "amount" in result
            entries.append(_charged(found, *span) if money else _used(found, *span))
    return Export.of(TITLES[money], "openai", entries, spans=spans, speech=money)


def _used(row: Row, begin: int, end: int) -> Entry:
    """*input_tokens* include those that were read from the cache and those that were written to it."""
    read, written = row.count("input_cached_tokens"), row.count("input_cache_write_tokens")
    uncached = row.count(INPUT, needed=True) - read - written
    if uncached < 0:
        raise row.wrong(INPUT, "is less than the cached part of it")
    return Entry(
        begin=begin,
        end=end,
        model=row.text("model"),
        tokens=Tokens(uncached, read, written, 0, row.count(OUTPUT, needed=True)),
        requests=row.count("num_model_requests") if "num_model_requests" in row.fields else None,
    )


def _charged(row: Row, begin: int, end: int) -> Entry:
    """*amount* is in dollars."""
    paid = row.part("amount")
    paid.dollars("currency")
    cost, slack = paid.amount("value")
    return Entry(begin=begin, end=end, model=_model(row.text("line_item")), cost=cost, slack=slack)


def _model(line_item: str) -> str:
    """'gpt-5-mini' of 'gpt-5-mini, cached input'."""
    return SEARCHES if searched(line_item) else line_item.partition(",")[0].strip()


def _usage_table(rows: Iterator[Row]) -> Export:
    return _table(rows, INPUT, "OpenAI's usage of completions", _used, speech=False)


def _cost_table(rows: Iterator[Row]) -> Export:
    def paid(row: Row, begin: int, end: int) -> Entry:
        row.dollars("amount_currency")
        cost, slack = row.amount("amount_value")
        return Entry(begin=begin, end=end, model=_model(row.text("line_item")), cost=cost, slack=slack)

    return _table(rows, "amount_value", "OpenAI's costs", paid, speech=True)


def _table(
    rows: Iterator[Row], needed: str, title: str, made: Callable[[Row, int, int], Entry], *, speech: bool
) -> Export:
    """A line without a value stands for a time in which nothing was used."""
    entries, spans = [], []
    for row in rows:
        span = row.moment("start_time")[0], row.moment("end_time")[0]
        spans.append(span)
        if row.fields.get(needed):
            entries.append(made(row, *span))
    return Export.of(title, "openai", entries, spans=spans, speech=speech)


TABLES: tuple[tuple[frozenset[str], Callable[[Iterator[Row]], Export]], ...] = (
    (frozenset({"start_time", "end_time", "amount_value"}), _cost_table),
    (frozenset({"start_time", "end_time", INPUT, OUTPUT}), _usage_table),
)
