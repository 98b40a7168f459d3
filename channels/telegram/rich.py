"""Rich messages: tables, headings and formulas drawn by the app itself. Bot API 10.1, sendRichMessage."""

from __future__ import annotations

import re

from channels.text.styled import parser

MOST = 30_000  # characters; Bot API, Rich Message Limits: 32,768
# What a server says that does not know them: to the method, and to an edit without a text.
NOT_KNOWN = ("method not found", ": not found (404)", "message text is empty")
_DRAWN = frozenset({"table_open", "heading_open"})  # what entities can only imitate
_FORMULA = re.compile(r"^\s*(?:\$\$|\\\[)", re.M)
_CODE = re.compile(r"^( {0,3})(`{3,}|~{3,}).*?^ {0,3}\2[`~]*\s*$|(`+)(?!`).+?(?<!`)\3(?!`)", re.M | re.S)
# Pictures, and tags that stand for some: a server would fetch what a model names.
_FETCHED = re.compile(r"!\[|<[a-z!/]", re.I)


def wanted(markdown: str) -> bool:
    """Whether an answer is better drawn by the app; pure. Never one that could make the server fetch anything."""
    if len(markdown) > MOST or _FETCHED.search(_CODE.sub("", markdown)):
        return False
    if _FORMULA.search(markdown):
        return True
    return any(token.type in _DRAWN for token in parser().parse(markdown))
