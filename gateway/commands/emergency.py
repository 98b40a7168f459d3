"""/halt and /unhalt: nothing is asked of any model, and then again."""

from __future__ import annotations

from gateway.calls import Call, Reply
from gateway.commands.command import alone
from gateway.manager import SessionManager
from gateway.texts import say


async def halt(manager: SessionManager, call: Call) -> Reply:
    """What stands behind it is the reason."""
    stopped = await manager.halt(by=_by(call), why=call.args.strip())
    return Reply(text=say("halt.done", call.lang, count=stopped))


async def unhalt(manager: SessionManager, call: Call) -> Reply:
    alone(call)
    await manager.unhalt(by=_by(call))
    return Reply(text=say("halt.over", call.lang))


def _by(call: Call) -> str:
    who = call.identity
    return f"{who.channel}:{who.user_id}" if who is not None else call.conversation.channel
