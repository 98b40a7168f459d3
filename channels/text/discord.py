"""Markdown as Discord messages, in Discord's own dialect of it."""

from collections.abc import Iterator, Sequence

from channels.text import split
from channels.text.dialect import whole
from channels.text.growing import settled
from channels.text.line import Block, Line
from channels.text.lines import lines

__all__ = ["MAX_TEXT", "beginning", "grown", "opening", "render"]

MAX_TEXT = 2000  # Unicode characters; Discord API, Create Message
LEAST = 200  # below it a part would have no room for its fences and quotes
FENCE = "```"
_PAIRS = ("**", "~~", "__", "||", "`")  # what an opening must not leave open


def render(markdown: str, limit: int = MAX_TEXT) -> list[str]:
    """The messages that show *markdown*, each at most *limit* characters; none when nothing can be seen.

    Code that goes on in the next message is closed and opened again, with its language.
    Raises ValueError for a limit under 200.
    """
    if limit < LEAST:
        raise ValueError(f"limit must be at least {LEAST}")
    filler = _Filler(limit)
    for line in lines(split.clean(markdown)):
        filler.add(line)
    return filler.finished()


def grown(markdown: str) -> list[str]:
    """The messages that show the beginning *markdown* of a text that is still being written."""
    return render(settled(split.clean(markdown)))


def beginning(markdown: str, note: str) -> str:
    """The first message of *markdown*, which has something to see, with *note* (Markdown, one line) under it."""
    (under,) = render(note)
    return f"{render(markdown, MAX_TEXT - len(under) - 2)[0]}\n\n{under}"


def opening(text: str, limit: int = 80) -> str:
    """How a message really begins: its first sentence or line, or the words that *limit* characters have room for.

    All of it if it is that short, or where a shorter one would leave marks open.
    """
    if len(text) <= limit:
        return text
    first = text[: split.opening_end(text, limit)].rstrip()
    whole_marks = all(first.count(mark) % 2 == 0 for mark in _PAIRS) and first.count("[") == first.count("]")
    if FENCE in first or not whole_marks or not split.visible(first):
        return text
    return first


class _Filler:
    """Fills part after part."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._done: list[str] = []
        self._lines: list[Line] = []  # of the part that is being filled
        self._size = 0  # of these, with fences closed

    def add(self, line: Line) -> None:
        while True:
            cost = _cost(self._lines[-1] if self._lines else None, line)
            if self._size + cost <= self._limit:
                self._lines.append(line)
                self._size += cost
                return
            if 2 * self._size >= self._limit:
                self._flush()
            else:
                first, rest = self._divided(line, self._limit - self._size - cost + len(line.text))
                if first is not None:
                    self._lines.append(first)
                self._cut(len(self._lines))
                if rest is None:
                    return
                line = rest

    def finished(self) -> list[str]:
        self._cut(len(self._lines))
        return self._done

    def _divided(self, line: Line, room: int) -> tuple[Line | None, Line | None]:
        """A line that is too long for a part: what fits, and what is left."""
        blocks = [(0, len(line.text))] if line.block else []
        if room < 2:
            return None, line
        kept = [] if line.block else whole(line.text)
        start, end = next(
            split.parts(line.text, room, blocks=blocks, whole=kept, points=True), (0, len(line.text))
        )
        if end <= start or end > room + start:
            return None, None  # nothing that could be seen
        rest = line.text[end:] if line.block else line.text[end:].lstrip()
        left = Line(rest, line.quote, line.block) if split.visible(rest) else None
        return Line(line.text[start:end], line.quote, line.block, line.gap), left

    def _flush(self) -> None:
        """Ends the part: before the last paragraph that began in its second half, else where it is."""
        size = 0
        cut = len(self._lines)
        for at, (before, line) in enumerate(zip([None, *self._lines], self._lines, strict=False)):
            if at and line.gap and 2 * size >= self._limit and (line.block is None or before is None):
                cut = at
            size += _cost(before, line)
        self._cut(cut)

    def _cut(self, at: int) -> None:
        part = self._lines[:at]
        while part and not split.visible(part[-1].text):
            part.pop()
        while part and not split.visible(part[0].text):
            part.pop(0)
        if part:
            self._done.append(_written(part))
        self._lines = self._lines[at:]
        self._size = sum(
            _cost(before, line) for before, line in zip([None, *self._lines], self._lines, strict=False)
        )


def _cost(before: Line | None, line: Line) -> int:
    """How many characters *line* adds to a part that ends with *before*, with the fence that closes it."""
    same = before is not None and before.block is not None and before.block is line.block
    size = len(line.quote) + len(line.text) + (before is not None)
    if line.block is not None and not same:
        size += 2 * (len(line.quote) + len(FENCE) + 1) + len(line.block.language)
    if line.gap and before is not None:
        size += 1 + min(len(line.quote), len(before.quote))
    return size


def _written(part: Sequence[Line]) -> str:
    return "\n".join(_rows(part)).strip("\n ")


def _rows(part: Sequence[Line]) -> Iterator[str]:
    block: Block | None = None
    for at, line in enumerate(part):
        before = part[at - 1] if at else None
        if block is not None and line.block is not block:
            assert before is not None
            yield before.quote + FENCE
            block = None
        if line.gap and before is not None:
            # Within one quote the empty line is quoted, too.
            yield min(line.quote, before.quote, key=len)
        if line.block is not None and line.block is not block:
            yield line.quote + FENCE + line.block.language
            block = line.block
        yield line.quote + line.text
    if block is not None:
        yield part[-1].quote + FENCE
