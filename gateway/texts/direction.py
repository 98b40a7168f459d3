"""Words that run from right to left within a line that does not; pure."""

from __future__ import annotations

import unicodedata

# First strong isolate and pop directional isolate (Unicode Standard Annex 9, 2.4).
ISOLATE, POP = "\u2068", "\u2069"
RIGHT_TO_LEFT = ("R", "AL", "AN")  # classes of characters (3.2)


def isolated(text: str) -> str:
    """*text* so that its direction ends with it: the time or the number behind a Hebrew title stays behind it.

    Text without such letters is given back as it is. Marks of direction within *text* must be in balance.
    """
    if any(unicodedata.bidirectional(each) in RIGHT_TO_LEFT for each in text):
        return f"{ISOLATE}{text}{POP}"
    return text
