"""What people type to search by, as the table of words wants it; pure."""

from __future__ import annotations

import re
from dataclasses import dataclass

_PIECE = re.compile(r'"([^"]*)"|(\S+)')
MOST = 16  # words
LEAST = 3  # letters before a *: there are indexes of beginnings from that length on, shorter ones are nearly everywhere


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """*terms* for FTS5, each in quotes, a beginning with a * behind them; *words* for showing where they are."""

    terms: tuple[str, ...] = ()
    words: tuple[str, ...] = ()


def searched(text: str) -> Wanted:
    """All words must be there; "words in quotes" one after another; rech* begins so, from three letters on.

    Whatever is typed is a word and never an operator.
    """
    terms: list[str] = []
    words: list[str] = []
    for found in _PIECE.finditer(text):
        phrase = found[1] if found[1] is not None else found[2]
        begins = found[1] is None and phrase.endswith("*")
        phrase = phrase.rstrip("*") if begins else phrase
        letters = sum(char.isalnum() for char in phrase)
        if not letters or len(terms) == MOST:
            continue
        begins = begins and letters >= LEAST
        terms.append('"{}"'.format(phrase.replace('"', '""').replace("\0", "")) + ("*" if begins else ""))
        words.append(phrase)
    return Wanted(terms=tuple(terms), words=tuple(words))
