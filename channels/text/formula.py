"""Formulas in a text: where they begin and end, and what only looks like one."""

import re

LONGEST = 2000  # characters of a formula; what is longer is a mark without its partner
OPENS = re.compile(r"\$\$?|\\[(\[]")
_ENDS = {"$": "$", "$$": "$$", "\\(": "\\)", "\\[": "\\]"}
# Money rather than a formula: an amount, then words.
_MONEY = re.compile(r"[\d.,]+(?:[kKmMbB%+]\b)?(?:[\s,;:.!?)/-]|\Z)")
_SIGNS = re.compile(r"[\\^_=<>{}+*|]")
_PROSE = re.compile(r"(?<!\\)\b[^\W\d_]{2,}[,.]?\s+[^\W\d_]{2,}\b")


def formula(text: str, at: int) -> tuple[int, str] | None:
    """The formula that begins at *at*: where it ends, and its inside; None if there is none.

    Dollars are marks only as in `$x$`: nothing blank inside them, no digit behind, and not what looks like money.
    """
    found = OPENS.match(text, at)
    if found is None:
        return None
    mark = found.group()
    end = _end(text, found.end(), _ENDS[mark])
    if end is None:
        return None
    inside = text[found.end() : end]
    close = end + len(mark)
    if not inside.strip() or _refused(inside, mark) or (mark == "$" and _touched(text, at, close, inside)):
        return None
    return close, inside


def begun(text: str, at: int) -> bool:
    """Whether what begins at *at* and has no end yet may become a formula."""
    found = OPENS.match(text, at)
    if found is None or (found.group() == "$" and at and (text[at - 1].isalnum() or text[at - 1] == "$")):
        return False
    mark, inside = found.group(), text[found.end() :]
    if _end(text, found.end(), _ENDS[mark]) is not None or len(inside) > LONGEST or "\n\n" in inside:
        return False
    if mark == "$" and (inside[:1].isspace() or _MONEY.match(inside + "x")):
        return False
    return not _refused(inside, mark)


def _end(text: str, start: int, mark: str) -> int | None:
    at = start
    while (at := text.find(mark, at, start + LONGEST)) >= 0:
        backslashes = 0
        while at - backslashes > start and text[at - backslashes - 1] == "\\":
            backslashes += 1
        if backslashes % 2 == 0:
            return None if "\n\n" in text[start:at] else at
        at += len(mark)
    return None


def _touched(text: str, start: int, close: int, inside: str) -> bool:
    """Whether single dollars stand as those of a formula do not."""
    if start and (text[start - 1].isalnum() or text[start - 1] in "$\\"):
        return True
    if inside[0].isspace() or inside[-1].isspace() or (_MONEY.match(inside) and not _SIGNS.search(inside)):
        return not re.fullmatch(r"[\d.,]+", inside)
    return re.match(r"(?!(?:st|nd|rd|th|s)\b)[0-9A-Za-z$]", text[close:]) is not None


def _refused(inside: str, mark: str) -> bool:
    """Whether it cannot be a formula: code within, or with dollars words one after another."""
    if "```" in inside or "~~~" in inside or "\n\n" in inside:
        return True
    return mark == "$" and (
        "`" in inside or inside.count("\n") > 2 or (_PROSE.search(inside) is not None and "\\" not in inside)
    )
