"""Other people's words inside our own: one line, and nothing in it is formatting; pure."""

from __future__ import annotations

from gateway.manager import SessionMeta
from gateway.plain import plain as plain


def titled(session: SessionMeta) -> str:
    """“its title”, or what to call it when it has none."""
    title = plain(session.title or "")
    return f"“{title}”" if title else f"the session {session.id}"
