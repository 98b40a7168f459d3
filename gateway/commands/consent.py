"""/approve, /deny and the two buttons: a person's yes or no to what a model wants to do."""

from __future__ import annotations

from gateway.approvals import asked
from gateway.calls import Call, Reply
from gateway.errors import Refused
from gateway.manager import SessionManager
from gateway.texts import say
from gateway.types.json import Json


async def approve(manager: SessionManager, call: Call) -> Reply:
    """With a code, or without one where only one thing waits; else the list of what waits."""
    return await _typed(manager, call, True)


async def deny(manager: SessionManager, call: Call) -> Reply:
    return await _typed(manager, call, False)


async def press_yes(manager: SessionManager, args: Json, call: Call) -> Reply:
    return await _pressed(manager, args, call, True)


async def press_no(manager: SessionManager, args: Json, call: Call) -> Reply:
    return await _pressed(manager, args, call, False)


async def _typed(manager: SessionManager, call: Call, yes: bool) -> Reply:
    approvals, token = manager.core.approvals, call.args.strip()
    if token:
        found = await approvals.typed(call.conversation.id, token)
    else:
        waiting = await approvals.waiting(call.conversation.id)
        if not waiting:
            raise Refused(key="approval.nothing")
        if len(waiting) > 1:
            texts = [asked(each.action, each.token, call.lang, typed=True, shared=False) for each in waiting]
            return Reply(text="\n\n".join(texts))
        (found,) = waiting
    return await _decide(manager, found.id, call, yes)


async def _pressed(manager: SessionManager, args: Json, call: Call, yes: bool) -> Reply:
    try:
        return await _decide(manager, int(args["approval"]), call, yes)
    except Refused as error:
        return Reply(
            toast=error.told(call.lang)
        )  # for whoever pressed alone: the question stays for the others


async def _decide(manager: SessionManager, id: int, call: Call, yes: bool) -> Reply:
    done = await manager.core.approvals.decide(
        id,
        yes,
        conversation=call.conversation.id,
        who=call.identity,
        role=call.role,
        row=call.row.id,
    )
    # Beside: the message that asks may still be on its way.
    manager.core.dispatcher.beside(manager.core.approvals.mark(id), f"approval-{id}")
    text = say(done.key, call.lang, outcome=done.outcome)
    return Reply(text=text, toast=text if done.early else "")
