"""Tables too wide for Discord: a line for each cell, with its column's name before it."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from channels.text.dialect import rewritten
from channels.text.table import beyond

if TYPE_CHECKING:
    from markdown_it.token import Token


def records(tokens: "Sequence[Token]", source: Sequence[str]) -> Iterator[str]:
    """The lines that show a table; *source* are the lines of the text it stands in."""
    names, *rows = _cells(tokens, source)
    for row in rows or [names]:
        marker = "• "
        for name, cell in zip([*(names if rows else ()), *[""] * len(row)], row, strict=False):
            if cell.strip():
                yield marker + (f"{rewritten(name)}: " if name else "") + rewritten(cell)
                marker = "  "


def _cells(tokens: "Sequence[Token]", source: Sequence[str]) -> Iterator[list[str]]:
    """The cells of each row as they were written, also those beyond the header's."""
    columns = sum(token.type == "th_open" for token in tokens)
    row: list[str] = []
    line = ""
    for token in tokens:
        if token.type == "tr_open":
            row, line = [], source[token.map[0]] if token.map else ""
        elif token.type == "inline":
            row.append(token.content)
        elif token.type == "th_close":
            line = ""  # the header has as many cells as the table has columns
        elif token.type == "tr_close":
            yield row + beyond(line, columns)
