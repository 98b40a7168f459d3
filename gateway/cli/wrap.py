"""Breaking lines between words while the text is still coming."""

from __future__ import annotations

import re

from prompt_toolkit.utils import get_cwidth

PIECES = re.compile(r"\n|[^\S\n]+|\S+")


class Wrap:
    """*width* in columns. Code and tables are left alone: a break would change what they mean."""

    def __init__(self, width: int) -> None:
        self._width = max(20, width)
        self._column = 0
        self._word = ""
        self._line = ""  # as far as it has come, unbroken
        self._fenced = False

    def feed(self, text: str) -> str:
        """What can be shown by now: the last word waits for its end."""
        text, self._word = self._word + text, ""
        pieces = PIECES.findall(text)
        if pieces and not pieces[-1].isspace():
            self._word = pieces.pop()
        return "".join(map(self._place, pieces))

    def end(self) -> str:
        """The rest."""
        word, self._word = self._word, ""
        return self._place(word) if word else ""

    def _place(self, piece: str) -> str:
        if piece == "\n":
            self._fenced ^= self._line.lstrip().startswith("```")
            self._line, self._column = "", 0
            return piece
        self._line += piece
        size = get_cwidth(piece)
        whole = self._fenced or self._line.lstrip().startswith(("|", "```")) or self._line.startswith("    ")
        if not whole and self._column and self._column + size > self._width:
            # A space that would begin a line is the break itself.
            self._column = 0 if piece.isspace() else size
            return "\n" if piece.isspace() else f"\n{piece}"
        if piece.isspace() and self._column == 0 and self._line != piece:
            return ""
        self._column += size
        return piece
