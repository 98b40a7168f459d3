"""One answer to getUpdates, in which a single broken update must not spoil the others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from channels.telegram.fields import MOST, number_of
from channels.telegram.inbound import unreadable
from gateway.types.inbound import Inbound

# The server writes update_id first, and within a JSON text an unescaped quote is impossible: this is a begin.
_BEGIN = re.compile(r'\{\s*"update_id"\s*:\s*(\d{1,16})\b')
_WHOLE = re.compile(r'\s*\{\s*"ok"\s*:\s*true\s*,\s*"result"\s*:\s*\[')
_END = re.compile(r"\]\s*\}\s*\Z")


@dataclass(frozen=True, slots=True)
class Page:
    """Updates as events. *offset* confirms all of them; None where no update says its number."""

    events: tuple[Inbound, ...]
    offset: int | None


def read_page(body: bytes, read: Callable[[object], Inbound]) -> Page:
    """What the server sent. Raises ValueError for anything that is no whole answer."""
    text = body.decode("utf-8", "replace")
    try:
        updates = _result(json.loads(text))
    except (ValueError, RecursionError):
        return _piecewise(text, read)
    return _page([(number_of(update), read(update)) for update in updates])


def _page(events: Sequence[tuple[int | None, Inbound]]) -> Page:
    numbers = [number for number, _ in events if number is not None]
    return Page(tuple(event for _, event in events), max(numbers) + 1 if numbers else None)


def _result(answer: object) -> list[object]:
    result = answer.get("result") if isinstance(answer, dict) and answer.get("ok") is True else None
    if not isinstance(result, list):
        raise ValueError("no list of updates")
    return result


def _piecewise(text: str, read: Callable[[object], Inbound]) -> Page:
    if not _WHOLE.match(text) or not (end := _END.search(text)):
        raise ValueError("no list of updates")
    return _page(
        [(number, _read_piece(number, piece, read)) for number, piece in _pieces(text[: end.start()])]
    )


def _pieces(text: str) -> Iterator[tuple[int, str]]:
    begins = list(_BEGIN.finditer(text))
    if not begins:
        raise ValueError("no update to be seen")
    for place, begin in enumerate(begins):
        end = begins[place + 1].start() if place + 1 < len(begins) else len(text)
        yield min(int(begin[1]), MOST - 2), text[begin.start() : end].rstrip().removesuffix(",")


def _read_piece(number: int, piece: str, read: Callable[[object], Inbound]) -> Inbound:
    try:
        update = json.loads(piece)
    except ValueError as error:
        return unreadable(piece, update_id=number, error=f"not JSON: {error}")
    except RecursionError:
        return unreadable(piece, update_id=number, error="nested too deeply")
    return read(update)
