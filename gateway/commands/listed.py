"""Sessions as lines of a list, and which one is meant."""

from __future__ import annotations

from gateway.amounts import messages
from gateway.calls import Call, Offer
from gateway.commands.command import session_of, viewer_of
from gateway.commands.quote import plain
from gateway.manager import SessionManager, SessionMeta
from gateway.moments import shown
from gateway.sessions import title_of
from gateway.texts import say

LABEL = 40  # characters of a button
OFFERED = 4  # buttons: more of them push the list itself off a phone's screen


async def current(manager: SessionManager, call: Call) -> str | None:
    """The code of the session that the next message here goes to; None: it opens one."""
    found = await manager.current_session(call.conversation.id)
    return found.id if found is not None and not found.is_closed else None


async def meant(manager: SessionManager, call: Call, typed: str) -> SessionMeta:
    """The one whose code begins so; '': the one here. Raises Refused, also for one that is not for their eyes."""
    if typed:
        return await manager.find(typed, viewer=viewer_of(call))
    return await session_of(manager, call)


def line(manager: SessionManager, session: SessionMeta, here: str | None, call: Call) -> str:
    at = session.last_message_at or session.created_at
    when = shown(at, now=manager.core.clock(), zone=call.zone, lang=call.lang)
    title = plain(session.title or "") or say("session.untitled", call.lang)
    marks = [f"#{plain(tag)}" for tag in session.tags]
    if session.id == here:
        marks.append(say("session.current", call.lang))
    if not session.is_read:
        marks.append(say("listed.unread", call.lang))
    if session.state in ("paused", "archived"):
        marks.append(say(f"listed.{session.state}", call.lang))
    tail = f" {' '.join(marks)}" if marks else ""
    return f"- `{session.id}` {title} — {when}, {messages(session.message_count, call.lang)}{tail}"


def offer(session: SessionMeta) -> Offer:
    """The button that goes back to it."""
    label = title_of(session.title or "", LABEL) or session.id
    return Offer(label=label, action="resume", args={"v": 1, "code": session.id})
