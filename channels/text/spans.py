"""Spans of a text: what is bold, a link, code; and the rules for how they may lie together."""

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Kind = Literal["pre", "code", "text_link", "blockquote", "spoiler", "bold", "italic", "strikethrough"]

# Outer before inner where two spans are equal, and what to give up last when there are too many.
RANK: dict[Kind, int] = {
    "blockquote": 0,
    "spoiler": 1,
    "pre": 2,
    "text_link": 3,
    "code": 4,
    "bold": 5,
    "italic": 6,
    "strikethrough": 7,
}


@dataclass(frozen=True, slots=True)
class Span:
    """Characters [start, end) of one kind; *value* is the address of a link or the language of code."""

    kind: Kind
    start: int
    end: int
    value: str = ""


def tidy(text: str, spans: list[Span]) -> list[Span]:
    """Sorted and as the Bot API demands: nothing around code, no quote around a block, none empty."""
    if not spans:
        return []
    solids = sorted((span.start, span.end) for span in spans if span.kind in ("pre", "code"))
    blocks = sorted((span.start, span.end) for span in spans if span.kind == "pre")
    found: list[Span] = []
    for span in spans:
        if span.kind in ("pre", "code", "text_link"):
            ranges: Iterator[tuple[int, int]] = iter([(span.start, span.end)])
        else:
            ranges = _without(span.start, span.end, blocks if span.kind == "blockquote" else solids)
        for start, end in ranges:
            start, end = trimmed(text, start, end, block=span.kind == "pre")
            if start < end:
                found.append(Span(span.kind, start, end, span.value))
    return sorted(found, key=lambda span: (span.start, -span.end, RANK[span.kind]))


def trimmed(text: str, start: int, end: int, *, block: bool = False) -> tuple[int, int]:
    """The range without white space at its ends, maybe empty; a *block* keeps its indentation."""
    end = start + len(text[start:end].rstrip())
    if block:
        return start, end
    return end - len(text[start:end].lstrip()), end


def _without(start: int, end: int, holes: Sequence[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """What is left of a range outside the *holes*, which are sorted and disjoint."""
    for first, last in holes[max(bisect_left(holes, (start, start)) - 1, 0) :]:
        if first >= end:
            break
        if last > start:
            if start < first:
                yield start, first
            start = max(start, last)
    if start < end:
        yield start, end
