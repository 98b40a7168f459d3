"""Markdown as lines that keep their marks: quotes, lists, headings and code as Discord writes them."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from itertools import chain
from typing import TYPE_CHECKING

from channels.text import blocks
from channels.text.dialect import escaped, rewritten
from channels.text.latex import readable
from channels.text.line import Block, Line
from channels.text.records import records
from channels.text.styled import DEEPEST, REMEMBERED, REMEMBERED_SIZE, RULE, TASKS, parser, styled

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

HEADINGS = 3  # levels that Discord has
_SMALL = re.compile(r"^-# ", re.M)  # Discord's own small print, in CommonMark nothing
_LANGUAGE = re.compile(r"[\w+.#-]{1,40}(?=\s|$)", re.A)  # Discord takes any other word for code
_FENCES = re.compile(r"`{3,}")  # within code they would end it: kept apart by what cannot be seen
_QUOTED = re.compile(r"^[ >]*")


def _apart(fence: re.Match[str]) -> str:
    return "\u200b".join(fence.group())


def lines(markdown: str) -> list[Line]:
    """The lines of *markdown*, which is clean text."""
    found: list[Line] = []
    seen: set[str] = set()
    for part, read in _read(blocks.parts(markdown)):
        found += _anew(read) if part in seen else read
        seen.add(part)
    return found


def _read(parts: Sequence[str]) -> Iterator[tuple[str, Sequence[Line]]]:
    """The parts of a text. One that grows is the same but for its last part: the others are remembered."""
    for at, part in enumerate(parts):
        yield part, _known(part) if at < len(parts) - 1 and len(part) <= REMEMBERED_SIZE else _part(part)


def _anew(known: Sequence[Line]) -> Iterator[Line]:
    """The same lines with blocks of their own: code that comes twice is two blocks."""
    made: dict[int, Block] = {}
    for line in known:
        if line.block is None:
            yield line
        else:
            yield replace(line, block=made.setdefault(id(line.block), Block(line.block.language)))


@lru_cache(maxsize=REMEMBERED)
def _known(part: str) -> tuple[Line, ...]:
    return _part(part)


def _part(markdown: str) -> tuple[Line, ...]:
    """One part of a text."""
    rows = markdown.split("\n")
    if blocks.is_prose(markdown):
        return tuple(Line(row, gap=at == 0) for at, row in enumerate(rows))
    items = blocks.items(markdown)
    if len(items) > 1:
        found = [read for _, read in _read(items)]
        rest = ((replace(first, gap=False), *others) for first, *others in found[1:])
        return (*found[0], *chain.from_iterable(rest))
    if blocks.is_paragraph(markdown):
        return tuple(Line(row, gap=at == 0) for at, row in enumerate(rewritten(markdown).split("\n")))
    if (item := blocks.item(markdown)) is not None:
        mark = "-" if item["mark"] == "+" else item["mark"]
        return (Line(f"{mark} {TASKS.get(item['box'] or '', '')}{rewritten(item['text'])}", gap=True),)
    code = blocks.code(markdown)
    if code is not None:
        return tuple(_Reader((), ()).code(code.info, code.content))
    tokens = _blocks().parse(markdown)
    if any(token.level >= DEEPEST - 1 for token in tokens):
        return tuple(Line(escaped(row), gap=at == 0) for at, row in enumerate(rows))
    return tuple(_Reader(tokens, rows).read())


@cache
def _blocks() -> "MarkdownIt":
    """The parser without what stands within a line: that is kept as it is."""
    return parser().disable(["inline"])


class _Reader:
    """Walks over the blocks with the marks that stand before a line."""

    def __init__(self, tokens: "Sequence[Token]", source: Sequence[str]) -> None:
        self._tokens, self._source = tokens, source
        self._quotes = 0
        self._margins: list[str] = []  # of the lists we are in: the first line has a marker instead
        self._marker = ""
        self._gap = False
        self._heading = 0

    def read(self) -> Iterator[Line]:
        at = 0
        while at < len(self._tokens):
            token = self._tokens[at]
            match token.type:
                case "inline":
                    yield from self._text(token.content)
                case "paragraph_open" | "paragraph_close":
                    self._ask(not token.hidden)
                case "heading_open" | "heading_close":
                    self._heading = int(token.tag[1]) if token.nesting > 0 else 0
                    self._ask(True)
                case "fence" | "code_block":
                    yield from self.code(token.info, token.content)
                case "math_block":
                    yield from self.code("", readable(token.content))
                case "hr":
                    self._ask(True)
                    yield self._line(RULE)
                    self._ask(True)
                case "blockquote_open" | "blockquote_close":
                    if token.nesting < 0 and self._marker:  # a list item with an empty quote
                        yield self._line("")
                    self._ask(True)
                    self._quotes += token.nesting
                case "bullet_list_open" | "ordered_list_open":
                    self._ask(not self._margins)
                case "bullet_list_close" | "ordered_list_close":
                    self._gap = self._gap or not self._margins
                case "list_item_open":
                    mark = token.info + token.markup if token.info else token.markup.replace("+", "-")
                    if self._marker:
                        yield self._line("")
                    self._marker = "".join(self._margins) + mark + " "
                    self._margins.append(" " * (len(mark) + 1))
                case "list_item_close":
                    if self._marker:
                        yield self._line("")
                    self._margins.pop()
                case "table_open":
                    end = next(
                        i for i in range(at, len(self._tokens)) if self._tokens[i].type == "table_close"
                    )
                    yield from self._table(self._tokens[at:end])
                    at = end
            at += 1

    def _ask(self, wanted: bool) -> None:
        """An empty line before the next one, but not between a marker and its text."""
        self._gap = self._gap or (wanted and not self._marker)

    def _line(self, text: str, block: Block | None = None) -> Line:
        before = self._marker or "".join(self._margins) if block is None else ""
        line = Line(
            (before + text).rstrip() if block is None else text, "> " * self._quotes, block, self._gap
        )
        self._marker, self._gap = "", False
        return line

    def _text(self, content: str) -> Iterator[Line]:
        if not content:
            return
        if self._marker and content[:4] in TASKS:
            content = TASKS[content[:4]] + content[4:]
        text = _SMALL.sub(r"\\-# ", rewritten(content))
        if self._heading > HEADINGS:
            text = text if "**" in text else f"**{text}**"
        elif self._heading:
            text = "#" * self._heading + " " + text
        for each in text.split("\n"):
            yield self._line(each)

    def code(self, info: str, content: str) -> Iterator[Line]:
        content = content.rstrip("\n")
        if not content.strip():
            return
        if self._marker:
            yield self._line("")
        self._gap = self._gap or not self._margins
        found = _LANGUAGE.match(info.strip())
        yield from self._block(content, found.group() if found else "")

    def _block(self, content: str, language: str) -> Iterator[Line]:
        block = Block(language)
        # Three ticks within would end it: an invisible space keeps them apart.
        for each in _FENCES.sub(_apart, content.expandtabs(4)).split("\n"):
            yield self._line(each.rstrip(), block)
        self._gap = not self._margins

    def _table(self, tokens: "Sequence[Token]") -> Iterator[Line]:
        """Aligned in fixed width where it fits, else one record after another."""
        first, last = tokens[0].map or [0, 0]
        text, spans = styled("\n".join(_QUOTED.sub("", line) for line in self._source[first:last]))
        if self._marker:
            yield self._line("")
        self._ask(True)
        if any(span.kind == "pre" for span in spans):
            yield from self._block(text, "")
        else:
            for each in records(tokens, self._source):
                yield self._line(each)
        self._gap = True
