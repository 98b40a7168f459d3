"""What people type to search by, as the table of words wants it; pure."""

from __future__ import annotations

import re

_PIECE = re.compile(r'"([^"]*)"|(\S+)')
MOST = 16  # words


def searched(text: str) -> tuple[str, tuple[str, ...]]:
    """(an FTS5 query, its words). All words must be there; "words in quotes" one after another; rech* begins so.

    ('', ()) where there is no word. Whatever is typed is a word and never an operator.
    """
    parts: list[str] = []
    words: list[str] = []
    for found in _PIECE.finditer(text):
        phrase = found[1] if found[1] is not None else found[2]
        begins = found[1] is None and phrase.endswith("*")
        phrase = phrase.rstrip("*") if begins else phrase
        if not any(char.isalnum() for char in phrase) or len(parts) == MOST:
            continue
        parts.append('"{}"'.format(phrase.replace('"', '""').replace("\0", "")) + ("*" if begins else ""))
        words.append(phrase)
    return " AND ".join(parts), tuple(words)
