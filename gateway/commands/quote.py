"""Other people's words inside our own: one line, and nothing in it is formatting; pure."""

from __future__ import annotations

from gateway.manager import SessionMeta
from gateway.plain import plain as plain
from gateway.texts import say


def titled(session: SessionMeta, lang: str = "") -> str:
    """“its title”, or what to call it when it has none."""
    title = plain(session.title or "")
    return say("quote.title", lang, text=title) if title else say("quote.session", lang, code=session.id)
