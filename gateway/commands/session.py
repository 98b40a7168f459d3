"""/new, /resume and the buttons that go back: which session the next message belongs to."""

from __future__ import annotations

from gateway.amounts import messages
from gateway.calls import Call, Offer, Reply
from gateway.commands.command import alone
from gateway.commands.moment import shown
from gateway.commands.quote import plain, titled
from gateway.errors import Refused
from gateway.manager import Resumed, SessionManager, SessionMeta
from gateway.sessions import title_of
from gateway.types import Json

LISTED = 8
OFFERED = 4  # buttons: more of them push the list itself off a phone's screen
LABEL = 40  # characters of a button


async def new(manager: SessionManager, call: Call) -> Reply:
    alone(call, "Send your message after it.")
    closed = await manager.new_session(call.conversation.id)
    if closed is None or not closed.message_count:
        return Reply(text="Your next message begins a new session.")
    back = f"/resume {closed.id} goes back."
    return Reply(text=f"Closed {titled(closed)}. Your next message begins a new session; {back}")


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
        return Reply(text=f"Your message goes to {titled(resumed.session)}; I answer it there.")
    return _back(resumed)


async def _resume(manager: SessionManager, code: str, call: Call) -> Reply:
    # Whoever sits at the machine can read every session anyhow; elsewhere a foreign one does not exist.
    anywhere = call.role in ("owner", "admin") and call.conversation.channel == "main"
    return _back(await manager.resume(call.conversation.id, code, anywhere=anywhere))


def _back(resumed: Resumed) -> Reply:
    if resumed.already:
        return Reply(text=f"You are in {titled(resumed.session)} already.")
    count = messages(resumed.session.message_count)
    return Reply(text=f"Back in {titled(resumed.session)} ({count}); go on where you left off.")


async def _list(manager: SessionManager, call: Call) -> Reply:
    current = await manager.current_session(call.conversation.id)
    here = current.id if current is not None and not current.is_closed else None
    found = await manager.list_sessions(3 * LISTED, conversation=call.conversation.id)
    rows = [each for each in found if each.message_count or each.id == here][:LISTED]
    if not rows:
        raise Refused("There is no session here to go back to.")
    now = manager.core.clock()
    lines = [_line(each, each.id == here, now=now, zone=manager.zone) for each in rows]
    offers = [_offer(each) for each in rows if each.id != here][:OFFERED]
    return Reply(
        text="\n".join([*lines, "", "/resume with a code goes back to that session."]), offers=offers
    )


def _line(session: SessionMeta, current: bool, *, now: int, zone: str) -> str:
    when = shown(session.last_message_at or session.created_at, now=now, zone=zone)
    mark = " (current)" if current else ""
    title = plain(session.title or "") or "(no title)"
    return f"- `{session.id}` {title} — {when}, {messages(session.message_count)}{mark}"


def _offer(session: SessionMeta) -> Offer:
    label = title_of(session.title or "", LABEL) or session.id
    return Offer(label=label, action="resume", args={"v": 1, "code": session.id})
