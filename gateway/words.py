"""What people type to search by, as the table of words wants it; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PIECE = re.compile(r'"([^"]*)"|(\S+)')
MOST = 16  # words
LEAST = 3  # letters before a *: of beginnings of that length there is an index, shorter ones are nearly everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """*query* for FTS5, '' where there is no word; *words* for showing where they are.

    *slow*: it is better asked once than for each session: its beginnings are put together anew each time.
    """

    query: str = ""
    words: tuple[str, ...] = ()
    slow: bool = False


def searched(text: str) -> Wanted:
    """All words must be there; "words in quotes" one after another; rech* begins so, from three letters on.

    Whatever is typed is a word and never an operator.
    """
    parts: list[str] = []
    words: list[str] = []
    slow = False
    for found in _PIECE.finditer(text):
        phrase = found[1] if found[1] is not None else found[2]
        begins = found[1] is None and phrase.endswith("*")
        phrase = phrase.rstrip("*") if begins else phrase
        letters = sum(char.isalnum() for char in phrase)
        if not letters or len(parts) == MOST:
            continue
        begins = begins and letters >= LEAST
        slow = slow or (begins and letters > LEAST)
        parts.append('"{}"'.format(phrase.replace('"', '""').replace("\0", "")) + ("*" if begins else ""))
        words.append(phrase)
    return Wanted(query=" AND ".join(parts), words=tuple(words), slow=slow)
