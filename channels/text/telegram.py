"""Markdown as Telegram messages: text and entities that the Bot API accepts as they are."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from channels.text import split
from channels.text.growing import settled
from channels.text.spans import RANK, Span, trimmed
from channels.text.split import utf16_len
from channels.text.styled import styled

__all__ = [
    "MAX_ENTITIES",
    "MAX_TEXT",
    "Piece",
    "beginning",
    "grown",
    "opening",
    "plain",
    "render",
    "utf16_len",
]

MAX_TEXT = 4096  # UTF-16 units after parsing entities; Bot API, sendMessage
MAX_ENTITIES = 100  # of one message; what is beyond is ignored without an error


@dataclass(frozen=True, slots=True)
class Piece:
    """One message: its text and its entities as MessageEntity objects, offsets in UTF-16 units."""

    text: str
    entities: tuple[dict[str, object], ...] = ()


def render(markdown: str, limit: int = MAX_TEXT) -> list[Piece]:
    """The messages that show *markdown*, each at most *limit* UTF-16 units; none when nothing can be seen.

    Of more than 100 entities in a message, styles are given up first, then code. Links are not: what is too
    much for one message begins the next.
    Raises ValueError for a limit under 2.
    """
    text, spans = styled(split.clean(markdown))
    ranges = split.parts(
        text,
        limit,
        blocks=[(span.start, span.end) for span in spans if span.kind == "pre"],
        whole=[(span.start, span.end) for span in spans if span.kind in ("text_link", "code")],
        marks=[span.start for span in spans if span.kind in ("text_link", "pre", "blockquote")],
        # Two less: a quote and something in it can go on from the message before.
        most_marks=MAX_ENTITIES - 2,
    )
    return [_piece(text[start:end], list(_clipped(text, spans, start, end))) for start, end in ranges]


def grown(markdown: str) -> list[Piece]:
    """The messages that show the beginning *markdown* of a text that is still being written."""
    return render(settled(split.clean(markdown)))


def beginning(markdown: str, note: str) -> Piece:
    """The first message of *markdown*, which has something to see, with *note* (Markdown, one line) under it."""
    (under,) = render(note)
    first = render(markdown, MAX_TEXT - utf16_len(under.text) - 2)[0]
    shift = utf16_len(first.text) + 2
    kept = first.entities[: MAX_ENTITIES - len(under.entities)]
    return Piece(f"{first.text}\n\n{under.text}", (*kept, *_moved(under.entities, shift)))


def plain(markdown: str, limit: int = MAX_TEXT) -> list[Piece]:
    """The same messages as they were written, without entities: for a server that refuses the others.

    Raises ValueError for a limit under 2.
    """
    text = split.spaced(split.clean(markdown).expandtabs(4))
    return [Piece(text[start:end]) for start, end in split.parts(text, limit)]


def opening(piece: Piece, limit: int = 80) -> Piece:
    """How *piece* really begins: its first sentence or line, or the words that fit in *limit* UTF-16 units.

    The whole piece if it fits, or if nothing could be seen of a shorter one.
    """
    if utf16_len(piece.text) <= limit:
        return piece
    text = piece.text[: split.opening_end(piece.text, limit)].rstrip()
    if not split.visible(text):
        return piece
    width = utf16_len(text)
    return Piece(text, tuple(_shortened(piece.entities, width)))


def _clipped(text: str, spans: Sequence[Span], start: int, end: int) -> Iterator[Span]:
    """The spans within [start, end), counted from its begin."""
    if not start and end == len(text):
        yield from spans
        return
    for span in spans:
        if span.start >= end:
            break
        first, last = max(span.start, start), min(span.end, end)
        if first < last:
            first, last = trimmed(text, first, last, block=span.kind == "pre")
        if first < last:
            yield Span(span.kind, first - start, last - start, span.value)


def _piece(text: str, spans: Sequence[Span]) -> Piece:
    if len(spans) > MAX_ENTITIES:
        kept = sorted(range(len(spans)), key=lambda at: (RANK[spans[at].kind], at))[:MAX_ENTITIES]
        spans = [spans[at] for at in sorted(kept)]
    if split.astral(text):
        units = list(accumulate((1 + (char > "\uffff") for char in text), initial=0))
        spans = [Span(span.kind, units[span.start], units[span.end], span.value) for span in spans]
    return Piece(text, tuple(_entity(span) for span in spans))


def _entity(span: Span) -> dict[str, object]:
    entity: dict[str, object] = {"type": span.kind, "offset": span.start, "length": span.end - span.start}
    if span.value:
        entity["language" if span.kind == "pre" else "url"] = span.value
    return entity


def _moved(entities: Sequence[dict[str, object]], by: int) -> Iterator[dict[str, object]]:
    for entity in entities:
        offset = entity["offset"]
        assert isinstance(offset, int)
        yield {**entity, "offset": offset + by}


def _shortened(entities: Sequence[dict[str, object]], width: int) -> Iterator[dict[str, object]]:
    for entity in entities:
        offset, length = entity["offset"], entity["length"]
        if isinstance(offset, int) and isinstance(length, int) and offset < width:
            yield {**entity, "length": min(length, width - offset)}
