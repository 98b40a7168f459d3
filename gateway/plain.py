"""Other people's words inside our own: one line, and nothing in it is formatting; pure."""

from __future__ import annotations

import re

from gateway.sessions import title_of
from gateway.texts.direction import isolated

# Not the closing bracket: escaped both, they would be the marks of a formula.
_MARKS = re.compile(r"([\\`*_\[<>|~&])")


def plain(text: str, limit: int = 60) -> str:
    """*text* for the inside of a Markdown line or table cell."""
    return isolated(_MARKS.sub(r"\\\1", title_of(text, limit)))
