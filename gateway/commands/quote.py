"""Other people's words inside our own: one line, and nothing in it is formatting; pure."""

from __future__ import annotations

import re

from gateway.manager import SessionMeta
from gateway.sessions import title_of
from gateway.texts import say

_MARKS = re.compile(r"([\\`*_\[\]<>|~&])")


def plain(text: str, limit: int = 60) -> str:
    """*text* for the inside of a Markdown line or table cell."""
    return _MARKS.sub(r"\\\1", title_of(text, limit))


def titled(session: SessionMeta, lang: str = "") -> str:
    """“its title”, or what to call it when it has none."""
    title = plain(session.title or "")
    return say("quote.title", lang, text=title) if title else say("quote.session", lang, code=session.id)
