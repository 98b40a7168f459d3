"""What providers say was used: their usage and cost exports, recognised by content; pure."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from io import StringIO
from typing import Any

from gateway.exports import anthropic, openai
from gateway.exports.entry import SEARCHES, Entry, Export, ExportError, Row

__all__ = ["SEARCHES", "Entry", "Export", "ExportError", "read"]

UNDERSTOOD = (
    "Understood are Anthropic's usage report (messages) and cost report (Admin API, JSON) and the Console's usage and "
    "cost CSV; OpenAI's usage of completions and costs (API, JSON) and their CSV exports"
)


def read(text: str) -> Export:
    """Raises ExportError, which says what is understood or which line or field is wrong."""
    text = text.removeprefix("\ufeff")
    if not text.strip():
        raise ExportError(f"it is empty. {UNDERSTOOD}.")
    if text.lstrip()[0] in "{[":
        return _pages(_json(text))
    return _table(text)


def _pages(pages: Sequence[Mapping[str, Any]]) -> Export:
    """Of one answer of the API or of several, one after the other."""
    buckets: list[tuple[str, Mapping[str, Any]]] = []
    for number, page in enumerate(pages):
        where = f"page {number + 1}, " if len(pages) > 1 else ""
        data = page.get("data")
        if not isinstance(data, list):
            found = ", ".join(list(map(str, page))[:8]) or "nothing"
            raise ExportError(f"{where}there is no list 'data', only {found}. {UNDERSTOOD}.")
        for index, bucket in enumerate(data):
            if not isinstance(bucket, dict) or not isinstance(bucket.get("results"), list):
                raise ExportError(f"{where}data[{index}]: no bucket with 'results'. {UNDERSTOOD}.")
            buckets.append((f"{where}data[{index}]", bucket))
    if not buckets:
        raise ExportError("there is no bucket in it: nothing to compare. Ask for a longer time.")
    first = buckets[0][1]
    reader: Callable[[Sequence[tuple[str, Mapping[str, Any]]]], Export] | None
    reader = anthropic.pages if "starting_at" in first else openai.pages if "start_time" in first else None
    if reader is None:
        raise ExportError(f"{buckets[0][0]}: neither 'starting_at' nor 'start_time'. {UNDERSTOOD}.")
    export = reader(buckets)
    if pages[-1].get("has_more"):
        return export.with_note("The export goes on (has_more): what the next pages hold is not compared.")
    return export


def _json(text: str) -> list[Mapping[str, Any]]:
    """The objects of a text: one, a list of them, or several in a row."""
    decoder, at, found = json.JSONDecoder(parse_float=str), 0, []
    while at < len(text):
        if text[at].isspace():
            at += 1
            continue
        try:
            value, at = decoder.raw_decode(text, at)
        except ValueError as error:
            line = text.count("\n", 0, getattr(error, "pos", at)) + 1
            raise ExportError(f"line {line}: this is no JSON. {UNDERSTOOD}.") from None
        found += value if isinstance(value, list) else [value]
    if not all(isinstance(each, dict) for each in found):
        raise ExportError(f"the JSON is no object. {UNDERSTOOD}.")
    return found


def _table(text: str) -> Export:
    lines = csv.reader(StringIO(text))
    try:
        columns = [name.strip() for name in next(lines, [])]
    except csv.Error as error:
        raise ExportError(f"line 1: {error}. {UNDERSTOOD}.") from None
    tables: Sequence[tuple[frozenset[str], Callable[[Iterator[Row]], Export]]] = (
        *anthropic.TABLES,
        *openai.TABLES,
    )
    for needed, reader in tables:
        if needed <= set(columns):
            return reader(_rows(lines, columns))
    shown = ", ".join(columns[:8])[:200]
    raise ExportError(f"its columns are those of no export that is understood ({shown}). {UNDERSTOOD}.")


def _rows(lines: Any, columns: Sequence[str]) -> Iterator[Row]:
    """Fields that are missing at the end of a line are empty."""
    try:
        for values in lines:
            where = f"line {lines.line_num}"
            if len(values) > len(columns):
                raise ExportError(f"{where}: {len(values)} fields, but {len(columns)} columns")
            if any(value.strip() for value in values):
                filled = [*values, *[""] * (len(columns) - len(values))]
                yield Row(where, dict(zip(columns, (value.strip() for value in filled), strict=True)))
    except csv.Error as error:
        raise ExportError(f"line {lines.line_num}: {error}") from None
