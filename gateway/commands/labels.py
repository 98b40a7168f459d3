"""/title, /tag, /untag, /unread, /archive, /unarchive, /pause, /unpause: what is written on a session."""

from __future__ import annotations

from gateway.calls import Call, Offer, Reply
from gateway.commands.command import alone, by, session_of, viewer_of
from gateway.commands.listed import meant
from gateway.commands.quote import plain, titled
from gateway.errors import Refused
from gateway.manager import SessionManager, SessionMeta
from gateway.texts import say


async def title(manager: SessionManager, call: Call) -> Reply:
    session = await session_of(manager, call)
    if not call.args.strip():
        return Reply(text=titled(session, call.lang))
    named = await manager.rename(session.id, call.args, viewer=viewer_of(call))
    return Reply(text=by(call, say("labels.title", call.lang, title=titled(named, call.lang))))


async def tag(manager: SessionManager, call: Call) -> Reply:
    session = await session_of(manager, call)
    if call.args.strip():
        session = await manager.tag(session.id, _words(call), viewer=viewer_of(call))
    return Reply(text=_tags(session, call))


async def untag(manager: SessionManager, call: Call) -> Reply:
    """Those that are named; all of them when none is."""
    session = await session_of(manager, call)
    session = await manager.untag(session.id, _words(call) or None, viewer=viewer_of(call))
    return Reply(text=_tags(session, call))


def _words(call: Call) -> list[str]:
    return call.args.replace(",", " ").split()


def _tags(session: SessionMeta, call: Call) -> str:
    if not session.tags:
        return say("labels.no_tags", call.lang)
    return say("labels.tags", call.lang, tags=" ".join(f"#{plain(each)}" for each in session.tags))


async def unread(manager: SessionManager, call: Call) -> Reply:
    session = await meant(manager, call, call.args.strip())
    await manager.mark_read(session.id, False, viewer=viewer_of(call))
    return Reply(text=say("labels.unread", call.lang, title=titled(session, call.lang)))


async def archive(manager: SessionManager, call: Call) -> Reply:
    session = await meant(manager, call, call.args.strip())
    await manager.archive(session.id, viewer=viewer_of(call))
    text = say("labels.archived", call.lang, title=titled(session, call.lang), code=session.id)
    return Reply(text=by(call, text))


async def unarchive(manager: SessionManager, call: Call) -> Reply:
    code = call.args.strip()
    if not code:
        raise Refused(key="labels.which")
    session = await meant(manager, call, code)
    await manager.unarchive(session.id, viewer=viewer_of(call))
    text = say("labels.unarchived", call.lang, title=titled(session, call.lang), code=session.id)
    return Reply(text=by(call, text))


async def pause(manager: SessionManager, call: Call) -> Reply:
    alone(call)
    session = await session_of(manager, call)
    changed = await manager.pause_session(session.id, viewer=viewer_of(call))
    text = by(call, say("labels.paused" if changed else "labels.paused_already", call.lang))
    return Reply(text=text, offers=[Offer.run(say("labels.go_on", call.lang), "unpause")])


async def unpause(manager: SessionManager, call: Call) -> Reply:
    alone(call)
    session = await session_of(manager, call)
    changed = await manager.resume_session(session.id, viewer=viewer_of(call))
    return Reply(text=by(call, say("labels.unpaused" if changed else "labels.not_paused", call.lang)))
