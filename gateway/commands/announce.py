"""/announce: one text to every chat, after a look at how many that is."""

from __future__ import annotations

from gateway.calls import Call, Offer, Reply
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.texts import say
from gateway.types.json import Json


async def announce(manager: SessionManager, call: Call) -> Reply:
    text = call.args.strip()
    if not text:
        raise Refused(key="announce.empty")
    found = await manager.audience()
    if not found.chats:
        raise Refused(key="announce.nobody")
    direct = say("announce.direct", call.lang, count=found.direct)
    groups = say("announce.groups", call.lang, count=found.groups)
    head = say("announce.ask", call.lang, direct=direct, groups=groups)
    offer = Offer(
        label=say("announce.send", call.lang, count=found.chats),
        action="announce",
        args={"v": 1, "text": text, "id": call.row.id},
    )
    return Reply(text=f"{head}\n\n{text}", offers=[offer])


async def press_announce(manager: SessionManager, args: Json, call: Call) -> Reply:
    """Pressed twice it goes out once: each chat's copy has an origin of its own."""
    text, id = args.get("text"), args.get("id")
    if not isinstance(text, str) or not isinstance(id, int):
        raise Refused(key="button.stale")
    sent = await manager.announce(text, id=id)
    return Reply(text=say("announce.sent", call.lang, count=sent))
