"""Tables: aligned in fixed-width type where they fit, else one record after another."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from channels.text.inline import flat, inline
from channels.text.writer import Writer

if TYPE_CHECKING:
    from markdown_it.token import Token

TABLE_WIDTH = 42  # columns of fixed-width text that a phone shows without wrapping
_CELLS = re.compile(r"(?<!\\)\|")


def table(tokens: "Sequence[Token]", out: Writer) -> None:
    """Writes the table of which *tokens* are the inside."""
    rows = list(_rows(tokens, out.lines))
    columns = max(len(row) for row in rows)
    cells = [[flat(cell) for cell in row] + [""] * (columns - len(row)) for row in rows]
    widths = [max(_width(row[at]) for row in cells) for at in range(columns)]
    if sum(widths) + 3 * (columns - 1) <= TABLE_WIDTH:
        out.block(_aligned(cells, widths))
        return
    out.ask(2)
    if len(rows) == 1:  # only the header is there yet
        out.write(" | ".join(cells[0]))
    for row in rows[1:]:
        _record(cells[0], row, out)
    out.ask(2)


def _rows(tokens: "Sequence[Token]", lines: Sequence[str]) -> "Iterator[list[Sequence[Token]]]":
    """The cells of each row, also those beyond the header's, which the parser leaves out."""
    columns = sum(token.type == "th_open" for token in tokens)
    row: list[Sequence[Token]] = []
    source = ""
    for token in tokens:
        if token.type == "tr_open":
            row, source = [], lines[token.map[0]] if token.map else ""
        elif token.type == "inline":
            row.append(token.children or ())
        elif token.type == "th_close":
            source = ""  # the header has as many cells as the table has columns
        elif token.type == "tr_close":
            yield row + [[_word(cell)] for cell in beyond(source, columns)]


def beyond(source: str, columns: int) -> list[str]:
    """The cells of a line after the first *columns*; the line can begin with the marks of quotes."""
    if source.count("|") < columns:
        return []
    return [cell.strip() for cell in _CELLS.split(source.lstrip(" \t>").strip().strip("|"))[columns:]]


def _word(text: str) -> "Token":
    from markdown_it.token import Token

    return Token("text", "", 0, content=text)


def _aligned(cells: Sequence[Sequence[str]], widths: Sequence[int]) -> str:
    lines = [
        " │ ".join(cell + " " * (width - _width(cell)) for cell, width in zip(row, widths, strict=True))
        for row in cells
    ]
    lines.insert(1, "─┼─".join("─" * width for width in widths))
    return "\n".join(line.rstrip() for line in lines)


def _record(header: Sequence[str], row: "Sequence[Sequence[Token]]", out: Writer) -> None:
    """One row of a table that is too wide: a line for each cell that has something in it."""
    marker = "• "
    for name, cell in zip([*header, *[""] * len(row)], row, strict=False):
        if not flat(cell).strip():
            continue
        out.ask(1)
        out.write(marker + (f"{name}: " if name else ""))
        inline(cell, out)
        marker = "  "


def _width(text: str) -> int:
    """Columns in fixed-width type: wide characters take two, marks none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )
