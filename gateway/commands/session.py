"""/new, /resume, /clear and the buttons that go back: which session the next message belongs to."""

from __future__ import annotations

from gateway.amounts import messages
from gateway.calls import Call, Reply
from gateway.commands.command import alone, by, name_of, session_of, together, viewer_of
from gateway.commands.listed import OFFERED, current, line, offer
from gateway.commands.quote import titled
from gateway.errors import Refused
from gateway.manager import Resumed, SessionManager
from gateway.texts import say
from gateway.types.json import Json

LISTED = 8


async def new(manager: SessionManager, call: Call) -> Reply:
    alone(call)
    closed = await manager.new_session(call.conversation.id)
    first = f"{say('session.new_by', call.lang, name=name_of(call))} " if together(call) else ""
    if closed is None or not closed.message_count:
        return Reply(text=first + say("session.new", call.lang))
    title = titled(closed, call.lang)
    return Reply(text=first + say("session.new_closed", call.lang, title=title, code=closed.id))


async def clear(manager: SessionManager, call: Call) -> Reply:
    """The model begins anew within the same session."""
    alone(call)
    session = await session_of(manager, call)
    await manager.clear(session.id)
    return Reply(text=by(call, say("session.cleared", call.lang)))


async def resume(manager: SessionManager, call: Call) -> Reply:
    code = call.args.strip()
    return await _resume(manager, code, call) if code else await _list(manager, call)


async def press_resume(manager: SessionManager, args: Json, call: Call) -> Reply:
    return await _resume(manager, str(args.get("code", "")), call)


async def press_previous(manager: SessionManager, args: Json, call: Call) -> Reply:
    """The button under the notice of a reset."""
    previous, new = args.get("previous"), args.get("new")
    if not isinstance(previous, int) or not isinstance(new, int):
        raise Refused(key="button.stale")
    resumed = await manager.continue_previous(call.conversation.id, previous=previous, new=new)
    if resumed.moved:
        return Reply(text=say("session.moved", call.lang, title=titled(resumed.session, call.lang)))
    return _back(resumed, call)


async def _resume(manager: SessionManager, code: str, call: Call) -> Reply:
    return _back(await manager.resume(call.conversation.id, code, viewer=viewer_of(call)), call)


def _back(resumed: Resumed, call: Call) -> Reply:
    title = titled(resumed.session, call.lang)
    if resumed.already:
        return Reply(text=say("session.already", call.lang, title=title))
    count = messages(resumed.session.message_count, call.lang)
    return Reply(text=by(call, say("session.back", call.lang, title=title, messages=count)))


async def _list(manager: SessionManager, call: Call) -> Reply:
    here = await current(manager, call)
    found = await manager.list_sessions(3 * LISTED, conversation=call.conversation.id)
    rows = [each for each in found if each.message_count or each.id == here][:LISTED]
    if not rows:
        raise Refused(key="session.nowhere")
    lines = [line(manager, each, here, call) for each in rows]
    offers = [offer(each) for each in rows if each.id != here][:OFFERED]
    return Reply(text="\n".join([*lines, "", say("session.resume_hint", call.lang)]), offers=offers)
