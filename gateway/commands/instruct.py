"""/system: what the model is told of itself in this session."""

from __future__ import annotations

from gateway.calls import Call, Reply
from gateway.commands.command import by, session_of, viewer_of
from gateway.manager import SessionManager
from gateway.texts import say

DEFAULT = "default"


async def system(manager: SessionManager, call: Call) -> Reply:
    session, text = await session_of(manager, call), call.args.strip()
    if not text:
        found = await manager.show(session.id, viewer=viewer_of(call))
        if found.system_prompt is None:
            return Reply(text=say("system.usual", call.lang))
        return Reply(text=f"{say('system.now', call.lang)}\n\n{found.system_prompt}")
    back = text.lower() == DEFAULT
    await manager.set_system_prompt(session.id, None if back else text, viewer=viewer_of(call))
    return Reply(text=by(call, say("system.usual" if back else "system.set", call.lang)))
